"""Hidden tests of lab 6: other sizes, and numbers that are drawn for the course."""

import pytest
from torch import nn

from autograder.checks.test_lab6_thinet import (
    channel_numbers,
    greedy,
    layer_with,
    met,
    other_contributions,
    other_removals,
    rescales,
)
from autograder.checks.test_lab6_thinet import numbers as fixed_numbers
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


@pytest.mark.points(1)
def test_contributions_of_other_windows(sample_contributions):
    for shape in ((5, 3, 4, 2), (7, 2, 3, 3), (3, 6, 9, 1)):
        patches, weight = numbers(*shape), numbers(*shape, seed=1)
        hint = f"patches and weight of {shape}: weight times patch, summed over the window"
        mistakes = other_contributions(patches, weight)
        answer = sample_contributions(*expect.copies(patches, weight))
        expect.same(answer, (patches * weight).sum((2, 3)), hint, mistakes=mistakes)


def error_of(contributions, removed):
    return contributions.double()[:, removed].sum(1).square().sum().item()


SIZES = [(50, 12, 0), (6, 10, 2)]


@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("samples", "width", "seed"), SIZES, ids=["more samples than channels", "fewer samples than channels"]
)
def test_every_step_is_the_best_step(channels_to_remove, samples, width, seed):
    contributions = numbers(samples, width, seed=seed) + 0.4 * numbers(samples, 1, seed=9)
    removed = channel_numbers(channels_to_remove(contributions.clone(), width - 2))
    expect.equal(len(removed), width - 2, f"{width - 2} of {width} channels go: how many are in your list", None)
    right, mistakes = greedy(contributions, width - 2), other_removals(contributions, width - 2)
    said = expect.mistaken(removed, mistakes) if removed != right else ""
    if len(set(removed)) < len(removed):
        rule = "in each step the one that keeps the sum of squares smallest" if said else "every channel only once"
        expect.equal(removed, right, f"{width - 2} of {width} channels go, {rule}", mistakes=mistakes)
    for step in range(len(removed)):
        gone = removed[:step]
        costs = [error_of(contributions, [*gone, channel]) for channel in range(width) if channel not in gone]
        came = error_of(contributions, removed[: step + 1])
        hint = f"step {step + 1}: with channels {gone} gone, another channel keeps the sum of squares smaller"
        assert came <= min(costs) * 1.0001 + 1e-9, (
            f"{hint}: {min(costs):.4f}, yours gives {came:.4f}\n  expected: {right}\n  yours:    {removed}"
            + (f"\n  {said}" if said else "")
        )


@pytest.mark.points(1)
def test_equal_channels_and_fewer_samples_than_channels(least_squares_scale):
    for seed in range(1, 6):  # rounding can hide that XᵀX is singular, but hardly five times
        contributions = numbers(4, 7, seed=seed)
        contributions[:, 5] = contributions[:, 2]
        target = contributions @ numbers(7, seed=seed + 3)
        what = "4 samples, 7 channels, and channels 2 and 5 are the same"
        met(least_squares_scale, contributions, target, what)
        contributions = numbers(30, 4, seed=seed)
        contributions[:, 3] = contributions[:, 1]
        target = contributions @ numbers(4, seed=seed + 3)
        what = "30 samples, 4 channels, and channels 1 and 3 are the same"
        met(least_squares_scale, contributions, target, what)


@pytest.mark.points(1)
def test_layers_of_other_shapes(rescale_inputs):
    for name, layer, read in (
        ("a convolution with a stride and a dilation", nn.Conv2d(4, 3, (3, 1), stride=2, dilation=2), 4),
        ("a convolution of 1 x 1 that reads one channel", nn.Conv2d(1, 6, 1), 1),
        ("a linear layer behind 9 pixels a channel", nn.Linear(18, 4), 2),
        ("a linear layer that reads one channel", nn.Linear(5, 2, bias=False), 1),
    ):
        scale = numbers(read, seed=7)
        hint = f"{name}, weight {tuple(layer.weight.shape)}: all that is read of channel c is multiplied by scale[c]"
        rescales(rescale_inputs, layer_with(layer, seed=expect.drawn(3) % 1000), scale, hint)
