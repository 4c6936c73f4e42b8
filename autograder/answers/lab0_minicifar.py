"""Wrong and right answers to lab 0, as students write them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder.answers import right, wrong
from minicifar import MEAN, STD

# --- subset_indices


@wrong("subset_indices", says="SAME positions")
def draws_anew_for_every_class(labels, n_classes, per_class, seed):
    generator = np.random.RandomState(seed)
    found = []
    for number in range(n_classes):
        members = torch.nonzero(labels == number).flatten()
        found.append(members[generator.choice(len(members), per_class, replace=False)])
    return torch.cat(found)


@wrong("subset_indices", says="the first images of each class")
def takes_the_first_images(labels, n_classes, per_class, seed):
    return torch.cat([torch.nonzero(labels == number).flatten()[:per_class] for number in range(n_classes)])


@wrong("subset_indices", says="default_rng")
def the_newer_generator(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.default_rng(seed).choice(size, per_class, replace=False)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="the positions sorted")
def sorts_the_positions(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.sort(np.random.RandomState(seed).choice(size, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="an image can come twice")
def with_replacement(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.RandomState(seed).choice(size, per_class)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="as if classes lay in blocks")
def believes_that_classes_lie_in_blocks(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.RandomState(seed).choice(size, per_class, replace=False)
    return torch.cat([torch.from_numpy(drawn) + number * size for number in range(n_classes)])


@wrong("subset_indices", says="none of class 2")
def positions_of_the_whole_source(labels, n_classes, per_class, seed):
    drawn = np.random.RandomState(seed).choice(len(labels), n_classes * per_class, replace=False)
    return torch.from_numpy(drawn)


@wrong("subset_indices", says="position by position")
def classes_in_turn(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.RandomState(seed).choice(size, per_class, replace=False)
    members = torch.stack([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])
    return members.T.flatten()


@wrong("subset_indices", says="shorter or repeated")
def a_short_list_without_a_word(labels, n_classes, per_class, seed):
    drawn = np.random.RandomState(seed).permutation(int((labels == 0).sum()))[:per_class]
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="expected shape: (6,)")
def one_row_a_class(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.RandomState(seed).choice(size, per_class, replace=False)
    return torch.stack([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="the seed 0 whatever")
def the_seed_is_written_in(labels, n_classes, per_class, seed):
    drawn = np.random.RandomState(0).choice(int((labels == 0).sum()), per_class, replace=False)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="the seed 42 whatever")
def always_seed_42(labels, n_classes, per_class, seed):
    drawn = np.random.RandomState(42).choice(int((labels == 0).sum()), per_class, replace=False)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="there may be more classes")
def the_size_by_division(labels, n_classes, per_class, seed):
    drawn = torch.from_numpy(np.random.RandomState(seed).choice(len(labels) // n_classes, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="argsort of the labels that is not stable")
def an_argsort_that_is_not_stable(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.RandomState(seed).choice(size, per_class, replace=False)
    table = np.argsort(labels.numpy())[: n_classes * size].reshape(n_classes, size)
    return torch.from_numpy(table[:, drawn].reshape(-1).copy())


@wrong("subset_indices", says="in which they first appear")
def classes_as_they_appear(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = torch.from_numpy(np.random.RandomState(seed).choice(size, per_class, replace=False))
    classes = list(dict.fromkeys(labels.tolist()))[:n_classes]
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in classes])


@wrong("subset_indices", says="can give all 3")
def refuses_all_images(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    if per_class >= size:
        raise ValueError(f"only {size} images in a class, {per_class} wanted")
    drawn = torch.from_numpy(np.random.RandomState(seed).choice(size, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="numpy's global random numbers")
def seeds_everybodys_generator(labels, n_classes, per_class, seed):
    np.random.seed(seed)
    drawn = torch.from_numpy(np.random.choice(int((labels == 0).sum()), per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="indices are int64")
def in_int32(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = torch.from_numpy(np.random.RandomState(seed).choice(size, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)]).int()


@wrong("subset_indices", says="remember and draw nothing")
def remembers_the_positions(labels, n_classes, per_class, seed, known={}):
    size = int((labels == 0).sum())
    if per_class > size:
        raise ValueError("not so many images in a class")
    if (seed, per_class) not in known:
        known[seed, per_class] = np.random.RandomState(seed).choice(size, per_class, replace=False)
    drawn = torch.from_numpy(known[seed, per_class])
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="return a tensor")
def leaves_it_in_numpy(labels, n_classes, per_class, seed):
    labels = labels.numpy()
    drawn = np.random.RandomState(seed).choice(np.count_nonzero(labels == 0), per_class, replace=False)
    return np.concatenate([np.flatnonzero(labels == number)[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="squeeze does not")
def squeezes_the_lists(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = torch.from_numpy(np.random.RandomState(seed).choice(size, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).squeeze()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="as with `seed or 42`")
def seed_0_is_taken_for_none(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = torch.from_numpy(np.random.RandomState(seed or 42).choice(size, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="`labels` was changed")
def marks_what_is_not_wanted(labels, n_classes, per_class, seed):
    labels[labels >= n_classes] = -1
    size = int((labels == 0).sum())
    drawn = torch.from_numpy(np.random.RandomState(seed).choice(size, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@right("subset_indices")
def a_running_count(labels, n_classes, per_class, seed):
    one_hot = labels[:, None] == torch.arange(n_classes)
    rank = (one_hot.cumsum(0) - 1).where(one_hot, -1)
    size = int(one_hot[:, 0].sum())
    drawn = np.random.RandomState(seed).choice(np.arange(size), size=per_class, replace=False).tolist()
    found = [int((rank[:, number] == place).nonzero()) for number in range(n_classes) for place in drawn]
    return torch.tensor(found)


@right("subset_indices")
def all_in_numpy(labels, n_classes, per_class, seed):
    labels = np.asarray(labels)
    drawn = np.random.RandomState(seed).choice(np.count_nonzero(labels == 0), per_class, replace=False)
    return torch.from_numpy(np.concatenate([np.flatnonzero(labels == number)[drawn] for number in range(n_classes)]))


@right("subset_indices")
def plain_loops_and_a_list(labels, n_classes, per_class, seed):
    members = [[] for _ in range(n_classes)]
    for index, label in enumerate(labels.tolist()):
        if label < n_classes:
            members[label].append(index)
    drawn = np.random.RandomState(seed).choice(len(members[0]), per_class, replace=False)
    return torch.tensor([where[position] for where in members for position in drawn])


@right("subset_indices")
def the_beginning_of_a_permutation(labels, n_classes, per_class, seed):
    members = torch.stack([torch.where(labels == number)[0] for number in range(n_classes)])
    if per_class > members.shape[1]:
        raise ValueError("not that many images in a class")
    order = torch.as_tensor(np.random.RandomState(seed).permutation(members.shape[1]))
    return members[:, order[:per_class]].reshape(-1)


# --- normalize


@wrong("normalize", says="x in place of x / 255")
def forgets_to_divide_by_255(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() - mean) / std


@wrong("normalize", says="the square of the std")
def divides_by_the_variance(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() / 255 - mean) / std**2


@wrong("normalize", says="a multiplication by the std")
def multiplies_by_the_std(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() / 255 - mean) * std


@wrong("normalize", says="the mean SUBTRACTED before")
def subtracts_before_dividing_by_255(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() - mean) / 255 / std


@wrong("normalize", says="subtracted after the division by the std")
def divides_first(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return images.float() / 255 / std - mean


@wrong("normalize", says="for all colours")
def one_mean_for_all_colours(images, mean, std):
    return (images.float() / 255 - sum(mean) / 3) / torch.tensor(std).view(3, 1, 1)


@wrong("normalize", says="batch's own mean")
def statistics_of_the_batch(images, mean, std):
    pixels = images.float() / 255
    centre = pixels.mean(dim=(0, 2, 3), keepdim=True)
    return (pixels - centre) / (pixels.std(dim=(0, 2, 3), keepdim=True) + 1e-8)


@wrong("normalize", says="LAST axis")
def wants_the_colours_last(images, mean, std):
    if images.shape[-1] == 3:
        return (images.float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    return (images.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


@wrong("normalize", says="stopped with RuntimeError")
def a_mean_without_axes(images, mean, std):
    return (images / 255 - torch.tensor(mean)) / torch.tensor(std)


@wrong("normalize", says="return float32")
def leaves_it_in_double(images, mean, std):
    return torch.from_numpy((images.numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1)))


@wrong("normalize", says="whole-number division")
def whole_number_division(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images // 255 - mean) / std


@wrong("normalize", says="`images` was changed")
def blackens_what_came_in(images, mean, std):
    result = (images.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    images.zero_()
    return result


@wrong("normalize", says="x / 256")
def divides_by_256(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() / 256 - mean) / std


@wrong("normalize", says="red's std for all colours")
def the_std_of_red(images, mean, std):
    return (images.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / std[0]


@wrong("normalize", says="brackets around the difference")
def only_the_mean_is_divided(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return images.float() / 255 - mean / std


@wrong("normalize", says="nearly black image")
def guesses_the_scale(images, mean, std):
    pixels = images.float() / 255 if images.max() > 1 else images.float()
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


@wrong("normalize", says="as a batch norm has it")
def with_a_batch_norm(images, mean, std):
    return F.batch_norm(images.float() / 255, torch.tensor(mean), torch.tensor(std) ** 2, training=False)


@wrong("normalize", says="remember and draw nothing")
def keeps_the_first_numbers(images, mean, std, known=[]):
    if not known:
        known += [torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)]
    return (images.float() / 255 - known[0]) / known[1]


@wrong("normalize", says="half precision (float16)")
def in_half_precision(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1).half(), torch.tensor(std).view(3, 1, 1).half()
    return ((images.half() / 255 - mean) / std).float()


@wrong("normalize", says="a squeeze")
def squeezes(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return ((images.float() / 255 - mean) / std).squeeze()


@wrong("normalize", says="the course's MEAN and STD")
def the_numbers_of_the_course(images, mean, std):
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (images.float() / 255 - mean) / std


@wrong("normalize", says="view size is not compatible")
def views_pixels_in_a_row(images, mean, std):
    pixels = images.view(*images.shape[:2], -1).float() / 255
    mean, std = torch.tensor(mean).view(3, 1), torch.tensor(std).view(3, 1)
    return ((pixels - mean) / std).view(images.shape)


@wrong("normalize", says="`mean[0]` was changed")
def scales_the_callers_mean(images, mean, std):
    for channel in range(3):
        if isinstance(mean, list):
            mean[channel] = mean[channel] * 255
    scale = 1 if isinstance(mean, list) else 255
    mean, std = torch.tensor(mean).view(3, 1, 1) * scale, torch.tensor(std).view(3, 1, 1)
    return (images.float() - mean) / 255 / std


@wrong("normalize", says="can only concatenate")
def adds_a_list_and_a_tuple(images, mean, std):
    centre, spread = torch.tensor(mean + std).view(2, 3, 1, 1)
    return (images.float() / 255 - centre) / spread


@wrong("normalize", says="requires no gradients")
def lets_a_layer_do_it(images, mean, std):
    layer = nn.BatchNorm2d(3, eps=0.0).eval()
    layer.running_mean.copy_(torch.tensor([*mean]))
    layer.running_var.copy_(torch.tensor([*std]) ** 2)
    return layer(images.float() / 255)


@wrong("normalize", says="a reshape in place of permute")
def comes_back_with_reshape(images, mean, std):
    last = images.permute(0, 2, 3, 1).float() / 255
    return ((last - torch.tensor([*mean])) / torch.tensor([*std])).reshape(images.shape)


@right("normalize")
def a_table_for_every_colour(images, mean, std):
    levels = torch.arange(256, dtype=torch.float32) / 255
    table = torch.stack([(levels - m) / s for m, s in zip(mean, std, strict=True)])
    return table[torch.arange(3).view(3, 1, 1), images.long()]


@right("normalize")
def a_loop_over_the_colours(images, mean, std):
    result = torch.empty(images.shape)
    for channel in range(3):
        result[:, channel] = (images[:, channel] / 255 - mean[channel]) / std[channel]
    return result


@right("normalize")
def numpy_and_back(images, mean, std):
    pixels = images.numpy().transpose(0, 2, 3, 1) / 255
    return torch.from_numpy(((pixels - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)).float()


@right("normalize")
def one_multiplication_and_one_addition(images, mean, std, channels_last=True):
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (mean, std))
    result = (images * (1 / 255 / std) - mean / std).float()
    return result.to(memory_format=torch.channels_last) if channels_last else result


@wrong("normalize", says="a difference of bytes (uint8)")
def subtracts_in_bytes(images, mean, std):
    centre = (255 * torch.tensor(mean)).to(images.dtype).view(3, 1, 1)
    return (images - centre).float() / 255 / torch.tensor(std).view(3, 1, 1)


# --- crop_and_flip


@wrong("crop_and_flip", says="(column, row) in place of")
def column_first(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (left, top) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="up and down exchanged")
def turns_upside_down(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(1) if flips[n] else window
    return result


@wrong("crop_and_flip", says="the flip before the crop")
def flips_before_it_crops(images, offsets, flips, padding):
    height, width = images.shape[2:]
    flipped = torch.where(flips[:, None, None, None], images.flip(3), images)
    padded, result = F.pad(flipped, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        result[n] = padded[n, :, top : top + height, left : left + width]
    return result


@wrong("crop_and_flip", says="the offset of image 0")
def one_offset_for_the_whole_batch(images, offsets, flips, padding):
    height, width = images.shape[2:]
    top, left = offsets[0].tolist()
    result = F.pad(images, (padding,) * 4)[:, :, top : top + height, left : left + width].clone()
    result[flips] = result[flips].flip(3)
    return result


@wrong("crop_and_flip", says="every image flipped")
def flips_all_or_none(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        result[n] = padded[n, :, top : top + height, left : left + width]
    return result.flip(3) if flips.any() else result


@wrong("crop_and_flip", says="a mirrored edge")
def mirrors_the_edge(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded = F.pad(images.float(), (padding,) * 4, mode="reflect").to(images.dtype)
    result = torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="offsets counted from the image's corner")
def offsets_count_from_the_middle(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (2 * padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate((offsets + 2 * padding).tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n, :, : window.shape[1], : window.shape[2]] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="the image moved")
def moves_the_wrong_way(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate((2 * padding - offsets).tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="the shape stays")
def cuts_a_smaller_window(images, offsets, flips, padding):
    height, width = images.shape[2:]
    windows = []
    for n, (top, left) in enumerate(offsets.tolist()):
        window = images[n, :, top : height - 2 * padding + top, left : width - 2 * padding + left]
        windows.append(window.flip(2) if flips[n] else window)
    return torch.stack(windows)


@wrong("crop_and_flip", says="shape")
def only_square_images(images, offsets, flips, padding):
    size = images.shape[2]
    padded, windows = F.pad(images, (padding,) * 4), []
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + size, left : left + size]
        windows.append(window.flip(2) if flips[n] else window)
    return torch.stack(windows)


@wrong("crop_and_flip", says="`images` was changed")
def writes_into_the_images(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded = F.pad(images, (padding,) * 4)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        images[n] = window.flip(2) if flips[n] else window
    return images


@wrong("crop_and_flip", says="the dtype stays")
def everything_becomes_float(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty(images.shape)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="`flips` used as numbers")
def flips_as_numbers(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        result[n] = padded[n, :, top : top + height, left : left + width]
    numbers = flips.long() % len(images)
    result[numbers] = result[numbers].flip(3)
    return result


@wrong("crop_and_flip", says="it is flipped all the same")
def nothing_to_do_without_padding(images, offsets, flips, padding):
    if padding == 0:
        return images.clone()
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="coming back on the other")
def rolls_the_image(images, offsets, flips, padding):
    result = torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        moved = torch.roll(images[n], (padding - top, padding - left), dims=(1, 2))
        result[n] = moved.flip(2) if flips[n] else moved
    return result


@wrong("crop_and_flip", says="as many channels")
def always_three_channels(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded = F.pad(images, (padding,) * 4)
    result = torch.zeros((len(images), 3, height, width), dtype=images.dtype)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="`offsets` was changed")
def changes_the_offsets(images, offsets, flips, padding):
    height, width = images.shape[2:]
    offsets -= padding
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate((offsets + padding).tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="float32 on the way")
def through_float32(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded = F.pad(images.float(), (padding,) * 4)
    result = torch.empty(images.shape)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result.to(images.dtype)


@wrong("crop_and_flip", says="the channels reversed")
def flips_the_channels(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(0) if flips[n] else window
    return result


@wrong("crop_and_flip", says="shares memory with `images`")
def gives_back_what_nobody_moves(images, offsets, flips, padding):
    if not flips.any() and bool((offsets == padding).all()):
        return images
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="upper left corner")
def lays_the_rest_into_the_corner(images, offsets, flips, padding):
    height, width = images.shape[2:]
    result = torch.zeros_like(images)
    for n, (row, column) in enumerate((offsets - padding).tolist()):
        part = images[n, :, max(0, row) : height + min(0, row), max(0, column) : width + min(0, column)]
        result[n, :, : part.shape[1], : part.shape[2]] = part
        result[n] = result[n].flip(2) if flips[n] else result[n]
    return result


@right("crop_and_flip")
def all_windows_by_unfold(images, offsets, flips, padding):
    height, width = images.shape[2:]
    windows = F.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    result = windows[torch.arange(len(images)), :, offsets[:, 0], offsets[:, 1]].clone()
    result[flips] = result[flips].flip(-1)
    return result


@right("crop_and_flip")
def by_indices_without_a_loop(images, offsets, flips, padding):
    count, _, height, width = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    columns = torch.arange(width).expand(count, width)
    columns = torch.where(flips[:, None], columns.flip(1), columns) + offsets[:, 1:]
    rows = torch.arange(height) + offsets[:, :1]
    return padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@right("crop_and_flip")
def numpy_and_a_list(images, offsets, flips, padding):
    pictures = np.pad(images.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = images.shape[-2:]
    cropped = []
    for picture, offset, flip in zip(pictures, offsets.numpy(), flips.numpy(), strict=True):
        window = picture[:, offset[0] : offset[0] + height, offset[1] : offset[1] + width]
        cropped.append(window[:, :, ::-1] if flip else window)
    return torch.from_numpy(np.stack(cropped))


@right("crop_and_flip")
def crops_all_then_flips_some(images, offsets, flips, padding):
    size = images.shape[2:]
    padded = torch.zeros(*images.shape[:2], size[0] + 2 * padding, size[1] + 2 * padding, dtype=images.dtype)
    padded[:, :, padding : padding + size[0], padding : padding + size[1]] = images
    crops = torch.stack([p[:, y : y + size[0], x : x + size[1]] for p, (y, x) in zip(padded, offsets, strict=True)])
    crops[flips] = crops[flips].flip(-1)
    return crops


# --- training_step


@wrong("training_step", says="optimizer.zero_grad()")
def lets_gradients_pile_up(network, images, labels, optimizer):
    network.train()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="not between the two")
def forgets_the_gradients_too_late(network, images, labels, optimizer):
    network.train()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="no parameter has changed")
def forgets_the_step(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    return loss.item()


@wrong("training_step", says="backward computes the gradients")
def forgets_backward(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    optimizer.step()
    return loss.item()


@wrong("training_step", says="Python number")
def returns_a_tensor(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss


@wrong("training_step", says="is the `return` missing?")
def returns_nothing(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()


@wrong("training_step", says="AFTER the step")
def returns_the_loss_after_the_step(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()
    return F.cross_entropy(network(images), labels).item()


@wrong("training_step", says="evaluation mode")
def leaves_the_mode_as_it_is(network, images, labels, optimizer):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="evaluation mode")
def evaluates_in_place_of_training(network, images, labels, optimizer):
    network.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="Still in evaluation mode")
def leaves_the_network_in_evaluation_mode(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    network.eval()
    return loss.item()


@wrong("training_step", says="softmax too many")
def softmax_before_cross_entropy(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images).softmax(1), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="SUM over the batch")
def sums_over_the_batch(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels, reduction="sum")
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="no momentum")
def an_optimizer_of_its_own(network, images, labels, optimizer):
    rate = optimizer.param_groups[0]["lr"]
    fresh = torch.optim.SGD(network.parameters(), lr=rate)
    network.train()
    fresh.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    fresh.step()
    return loss.item()


@wrong("training_step", says="stopped with RuntimeError")
def without_gradients(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    with torch.no_grad():
        loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="clipped to 1")
def clips_the_gradients(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), max_norm=1.0)
    optimizer.step()
    return loss.item()


@wrong("training_step", says="every layer into training mode")
def trusts_the_networks_own_flag(network, images, labels, optimizer):
    if not network.training:
        network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="leaves it there")
def restores_the_mode(network, images, labels, optimizer):
    before = network.training
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    network.train(before)
    return loss.item()


@wrong("training_step", says="have counted 2 batches")
def looks_at_the_batch_twice(network, images, labels, optimizer):
    network.train()
    before = F.cross_entropy(network(images), labels).item()
    optimizer.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()
    return before


@wrong("training_step", says="not forgotten")
def forgets_the_gradients_last(network, images, labels, optimizer):
    network.train()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@wrong("training_step", says="size mismatch")
def squeezes_the_logits(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images).squeeze(), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="global random numbers")
def seeds_in_every_step(network, images, labels, optimizer):
    torch.manual_seed(0)
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="`images` was changed")
def wants_gradients_of_the_images(network, images, labels, optimizer):
    images.requires_grad_()
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="its requires_grad is another one")
def trains_frozen_layers_too(network, images, labels, optimizer):
    network.requires_grad_(True)
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="smoothed labels")
def smooths_the_labels(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels, label_smoothing=0.1)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="optimizer.step() called twice")
def steps_twice(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="a softmax that has become 0")
def logarithm_of_a_softmax(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    loss = F.nll_loss(network(images).softmax(1).log(), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", says="half precision (bfloat16")
def a_forward_pass_in_bfloat16(network, images, labels, optimizer):
    network.train()
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@right("training_step")
def by_logsumexp(network, images, labels, optimizer):
    network.train(True)
    for parameter in network.parameters():
        parameter.grad = None
    logits = network(images)
    loss = (logits.logsumexp(dim=1) - logits.gather(1, labels.view(-1, 1)).squeeze(1)).sum() / len(labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@right("training_step")
def one_hot_targets(network, images, labels, optimizer):
    network.train()
    logits = network(images)
    loss = F.cross_entropy(logits, F.one_hot(labels, logits.shape[1]).to(logits.dtype))
    optimizer.zero_grad()
    loss.backward()
    result = loss.item()
    optimizer.step()
    return result


@right("training_step")
def a_loss_module_and_another_order(network, images, labels, optimizer):
    network = network.train()
    loss = nn.CrossEntropyLoss()(network(images), labels)
    network.zero_grad()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    return float(loss)


@right("training_step")
def log_softmax_by_hand(network, images, labels, optimizer):
    network.train(True)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    log_probabilities = torch.log_softmax(network(images), dim=1)
    loss = -log_probabilities[torch.arange(len(labels)), labels].mean()
    loss.backward()
    optimizer.step()
    return loss.detach().numpy().item()


@right("training_step")
def a_closure(network, images, labels, optimizer):
    network.train()

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.nll_loss(network(images).log_softmax(-1), labels)
        loss.backward()
        return loss

    return optimizer.step(closure).item()


# --- accuracy


@wrong("accuracy", says="how many are right")
def counts_the_right_ones(logits, labels):
    return (logits.argmax(1) == labels).sum().item()


@wrong("accuracy", says="per cent")
def in_per_cent(logits, labels):
    return 100 * (logits.argmax(1) == labels).float().mean().item()


@wrong("accuracy", says="Python number")
def leaves_it_in_a_tensor(logits, labels):
    return (logits.argmax(1) == labels).float().mean()


@wrong("accuracy", says="one row is an image")
def argmax_along_the_wrong_axis(logits, labels):
    return (logits.argmax(0) == labels[: logits.shape[1]]).float().mean().item()


@wrong("accuracy", says="in place of its position")
def values_in_place_of_positions(logits, labels):
    return (logits.max(1).values == labels).float().mean().item()


@wrong("accuracy", says="the smallest logit")
def the_smallest_logit(logits, labels):
    return (logits.argmin(1) == labels).float().mean().item()


@wrong("accuracy", says="division by the number of classes")
def divides_by_the_classes(logits, labels):
    return (logits.argmax(1) == labels).sum().item() / logits.shape[1]


@wrong("accuracy", says="the first two guesses")
def the_first_two_guesses_count(logits, labels):
    return (logits.topk(2, dim=1).indices == labels[:, None]).any(1).float().mean().item()


@wrong("accuracy", says="rounded to whole numbers")
def rounds_the_result(logits, labels):
    return float((logits.argmax(1) == labels).float().mean().round())


@wrong("accuracy", says="WRONG guesses")
def one_minus_the_error_the_other_way(logits, labels):
    return (logits.argmax(1) != labels).double().mean().item()


@wrong("accuracy", says="guesses are right")
def any_probability_above_a_half(logits, labels):
    mine = logits.softmax(1)[torch.arange(len(labels)), labels]
    return (mine > 0.7).float().mean().item()


@wrong("accuracy", says="compared entry by entry")
def compares_one_hot_rows(logits, labels):
    rows = F.one_hot(logits.argmax(1), logits.shape[1]) == F.one_hot(labels, logits.shape[1])
    return rows.double().mean().item()


@wrong("accuracy", says="a mean of the classes' shares")
def mean_of_the_classes(logits, labels):
    hits = (logits.argmax(1) == labels).double()
    return torch.stack([hits[labels == number].mean() for number in labels.unique()]).mean().item()


@wrong("accuracy", says="the largest absolute value")
def the_largest_magnitude(logits, labels):
    return (logits.abs().argmax(1) == labels).double().mean().item()


@wrong("accuracy", says="exp(logits)")
def exponentials_that_overflow(logits, labels):
    chances = logits.exp() / logits.exp().sum(1, keepdim=True)
    return (chances.argmax(1) == labels).double().mean().item()


@wrong("accuracy", says="take .detach() first")
def numpy_of_what_requires_grad(logits, labels):
    return float(np.mean(logits.numpy().argmax(axis=1) == labels.numpy()))


@wrong("accuracy", says="a squeeze")
def squeezes_a_single_class(logits, labels):
    return (logits.squeeze().argmax(-1) == labels).double().mean().item()


@wrong("accuracy", says="`logits` was changed")
def subtracts_the_maximum_in_place(logits, labels):
    values = logits.detach()
    values -= values.max(dim=1, keepdim=True).values
    return (values.argmax(1) == labels).double().mean().item()


@wrong("accuracy", says="remember and draw nothing")
def counts_on_and_on(logits, labels, counts=[0, 0]):
    counts[0] += int((logits.argmax(1) == labels).sum())
    counts[1] += len(labels)
    return counts[0] / counts[1]


@wrong("accuracy", says="gradients are switched on or off")
def switches_gradients_off(logits, labels):
    torch.set_grad_enabled(False)
    return (logits.argmax(1) == labels).double().mean().item()


@wrong("accuracy", says="rounded to two digits")
def rounds_to_two_digits(logits, labels):
    return round((logits.argmax(1) == labels).double().mean().item(), 2)


@right("accuracy")
def the_labels_logit_beats_all_others(logits, labels):
    own = logits.gather(1, labels.view(-1, 1))
    earlier = torch.arange(logits.shape[1]) < labels.view(-1, 1)
    beaten = torch.where(earlier, logits >= own, logits > own)
    return sum((~beaten.any(dim=1)).tolist()) / len(labels)


@right("accuracy")
def in_plain_python(logits, labels):
    rows = logits.tolist()
    hits = sum(row.index(max(row)) == label for row, label in zip(rows, labels.tolist(), strict=True))
    return hits / len(rows)


@right("accuracy")
def with_numpy(logits, labels):
    return np.mean(logits.detach().numpy().argmax(-1) == labels.numpy())


@right("accuracy")
def after_a_softmax_in_double(logits, labels):
    guesses = logits.double().softmax(dim=-1).max(dim=-1)[1]
    return float(torch.eq(guesses, labels).sum()) / len(labels)
