"""Visible tests of lab 0. A test's first argument is the exercise that it grades."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils import artifacts, expect
from course_utils.contracts import Contract
from course_utils.networks import vgg_mini
from minicifar import MEAN, STD

SORTED = torch.arange(3).repeat_interleave(8)  # 0 0 … 1 1 … 2 2 …, as in class folders
MIXED = torch.tensor([2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 1, 2, 1, 0, 2])  # as in the official files
SQUARE = torch.arange(1, 10).view(1, 1, 3, 3)


def chosen(answer, labels, count, hint):
    """A list of `count` indices into `labels`; that they are int64 is for one test to say."""
    indices = expect.same_shape(answer, (count,), hint)
    if indices.is_floating_point() or indices.dtype == torch.bool:
        raise AssertionError(f"return indices, whole numbers (int64); yours are {indices.dtype}")
    if indices.min() < 0 or indices.max() >= len(labels):
        raise AssertionError(f"indices point into `labels`, 0 … {len(labels) - 1}; yours are {expect.show(indices)}")
    return indices.tolist()


def answered(hint, function, *arguments):
    """What a call gives; an AssertionError with the hint where it stops: for inputs that the hint has to explain."""
    try:
        return function(*arguments)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if type(error).__module__ != "builtins" or isinstance(error, NotImplementedError):
            raise
        raise AssertionError(f"{hint}\n  yours stopped with {type(error).__name__}: {error}") from None


def plainly(_, function, *arguments):
    """What a call gives; where it stops, with the line of the error."""
    return function(*arguments)


def pictures(count, seed=0, channels=3, height=32, width=32):
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


# --- subset_indices


def draw(size, count, seed):
    return np.random.RandomState(seed).choice(size, count, replace=False).tolist()


def members_of(labels, number):
    """The indices of a class's images, in their order."""
    return [index for index, label in enumerate(labels.tolist()) if label == number]


def looked_up(labels, classes, positions):
    """The images at these positions of each class; None where a class has no such image."""
    members = [members_of(labels, number) for number in classes]
    if any(position >= len(each) for position in positions for each in members):
        return None
    return [each[position] for each in members for position in positions]


def wanted(labels, n_classes, per_class, seed):
    return looked_up(labels, range(n_classes), draw(len(members_of(labels, 0)), per_class, seed))


def other_indices(labels, n_classes, per_class, seed):
    """What comes out with mistakes that are often made when images are drawn."""
    size, classes = len(members_of(labels, 0)), range(n_classes)
    positions, running = draw(size, per_class, seed), np.random.RandomState(seed)
    anew = [running.choice(size, per_class, replace=False).tolist() for _ in classes]
    right = looked_up(labels, classes, positions)
    members = [members_of(labels, number) for number in classes]
    begins = [each[0] + position for each in members for position in positions]
    shares = draw(size, n_classes * per_class, seed) if n_classes * per_class <= size else None
    unstable = np.argsort(labels.numpy())[: n_classes * size].reshape(n_classes, size)
    if n_classes > 1:
        looks = {
            "positions taken for indices into `labels`": positions * n_classes,
            "position + class * S, as if classes lay in blocks (look up where `labels == number`)": [
                position + number * size for number in classes for position in positions
            ],
        }
    else:
        looks = {"positions taken for indices, as if class 0 lay in front (look up where `labels == 0`)": positions}
    return {
        **looks,
        "the positions sorted (they stay in the order drawn)": looked_up(labels, classes, sorted(positions)),
        "the first images of each class": looked_up(labels, classes, range(per_class)),
        "replacement, where an image can come twice (replace=False)": looked_up(
            labels, classes, np.random.RandomState(seed).choice(size, per_class)
        ),
        "default_rng, numpy's newer generator": looked_up(
            labels, classes, np.random.default_rng(seed).choice(size, per_class, replace=False)
        ),
        "the seed 42 whatever `seed` is" if seed else "the seed 42, as with `seed or 42`": looked_up(
            labels, classes, draw(size, per_class, 42)
        ),
        "the seed 0 whatever `seed` is": looked_up(labels, classes, draw(size, per_class, 0)),
        "the end of a permutation": looked_up(
            labels, classes, np.random.RandomState(seed).permutation(size)[-per_class:]
        ),
        "a new draw for every class (draw once, before the loop)": [
            index for number in classes for index in looked_up(labels, [number], anew[number])
        ],
        "another seed for every class (draw once, before the loop)": [
            index for number in classes for index in looked_up(labels, [number], draw(size, per_class, seed + number))
        ],
        "the classes in turn, position by position": [
            right[per_class * number + n] for n in range(per_class) for number in classes
        ],
        "the position added to the class's first index, as if its images lay side by side (look up where "
        "`labels == number`)": begins if max(begins) < len(labels) else None,
        "positions counted from the END of each class": looked_up(labels, classes, [size - 1 - p for p in positions]),
        "n_classes * per_class positions drawn at once, and other ones for every class (draw per_class)": shares
        and [each[position] for n, each in enumerate(members) for position in shares[per_class * n :][:per_class]],
        "images of the whole source, in place of positions within each class": draw(
            len(labels), n_classes * per_class, seed
        ),
        "S taken as the number of labels divided by n_classes (there may be more classes than are wanted)": looked_up(
            labels, classes, draw(len(labels) // n_classes, per_class, seed)
        ),
        "the first n_classes classes, in the order in which they first appear": looked_up(
            labels, list(dict.fromkeys(labels.tolist()))[:n_classes], positions
        ),
        "the classes 0 … n_classes - 1 in the order in which they first appear": looked_up(
            labels, [number for number in dict.fromkeys(labels.tolist()) if number < n_classes], positions
        ),
        "an argsort of the labels that is not stable, and mixes a class's images": unstable[:, positions]
        .flatten()
        .tolist(),
    }


@pytest.mark.points(1)
def test_so_many_images_of_each_class(subset_indices):
    hint = "n_classes=2, per_class=3: 3 images of class 0, then 3 of class 1, and none of class 2"
    indices = chosen(subset_indices(MIXED.clone(), 2, 3, 42), MIXED, 6, hint)
    mistakes = {
        words: MIXED[value].tolist() for words, value in other_indices(MIXED, 2, 3, 42).items() if value is not None
    }
    expect.equal(MIXED[indices].tolist(), [0, 0, 0, 1, 1, 1], f"{hint}; the classes of the images", mistakes=mistakes)


@pytest.mark.points(1, alone=False)
def test_the_same_positions_in_every_class(subset_indices):
    hint = "3 classes, 2 images each: 6 indices"
    indices = chosen(subset_indices(SORTED.clone(), 3, 2, 1), SORTED, 6, hint)
    first, *others = ([index % 8 for index in indices[start : start + 2]] for start in (0, 2, 4))
    options = other_indices(SORTED, 3, 2, 1)
    for number, positions in enumerate(others, start=1):
        hint = f"the SAME positions in every class: those of class {number}, and expected as in class 0"
        mistakes = {
            words: [index % 8 for index in value[2 * number : 2 * number + 2]]
            for words, value in options.items()
            if "every class" in words or "in turn" in words
        }
        expect.equal(positions, first, hint, mistakes=mistakes)


AGAIN = 47  # a seed for which RandomState.choice draws only positions below 5 of 8


@pytest.mark.points(1)
def test_the_seed_draws_the_positions(subset_indices):
    for seed in (5, 6, 0):
        indices = chosen(subset_indices(SORTED.clone(), 1, 4, seed), SORTED, 4, "1 class, 4 images: 4 indices")
        hint = f"numpy's RandomState({seed}).choice(8, 4, replace=False) gives the positions, in the order drawn"
        hint += "; 0 is a seed like others" if seed == 0 else ""
        expect.equal(indices, draw(8, 4, seed), hint, mistakes=other_indices(SORTED, 1, 4, seed))
    before = draw(8, 4, AGAIN)
    for labels, size in ((SORTED, 8), (MIXED, 5)):
        indices = chosen(subset_indices(labels.clone(), 1, 4, AGAIN), labels, 4, "1 class, 4 images: 4 indices")
        hint = f"RandomState({AGAIN}).choice({size}, 4, replace=False), of a class of {size} images"
        words = "the positions that an earlier call drew with this seed (remember and draw nothing)"
        mistakes = {**other_indices(labels, 1, 4, AGAIN), words: looked_up(labels, [0], before)}
        expect.equal(indices, wanted(labels, 1, 4, AGAIN), hint, mistakes=mistakes)


LARGE = torch.arange(120)[torch.randperm(120, generator=torch.Generator().manual_seed(8))] % 4  # four classes of 30


@pytest.mark.points(1)
def test_positions_are_counted_within_each_class(subset_indices):
    for labels, n_classes, per_class, seed in ((MIXED, 2, 3, 16), (LARGE, 3, 4, 20)):
        count = n_classes * per_class
        hint = f"{len(labels)} labels, n_classes={n_classes}, per_class={per_class}, seed={seed}"
        indices = chosen(subset_indices(labels.clone(), n_classes, per_class, seed), labels, count, hint)
        hint += f": of class 0, with the images {expect.show(members_of(labels, 0)[:5])[:-1]}, …], come those at "
        hint += f"positions {draw(len(members_of(labels, 0)), per_class, seed)}, and of every class alike"
        mistakes = other_indices(labels, n_classes, per_class, seed)
        expect.equal(indices, wanted(labels, n_classes, per_class, seed), hint, mistakes=mistakes)


@pytest.mark.points(1)
def test_all_images_of_a_class_and_more_than_there_are(subset_indices):
    labels = torch.tensor([1, 0, 0, 1, 1, 0])
    hint = "a class of 3 images can give all 3; a ValueError is for more than that"
    try:
        answer = subset_indices(labels.clone(), 2, 3, 8)
    except ValueError as error:
        raise AssertionError(f"{hint}\n  per_class=3: yours stopped with ValueError: {error}") from None
    mistakes = other_indices(labels, 2, 3, 8)
    expect.equal(chosen(answer, labels, 6, hint), wanted(labels, 2, 3, 8), hint, mistakes=mistakes)
    hint = "a class of 3 images cannot give 4 different ones: this is a ValueError, not a shorter or repeated list"
    expect.raises(ValueError, hint, subset_indices, labels, 2, 4, 8)

    for labels, n_classes, words in (
        (torch.tensor([1, 2, 0]), 3, "here a class has only one image (flatten leaves it an axis, squeeze does not)"),
        (MIXED, 1, "it is drawn from the 5 images of class 0, for S counts those of one class"),
    ):
        hint = f"{len(labels)} labels, n_classes={n_classes}, per_class=1: a list of {n_classes}; {words}"
        indices = chosen(answered(hint, subset_indices, labels.clone(), n_classes, 1, 3), labels, n_classes, hint)
        expect.equal(indices, wanted(labels, n_classes, 1, 3), hint, mistakes=other_indices(labels, n_classes, 1, 3))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_subset_indices_needs(subset_indices):
    answer = subset_indices(MIXED.clone(), 2, 3, 12)
    assert isinstance(answer, Tensor), f"return a tensor; yours is of type {type(answer).__name__}"
    Contract(gives=Tensor).hold(
        subset_indices, lambda: {"labels": MIXED.clone(), "n_classes": 2, "per_class": 3, "seed": 12}
    )
    expect.equal(answer.dtype, torch.int64, "indices are int64, as all of torch's are")


# --- normalize


def bytes_like(*shape, seed=0, most=256):
    return torch.randint(0, most, shape, generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def scaled(images, mean, std):
    """(x / 255 - mean) / std for each colour, in double precision."""
    centre, spread = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (mean, std))
    return (images.double() / 255 - centre) / spread


BYTES = "a difference of bytes (uint8), which knows no negative numbers and wraps around: make floats first (.float())"


def other_scales(images, mean, std):
    """What comes out with mistakes that are often made when images are normalized."""
    x, size = images.double(), images.shape
    m, s = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (mean, std))
    right, halved = scaled(images, mean, std), (images.half() / 255 - m.half()) / s.half()
    cut, rounded = (m * 255).to(torch.uint8), (m * 255).round().to(torch.uint8)

    def own(correction):
        axes = {"dim": (0, 2, 3), "keepdim": True}
        return (x - x.mean(**axes)) / x.std(correction=correction, **axes)

    mistakes = {
        "x in place of x / 255": (x - m) / s,
        "x / 256": (x / 256 - m) / s,
        "whole-number division by 255": (x // 255 - m) / s,
        "x divided by the largest pixel, in place of 255": (x / x.max() - m) / s,
        "the mean SUBTRACTED before the division by 255": (x - m) / 255 / s,
        "the mean added": (x / 255 + m) / s,
        "only the mean divided by the std (brackets around the difference)": x / 255 - m / s,
        "the mean subtracted after the division by the std": x / 255 / s - m,
        "a multiplication by the std": (x / 255 - m) * s,
        "the variance, the square of the std": (x / 255 - m) / s**2,
        "the root of the std": (x / 255 - m) / s.sqrt(),
        "the std left out": x / 255 - m,
        "the mean left out": x / 255 / s,
        "neither mean nor std": x / 255,
        "an eps of 1e-5 beside the variance, as a batch norm has it": (x / 255 - m) / (s**2 + 1e-5).sqrt(),
        "an eps beside the std": (x / 255 - m) / (s + 1e-5),
        "red's mean for all colours": (x / 255 - m[0]) / s,
        "red's std for all colours": (x / 255 - m) / s[0],
        "red's mean and std for all colours": (x / 255 - m[0]) / s[0],
        "one mean, the three's average, for all colours": (x / 255 - m.mean()) / s,
        "one mean and one std, averages, for all colours": (x / 255 - m.mean()) / s.mean(),
        "the colours' numbers in reverse order": (x / 255 - m.flip(0)) / s.flip(0),
        "mean and std in each other's place": (x / 255 - s) / m.where(m != 0, 1e9),
        "the batch's own mean and std in place of those given": lambda: own(1),
        BYTES: (images - cut).double() / 255 / s,
        "the course's MEAN and STD in place of those given": scaled(images, MEAN, STD),
        "results cut off at 0 and 1": right.clamp(0, 1),
        "results cut off at -1 and 1": right.clamp(-1, 1),
        "half precision (float16) on the way": halved.double(),
        "the mean times 255 and the std as it is, (x - 255 * mean) / std": (x - 255 * m) / s,
        "a reshape in place of permute, back from colours in the last axis": right.permute(0, 2, 3, 1).reshape(size),
        "a reshape in place of permute, which puts other colours' pixels into the last axis": (
            (x.reshape(size[0], -1, 3) / 255 - m.flatten()) / s.flatten()
        ).reshape(size),
        "the colours in the last axis": right.permute(0, 2, 3, 1),
        "a squeeze, which takes away every axis of length 1": right.squeeze(),
    }
    if size[0] * size[2] * size[3] > 1:
        mistakes["the batch's own mean and std (unbiased=False) in place of those given"] = lambda: own(0)
    if not torch.equal(cut, rounded):
        mistakes[f"{BYTES}; the mean rounded"] = (images - rounded).double() / 255 / s
    if size[3] == 3:
        mean, std = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
        mistakes["mean and std along the LAST axis, the columns (a plain (3,) is: .view(3, 1, 1))"] = (
            x / 255 - mean
        ) / std
    if size[2] == 3:
        mistakes["mean and std along the rows, axis 2"] = (x / 255 - m.view(3, 1)) / s.view(3, 1)
    return mistakes


def compare_scale(normalize, images, mean, std, hint, **more):
    answer = normalize(images.clone(), mean, std)
    expect.same(answer, scaled(images, mean, std).float(), hint, mistakes={**other_scales(images, mean, std), **more})


@pytest.mark.points(1)
def test_pixels_go_from_255_to_1(normalize):
    images, nothing, one = bytes_like(1, 3, 2, 4, most=200), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    hint = f"mean 0 and std 1: what is left is x / 255, here of pixels up to {int(images.max())}"
    compare_scale(normalize, images, nothing, one, hint)
    dark = bytes_like(1, 3, 2, 4, most=2)
    hint = "mean 0 and std 1: x / 255 also of a nearly black image, whose pixels are all 0 or 1"
    compare_scale(normalize, dark, nothing, one, hint)
    hint = "the same image again, with mean 0.5, 0.25 and 0.1, std 0.7, 0.02 and 0.3"
    before = {"the mean and std of an earlier call (remember and draw nothing)": images.double() / 255}
    compare_scale(normalize, images, (0.5, 0.25, 0.1), (0.7, 0.02, 0.3), hint, **before)


@pytest.mark.points(1)
def test_each_colour_has_its_own_mean(normalize):
    hint = "mean 0.5, 0.25 and 0.1, std 1: x / 255 - mean, one number for each channel (axis 1)"
    compare_scale(normalize, bytes_like(2, 3, 4, 5, seed=1), (0.5, 0.25, 0.1), (1.0, 1.0, 1.0), hint)


@pytest.mark.points(1)
def test_each_colour_has_its_own_std(normalize):
    hint = "mean 0.5, 0.25 and 0.1, std 0.7, 0.02 and 0.3: subtract the mean first, then DIVIDE by the std"
    compare_scale(normalize, bytes_like(2, 3, 5, 4, seed=2), (0.5, 0.25, 0.1), (0.7, 0.02, 0.3), hint)


@pytest.mark.points(1)
def test_images_that_are_three_pixels_wide(normalize):
    for height in (1, 3):
        hint = (
            f"images of {height} × 3 pixels: mean and std belong to the channels (axis 1), wherever else there is a 3"
        )
        compare_scale(normalize, bytes_like(2, 3, height, 3, seed=3), (0.1, 0.2, 0.3), (0.5, 0.03, 0.2), hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_normalize_needs(normalize):
    with torch.enable_grad():
        answer = normalize(bytes_like(2, 3, 4, 5), (0.4, 0.5, 0.3), (0.2, 0.1, 0.3))
    hint = "images are data, so what you return requires no gradients; yours does: the result of a layer or of an "
    hint += "nn.Parameter requires them (compute with plain numbers, or detach it)"
    assert not getattr(answer, "requires_grad", False), hint
    for of in (lambda images: images, lambda images: images[:, :, 1:4, 2:6]):  # whole images, and a part of each
        Contract(gives=Tensor).hold(
            normalize,
            lambda of=of: {"images": of(bytes_like(2, 3, 5, 7)), "mean": [0.4, 0.5, 0.3], "std": (0.2, 0.1, 0.3)},
        )
    expect.equal(answer.dtype, torch.float32, "return float32: the network's weights are, and it takes nothing else")


# --- crop_and_flip


def cut(images, offsets, flips, padding):
    """What is expected, pixel by pixel."""
    count, _, height, width = images.shape
    expected = torch.zeros_like(images)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                from_row = int(offsets[n, 0]) + y - padding
                from_column = int(offsets[n, 1]) + (width - 1 - x if flips[n] else x) - padding
                if 0 <= from_row < height and 0 <= from_column < width:
                    expected[n, :, y, x] = images[n, :, from_row, from_column]
    return expected


def other_crops(images, offsets, flips, padding):
    """What comes out with mistakes that are often made with windows and mirrors."""
    height, width = images.shape[2:]
    middle, none = torch.full_like(offsets, padding), torch.zeros_like(flips)

    def crop(images=images, offsets=offsets, flips=flips):
        return cut(images, offsets, flips, padding)

    def turned(axes):
        return torch.where(flips[:, None, None, None], crop(flips=none).flip(axes), crop(flips=none))

    def framed(mode):
        padded = F.pad(images.double(), (padding,) * 4, mode=mode)
        windows = [p[:, y : y + height, x : x + width] for p, (y, x) in zip(padded, offsets.tolist(), strict=True)]
        return torch.stack([window.flip(2) if flip else window for window, flip in zip(windows, flips, strict=True)])

    def rolled():
        shifts = (padding - offsets).tolist()
        moved = torch.stack([image.roll(shift, (1, 2)) for image, shift in zip(images, shifts, strict=True)])
        return torch.where(flips[:, None, None, None], moved.flip(3), moved)

    def by_numbers():
        result = crop(flips=none)
        numbers = flips.long() % len(result)
        result[numbers] = result[numbers].flip(3)
        return result

    def upper_left():
        result = torch.zeros_like(images)
        for n, (row, column) in enumerate((offsets - padding).tolist()):
            part = images[n, :, max(0, row) :, max(0, column) :][:, : height + min(0, row), : width + min(0, column)]
            result[n, :, : part.shape[1], : part.shape[2]] = part
            result[n] = result[n].flip(2) if flips[n] else result[n]
        return result

    return {
        "(column, row) in place of (row, column)": lambda: crop(offsets=offsets.flip(1)),
        "the image moved, in place of the window": lambda: crop(offsets=2 * padding - offsets),
        "offsets counted from the image's corner, not the padded one's": lambda: crop(offsets=offsets + padding),
        "offsets one too large": lambda: crop(offsets=offsets + 1),
        "the row's number for both": lambda: crop(offsets=offsets[:, :1].expand(-1, 2)),
        "a window that stays in the middle": lambda: crop(offsets=middle),
        "the offset of image 0 for all images": lambda: crop(offsets=offsets[:1].expand_as(offsets)),
        "the flip before the crop": lambda: crop(turned_first(images, flips), flips=none),
        "no flip": lambda: crop(flips=none),
        "every image flipped": lambda: crop(flips=~none),
        "the flip of image 0 for all images": lambda: crop(flips=flips[:1].expand_as(flips)),
        "the others flipped, not those where `flips` is True": lambda: crop(flips=~flips),
        "`flips` used as numbers, which flips the images 0 and 1": by_numbers,
        "up and down exchanged (the rows), not left and right": lambda: turned((2,)),
        "up and down exchanged as well": lambda: turned((2, 3)),
        "the channels reversed, not left and right": lambda: turned((1,)),
        "copies of the edge's pixels around the image": lambda: framed("replicate"),
        **({"a mirrored edge around the image": lambda: framed("reflect")} if padding < min(height, width) else {}),
        "what leaves on one side coming back on the other": rolled,
        "what is left of an image always laid into the upper left corner": upper_left,
        "whole numbers (bytes) on the way": lambda: crop(images.to(torch.uint8).to(images.dtype)),
    }


def turned_first(images, flips):
    return torch.where(flips[:, None, None, None], images.flip(3), images)


def compare_crop(crop_and_flip, hint, images, row, column, flip=False, padding=1):
    """One grey picture, to be read by people."""
    arguments = images, torch.tensor([[row, column]]), torch.tensor([flip]), padding
    shape = f"the shape stays, {tuple(images.shape)}: a window as high and wide as the image, of as many channels"
    call = answered if padding == 0 else plainly
    answer = expect.same_shape(call(hint, crop_and_flip, *expect.copies(*arguments)), images.shape, shape)
    mistakes = {words: lambda gives=gives: gives()[0, 0].tolist() for words, gives in other_crops(*arguments).items()}
    expect.equal(answer[0, 0].tolist(), cut(*arguments)[0, 0].tolist(), hint, mistakes=mistakes)


@pytest.mark.points(1, alone=False)
def test_the_middle_is_the_image_itself_square_or_not(crop_and_flip):
    hint = "padding 1, offset (1, 1), no flip: the window lies exactly on the image, so nothing changes"
    compare_crop(crop_and_flip, hint, SQUARE, 1, 1)
    compare_crop(crop_and_flip, f"{hint}; the image has 2 rows and 4 columns", torch.arange(8).view(1, 1, 2, 4), 1, 1)
    compare_crop(crop_and_flip, f"{hint}; the image has 3 rows and 2 columns", torch.arange(6).view(1, 1, 3, 2), 1, 1)


@pytest.mark.points(1)
def test_the_padding_is_zeros(crop_and_flip):
    hint = "padding 1, offset (0, 0): above and to the left of the image there are zeros"
    compare_crop(crop_and_flip, hint, SQUARE, 0, 0)
    hint = "padding 2, offset (4, 4): below and to the right of the image there are zeros"
    compare_crop(crop_and_flip, hint, SQUARE, 4, 4, padding=2)


@pytest.mark.points(1)
def test_row_first_then_column(crop_and_flip):
    hint = "an offset is (row, column) of the window's upper left corner; offset (2, 1) looks one row further down"
    compare_crop(crop_and_flip, hint, SQUARE, 2, 1)
    hint = "an offset is (row, column) of the window's upper left corner; offset (1, 2) looks one column further right"
    compare_crop(crop_and_flip, hint, SQUARE, 1, 2)


@pytest.mark.points(1)
def test_left_and_right_change_places(crop_and_flip):
    hint = "flip mirrors left and right (the columns, the last axis)"
    compare_crop(crop_and_flip, hint, SQUARE, 1, 1, True)
    hint = "first the crop, then the flip: offset (2, 2) cuts [5 6 0] first, and mirrored that is [0 6 5]"
    compare_crop(crop_and_flip, hint, SQUARE, 2, 2, True)
    hint = "padding 0 leaves one window, the image itself; it is flipped all the same"
    compare_crop(crop_and_flip, hint, SQUARE, 0, 0, True, padding=0)


@pytest.mark.points(1)
def test_every_image_has_its_own_offset_and_flip(crop_and_flip):
    images, flips = pictures(4, height=5, width=6), torch.tensor([False, True, True, False])
    offsets = torch.tensor([[3, 1], [0, 4], [1, 2], [4, 3]])
    arguments = images, offsets, flips, 2
    hint = f"four images, each with its own offset {offsets.tolist()} and its own flip {flips.tolist()}; padding 2"
    expect.same(crop_and_flip(*expect.copies(*arguments)), cut(*arguments), hint, mistakes=other_crops(*arguments))


@pytest.mark.points(1)
def test_pixels_stay_exactly_what_they_were(crop_and_flip):
    offsets, flips = torch.tensor([[0, 1], [2, 2]]), torch.tensor([True, False])
    numbers = bytes_like(2, 3, 4, 5)
    for images in (numbers, numbers.double() / 3, numbers.long() + 2**40):
        kind = str(images.dtype).removeprefix("torch.")
        hint = f"{kind} comes in, so {kind} goes out, exactly the pixels that were there"
        answer = expect.tensor(crop_and_flip(*expect.copies(images, offsets, flips, 1)), hint)
        expect.equal(str(answer.dtype).removeprefix("torch."), kind, "the dtype stays")
        target = cut(images, offsets, flips, 1)
        rounded = cut(images.float(), offsets, flips, 1).to(images.dtype)
        words = "float32 on the way, which rounds" if torch.equal(answer, rounded) else ""
        assert torch.equal(answer, target) or not words, f"{hint}\n  yours are those that come out with {words}"
        expect.same(answer, target, hint, tolerance=0.0, mistakes=other_crops(images, offsets, flips, 1))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_crop_and_flip_needs(crop_and_flip):
    for padding in (2, 0):  # something to cut off, and nothing
        Contract(gives=Tensor, dtype=True, without=("gradients",)).hold(
            crop_and_flip,
            lambda padding=padding: {
                "images": pictures(3, height=4, width=5),
                "offsets": torch.tensor([[padding, padding], [0, 0], [padding, 2 * padding]]),
                "flips": torch.tensor([False, padding > 0, False]),
                "padding": padding,
            },
        )


# --- training_step


def lesson(seed=0, count=6, classes=3):
    """A small network, a batch for it, and its optimizer."""
    network = vgg_mini(widths=(4, 6), classes=classes, seed=seed)
    labels = torch.arange(count) % classes
    return network, pictures(count, seed), labels, torch.optim.SGD(network.parameters(), lr=0.5)


def slopes(network, images, labels, loss=F.cross_entropy, training=True):
    """The loss of a copy of the network, the gradients of its parameters, and its state after the forward pass."""
    twin = copy.deepcopy(network).train(training)
    parameters = dict(twin.named_parameters())
    start = loss(twin(images), labels)
    gradients = torch.autograd.grad(start, list(parameters.values()))
    return start.item(), dict(zip(parameters, gradients, strict=True)), twin


def weights_of(network):
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def by_hand(network, images, labels, lr=0.5):
    """The loss, and where one step of plain gradient descent leads: worked out on a copy."""
    start, gradients, _ = slopes(network, images, labels)
    return start, {name: value - lr * gradients[name] for name, value in weights_of(network).items()}


def squashed(logits, labels):
    return F.cross_entropy(logits.softmax(1), labels)


def smoothed(logits, labels):
    return F.cross_entropy(logits, labels, label_smoothing=0.1)


def two_steps(logits, labels):
    return F.nll_loss(logits.softmax(1).log(), labels)


HALF = "half precision (bfloat16, autocast) on the way"


def halved(network, images, labels):
    """As `slopes`, with a forward pass in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return slopes(network, images, labels)


def other_steps(network, images, labels, lr=0.5):
    """Where other steps of plain gradient descent lead, that are often taken by mistake."""
    _, gradients, _ = slopes(network, images, labels)
    norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm().item()

    def step(gradients=gradients, rate=lr):
        return {name: value - rate * gradients[name] for name, value in weights_of(network).items()}

    def twice():
        twin = copy.deepcopy(network).train()
        twin.load_state_dict({**twin.state_dict(), **step()})
        return by_hand(twin, images, labels, lr)[1]

    return {
        "the gradients of the SUM over the batch, not of the mean": lambda: step(rate=lr * len(images)),
        "a step UP the slope": lambda: step(rate=-lr),
        "gradients whose norm was clipped to 1": lambda: step(rate=lr / max(1.0, norm)),
        "optimizer.step() called twice": lambda: step(rate=2 * lr),
        "two steps": twice,
        "a softmax too many in front of the cross-entropy, which has one inside": lambda: step(
            slopes(network, images, labels, squashed)[1]
        ),
        "smoothed labels": lambda: step(slopes(network, images, labels, smoothed)[1]),
        "the network in evaluation mode (network.train() comes before the forward pass)": lambda: step(
            slopes(network, images, labels, training=False)[1]
        ),
        HALF: lambda: step(halved(network, images, labels)[1]),
        "old gradients of 1 added, that were not forgotten (optimizer.zero_grad() comes first)": lambda: step(
            {name: gradient + 1 for name, gradient in gradients.items()}
        ),
    }


def same_parameters(network, expected, hint, mistakes=None):
    """The network's parameters are as expected; or what mistake they come from, or the first that differs."""
    parameters = dict(network.named_parameters())
    for name in expected:
        assert name in parameters, f"{name} is gone from the network: a step changes numbers, not layers"
    if all(expect.close(parameters[name], wanted, 1e-4) for name, wanted in expected.items()):
        return

    def vector(values):
        return torch.cat([values[name].detach().flatten() for name in expected])

    options = {words: lambda gives=gives: vector(gives()) for words, gives in (mistakes or {}).items()}
    if words := expect.mistaken(vector(parameters), options):
        raise AssertionError(f"{hint};\n  {words}")
    for name, wanted in expected.items():
        expect.same(parameters[name], wanted, f"{hint}; look at {name}", tolerance=1e-4)


def other_losses(network, images, labels):
    """What is returned by mistake in place of the loss that the step started from."""
    before, moved = by_hand(network, images, labels)
    after = copy.deepcopy(network)
    after.load_state_dict({**after.state_dict(), **moved})
    return {
        "the loss AFTER the step": lambda: slopes(after, images, labels)[0],
        "the loss after the step, in evaluation mode": lambda: slopes(after, images, labels, training=False)[0],
        "the SUM over the batch, in place of the mean": before * len(images),
        "a division by the number of images too many": before / len(images),
        "a softmax too many: cross_entropy takes the raw logits": lambda: slopes(network, images, labels, squashed)[0],
        "smoothed labels": lambda: slopes(network, images, labels, smoothed)[0],
        "the logarithm of a softmax that has become 0": lambda: slopes(network, images, labels, two_steps)[0],
        HALF: lambda: halved(network, images, labels)[0],
        "the network in evaluation mode (network.train() comes before the forward pass)": lambda: slopes(
            network, images, labels, training=False
        )[0],
    }


@pytest.mark.points(1)
def test_the_loss_before_the_step_also_of_a_single_image(training_step):
    losses = []
    for count, factor in ((6, 1), (1, 1), (6, 1000)):
        network, images, labels, optimizer = lesson(count=count)
        network.classifier.weight.data *= factor
        (before, _), mistakes = by_hand(network, images, labels), other_losses(copy.deepcopy(network), images, labels)
        hint = f"return the mean cross-entropy of the batch (here {count} of 6 images), before the parameters change"
        hint = hint.replace("6 of 6", "6").replace("1 of 6 images", "a single image, of class 0 of 3")
        hint += "; logits here differ by hundreds, and with F.cross_entropy or log_softmax it is finite" * (factor > 1)
        losses.append(before)
        mistakes["a mean over this call and earlier ones (remember nothing)"] = sum(losses) / len(losses)
        came = expect.number(
            (answered if count == 1 else plainly)(hint, training_step, network, images, labels, optimizer), hint
        )
        expect.same(came, torch.tensor(before), hint, tolerance=1e-4, mistakes=mistakes)


@pytest.mark.points(2)
def test_one_step_down_the_slope(training_step):
    network, images, labels, optimizer = lesson(seed=1)
    start, before, (_, expected) = copy.deepcopy(network), weights_of(network), by_hand(network, images, labels)
    training_step(network, images, labels, optimizer)
    if all(torch.equal(parameter, before[name]) for name, parameter in network.named_parameters()):
        hint = "no parameter has changed: backward computes the gradients, and optimizer.step() uses them"
        raise AssertionError(hint + ";\n  old gradients are forgotten (zero_grad) before backward, not between the two")
    hint = "after one step of SGD each parameter is p - lr * gradient, of the mean cross-entropy of the raw logits"
    same_parameters(network, expected, hint, other_steps(start, images, labels))


@pytest.mark.points(1)
def test_old_gradients_are_forgotten(training_step):
    network, images, labels, optimizer = lesson(seed=2)
    start, (_, expected) = copy.deepcopy(network), by_hand(network, images, labels)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    training_step(network, images, labels, optimizer)
    hint = "backward ADDS to what is in .grad: the step must be the same as if .grad had been empty"
    same_parameters(network, expected, hint, other_steps(start, images, labels))


@pytest.mark.points(1)
def test_the_network_is_in_training_mode_all_of_it(training_step):
    hint = "network.train() puts every layer into training mode, before the network sees the batch"
    for words, modes in (
        ("the network came in evaluation mode", {}),
        ("the network came in training mode, its batch norms in evaluation mode", {"": True}),
    ):
        network, images, labels, optimizer = lesson(seed=3)
        network.eval()
        for name, training in modes.items():
            network.get_submodule(name).training = training
        _, _, twin = slopes(network, images, labels)
        training_step(network, images, labels, optimizer)
        resting = [f"{name or 'the network'} ({type(layer).__name__})" for name, layer in network.named_modules()
                   if not layer.training]  # fmt: skip
        norm, once = network.features[1], twin.features[1]
        passes = int(norm.num_batches_tracked)
        counted = f"{hint}, and it sees it once; {words}, and its batch norms have counted {passes} batches"
        expect.equal(passes, 1, counted)
        for name in ("running_mean", "running_var"):
            expect.same(getattr(norm, name), getattr(once, name), f"{hint}; {words}. {name} of features.1")
        if resting:
            raise AssertionError(f"{hint}, and leaves it there; {words}.\n  Still in evaluation mode: {resting[0]}")


@pytest.mark.points(1)
def test_the_optimizer_decides_how_to_step(training_step):
    """Momentum and weight decay are kept from step to step."""
    network, images, labels, _ = lesson(seed=4)
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    optimizer, start = torch.optim.SGD(network.parameters(), **options), copy.deepcopy(network)
    for _ in range(3):
        training_step(network, images, labels, optimizer)

    def after(steps=3, anew=False, twice=1, **others):
        twin = copy.deepcopy(start).train()
        mine = torch.optim.SGD(twin.parameters(), **{**options, **others})
        for _ in range(steps):
            mine = torch.optim.SGD(twin.parameters(), **{**options, **others}) if anew else mine
            mine.zero_grad()
            F.cross_entropy(twin(images), labels).backward()
            for _ in range(twice):
                mine.step()
        return weights_of(twin)

    mistakes = {
        "plain gradient descent: no momentum, no weight decay": lambda: after(momentum=0, weight_decay=0),
        "a new optimizer in every step, whose momentum starts anew": lambda: after(anew=True),
        "no momentum": lambda: after(momentum=0),
        "no weight decay": lambda: after(weight_decay=0),
        "twice the weight decay": lambda: after(weight_decay=0.2),
        "optimizer.step() called twice": lambda: after(twice=2),
        "twice as many steps": lambda: after(steps=6),
    }
    hint = "use the optimizer that comes in, as it is: after three steps of SGD with momentum 0.9 and weight decay 0.1"
    same_parameters(network, after(), hint, mistakes)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_training_step_needs(training_step):
    def arguments():
        network, images, labels, optimizer = lesson(seed=5)
        network.features[3].weight.requires_grad = False
        return {"network": network, "images": images, "labels": labels, "optimizer": optimizer}

    contract = Contract(
        gives=float, changes=("network", "optimizer", "mode"), without=("gradients", "modes", "no_grad")
    )
    contract.hold(training_step, arguments)
    torch.rand(1)  # behind no seed that somebody might choose
    before = torch.get_rng_state()
    training_step(*arguments().values())
    hint = "torch's global random numbers are others afterwards: they are the whole program's, so seed nothing"
    assert torch.equal(torch.get_rng_state(), before), hint


# --- accuracy


def other_shares(logits, labels):
    """What comes out with mistakes that are often made when right guesses are counted."""
    guesses, (count, classes) = logits.argmax(1), logits.shape
    hits, classes_seen = (guesses == labels).double(), labels.unique()
    share, chances = hits.mean().item(), logits.double().softmax(1)
    own = chances[torch.arange(count), labels]
    squeezed = logits.squeeze()
    shares = {
        "how many are right, in place of their share": hits.sum().item(),
        "per cent, in place of a share": 100 * share,
        "the share of WRONG guesses": 1 - share,
        "the smallest logit": (logits.argmin(1) == labels).double().mean().item(),
        "the largest absolute value": (logits.abs().argmax(1) == labels).double().mean().item(),
        "the VALUE of the largest logit, in place of its position": (logits.amax(1) == labels).double().mean().item(),
        "positions counted from 1": (guesses + 1 == labels).double().mean().item(),
        "the first two guesses, in place of the first": (logits.topk(min(2, classes), 1).indices == labels[:, None])
        .any(1).double().mean().item(),
        "only guesses that have a probability of more than one half": (own > 0.5).double().mean().item(),
        "the mean probability of the labels": own.mean().item(),
        "a mean of the classes' shares (each image counts the same)": sum(
            hits[labels == number].mean().item() for number in classes_seen
        ) / len(classes_seen),
        "one-hot rows compared entry by entry": (2 * hits.sum().item() + (classes - 2) * count) / (classes * count),
        "a division by the number of classes, in place of images": hits.sum().item() / classes,
        "whole-number division": share // 1,
        "a result rounded to whole numbers": float(round(share)),
        "a result rounded to one digit": round(share, 1),
        "a result rounded to two digits": round(share, 2),
        "a result rounded to three digits": round(share, 3),
        "half precision (float16)": hits.half().mean().item(),
        "exp(logits), which overflows or is all 0 for logits of this size": (
            (logits.exp() / logits.exp().sum(1, keepdim=True)).argmax(1) == labels).double().mean().item(),
        "a sigmoid, which is 1 for all logits that are large": (logits.sigmoid().argmax(1) == labels)
        .double().mean().item(),
        "a softmax over the images (axis 0), in place of the classes": (logits.softmax(0).argmax(1) == labels)
        .double().mean().item(),
        "every guess compared with every label ((N, 1) against (N,): no keepdim)": (
            guesses.bincount(minlength=classes) * labels.bincount(minlength=classes)).sum().item() / count**2,
        "distances between the numbers of classes (a guess is right or it is not)": (
            1 - (guesses - labels).abs().double().mean().item()),
        "a squeeze, which takes away every axis of length 1": (squeezed.argmax(-1) == labels).double().mean().item(),
    }  # fmt: skip
    if count == classes:
        words = "the largest logit of each COLUMN (axis 0): one row is an image, so it is argmax(dim=1)"
        shares[words] = (logits.argmax(0) == labels).double().mean().item()
    return {words: value for words, value in shares.items() if abs(value - share) > 1e-6}


def compare_share(accuracy, logits, labels, hint):
    share = (logits.argmax(1) == labels).double().mean().item()
    hint = f"{hint}: {round(share * len(labels))} of {len(labels)} guesses are right"
    call, mistakes = (answered if 1 in logits.shape else plainly), other_shares(logits, labels)
    if 1 in logits.shape:  # most mistakes give 0 or 1 then, which says nothing
        mistakes = {words: value for words, value in mistakes.items() if "squeeze" in words}
    none = [words for words, value in mistakes.items() if value == 0]
    for words in none if len(none) > 1 else ():  # of all that gives 0 none can be told from the others
        del mistakes[words]
    came = expect.number(
        call(hint, accuracy, logits.clone(), labels.clone()), f"{hint}; return their share, a Python number"
    )
    expect.same(came, share, hint, tolerance=1e-6, mistakes=mistakes)


def guesses(count, classes, seed, right):
    """Logits, and labels of which the first `right` are guessed."""
    logits = pictures(count, seed, channels=1, height=1, width=classes).view(count, classes)
    order = logits.argsort(1, descending=True)
    places = torch.randint(1, max(2, classes), (count,), generator=torch.Generator().manual_seed(seed))
    places[:right] = 0
    return logits, order[torch.arange(count), places]


def many_guesses():
    """Numbers for which different mistakes give different shares."""
    return guesses(29, 4, seed=31, right=16)


@pytest.mark.points(1)
def test_the_share_of_right_guesses(accuracy):
    logits, labels = many_guesses()
    hint = f"29 images; the guesses are classes {logits.argmax(1).tolist()[:8]} … (the POSITION of each row's largest "
    compare_share(accuracy, logits, labels, f"{hint}logit), the labels {labels.tolist()[:8]} …")


@pytest.mark.points(1)
def test_as_many_images_as_classes(accuracy):
    rows = [-4, 4, -1, -2, 5, 2, -3], [0, -2, 2, 3, 5, -4, 1], [4, -2, -3, 1, 3, 5, 0], [-4, 4, -3, -2, 3, 1, 5]
    rows = *rows, [1, 4, -3, -1, 3, 0, 2], [3, -2, -3, 1, -4, 5, 4], [1, 2, -4, 5, 4, -1, 0]
    logits, labels = torch.tensor(rows, dtype=torch.float32), torch.tensor([4, 5, 5, 6, 1, 5, 2])
    compare_share(accuracy, logits, labels, "7 images, one ROW each, and 7 classes, one column each")


@pytest.mark.points(1)
def test_logits_of_all_sizes_and_a_single_class(accuracy):
    logits, labels = many_guesses()
    for words, values in (
        ("logits between 100 and 900", 500 + 150 * logits),
        ("logits between -900 and -100", -500 + 150 * logits),
        ("logits that differ by a hundred-thousandth", logits * 1e-5),
    ):
        compare_share(accuracy, values, labels, f"29 images, 4 classes, {words}")
    compare_share(accuracy, logits[:1], logits[:1].argmin(1), "a single image, 4 classes")
    single = torch.tensor([[2.0], [5.0], [1.0]])
    compare_share(accuracy, single, torch.zeros(3, dtype=torch.int64), "3 images and a single class")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_accuracy_needs(accuracy):
    Contract(gives=float).hold(
        accuracy,
        lambda: {
            "logits": pictures(9, seed=1, channels=1, height=1, width=4).view(9, 4).clone(),
            "labels": torch.arange(9) % 4,
        },
    )


# --- the network that is handed in


@pytest.mark.points(3)
def test_accuracy_of_your_baseline(lab0_baseline_onnx, award):
    measured, shipped = artifacts.measured(lab0_baseline_onnx), artifacts.measured_baseline()
    award(*artifacts.ramp("lab0_baseline", measured, shipped))
