"""Hidden tests of lab 5: random inputs against the formulas, of other sizes and dtypes."""

import pytest
import torch
import torch.nn.functional as F

from autograder.checks.test_lab5_criteria import (
    Losses,
    layers,
    of_both_signs,
    other_oracles,
    other_scales,
    other_shares,
    other_taylors,
    other_weight_scores,
)
from autograder.checks.test_lab5_criteria import numbers as fixed_numbers
from course_utils import expect
from course_utils.networks import vgg_mini

numbers = expect.in_course(fixed_numbers)


@pytest.mark.points(1)
def test_one_channel_and_large_losses(oracle_scores):
    one, many = Losses([-0.75]), Losses(numbers(6, seed=3).tolist())
    large = Losses([1.0 + abs(change) for change in numbers(3, seed=4).tolist()], whole=1e6)
    for losses, words in (
        (many, "of six channels"),
        (one, "a layer with one channel has one score, in a tensor with one axis"),
        (large, "of a loss of a million: the losses are Python's floats, subtract before a tensor rounds them"),
    ):
        hint = f"| evaluate([c]) - evaluate([]) |, {words}"
        expected = [abs(change) for change in losses.changes]
        expect.same(oracle_scores(losses, len(expected)), expected, hint, mistakes=other_oracles(losses))


@pytest.mark.points(1)
def test_weights_of_other_sizes_and_dtypes(minimum_weight_scores):
    for seed, shape in enumerate([(7, 3, 2, 4), (6, 2, 1, 1), (1, 4, 5, 3)]):
        weight = numbers(*shape, seed=seed).to(torch.float32 if seed else torch.float64)
        hint = f"of a weight {shape}: divide by the number of weights of a filter, I · kH · kW, whatever the sizes are"
        answer = minimum_weight_scores(*expect.copies(weight))
        expect.same(answer, weight.square().flatten(1).mean(1), hint, mistakes=other_weight_scores(weight))


@pytest.mark.points(1)
def test_shares_of_random_maps(apoz_scores):
    shifts = torch.tensor([0.0, 1.0, 5.0, -5.0])[:, None, None]
    for shape in ((7, 4, 2, 3), (1, 4, 3, 1), (3, 4, 41, 31)):
        activation = (numbers(*shape) - shifts).relu()
        if shape[0] > 1:
            activation[:, 0, 0], activation[2:4, 0], activation[-1, 1] = 0, 0, 1
            activation[0, 0, 0, :2], activation[1, 0, 0, :2] = 1.5, -1.5  # whose mean over the examples is 0
            activation[2, 0, 1, :2] = torch.tensor([2.0, -2.0])  # whose mean over the positions is 0
            activation[1, 2, 1, 1] = -1
        count = shape[0] * shape[2] * shape[3]
        expected = [sum(value != 0 for value in activation[:, c].flatten().tolist()) / count for c in range(4)]
        hint = f"of all N · H · W = {count} activations of a channel, the share that is not zero: 0 for a dead one, "
        hint += "1 for one that always speaks"
        if count > 2048:
            hint += " (float16 counts exactly up to 2048 only)"
        expect.same(apoz_scores(*expect.copies(activation)), expected, hint, mistakes=other_shares(activation))


@pytest.mark.points(1)
def test_taylor_of_random_maps(taylor_scores):
    for shape in ((6, 4, 5, 3), (1, 3, 2, 2), (5, 1, 1, 4)):
        activation, gradient = numbers(*shape), numbers(*shape, seed=1)
        activation[activation.abs() < 0.3] = 0
        if shape[1] > 1:
            gradient = of_both_signs(activation, gradient)
        examples, channels, positions = shape[0], shape[1], shape[2] * shape[3]
        expected = [
            sum(abs(sum((activation[n, c] * gradient[n, c]).flatten().tolist())) for n in range(examples))
            / (positions * examples)
            for c in range(channels)
        ]
        hint = f"mean over examples of | mean over positions of activation · gradient |, for maps {shape}; divide by "
        hint += "H · W and by N"
        answer = taylor_scores(*expect.copies(activation, gradient))
        expect.same(answer, expected, hint, tolerance=1e-5, mistakes=other_taylors(activation, gradient))


@pytest.mark.points(1)
def test_taylor_foresees_a_small_change_of_the_loss(taylor_scores):
    network = vgg_mini(widths=(8, 6), seed=expect.drawn(1)).eval().double()
    images, labels = numbers(6, 3, 32, 32).double(), torch.arange(6) % 4
    maps = network.features[:2](images).detach().requires_grad_()  # behind a batch norm: of both signs
    rest = network.features[3:]  # without the ReLU, which gives negative ones the gradient 0

    def losses(z):
        return F.cross_entropy(network.classifier(rest(z).flatten(1)), labels, reduction="none")

    losses(maps).sum().backward()
    activation, gradient = maps.detach(), maps.grad
    positions, small = activation[0, 0].numel(), 1e-6
    expected = []
    for channel in range(8):
        less = activation.clone()
        less[:, channel] *= 1 - small
        with torch.no_grad():
            expected.append((losses(less) - losses(activation)).abs().mean().item() / small)
    hint = (
        f"on a real network a channel's score, times its {positions} positions, foretells the mean of the examples' "
        "|change of loss| when the channel shrinks. Multiply at each position, then mean, absolute value, mean"
    )
    mistakes = {words: value * positions for words, value in other_taylors(activation, gradient).items()}
    answer = taylor_scores(*expect.copies(activation, gradient))
    scores = expect.tensor(answer, "taylor_scores returns a tensor").double()
    # of the size of 0.1: the scores themselves are smaller than the tolerance
    expect.same(scores * positions, expected, hint, tolerance=1e-4, mistakes=mistakes)


@pytest.mark.points(1)
def test_random_scores_of_all_dtypes(normalize_per_layer):
    mixed = numbers(5).abs()
    mixed[mixed.argmax()] *= -1
    scores = {
        "a": mixed,
        "b": 3 * numbers(3, seed=1).double(),
        "c": -numbers(4, seed=2).abs(),
        "d": torch.zeros(2).double(),
        "e": 1e-6 * numbers(6, seed=3),
    }
    answer = layers(normalize_per_layer(*expect.copies(scores)), scores)
    for name, values in scores.items():
        hint = f"layer {name}: its scores, {expect.show(values)}, divided by their l2 norm"
        expected = values / values.norm() if name != "d" else values
        mistakes = other_scales(scores, name) if name != "d" else None
        expect.same(answer[name], expected, hint, tolerance=1e-2 if name == "e" else 1e-5, mistakes=mistakes)
