"""Hidden tests of lab 5: random inputs against the formulas, what is asked of the oracle, and arguments left alone."""

import copy

import pytest
import torch
import torch.nn.functional as F

from autograder.checks.test_lab5_criteria import Losses, layers
from autograder.checks.test_lab5_criteria import numbers as fixed_numbers
from course_utils import expect
from course_utils.networks import vgg_mini

numbers = expect.in_course(fixed_numbers)


@pytest.mark.points(1)
def test_nothing_is_asked_twice(oracle_scores):
    losses = Losses([0.1, 0.2, 0.4, 0.8])
    answer = oracle_scores(losses, 4)
    expect.same(answer, [0.1, 0.2, 0.4, 0.8], "every channel is removed ALONE, from the whole network")
    hint = "evaluate is expensive: once for the whole network, and once for each channel, five times for four channels"
    expect.equal(sorted(losses.asked), [[], [0], [1], [2], [3]], hint)


@pytest.mark.points(1)
def test_weights_of_other_sizes_and_dtypes(minimum_weight_scores):
    for seed, (shape, dtype) in enumerate([((7, 2, 1, 1), torch.float64), ((1, 4, 5, 3), torch.float32)]):
        weight = numbers(*shape, seed=seed).to(dtype)
        before = weight.clone()
        hint = "divide by the number of weights of a filter, I · kH · kW, whatever the sizes are"
        expect.same(minimum_weight_scores(weight), (before**2).flatten(1).mean(1), hint)
        expect.unchanged(weight, before, "the weights must stay as they are")


@pytest.mark.points(1)
def test_shares_of_random_maps(apoz_scores):
    activation = (numbers(7, 4, 2, 5) - torch.tensor([0.0, 1.0, 5.0, -5.0])[:, None, None]).relu()
    before = activation.clone()
    expected = [sum(value > 0 for value in activation[:, c].flatten().tolist()) / 70 for c in range(4)]
    hint = (
        "of all N · H · W activations of a channel, the share that is not zero: "
        "0 for a dead one, 1 for one that always speaks"
    )
    expect.same(apoz_scores(activation), expected, hint)
    expect.unchanged(activation, before, "the activations must stay as they are")


@pytest.mark.points(1)
def test_taylor_of_random_maps(taylor_scores):
    activation, gradient = numbers(6, 4, 5, 3).relu(), numbers(6, 4, 5, 3, seed=1)
    before = activation.clone(), gradient.clone()
    expected = [
        sum(abs(sum((activation[n, c] * gradient[n, c]).flatten().tolist())) / 15 for n in range(6)) / 6
        for c in range(4)
    ]
    answer = taylor_scores(activation, gradient)
    hint = "mean over examples of | mean over positions of activation · gradient |; divide by H · W and by N"
    expect.same(answer, expected, hint, tolerance=1e-5)
    for now, then in zip((activation, gradient), before, strict=True):
        expect.unchanged(now, then, "activations and gradients must stay as they are")


@pytest.mark.points(1)
def test_taylor_foresees_a_small_change_of_the_loss(taylor_scores):
    network = vgg_mini(widths=(5, 6), seed=expect.drawn(1)).eval().double()
    images, labels = numbers(8, 3, 32, 32).double(), torch.arange(8) % 4
    maps = network.features[:3](images).detach().requires_grad_()
    rest = network.features[3:]

    def losses(z):
        return F.cross_entropy(network.classifier(rest(z).flatten(1)), labels, reduction="none")

    losses(maps).sum().backward()
    activation, gradient = maps.detach(), maps.grad
    scores = expect.tensor(taylor_scores(activation, gradient), "taylor_scores returns a tensor").double()
    positions, small = activation[0, 0].numel(), 1e-6
    for channel in range(5):
        less = activation.clone()
        less[:, channel] *= 1 - small
        with torch.no_grad():
            change = (losses(less) - losses(activation)).abs().mean().item() / small
        hint = (
            f"channel {channel} of a real network: the score times {positions} "
            f"positions foretells the mean of the examples' "
            "|change of loss|. Multiply activation and gradient at each position, then mean, absolute value, mean"
        )
        # of the size of 0.1: the scores themselves are smaller than the tolerance
        expect.same(scores[channel] * positions, change, hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_the_scores_that_were_given_are_unchanged(normalize_per_layer):
    scores = {"a": numbers(5).abs(), "b": numbers(3, seed=1).abs().double(), "c": torch.tensor([-3.0, 4.0])}
    before = copy.deepcopy(scores)
    answer = layers(normalize_per_layer(scores), before)
    for name, values in before.items():
        expect.same(answer[name], values / values.norm(), f"layer {name}: its scores divided by their l2 norm", 1e-5)
        expect.unchanged(scores[name], values, "return a new dictionary, and leave the given scores alone")
