"""Hidden tests of lab 0: other sizes, other options, the traps that the visible tests leave open."""

import pytest
import torch
from torch import nn

from autograder.checks.test_lab0_minicifar import by_hand, chosen, lesson, number, pictures, same_parameters
from course_utils import expect

# --- subset_indices


@pytest.mark.points(1)
@pytest.mark.parametrize(("seed", "start"), [(42, [83, 53, 70, 45]), (3, [93, 67, 6, 64])], ids=["seed 42", "seed 3"])
def test_other_seeds_and_a_larger_source(subset_indices, seed, start):
    labels = torch.arange(1000) % 10
    indices = chosen(subset_indices(labels.clone(), 4, 20, seed), labels, 80, "4 classes, 20 images each: 80 indices")
    expected = [10 * position + number for number in range(4) for position in start]
    came = [indices[20 * number + n].item() for number in range(4) for n in range(4)]
    hint = f"positions drawn once with RandomState({seed}), looked up in every class, classes one after another."
    expect.equal(came, expected, hint + "\n  The first four of each class:")


@pytest.mark.points(1)
def test_more_images_than_there_are(subset_indices):
    labels = torch.tensor([0, 1, 1, 0, 0, 1])
    hint = "a class of 3 images cannot give 4 different ones: this is a ValueError, not a shorter or repeated list"
    expect.raises(ValueError, hint, subset_indices, labels, 2, 4, 42)


# --- normalize


@pytest.mark.points(1)
@pytest.mark.parametrize("side", [1, 3], ids=["1 by 3", "3 by 3"])
def test_images_that_are_three_pixels_wide(normalize, side):
    images = torch.arange(2 * 3 * side * 3, dtype=torch.uint8).mul(4).view(2, 3, side, 3)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.2)
    values = images.double() / 255
    expected = torch.stack([(values[:, c] - mean[c]) / std[c] for c in range(3)], dim=1).float()
    hint = "mean and std belong to the channels (axis 1); a plain (3,) is taken along the LAST axis: give it the shape"
    expect.same(normalize(images, mean, std), expected, hint + " (3, 1, 1)")


@pytest.mark.points(1)
def test_normalizing_leaves_the_images_alone(normalize):
    images = torch.arange(48, dtype=torch.uint8).view(1, 3, 4, 4)
    before = images.clone()
    answer = normalize(images, (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    expect.unchanged(images, before, "normalizing must leave the images as they were")
    normalized = expect.same_shape(answer, images.shape, "the shape stays")
    assert normalized.is_floating_point(), "normalizing makes floating-point numbers of the pixels"


# --- crop_and_flip

SHAPE = "the shape stays, also where images are not square: height and width come from `images`"


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


@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("channels", "height", "width", "padding"), [(3, 4, 6, 2), (1, 7, 5, 3)], ids=["4 by 6", "7 by 5 and grey"]
)
def test_images_that_are_not_square(crop_and_flip, channels, height, width, padding):
    images = pictures(6, channels=channels, height=height, width=width)
    generator = torch.Generator().manual_seed(expect.drawn(padding))
    offsets = torch.randint(0, 2 * padding + 1, (6, 2), generator=generator)
    offsets[0], offsets[1] = 2 * padding, torch.tensor([0, 2 * padding])
    flips = torch.tensor([False, True, True, False, True, False])
    windows = cut(images, offsets, flips, padding)
    answer = expect.same_shape(crop_and_flip(*expect.copies(images, offsets, flips, padding)), images.shape, SHAPE)
    for n, expected in enumerate(windows):
        hint = f"{height} × {width} images, padding {padding}: first the crop, then the flip."
        hint += f"\n  Image {n} with offset {tuple(offsets[n].tolist())} and flip {bool(flips[n])}:"
        expect.same(answer[n], expected, hint)


@pytest.mark.points(1)
def test_cropping_keeps_dtype_and_argument(crop_and_flip):
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    before, offsets, flips = images.clone(), torch.tensor([[0, 1], [2, 2]]), torch.tensor([True, False])
    expected = cut(images, offsets, flips, 1)
    answer = expect.same_shape(crop_and_flip(images, offsets, flips, 1), images.shape, "the shape stays")
    expect.unchanged(images, before, "cropping must leave the images that come in as they were")
    expect.equal(answer.dtype, torch.uint8, "bytes come in, bytes go out: the dtype stays")
    expect.same(answer, expected, "crops of uint8 images; pixels stay exactly what they were")


@pytest.mark.points(1)
def test_no_padding_only_flips(crop_and_flip):
    images, flips = pictures(3, height=4, width=5), torch.tensor([True, False, True])
    expected = cut(images, torch.zeros(3, 2), flips, 0)
    answer = crop_and_flip(images, torch.zeros(3, 2, dtype=torch.int64), flips, 0)
    expect.same(answer, expected, "padding 0 leaves one window, the image itself; images 0 and 2 are flipped")


# --- training_step


@pytest.mark.points(1)
def test_the_optimizer_decides_how_to_step(training_step):
    network, images, labels, _ = lesson(seed=expect.drawn(4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    velocity = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    hint = "use the optimizer that comes in, as it is: this one has momentum and weight decay, kept from step to step"
    for _ in range(3):
        start = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        _, down = by_hand(network, images, labels, lr=1.0)
        training_step(network, images, labels, optimizer)
        for name in velocity:
            velocity[name] = 0.9 * velocity[name] + (start[name] - down[name]) + 0.1 * start[name]
        same_parameters(network, {name: start[name] - 0.1 * velocity[name] for name in velocity}, hint)


@pytest.mark.points(1)
def test_frozen_layers_stay(training_step):
    network, images, labels, _ = lesson(seed=expect.drawn(5))
    network.features[0].weight.requires_grad = False
    frozen = network.features[0].weight.clone()
    classifier = network.classifier.weight.detach().clone()
    training_step(network, images, labels, torch.optim.SGD(network.classifier.parameters(), lr=0.5))
    expect.unchanged(network.features[0].weight, frozen, "the optimizer holds the classifier only: let it choose")
    if torch.equal(network.classifier.weight, classifier):
        raise AssertionError("the optimizer holds the classifier, and its step must move it")


@pytest.mark.points(1)
@pytest.mark.parametrize(("count", "classes"), [(3, 7), (16, 2)], ids=["3 images", "16 images"])
def test_other_batches_and_classes(training_step, count, classes):
    network, images, labels, optimizer = lesson(seed=expect.drawn(6), count=count, classes=classes)
    before, expected = by_hand(network, images, labels)
    hint = f"{count} images, {classes} classes: the MEAN cross-entropy of the raw logits, whatever the sizes"
    came = number(training_step(network, images, labels, optimizer), hint)
    expect.same(came, torch.tensor(before), hint, tolerance=1e-4)
    same_parameters(network, expected, hint)


# --- accuracy


@pytest.mark.points(1)
def test_as_many_images_as_classes(accuracy):
    logits = torch.tensor([[0.0, 5.0, 1.0], [9.0, 8.0, 7.0], [2.0, 0.0, 4.0]])
    came = number(accuracy(logits, torch.tensor([1, 0, 2])), "return a Python number")
    hint = "one ROW an image, one column a class: the largest logit of each row, argmax(dim=1); here all 3 are right"
    expect.same(came, 1.0, hint, tolerance=1e-6)


@pytest.mark.points(1)
def test_negative_logits_and_other_sizes(accuracy):
    for images, classes in ((40, 10), (6, 2), (1, 4)):
        labels = torch.arange(images) % classes
        logits = -5 - pictures(images, channels=1, height=1, width=classes).abs().view(images, classes)
        logits[torch.arange(images), labels] -= 100
        right = images // 4
        logits[torch.arange(right), labels[:right]] += 105
        came = number(accuracy(logits, labels), "return a Python number")
        hint = f"{right} of {images} are right: divide by the number of images; all logits may be negative"
        expect.same(came, right / images, hint, tolerance=1e-6)


@pytest.mark.points(1)
def test_the_second_guess_does_not_count(accuracy):
    logits = nn.functional.one_hot(torch.tensor([0, 1, 2, 3])).float() * 2
    logits[:, 1] += 1
    came = number(accuracy(logits, torch.tensor([1, 1, 1, 1])), "return a Python number")
    expect.same(came, 0.25, "only the LARGEST logit of a row counts (top-1); here 1 of 4 is right", tolerance=1e-6)
