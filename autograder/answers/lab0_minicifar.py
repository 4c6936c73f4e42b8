"""Wrong and right answers to lab 0, as students write them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder.answers import right, wrong

# --- subset_indices


@wrong("subset_indices", says="SAME positions")
def draws_anew_for_every_class(labels, n_classes, per_class, seed):
    generator = np.random.RandomState(seed)
    found = []
    for number in range(n_classes):
        members = torch.nonzero(labels == number).flatten()
        found.append(members[generator.choice(len(members), per_class, replace=False)])
    return torch.cat(found)


@wrong("subset_indices", says="not the first ones")
def takes_the_first_images(labels, n_classes, per_class, seed):
    return torch.cat([torch.nonzero(labels == number).flatten()[:per_class] for number in range(n_classes)])


@wrong("subset_indices", says="RandomState(seed)")
def the_newer_generator(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.default_rng(seed).choice(size, per_class, replace=False)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="all in the order drawn")
def sorts_the_positions(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.sort(np.random.RandomState(seed).choice(size, per_class, replace=False))
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="no image twice")
def with_replacement(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.RandomState(seed).choice(size, per_class)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="mixed up in `labels`")
def believes_that_classes_lie_in_blocks(labels, n_classes, per_class, seed):
    size = int((labels == 0).sum())
    drawn = np.random.RandomState(seed).choice(size, per_class, replace=False)
    return torch.cat([torch.from_numpy(drawn) + number * size for number in range(n_classes)])


@wrong("subset_indices", says="none of class 2")
def positions_of_the_whole_source(labels, n_classes, per_class, seed):
    drawn = np.random.RandomState(seed).choice(len(labels), n_classes * per_class, replace=False)
    return torch.from_numpy(drawn)


@wrong("subset_indices", says="then 3 of class 1")
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


@wrong("subset_indices", says="seed 42")
def the_seed_is_written_in(labels, n_classes, per_class, seed):
    drawn = np.random.RandomState(0).choice(int((labels == 0).sum()), per_class, replace=False)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@wrong("subset_indices", says="RandomState(3)")
def always_seed_42(labels, n_classes, per_class, seed):
    drawn = np.random.RandomState(42).choice(int((labels == 0).sum()), per_class, replace=False)
    return torch.cat([torch.nonzero(labels == number).flatten()[drawn] for number in range(n_classes)])


@right("subset_indices")
def all_in_numpy(labels, n_classes, per_class, seed):
    labels = np.asarray(labels)
    drawn = np.random.RandomState(seed).choice(np.count_nonzero(labels == 0), per_class, replace=False)
    return np.concatenate([np.flatnonzero(labels == number)[drawn] for number in range(n_classes)])


@right("subset_indices")
def plain_loops_and_a_list(labels, n_classes, per_class, seed):
    members = [[] for _ in range(n_classes)]
    for index, label in enumerate(labels.tolist()):
        if label < n_classes:
            members[label].append(index)
    drawn = np.random.RandomState(seed).choice(len(members[0]), per_class, replace=False)
    return [where[position] for where in members for position in drawn]


@right("subset_indices")
def the_beginning_of_a_permutation(labels, n_classes, per_class, seed):
    members = torch.stack([torch.where(labels == number)[0] for number in range(n_classes)])
    if per_class > members.shape[1]:
        raise ValueError("not that many images in a class")
    order = torch.as_tensor(np.random.RandomState(seed).permutation(members.shape[1]))
    return members[:, order[:per_class]].reshape(-1)


# --- normalize


@wrong("normalize", says="x / 255")
def forgets_to_divide_by_255(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() - mean) / std


@wrong("normalize", says="not by its square")
def divides_by_the_variance(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() / 255 - mean) / std**2


@wrong("normalize", says="DIVIDE by the std")
def multiplies_by_the_std(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() / 255 - mean) * std


@wrong("normalize", says="SUBTRACTED after the division")
def subtracts_before_dividing_by_255(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images.float() - mean) / 255 / std


@wrong("normalize", says="subtract the mean first")
def divides_first(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return images.float() / 255 / std - mean


@wrong("normalize", says="one number for each channel")
def one_mean_for_all_colours(images, mean, std):
    return (images.float() / 255 - sum(mean) / 3) / torch.tensor(std).view(3, 1, 1)


@wrong("normalize", says="x / 255")
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


@wrong("normalize", says="x / 255")
def whole_number_division(images, mean, std):
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (images // 255 - mean) / std


@wrong("normalize", says="leave the images as they were")
def blackens_what_came_in(images, mean, std):
    result = (images.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    images.zero_()
    return result


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


# --- crop_and_flip


@wrong("crop_and_flip", says="(row, column)")
def column_first(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (left, top) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="not up and down")
def turns_upside_down(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(1) if flips[n] else window
    return result


@wrong("crop_and_flip", says="first the crop, then the flip")
def flips_before_it_crops(images, offsets, flips, padding):
    height, width = images.shape[2:]
    flipped = torch.where(flips[:, None, None, None], images.flip(3), images)
    padded, result = F.pad(flipped, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        result[n] = padded[n, :, top : top + height, left : left + width]
    return result


@wrong("crop_and_flip", says="its own offset")
def one_offset_for_the_whole_batch(images, offsets, flips, padding):
    height, width = images.shape[2:]
    top, left = offsets[0].tolist()
    result = F.pad(images, (padding,) * 4)[:, :, top : top + height, left : left + width].clone()
    result[flips] = result[flips].flip(3)
    return result


@wrong("crop_and_flip", says="its own flip")
def flips_all_or_none(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        result[n] = padded[n, :, top : top + height, left : left + width]
    return result.flip(3) if flips.any() else result


@wrong("crop_and_flip", says="no copied or mirrored edge")
def mirrors_the_edge(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded = F.pad(images.float(), (padding,) * 4, mode="reflect").to(images.dtype)
    result = torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="exactly on the image")
def offsets_count_from_the_middle(images, offsets, flips, padding):
    height, width = images.shape[2:]
    padded, result = F.pad(images, (2 * padding,) * 4), torch.empty_like(images)
    for n, (top, left) in enumerate((offsets + 2 * padding).tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n, :, : window.shape[1], : window.shape[2]] = window.flip(2) if flips[n] else window
    return result


@wrong("crop_and_flip", says="further down")
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


@wrong("crop_and_flip", says="height and width come from")
def only_square_images(images, offsets, flips, padding):
    size = images.shape[2]
    padded, windows = F.pad(images, (padding,) * 4), []
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + size, left : left + size]
        windows.append(window.flip(2) if flips[n] else window)
    return torch.stack(windows)


@wrong("crop_and_flip", says="leave the images that come in")
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


@wrong("training_step", says="between them")
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


@wrong("training_step", says="training mode")
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


@wrong("training_step", says="stand still")
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


@wrong("training_step", says="kept from step to step")
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


@wrong("accuracy", says="not how many")
def counts_the_right_ones(logits, labels):
    return (logits.argmax(1) == labels).sum().item()


@wrong("accuracy", says="not per cent")
def in_per_cent(logits, labels):
    return 100 * (logits.argmax(1) == labels).float().mean().item()


@wrong("accuracy", says=".item()")
def leaves_it_in_a_tensor(logits, labels):
    return (logits.argmax(1) == labels).float().mean()


@wrong("accuracy", says="one ROW an image")
def argmax_along_the_wrong_axis(logits, labels):
    return (logits.argmax(0) == labels[: logits.shape[1]]).float().mean().item()


@wrong("accuracy", says="POSITION")
def values_in_place_of_positions(logits, labels):
    return (logits.max(1).values == labels).float().mean().item()


@wrong("accuracy", says="POSITION")
def the_smallest_logit(logits, labels):
    return (logits.argmin(1) == labels).float().mean().item()


@wrong("accuracy", says="number of images")
def divides_by_the_classes(logits, labels):
    return (logits.argmax(1) == labels).sum().item() / logits.shape[1]


@wrong("accuracy", says="LARGEST")
def the_first_two_guesses_count(logits, labels):
    return (logits.topk(2, dim=1).indices == labels[:, None]).any(1).float().mean().item()


@wrong("accuracy", says="3 of 5")
def rounds_the_result(logits, labels):
    return float((logits.argmax(1) == labels).float().mean().round())


@wrong("accuracy", says="3 of 5")
def one_minus_the_error_the_other_way(logits, labels):
    return (logits.argmax(1) != labels).double().mean().item()


@wrong("accuracy", says="3 of 5")
def any_probability_above_a_half(logits, labels):
    mine = logits.softmax(1)[torch.arange(len(labels)), labels]
    return (mine > 0.7).float().mean().item()


@right("accuracy")
def in_plain_python(logits, labels):
    rows = logits.tolist()
    hits = sum(row.index(max(row)) == label for row, label in zip(rows, labels.tolist(), strict=True))
    return hits / len(rows)


@right("accuracy")
def with_numpy(logits, labels):
    return np.mean(logits.numpy().argmax(-1) == labels.numpy())


@right("accuracy")
def after_a_softmax_in_double(logits, labels):
    guesses = logits.double().softmax(dim=-1).max(dim=-1)[1]
    return float(torch.eq(guesses, labels).sum()) / len(labels)
