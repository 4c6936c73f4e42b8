"""Visible tests of lab 0. A test's first argument is the exercise that it grades."""

import copy
import math
import numbers as kinds

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect
from course_utils.networks import vgg_mini

SORTED = torch.arange(3).repeat_interleave(8)  # 0 0 … 1 1 … 2 2 …, as in class folders
MIXED = torch.tensor([2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 1, 2, 1, 0, 2])  # as in the official files
DRAWN = [1, 5, 0, 7]  # RandomState(42).choice(8, 4, replace=False)
SQUARE = torch.arange(1, 10).view(1, 1, 3, 3)


def positions(indices, labels):
    """Class, and number within its class, of the images that indices point to."""
    return [(int(labels[i]), int((labels[:i] == labels[i]).sum())) for i in indices.tolist()]


def chosen(answer, labels, count, hint):
    """A list of `count` indices into `labels`, as an integer tensor."""
    indices = expect.same_shape(answer, (count,), hint)
    if indices.is_floating_point() or indices.dtype == torch.bool:
        raise AssertionError(f"return indices, whole numbers (int64); yours are {indices.dtype}")
    if indices.min() < 0 or indices.max() >= len(labels):
        raise AssertionError(f"indices point into `labels`, 0 … {len(labels) - 1}; yours are {expect.show(indices)}")
    return indices.long()


def pixels(answer, shape, hint):
    """The first channel of every picture as lists, to be read by people."""
    return [picture[0].tolist() for picture in expect.same_shape(answer, shape, hint)]


def number(answer, hint):
    """The number in an answer, whatever it is wrapped in: the one test that minds asks for `plain_number`."""
    if isinstance(answer, torch.Tensor) and answer.numel() == 1:
        return answer.item()
    return plain_number(answer, hint)


def plain_number(answer, hint):
    """A Python number that is not hidden in a tensor."""
    if answer is None:
        raise AssertionError(f"{hint}\n  your function returned None: is the `return` missing?")
    if not isinstance(answer, kinds.Real):
        raise AssertionError(f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}")
    return float(answer)


def pictures(count, seed=0, channels=3, height=32, width=32):
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def lesson(seed=0, count=6, classes=3):
    """A small network, a batch for it, and its optimizer."""
    network = vgg_mini(widths=(4, 6), classes=classes, seed=seed)
    labels = torch.arange(count) % classes
    return network, pictures(count, seed), labels, torch.optim.SGD(network.parameters(), lr=0.5)


def by_hand(network, images, labels, lr=0.5):
    """The loss, and where one step of plain gradient descent leads: worked out on a copy."""
    twin = copy.deepcopy(network).train()
    parameters = dict(twin.named_parameters())
    start = nn.functional.cross_entropy(twin(images), labels)
    slopes = torch.autograd.grad(start, list(parameters.values()))
    moved = {name: (p - lr * g).detach() for (name, p), g in zip(parameters.items(), slopes, strict=True)}
    return start.item(), moved


def snapshot(network):
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def same_parameters(network, expected, hint):
    parameters = dict(network.named_parameters())
    for name, wanted in expected.items():
        assert name in parameters, f"{name} is gone from the network: a step changes numbers, not layers"
        expect.same(parameters[name], wanted, f"{hint}; look at {name}", tolerance=1e-4)


# --- subset_indices


@pytest.mark.points(1)
def test_so_many_images_of_each_class(subset_indices):
    hint = "n_classes=2, per_class=3: 3 images of class 0, then 3 of class 1, and none of class 2"
    indices = chosen(subset_indices(MIXED.clone(), 2, 3, 42), MIXED, 6, hint)
    hint += "; are these indices into `labels`? Position p of a class is not index p of the source"
    expect.equal(MIXED[indices].tolist(), [0, 0, 0, 1, 1, 1], hint + ".\n  The classes of the images chosen:")


@pytest.mark.points(1)
def test_the_same_positions_in_every_class(subset_indices):
    hint = "3 classes, 4 images each: 12 indices"
    indices = chosen(subset_indices(SORTED.clone(), 3, 4, 42), SORTED, 12, hint)
    first, second, third = (positions(indices, SORTED)[start : start + 4] for start in (0, 4, 8))
    hint = "the SAME positions in every class: draw once, before the loop over the classes.\n  Positions in class "
    expect.equal([p for _, p in second], [p for _, p in first], hint + "1, and expected as in class 0:")
    expect.equal([p for _, p in third], [p for _, p in first], hint + "2, and expected as in class 0:")


@pytest.mark.points(1)
def test_the_seed_draws_the_positions(subset_indices):
    indices = chosen(subset_indices(SORTED.clone(), 1, 4, 42), SORTED, 4, "1 class, 4 images: 4 indices")
    hint = "positions come from numpy's RandomState(seed).choice(images of the class, per_class, replace=False)"
    hint += ", all in the order drawn: not sorted, not the first ones, no image twice.\n  Positions for seed 42:"
    expect.equal(indices.tolist(), DRAWN, hint)


@pytest.mark.points(1)
def test_positions_count_within_the_class(subset_indices):
    indices = chosen(subset_indices(MIXED.clone(), 3, 2, 42), MIXED, 6, "3 classes, 2 images each: 6 indices")
    hint = "position p of a class is its image number p in the source's order; classes may lie mixed up in `labels`,"
    hint += " so look up where `labels == number`.\n  Class and position of the images chosen:"
    expect.equal(positions(indices, MIXED), [(0, 1), (0, 4), (1, 1), (1, 4), (2, 1), (2, 4)], hint)


# --- normalize


@pytest.mark.points(1)
def test_pixels_go_from_255_to_1(normalize):
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3).expand(1, 3, 2, 3)
    hint = "mean 0 and std 1: what is left is x / 255, because mean and std are meant for pixels between 0 and 1"
    answer = normalize(images, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    expect.same(answer, torch.tensor([0, 0.2, 1]).expand(1, 3, 2, 3), hint)


@pytest.mark.points(1)
def test_each_colour_has_its_own_mean(normalize):
    images = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
    answer = expect.same_shape(normalize(images, (0.5, 0.25, 0.0), (1.0, 1.0, 1.0)), images.shape, "the shape stays")
    hint = "white pixels (1.0) less a mean of 0.5, 0.25 and 0 for red, green and blue"
    hint += ": one number for each channel (axis 1), SUBTRACTED after the division by 255.\n  One pixel:"
    expect.same(answer[1, :, 2, 3], [0.5, 0.75, 1.0], hint)


@pytest.mark.points(1)
def test_each_colour_has_its_own_std(normalize):
    images = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
    answer = expect.same_shape(normalize(images, (0.5, 0.5, 0.5), (0.5, 0.25, 0.1)), images.shape, "the shape stays")
    hint = "white pixels (1.0), mean 0.5, std 0.5, 0.25 and 0.1: subtract the mean first, then DIVIDE by the std"
    expect.same(answer[0, :, 0, 0], [1.0, 2.0, 5.0], hint + " (not by its square).\n  One pixel:")


@pytest.mark.points(1)
def test_the_result_is_float32(normalize):
    answer = expect.tensor(
        normalize(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), (0.5,) * 3, (0.5,) * 3), "return a tensor"
    )
    hint = "the network's weights are float32, and it refuses images of any other kind: return float32"
    expect.equal(answer.dtype, torch.float32, hint)


# --- crop_and_flip


def moved(crop_and_flip, row, column, flip=False):
    answer = crop_and_flip(SQUARE.clone(), torch.tensor([[row, column]]), torch.tensor([flip]), 1)
    return pixels(answer, (1, 1, 3, 3), "the shape stays: a window of H × W out of the padded image")[0]


@pytest.mark.points(1)
def test_the_middle_is_the_image_itself(crop_and_flip):
    hint = "padding 1, offset (1, 1), no flip: the window lies exactly on the image, so nothing changes"
    expect.equal(moved(crop_and_flip, 1, 1), [[1, 2, 3], [4, 5, 6], [7, 8, 9]], hint)


@pytest.mark.points(1)
def test_the_padding_is_zeros(crop_and_flip):
    hint = "padding 1, offset (0, 0): above and to the left of the image there are zeros (no copied or mirrored edge)"
    expect.equal(moved(crop_and_flip, 0, 0), [[0, 0, 0], [0, 1, 2], [0, 4, 5]], hint)


@pytest.mark.points(1)
def test_row_first_then_column(crop_and_flip):
    hint = "an offset is (row, column) of the window's upper left corner; offset (2, 1) looks one row further down"
    expect.equal(moved(crop_and_flip, 2, 1), [[4, 5, 6], [7, 8, 9], [0, 0, 0]], hint)
    hint = "an offset is (row, column) of the window's upper left corner; offset (1, 2) looks one column further right"
    expect.equal(moved(crop_and_flip, 1, 2), [[2, 3, 0], [5, 6, 0], [8, 9, 0]], hint)


@pytest.mark.points(1)
def test_left_and_right_change_places(crop_and_flip):
    hint = "flip mirrors left and right (the columns, the last axis), not up and down"
    expect.equal(moved(crop_and_flip, 1, 1, True), [[3, 2, 1], [6, 5, 4], [9, 8, 7]], hint)
    hint = "first the crop, then the flip: offset (1, 2) cuts [2 3 0], and mirrored that is [0 3 2]"
    expect.equal(moved(crop_and_flip, 1, 2, True), [[0, 3, 2], [0, 6, 5], [0, 9, 8]], hint)


@pytest.mark.points(1)
def test_every_image_has_its_own_offset_and_flip(crop_and_flip):
    images = SQUARE.repeat(3, 1, 1, 1)
    answer = crop_and_flip(images, torch.tensor([[1, 1], [0, 1], [1, 1]]), torch.tensor([False, False, True]), 1)
    first, second, third = pixels(answer, (3, 1, 3, 3), "three images come in, three go out")
    hint = "three copies of one image; every image has its own offset, offsets[n], and its own flip, flips[n]."
    expect.equal(first, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], hint + " Image 0 stays as it is:")
    expect.equal(second, [[0, 0, 0], [1, 2, 3], [4, 5, 6]], hint + " Image 1 has the offset (0, 1), no flip:")
    expect.equal(third, [[3, 2, 1], [6, 5, 4], [9, 8, 7]], hint + " Image 2 stays in place and is flipped:")


# --- training_step


@pytest.mark.points(1)
def test_the_loss_before_the_step(training_step):
    network, images, labels, optimizer = lesson()
    before, _ = by_hand(network, images, labels)
    twin = copy.deepcopy(network)
    returned = training_step(network, images, labels, optimizer)
    came = plain_number(returned, "return the loss as a Python number: a tensor would hold on to the whole computation")
    after, _ = by_hand(network, images, labels)
    with torch.no_grad():
        resting = nn.functional.cross_entropy(twin.eval()(images), labels).item()
        squashed = nn.functional.cross_entropy(twin.train()(images).softmax(1), labels).item()
    likely = {
        after: "this is the loss AFTER the step; return the one that the step started from",
        len(labels) * before: "this is the SUM over the batch; take the mean, which does not depend on the batch size",
        squashed: "there is a softmax too many: cross_entropy takes the raw logits, and does that itself",
        resting: "this is the loss in evaluation mode; call network.train() before the network sees the batch",
    }
    found = [words for value, words in likely.items() if math.isclose(came, value, rel_tol=1e-4)]
    hint = "return the mean cross-entropy of the batch, before the parameters change"
    expect.same(came, torch.tensor(before), "\n  ".join([hint, *found]), tolerance=1e-4)


@pytest.mark.points(2)
def test_one_step_down_the_slope(training_step):
    network, images, labels, optimizer = lesson(seed=1)
    before, (_, expected) = snapshot(network), by_hand(network, images, labels)
    training_step(network, images, labels, optimizer)
    if all(torch.equal(parameter, before[name]) for name, parameter in network.named_parameters()):
        hint = "no parameter has changed: backward computes the gradients, and optimizer.step() uses them"
        raise AssertionError(hint + ";\n  if you have both, do you forget the gradients (zero_grad) between them?")
    hint = "after one step of SGD each parameter is p - lr * gradient, of the mean cross-entropy of the raw logits"
    same_parameters(network, expected, hint)


@pytest.mark.points(1)
def test_old_gradients_are_forgotten(training_step):
    network, images, labels, optimizer = lesson(seed=2)
    _, expected = by_hand(network, images, labels)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    training_step(network, images, labels, optimizer)
    hint = "the step must be the same as if .grad had been empty"
    if all(torch.allclose(p, expected[name] - 0.5, atol=1e-3) for name, p in network.named_parameters()):
        hint = "backward ADDS to what is in .grad: the gradients of the last step leak into this one."
        hint += " Forget them first: optimizer.zero_grad()"
    same_parameters(network, expected, hint)


@pytest.mark.points(1)
def test_the_network_is_in_training_mode(training_step):
    network, images, labels, optimizer = lesson(seed=3)
    network.eval()
    training_step(network, images, labels, optimizer)
    hint = "the network came in evaluation mode and must be put into training mode, before it sees the batch:"
    hint += " network.train(). Otherwise the batch norms"
    if not network.features[1].running_mean.any():
        raise AssertionError(hint + " learn nothing about the images (their running mean is still 0)")
    expect.equal(network.training, True, hint + " stand still in the next step.\n  network.training after the step:")


# --- accuracy


@pytest.mark.points(1)
def test_the_share_of_right_guesses(accuracy):
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.1, 0.2, 0.9], [3.0, 4.0, 1.0], [0.5, 0.1, 0.2], [0.0, 0.0, 7.0]])
    hint = "the guesses are classes 0, 2, 1, 0, 2 (the POSITION of each row's largest logit) and the labels"
    hint += " 0, 2, 1, 1, 1, so 3 of 5 are right"
    came = number(accuracy(logits, torch.tensor([0, 2, 1, 1, 1])), "return a Python number between 0 and 1")
    hint += {3: ". A share, please, not how many", 60: ". A share, please, not per cent"}.get(round(came), "")
    expect.same(came, 0.6, hint, tolerance=1e-6)


@pytest.mark.points(1)
def test_a_number_and_no_tensor(accuracy):
    came = accuracy(torch.eye(4), torch.arange(4))
    came = plain_number(came, "return a Python number: .item() takes it out of a tensor")
    expect.same(came, 1.0, "every guess is right here, that is an accuracy of 1", tolerance=1e-6)


# --- the network that is handed in


@pytest.mark.points(3)
def test_accuracy_of_your_baseline(lab0_baseline_onnx, award):
    measured, shipped = artifacts.measured(lab0_baseline_onnx), artifacts.measured_baseline()
    award(*artifacts.ramp("lab0_baseline", measured, shipped))
