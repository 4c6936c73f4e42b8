"""Visible tests of lab 5. A test's first argument is the exercise that it grades."""

from collections.abc import Iterable
from numbers import Integral

import pytest
import torch

from course_utils import artifacts, expect


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Losses:
    """An `evaluate` for the oracle: the loss without some channels, and a record of what was asked."""

    def __init__(self, changes, whole=0.8):
        self.changes, self.whole, self.asked = changes, whole, []

    def __call__(self, removed):
        hint = "evaluate takes a LIST of the channels that are removed, plain numbers: [3] for channel 3, [] for none"
        fits = isinstance(removed, Iterable) and all(isinstance(channel, Integral) for channel in removed)
        assert fits, f"{hint}\n  you asked evaluate({removed!r})"
        self.asked.append(sorted(int(channel) for channel in removed))
        together = len(self.asked[-1])  # channels that are gone at once do more harm than each alone
        return self.whole + together * sum(self.changes[channel] for channel in self.asked[-1])


# --- oracle_scores


@pytest.mark.points(2)
def test_the_change_of_the_loss(oracle_scores):
    hint = "channel c's score is how much the loss CHANGES without it ALONE: evaluate([c]) compared with evaluate([])"
    expect.same(oracle_scores(Losses([0.5, 0.25, 2.0]), 3), [0.5, 0.25, 2.0], hint)


@pytest.mark.points(1)
def test_a_channel_that_does_harm_has_influence_too(oracle_scores):
    hint = "without channel 1 the loss falls by 0.3: that is a change of 0.3, take the absolute value of the difference"
    expect.same(oracle_scores(Losses([0.5, -0.3]), 2), [0.5, 0.3], hint)


# --- minimum_weight_scores


@pytest.mark.points(1)
def test_the_mean_of_the_squares(minimum_weight_scores):
    weight = torch.tensor([[[[1.0, -2.0]]], [[[3.0, 3.0]]]])
    hint = "the mean of the squared weights of each filter: (1 + 4) / 2 for weights 1 and -2"
    expect.same(minimum_weight_scores(weight), [2.5, 9.0], hint)


@pytest.mark.points(1)
def test_one_number_for_each_filter(minimum_weight_scores):
    weight = numbers(5, 3, 2, 4)
    hint = "weight has the shape (filters, input channels, kH, kW): one number for each filter, axis 0 stays"
    answer = expect.same_shape(minimum_weight_scores(weight), (5,), hint)
    expect.same(answer, (weight**2).mean((1, 2, 3)), "a filter's score is the mean over all of its own weights")


# --- apoz_scores


@pytest.mark.points(1)
def test_the_share_that_is_not_zero(apoz_scores):
    activation = torch.zeros(2, 3, 2, 2)
    activation[0, 0], activation[0, 1, 0, 0] = 5.0, 0.1
    hint = "count what is NOT zero, in shares of all examples and positions: the values themselves do not matter"
    expect.same(apoz_scores(activation), [0.5, 0.125, 0.0], hint)


@pytest.mark.points(1)
def test_one_share_for_each_channel(apoz_scores):
    activation = numbers(4, 5, 3, 2).relu()
    answer = expect.same_shape(apoz_scores(activation), (5,), "one number for each CHANNEL, axis 1 of (N, C, H, W)")
    expect.same(answer, (activation != 0).float().mean((0, 2, 3)), "the share over examples and positions together")


# --- taylor_scores


@pytest.mark.points(1)
def test_one_score_for_each_channel(taylor_scores):
    hint = "one score for each CHANNEL: (N, C, H, W) becomes (C,)"
    expect.same_shape(taylor_scores(numbers(4, 5, 3, 2), numbers(4, 5, 3, 2, seed=1)), (5,), hint)


@pytest.mark.points(2)
def test_effects_of_positions_may_cancel(taylor_scores):
    activation = torch.ones(1, 1, 1, 2)
    gradient = torch.tensor([[[[3.0, -1.0]]]])
    hint = (
        "one example, activation 1 and 1, gradient 3 and -1: the effects on "
        "its loss are 3 and -1, together 2, divided by "
        "2 positions. The absolute value comes AFTER the mean over positions"
    )
    expect.same(taylor_scores(activation, gradient), [1.0], hint)


@pytest.mark.points(2)
def test_effects_of_examples_must_not_cancel(taylor_scores):
    activation = torch.ones(2, 1, 1, 1)
    gradient = torch.tensor([[[[3.0]]], [[[-1.0]]]])
    hint = (
        "two examples, effects 3 and -1: what helps one image must not hide "
        "what harms another. The absolute value comes "
        "BEFORE the mean over examples: (3 + 1) / 2"
    )
    expect.same(taylor_scores(activation, gradient), [2.0], hint)


# --- normalize_per_layer


def layers(answer, names):
    """The answer as a dictionary with these layers."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, dict), f"return a dictionary, with the same layers\n  yours: {answer!r:.200}"
    expect.equal(sorted(answer), sorted(names), "the same layers, under the same names, all of them")
    return answer


@pytest.mark.points(2)
def test_every_layer_by_its_own_length(normalize_per_layer):
    scores = {"first": torch.tensor([3.0, 4.0]), "second": torch.tensor([0.0, 10.0, 0.0])}
    answer = layers(normalize_per_layer(scores), ["first", "second"])
    hint = "the l2 norm of 3 and 4 is sqrt(9 + 16) = 5, so they become 0.6 and 0.8: every layer by its OWN norm"
    expect.same(answer["first"], [0.6, 0.8], hint)
    expect.same(answer["second"], [0.0, 1.0, 0.0], hint)


@pytest.mark.points(1)
def test_a_layer_of_zeros_keeps_its_zeros(normalize_per_layer):
    scores = {"dead": torch.zeros(3), "alive": torch.tensor([2.0]), "small": torch.tensor([3e-5, 4e-5])}
    answer = layers(normalize_per_layer(scores), ["alive", "dead", "small"])
    hint = "all scores of this layer are 0, and 0 / 0 is not a number: leave the zeros as they are"
    expect.same(answer["dead"], [0.0, 0.0, 0.0], hint)
    expect.same(answer["alive"], [1.0], "a single score of 2 has the norm 2, and becomes 1")
    hint = (
        "small scores are no zeros: 0.00003 and 0.00004 become 0.6 and 0.8, "
        "like 3 and 4 (Taylor's scores are that small)"
    )
    expect.same(answer["small"], [0.6, 0.8], hint, tolerance=1e-3)


# --- the network that is handed in


@pytest.mark.points(1)
def test_enough_macs_are_gone(lab5_pruned_onnx):
    measured, original = artifacts.measured(lab5_pruned_onnx), artifacts.measured_baseline()
    left = measured.macs / original.macs
    assert left <= 0.3, (
        f"at least 70 % of the MACs must go: {measured.macs:,} of {original.macs:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab5_pruned_onnx, award):
    measured, original = artifacts.measured(lab5_pruned_onnx), artifacts.measured_baseline()
    assert measured.macs <= 0.3 * original.macs, "accuracy counts once 70 % of the MACs are gone"
    award(*artifacts.ramp("lab5_pruned", measured, original))
