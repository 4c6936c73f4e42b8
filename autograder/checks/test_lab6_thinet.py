"""Visible tests of lab 6. A test's first argument is the exercise that it grades."""

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- sample_contributions


@pytest.mark.points(1)
def test_one_number_for_each_sample_and_channel(sample_contributions):
    hint = "(S, C, kH, kW) becomes (S, C): the sum goes over the window only"
    expect.same_shape(sample_contributions(numbers(6, 4, 3, 2), numbers(6, 4, 3, 2, seed=1)), (6, 4), hint)


@pytest.mark.points(1)
def test_together_they_are_the_output(sample_contributions):
    conv, patches = nn.Conv2d(5, 1, 3, bias=True), numbers(7, 5, 3, 3)
    conv.weight.data = numbers(1, 5, 3, 3, seed=2)
    weight = conv.weight.detach().expand(7, -1, -1, -1)
    answer = expect.same_shape(sample_contributions(patches, weight), (7, 5), "one number for each sample and channel")
    hint = (
        "summed over the channels, the contributions are the convolution's output without its bias: weight times patch"
    )
    expect.same(answer.sum(1), (conv(patches).flatten() - conv.bias).detach(), hint)
    weight = numbers(7, 5, 3, 3, seed=3)
    hint = "every sample has a filter of its own: patches[s] goes with weight[s]"
    expect.same(sample_contributions(patches, weight)[6], (patches[6] * weight[6]).sum((1, 2)), hint, tolerance=1e-5)


# --- channels_to_remove


def channels(answer, count):
    """The answer as a list of different channels."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    try:
        found = [int(channel) for channel in answer]
    except (TypeError, ValueError):
        raise AssertionError(f"return a list of channels (whole numbers)\n  yours: {answer!r:.200}") from None
    expect.equal(len(found), count, f"return the {count} channels that are REMOVED\n  yours: {found}")
    assert len(set(found)) == count, f"every channel can go only once\n  yours: {found}"
    return found


@pytest.mark.points(1)
def test_the_first_to_go_is_the_one_that_is_missed_least(channels_to_remove):
    contributions = torch.tensor([[3.0, 0.5, -2.0], [1.0, 0.5, 2.0]])
    hint = "the sums of squares are 10, 0.5 and 8: channel 1 is missed least, and goes first"
    expect.equal(channels(channels_to_remove(contributions, 1), 1), [1], hint)


@pytest.mark.points(1)
def test_two_that_cancel_go_together(channels_to_remove):
    contributions = torch.tensor([[2.0, 1.6, -2.1], [1.0, -1.6, -1.3]])
    hint = (
        "channel 0 goes first (sum of squares 5). With it, channel 2 leaves "
        "an error of only (2 - 2.1)² and (1 - 1.3)²: "
        "look at the SUM with those that are gone already, not at each channel alone"
    )
    expect.equal(channels(channels_to_remove(contributions, 2), 2), [0, 2], hint)


@pytest.mark.points(1)
def test_all_that_are_gone_count(channels_to_remove):
    contributions = torch.tensor([[0.0, 3.0, -1.0, -2.0], [2.0, -2.0, -1.0, 0.0]])
    hint = (
        "channel 2 goes first, then channel 0: with 2 it leaves (-1)² + (2 - 1)². Third is channel 1, which leaves "
        "(3 - 1)² + (2 - 2 - 1)² = 5, less than channel 3 with 10. Adding c to "
        "T changes the sum by G[c, c] + 2 · G[c, t] for "
        "EVERY t in T: is the 2 there, and all of T?"
    )
    expect.equal(channels(channels_to_remove(contributions, 3), 3), [2, 0, 1], hint)


@pytest.mark.points(1)
def test_the_order_in_which_they_go(channels_to_remove):
    contributions = torch.tensor([[4.0, 2.0, 1.0, 3.0]])
    hint = "all have the same sign, so the smallest goes first, then the next: the list has the order in which they go"
    expect.equal(channels(channels_to_remove(contributions, 3), 3), [2, 1, 3], hint)


@pytest.mark.points(1)
def test_none_and_all(channels_to_remove):
    contributions = numbers(9, 4)
    expect.equal(channels(channels_to_remove(contributions, 0), 0), [], "count 0: nothing is removed, an empty list")
    expect.equal(sorted(channels(channels_to_remove(contributions, 4), 4)), [0, 1, 2, 3], "count 4 of 4: all of them")


# --- least_squares_scale


def scale_of(least_squares_scale, contributions, target):
    """The answer as a vector of finite numbers."""
    hint = (
        "dead channels, and fewer samples than channels, make XᵀX singular; "
        "torch.linalg.lstsq with driver='gelsd' can do it"
    )
    try:
        answer = least_squares_scale(contributions, target)
    except RuntimeError as error:
        raise AssertionError(f"{hint}\n  yours stopped: {error}") from None
    kept = contributions.shape[1]
    scale = expect.same_shape(
        answer, (kept,), f"one factor for each of the {kept} kept channels: a vector, not a column"
    )
    scale = scale.double()
    assert bool(torch.isfinite(scale).all()), (
        f"there are infinite or undefined factors: {hint}\n  yours: {scale.tolist()}"
    )
    return scale


def residual(contributions, target, scale):
    return (target.double() - contributions.double() @ scale).square().sum().item()


@pytest.mark.points(1)
def test_the_factors_that_are_known(least_squares_scale):
    contributions = numbers(40, 3)
    scale = scale_of(least_squares_scale, contributions, contributions @ torch.tensor([2.0, -1.0, 0.5]))
    hint = "the target is 2 times channel 0, minus channel 1, plus half of channel 2: these are the factors"
    expect.same(scale, torch.tensor([2.0, -1.0, 0.5]).double(), hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_nothing_comes_closer(least_squares_scale):
    everything = numbers(60, 8)
    contributions, target = everything[:, :5], everything.sum(1)
    best = torch.linalg.lstsq(contributions.double(), target.double()[:, None]).solution[:, 0]
    scale = scale_of(least_squares_scale, contributions, target)
    came, least = residual(contributions, target, scale), residual(contributions, target, best)
    assert came <= least * 1.0001, (
        f"the sum of squared errors can be {least:.4f}, with your factors it is {came:.4f}: solve min ||target - X w||²"
    )


@pytest.mark.points(1)
def test_a_dead_channel(least_squares_scale):
    everything = numbers(60, 6)
    everything[:, 2] = 0
    contributions, target = everything[:, :4], everything.sum(1)
    scale = scale_of(least_squares_scale, contributions, target)
    alive = torch.tensor([0, 1, 3])
    best = torch.linalg.lstsq(contributions[:, alive].double(), target.double()[:, None]).solution[:, 0]
    hint = "channel 2 is zero on all samples. The factors of the others are those that fit best without it"
    expect.same(scale[alive], best, hint, tolerance=1e-3)


# --- rescale_inputs


@pytest.mark.points(1)
def test_the_input_slices_of_a_convolution(rescale_inputs):
    conv, scale, images = nn.Conv2d(3, 5, 3), torch.tensor([2.0, 0.0, -1.0]), numbers(2, 3, 6, 6)
    conv.weight.data, conv.bias.data = numbers(5, 3, 3, 3, seed=4), numbers(5, seed=5)
    expected = conv(images * scale[:, None, None]).detach()
    rescale_inputs(conv, scale)
    hint = (
        "scaling what it reads of channel c (weight[:, c]) is scaling the feature "
        "map; the bias stays, the layer changes in place"
    )
    expect.same(conv(images), expected, hint, tolerance=1e-4)
    hint = "the weight can no longer be trained: leave requires_grad as it is, and use `with torch.no_grad():`"
    assert conv.weight.requires_grad, hint


@pytest.mark.points(2)
def test_the_columns_of_a_linear_layer(rescale_inputs):
    linear, scale, maps = nn.Linear(12, 5), torch.tensor([2.0, 0.0, -1.0]), numbers(2, 3, 2, 2)
    linear.weight.data, linear.bias.data = numbers(5, 12, seed=4), numbers(5, seed=5)
    expected = linear((maps * scale[:, None, None]).flatten(1)).detach()
    rescale_inputs(linear, scale)
    hint = "behind a flatten channel c owns neighbouring columns: with 4 pixels a channel, columns 4c to 4c + 3"
    expect.same(linear(maps.flatten(1)), expected, hint, tolerance=1e-4)


# --- the network that is handed in


@pytest.mark.points(1)
def test_enough_parameters_are_gone(lab6_pruned_onnx):
    measured, original = artifacts.measured(lab6_pruned_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= 0.3, (
        f"at least 70 % of the parameters must go: {measured.parameters:,} of "
        f"{original.parameters:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab6_pruned_onnx, award):
    measured, original = artifacts.measured(lab6_pruned_onnx), artifacts.measured_baseline()
    assert measured.parameters <= 0.3 * original.parameters, "accuracy counts once 70 % of the parameters are gone"
    award(*artifacts.ramp("lab6_pruned", measured, original))
