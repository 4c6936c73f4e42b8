"""Visible tests of lab 5. A test's first argument is the exercise that it grades."""

from collections.abc import Iterable
from numbers import Integral

import pytest
import torch
from torch import Tensor

from course_utils import artifacts, expect
from course_utils.contracts import Contract


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Losses:
    """An `evaluate` for the oracle: the loss without some channels, and a record of what was asked."""

    def __init__(self, changes, whole=0.8):
        self.changes, self.whole, self.asked, self.lists = changes, whole, [], []

    def __call__(self, *removed, **named):
        hint = "evaluate takes one argument by position, evaluate([3]): another evaluate calls it something else"
        assert len(removed) == 1 and not named, f"{hint}\n  you gave {len(removed)} by position, and {list(named)}"
        removed = removed[0]
        hint = "evaluate takes a LIST of the channels that are removed, plain numbers: [3] for channel 3, [] for none"
        fits = isinstance(removed, Iterable) and all(isinstance(channel, Integral) for channel in removed)
        assert fits, f"{hint}\n  you asked evaluate({removed!r})"
        channels = [int(channel) for channel in removed]
        beyond = [channel for channel in channels if not 0 <= channel < len(self.changes)]
        count = len(self.changes)
        assert not beyond, f"{count} channels have the numbers 0 … {count - 1}\n  you asked evaluate({channels})"
        self.asked.append(sorted(channels))
        self.lists.append(removed)
        return self.loss(channels)

    def loss(self, removed):
        """Channels that are gone at once do more harm than each alone."""
        return self.whole + len(removed) * sum(self.changes[channel] for channel in removed)


# --- oracle_scores


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


def other_oracles(losses):
    """What comes out with mistakes that are often made with the oracle."""
    channels, whole, changes = range(len(losses.changes)), losses.whole, doubles(losses.changes)
    alone = doubles([losses.loss([c]) for c in channels])
    growing = doubles([losses.loss(list(range(c + 1))) for c in channels])
    others = doubles([losses.loss([other for other in channels if other != c]) for c in channels])
    before = torch.cat([doubles([whole]), growing[:-1]])
    return {
        "the sign of the change: take the absolute value": changes,
        "the loss of the whole network minus the other, with its sign: take the absolute value": -changes,
        "0 where the loss falls: a fall is a change too": changes.clamp_min(0),
        "the losses themselves, without the whole network's subtracted": alone,
        "the change as a share of the whole network's loss": changes.abs() / whole,
        "the change as a share of the loss without the channel": changes.abs() / alone,
        "the difference of the losses' absolute values: a loss may be negative": (alone.abs() - abs(whole)).abs(),
        "the square of the change": changes.square(),
        "the root of the change": changes.abs().sqrt(),
        "channels that stay away once removed: each must be gone ALONE": (growing - whole).abs(),
        "each channel on top of those before it: each must be gone ALONE": (growing - before).abs(),
        "the list of the channels that STAY, in place of the one that goes": (others - whole).abs(),
        "all channels removed, evaluate([0, 1, …]), taken for the whole network": (
            alone - losses.loss(list(channels))
        ).abs(),
        "the channel after the one that is asked for": changes.abs().roll(-1),
        "the channel before the one that is asked for": changes.abs().roll(1),
        "each loss compared with the one before": (alone - torch.cat([doubles([whole]), alone[:-1]])).abs(),
        "scores cut to whole numbers": changes.abs().trunc(),
        "losses rounded to float32 before the difference: subtract first": (
            alone.float() - torch.tensor(whole, dtype=torch.float32)
        ).abs(),
        "the axis lost": changes.abs().squeeze(),
        "the mean over all channels": changes.abs().mean(),
    }


@pytest.mark.points(1)
def test_the_change_of_the_loss(oracle_scores):
    hint = "channel c's score is how much the loss CHANGES without it ALONE, | evaluate([c]) - evaluate([]) |"
    early, losses = Losses([0.25, 4.0, 0.125, 3.0]), Losses([0.5, -0.3, 2.25, -1.4])
    expect.same(oracle_scores(early, 4), early.changes, hint, mistakes=other_oracles(early))
    mistakes = other_oracles(losses) | {"the losses of an EARLIER call, of another evaluate": early.changes}
    falls = f"{hint}; without channels 1 and 3 the loss falls"
    expect.same(oracle_scores(losses, 4), [0.5, 0.3, 2.25, 1.4], falls, mistakes=mistakes)
    hint, one = "a layer with one channel has one score, in a tensor with one axis", Losses([0.75])
    expect.same(oracle_scores(one, 1), [0.75], hint, mistakes=other_oracles(one))


@pytest.mark.points(1)
def test_nothing_is_asked_twice(oracle_scores):
    losses = Losses([0.1, 0.2, 0.4, 0.8])
    oracle_scores(losses, 4)
    once = [[], [0], [1], [2], [3]]
    mistakes = {
        "evaluate([]) asked for every channel anew": [[]] * 3 + once,
        "everything asked twice": sorted(once * 2),
        "the whole network never asked for": once[1:],
    }
    hint = "evaluate is expensive: once for the whole network, and once for each channel, five times for four channels"
    expect.equal(sorted(losses.asked), once, hint, mistakes=mistakes)
    hint = "evaluate may keep the list that it was given: hand over a new one in each call, and do not change it later"
    expect.equal([sorted(int(channel) for channel in each) for each in losses.lists], losses.asked, hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_oracle_scores_needs(oracle_scores):
    makes = [
        lambda changes=changes: {"evaluate": Losses(changes), "channels": len(changes)}
        for changes in ([0.5, 0.25, -2.0], [0.75])
    ]
    Contract(gives=Tensor).hold(oracle_scores, *makes)


# --- minimum_weight_scores


def other_weight_scores(weight):
    """What comes out with mistakes that are often made with the mean of a filter's squares."""
    filters, inputs, height, width = weight.shape
    axes, squares = (1, 2, 3), weight.square()
    return {
        "the sum of the squares: divide by I · kH · kW": squares.sum(axes),
        "absolute values in place of squares": weight.abs().mean(axes),
        "the sum of the absolute values": weight.abs().sum(axes),
        "the square of the mean: square first, every weight": weight.mean(axes).square(),
        "the square of the sum: square first, every weight": weight.sum(axes).square(),
        "each kernel's mean squared: square first, every weight": weight.mean((2, 3)).square().mean(1),
        "the squares of the means over the input channels: square first, every weight": (
            weight.mean(1).square().mean((1, 2))
        ),
        "the mean of the weights, not squared": weight.mean(axes),
        "the L2 norm, the root of the sum": squares.sum(axes).sqrt(),
        "the root of the mean": squares.mean(axes).sqrt(),
        "the variance: the mean is not subtracted": weight.flatten(1).var(1, correction=0),
        "the variance, with one weight less": weight.flatten(1).var(1) if weight[0].numel() > 1 else None,
        "the SMALLEST squared weight": squares.amin(axes),
        "the LARGEST squared weight": squares.amax(axes),
        "the median of the squares": squares.flatten(1).median(1).values,
        "the mean over each kernel, summed over the input channels (divide by I too)": squares.mean((2, 3)).sum(1),
        "the kernels' sums, averaged over the input channels (divide by kH · kW too)": squares.sum((2, 3)).mean(1),
        "I · kH · kH weights a filter: kernels need not be square": squares.sum(axes) / (inputs * height * height),
        "I · kW · kW weights a filter: kernels need not be square": squares.sum(axes) / (inputs * width * width),
        "division by the number of ALL weights": squares.sum(axes) / weight.numel(),
        "division by the number of filters": squares.sum(axes) / filters,
        "one weight less in the division": squares.sum(axes) / max(weight[0].numel() - 1, 1),
        "weights of 0 not counted: they are weights too": squares.sum(axes) / (weight != 0).sum(axes).clamp_min(1),
        "one score for each input channel (axis 0 was averaged)": squares.mean((0, 2, 3)),
        "as many scores as there are input channels: weight.shape[0] is the number of filters": (
            squares.mean(axes)[:inputs]
        ),
        "one score for each kernel": squares.mean((2, 3)),
        "one number for all filters": squares.mean(),
        "the axis lost": squares.mean(axes).squeeze(),
        "axes of length 1 left over": squares.mean(axes, keepdim=True),
        "scores divided by their largest": squares.mean(axes) / squares.mean(axes).amax(),
        "minus the score: a high one means keep": -squares.mean(axes),
    }


@pytest.mark.points(1)
def test_the_mean_of_the_squares_of_every_filter(minimum_weight_scores):
    weight = numbers(5, 3, 2, 4) + 0.5
    weight[3] = 0
    weight[:, 1, :, 0] = 0
    hint = (
        "the mean of the squared weights of each filter: of a weight (5, 3, 2, 4) one score for each of the 5 filters,"
    )
    hint += " over all of its 3 · 2 · 4 weights"
    answer = minimum_weight_scores(*expect.copies(weight))
    expect.same(answer, weight.square().mean((1, 2, 3)), hint, mistakes=other_weight_scores(weight))
    hint = "of one filter, a weight (1, 2, 3, 1), one score, in a tensor with one axis"
    small = weight[:1, :2, :1, :3].transpose(2, 3).contiguous()
    answer = minimum_weight_scores(*expect.copies(small))
    expect.same(answer, small.square().mean((1, 2, 3)), hint, mistakes=other_weight_scores(small))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_minimum_weight_scores_needs(minimum_weight_scores):
    makes = [lambda shape=shape: {"weight": numbers(*shape)} for shape in ((4, 3, 3, 2), (1, 2, 1, 1))]
    Contract(gives=Tensor, dtype=True).hold(minimum_weight_scores, *makes)


# --- apoz_scores


def other_shares(activation):
    """What comes out with mistakes that are often made when activations are counted."""
    axes, (examples, channels, height, width) = (0, 2, 3), activation.shape
    alive = (activation != 0).double()
    return {
        "APoZ itself, the share of ZEROS: 1 minus it": 1 - alive.mean(axes),
        "activations above 0 only: negative ones are not zero either": (activation > 0).double().mean(axes),
        "the mean of the signs, in which negative ones cancel positive ones": activation.sign().mean(axes),
        "activations cut to whole numbers first": (activation.trunc() != 0).double().mean(axes),
        "squares compared with 0, which the squares of tiny activations are": (
            (activation.square() != 0).double().mean(axes)
        ),
        "no share for dead channels at the end": alive.mean(axes)[: 1 + int(alive.sum(axes).nonzero().max())],
        "a reshape that mixes channels: bring them to the front first": alive.reshape(channels, -1).mean(1),
        "the mean over those maps only that are not zero everywhere": (
            alive.mean((2, 3)).sum(0) / (alive.amax((2, 3))).sum(0).clamp_min(1)
        ),
        "/ N * H * W without brackets, which multiplies by H and W": alive.sum(axes) / examples * height * width,
        "/ N / H * W: brackets are missing, which multiplies by W": alive.sum(axes) / examples / height * width,
        "activations below 0": (activation < 0).double().mean(axes),
        "the mean activation: its values do not matter": activation.mean(axes),
        "the mean of the absolute activations: their values do not matter": activation.abs().mean(axes),
        "counts, not divided by N · H · W": alive.sum(axes),
        "the sum over examples (divide by N)": alive.mean((2, 3)).sum(0),
        "the sum over positions (divide by H · W)": alive.mean(0).sum((1, 2)),
        "the share of examples in which the channel speaks at all": (alive.amax((2, 3)) != 0).double().mean(0),
        "the share of examples whose LARGEST activation is not zero": (activation.amax((2, 3)) != 0).double().mean(0),
        "the share of examples in which the channel is nowhere zero": alive.amin((2, 3)).mean(0),
        "the share of positions at which the channel speaks at all": alive.amax(0).mean((1, 2)),
        "the mean over positions taken before the comparison": (activation.mean((2, 3)) != 0).double().mean(0),
        "the mean over examples taken before the comparison": (activation.mean(0) != 0).double().mean((1, 2)),
        "division by the number of ALL activations, other channels' too": alive.sum(axes) / activation.numel(),
        "the share of all activations that are not zero": alive.sum(axes) / alive.sum(),
        "percent, from 0 to 100": 100 * alive.mean(axes),
        "N · H · H in place of N · H · W": alive.sum(axes) / (examples * height * height),
        "N · W · W in place of N · H · W": alive.sum(axes) / (examples * width * width),
        "one share for each example": alive.mean((1, 2, 3)),
        "one share for each example and channel": alive.mean((2, 3)),
        "one share for each position": alive.mean((0, 1)),
        "one share for everything": alive.mean(),
        "the median example": alive.mean((2, 3)).median(0).values,
        "the first example only": alive[0].mean((1, 2)),
        "whole numbers: the share is cut off": alive.mean(axes).trunc(),
        "small activations (up to 0.0001 or more) taken for zeros": (activation.abs() > 1e-4).double().mean(axes),
        "small activations (up to 0.000001 or more) taken for zeros": (activation.abs() > 1e-6).double().mean(axes),
        "small activations (up to 0.00000001 or more) taken for zeros": (activation.abs() > 1e-8).double().mean(axes),
        "the axis lost": alive.mean(axes).squeeze(),
        "sums in float16, which are exact up to 2048 only": alive.sum(axes).clamp_max(2048) / (alive[:, 0].numel()),
    }


@pytest.mark.points(1)
def test_the_share_that_is_not_zero(apoz_scores):
    activation = numbers(5, 6, 3, 2).relu()
    activation[:, 0] *= -1
    activation[:, 1, :, 0] = 0
    activation[:, 2], activation[:, 5] = 0, 0
    activation[:, 3, 0, 0] = torch.tensor([1.5, -1.5, 0.0, 0.0, 0.0])  # whose mean over the examples is 0
    activation[1, 4] = torch.tensor([[0.5, -0.5], [0.0, 2.0], [-2.0, 0.0]])  # whose mean over the positions is 0
    activation[0, 1], activation[4, 4] = 0, 1
    early = numbers(5, 6, 3, 2, seed=1).relu()
    activation[0, 2, 1, 1], activation[2, 2, 0, 0], activation[3, 2, 0, 1] = 3e-5, -2e-7, 1e-12
    activation[3, 2, 1, 1] = 1e-30
    hint = (
        "of a channel's N · H · W activations the share that is NOT zero, negative and tiny ones too: of (5, 6, 3, 2)"
    )
    hint += " one share for each of the 6 channels, over 30 activations; 0 for the last one, which is dead"
    apoz_scores(*expect.copies(early))
    answer = apoz_scores(*expect.copies(activation))
    mistakes = other_shares(activation)
    mistakes["those of an EARLIER call counted too"] = (torch.cat([early, activation]) != 0).float().mean((0, 2, 3))
    expect.same(answer, (activation != 0).float().mean((0, 2, 3)), hint, mistakes=mistakes)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_apoz_scores_needs(apoz_scores):
    makes = [lambda shape=shape: {"activation": numbers(*shape).relu()} for shape in ((3, 4, 3, 2), (1, 1, 2, 1))]
    Contract(gives=Tensor).hold(apoz_scores, *makes)


# --- taylor_scores


def other_taylors(activation, gradient):
    """What comes out with mistakes that are often made with Taylor's criterion."""
    effects, axes, positions = activation * gradient, (0, 2, 3), (2, 3)
    examples, channels, height, width = activation.shape
    means = effects.mean(positions)
    scores = means.abs().mean(0)
    active, single = (activation != 0).sum(positions).clamp_min(1), 1 in (examples, channels)
    return {
        "the absolute value INSIDE, at every place: it comes AFTER the mean over positions": effects.abs().mean(axes),
        "the absolute value OUTSIDE: it comes BEFORE the mean over examples": effects.mean(axes).abs(),
        "no absolute value": effects.mean(axes),
        "no absolute value, and the sign turned": -effects.mean(axes),
        "the mean over examples FIRST, then the absolute value at each position": effects.mean(0).abs().mean((1, 2)),
        "the absolute value after the mean over a ROW: it comes after the mean over all positions": (
            effects.mean(3).abs().mean((0, 2))
        ),
        "the absolute value after the mean over a COLUMN: it comes after the mean over all positions": (
            effects.mean(2).abs().mean((0, 2))
        ),
        "0 in place of each example's negative mean: the absolute value is wanted": means.clamp_min(0).mean(0),
        "the sum over positions: divide by H · W": effects.sum(positions).abs().mean(0),
        "the sum over examples, or a gradient times N: take the mean, each row is of its example's OWN loss already": (
            means.abs().sum(0)
        ),
        "sums in place of both means": effects.sum(positions).abs().sum(0),
        "H · H in place of H · W": effects.sum(positions).abs().mean(0) / height**2,
        "W · W in place of H · W": effects.sum(positions).abs().mean(0) / width**2,
        "N - 1 in place of N": means.abs().sum(0) / max(examples - 1, 1),
        "one more division by N: each row belongs to its example's OWN loss already": scores / examples,
        "one more division by the channels": scores / channels,
        "the gradient alone": gradient.mean(positions).abs().mean(0),
        "the activation alone": activation.mean(positions).abs().mean(0),
        "activation plus gradient": (activation + gradient).mean(positions).abs().mean(0),
        "mean activation times mean gradient: multiply at each position first": (
            activation.mean(positions) * gradient.mean(positions)
        ).abs().mean(0),
        "squares in place of absolute values": means.square().mean(0),
        "the squares of the sums": effects.sum(positions).square().mean(0),
        "half the squares of the sums (that is OBD)": 0.5 * effects.sum(positions).square().mean(0),
        "the root of the mean square": means.square().mean(0).sqrt(),
        "squares at every position": effects.square().mean(axes),
        "the activations' absolute values in place of the activations": (
            (activation.abs() * gradient).mean(positions).abs().mean(0)
        ),
        "the gradients' absolute values in place of the gradients": (
            (activation * gradient.abs()).mean(positions).abs().mean(0)
        ),
        "the absolute value of the gradients alone, and none after the mean over positions": (
            (activation * gradient.abs()).mean(axes)
        ),
        "negative activations left out": (activation.relu() * gradient).mean(positions).abs().mean(0),
        "the mean over positions that are not zero, not over all": (effects.sum(positions) / active).abs().mean(0),
        "the largest position in place of their mean": effects.amax(positions).abs().mean(0),
        "the largest example in place of the mean": means.abs().amax(0),
        "the median example in place of the mean": means.abs().median(0).values,
        "scores divided by their l2 norm (that is another exercise)": scores / scores.norm(),
        "scores divided by their sum": scores / scores.sum(),
        "one score for each example: one for each CHANNEL is wanted": means.abs().mean(1),
        "one score for each example and channel: take the mean over examples": means.abs(),
        "one score for each position: one for each CHANNEL is wanted": effects.abs().mean((0, 1)),
        # with one example or one channel that is what squeezing gives, and the tests have asked for more before
        "one number for everything: one for each CHANNEL is wanted": None if single else means.abs().mean(),
        "axes of length 1 squeezed away: name the axes of the mean": means.squeeze().abs().mean(0),
    }  # fmt: skip


def of_both_signs(activation, gradient):
    """The gradient, with other signs for two channels, whose mean effects are negative and positive then."""
    signs, gradient = (activation * gradient).mean((0, 2, 3)).sign(), gradient.clone()
    gradient[:, 0] *= -signs[0]
    gradient[:, 1] *= signs[1]
    return gradient


@pytest.mark.points(2)
def test_one_score_for_each_channel(taylor_scores):
    activation, gradient = numbers(4, 5, 3, 2) + 0.4, numbers(4, 5, 3, 2, seed=1) - 0.2
    activation[activation.abs() < 0.4] = 0
    activation[:, 2] = 0
    gradient = of_both_signs(activation, gradient)
    hint = "mean over examples of | mean over positions of activation · gradient |: of (N, C, H, W) = (4, 5, 3, 2) "
    hint += "one score for each of the 5 CHANNELS, divided by N · H · W = 4 · 3 · 2"
    early = numbers(4, 5, 3, 2, seed=2), numbers(4, 5, 3, 2, seed=3)
    first = expect.tensor(taylor_scores(*expect.copies(*early)), hint)
    answer = taylor_scores(*expect.copies(activation, gradient))
    expected = (activation * gradient).sum((2, 3)).abs().sum(0) / 24
    mistakes = other_taylors(activation, gradient)
    if first.shape == expected.shape:
        mistakes |= {
            "the mean with an EARLIER call": (first + expected) / 2,
            "an EARLIER call's scores added": first + expected,
        }
    expect.same(answer, expected, hint, mistakes=mistakes)


@pytest.mark.points(1)
def test_effects_of_positions_may_cancel(taylor_scores):
    means = torch.tensor([[0.25, -0.75], [0.5, 0.125], [-0.125, -0.375]])
    activation, gradient = with_means(means, height=2, width=4)
    hint = (
        "three examples of two channels; the effects of channel 0 on the first one's loss are "
        f"{expect.show((activation * gradient)[0, 0].flatten())}, together 2, divided by 2 · 4 positions 0.25. The "
        "absolute value comes AFTER the mean over positions"
    )
    answer = taylor_scores(*expect.copies(activation, gradient))
    expect.same(answer, means.abs().mean(0), hint, mistakes=other_taylors(activation, gradient))
    activation, gradient = activation[:1], gradient[:1]
    hint = "ONE example of two channels, the means of whose effects are 0.25 and -0.75: two scores, 0.25 and 0.75"
    answer = taylor_scores(*expect.copies(activation, gradient))
    expect.same(answer, means[0].abs(), hint, mistakes=other_taylors(activation, gradient))


def with_means(means, height, width):
    """An activation and a gradient whose products have these means over the positions, for examples and channels."""
    effects, gradient = numbers(*means.shape, height, width), numbers(*means.shape, height, width, seed=1)
    effects += (means - effects.mean((2, 3)))[..., None, None]
    return effects / gradient, gradient


@pytest.mark.points(1)
def test_effects_of_examples_must_not_cancel(taylor_scores):
    means = torch.tensor([[3.0, -2.0], [-1.0, 0.25], [-0.5, 1.0]])
    activation, gradient = with_means(means, height=4, width=2)
    hint = (
        "three examples; the means of their effects over the positions are 3, -1 and -0.5 for channel 0: what helps "
        "one image must not hide what harms another. The absolute value comes BEFORE the mean over examples: "
        "(3 + 1 + 0.5) / 3"
    )
    answer = taylor_scores(*expect.copies(activation, gradient))
    expect.same(answer, means.abs().mean(0), hint, mistakes=other_taylors(activation, gradient))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_taylor_scores_needs(taylor_scores):
    makes = [
        lambda shape=shape: {"activation": numbers(*shape), "gradient": numbers(*shape, seed=1)}
        for shape in ((3, 4, 3, 2), (1, 1, 2, 1))
    ]
    Contract(gives=Tensor, dtype=True).hold(taylor_scores, *makes)


# --- normalize_per_layer


def layers(answer, names):
    """The answer as a dictionary with these layers."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, dict), f"return a dictionary, with the same layers\n  yours: {answer!r:.200}"
    hint = "the same layers, under the same names, all of them"
    if "earlier" in set(answer) - set(names):
        hint += "; and none of an earlier call, as 'earlier' is"
    expect.equal(sorted(answer), sorted(names), hint)
    return answer


def other_scales(scores, name):
    """What comes out of one layer with mistakes that are often made when layers are brought to one scale."""
    values = scores[name]
    norm, everything = values.norm(), torch.cat(list(scores.values()))
    zeros = torch.zeros_like(values)
    return {
        "one norm over ALL layers": values / everything.norm(),
        "the largest norm of all layers": values / max(each.norm() for each in scores.values()),
        "the sum of the squares without its root": values / norm**2,
        "the root of the MEAN of the squares": values / values.square().mean().sqrt(),
        "the mean of the squares": values / values.square().mean(),
        "the sum in place of the norm": values / values.sum(),
        "the sum of the absolute values, the l1 norm": values / values.abs().sum(),
        "the largest score in place of the norm": values / values.max(),
        "the largest absolute score in place of the norm": values / values.abs().max(),
        "the mean in place of the norm": values / values.mean(),
        "the mean of the absolute values in place of the norm": values / values.abs().mean(),
        "the number of channels in place of the norm": values / len(values),
        "the norm, and the number of channels too": values / norm / len(values),
        "the norm, and the root of the number of channels too": values / norm / len(values) ** 0.5,
        "the root of the norm": values / norm.sqrt(),
        "the norm multiplied, not divided": values * norm,
        "absolute values of the scores: their signs stay": values.abs() / norm,
        "the squares of the scores": values.square() / norm**2,
        "the mean subtracted first": (values - values.mean()) / (values - values.mean()).norm(),
        "mean 0 and standard deviation 1": (values - values.mean()) / values.std(),
        "the standard deviation": values / values.std(),
        "the range from 0 to 1": (values - values.min()) / (values.max() - values.min()),
        "a softmax": values.softmax(0),
        "the scores as they were": values,
        "zeros for a layer whose norm is greater than 0 (ask for the norm; the sum may be 0 or less)": zeros,
        "ones": zeros + 1,
    }


@pytest.mark.points(1)
def test_every_layer_by_its_own_length(normalize_per_layer):
    layers(normalize_per_layer({"earlier": torch.tensor([5.0, 1.0])}), ["earlier"])
    scores = {
        "first": torch.tensor([8.0, 9.0, -12.0]),
        "second": torch.tensor([0.0, 10.0, -0.5, 2.0, -1.0]),
        "third": torch.tensor([-2.0, -0.5, 1.0, 0.0]),
        "cancels": torch.tensor([3.0, -3.0]),
        "one": torch.tensor([-2.0]),
    }
    answer = layers(normalize_per_layer(*expect.copies(scores)), scores)
    for name, values in scores.items():
        hint = f"the scores of layer '{name}', {expect.show(values)}, divided by the layer's OWN l2 norm, "
        hint += f"sqrt(sum s²) = {values.norm():.5g}"
        expect.same(answer[name], values / values.norm(), hint, mistakes=other_scales(scores, name))


@pytest.mark.points(1)
def test_a_layer_of_zeros_keeps_its_zeros(normalize_per_layer):
    sizes = {"smallest": 1e-10, "smaller": 1e-7, "small": 1e-4, "middle": 1.0, "large": 2.0}
    scores = {"dead": torch.zeros(3)} | {name: size * torch.tensor([3.0, -4.0]) for name, size in sizes.items()}
    answer = layers(normalize_per_layer(*expect.copies(scores)), scores)
    hint = "all scores of this layer are 0, and 0 / 0 is not a number: leave the zeros as they are"
    expect.same(answer["dead"], [0.0, 0.0, 0.0], hint)
    hint = "small scores are no zeros: layers of 3e-10 and -4e-10, 3e-7 and -4e-7, 0.0003 and -0.0004, 3 and -4, and "
    hint += "6 and -8; all become 0.6 and -0.8"
    came = torch.cat([expect.same_shape(answer[name], (2,), hint) for name in sizes])
    others = [other_scales(scores, name) | other_guards(scores[name]) for name in sizes]
    mistakes = {words: torch.cat([other[words] for other in others]) for words in others[0]}
    expect.same(came, [0.6, -0.8] * 5, hint, tolerance=1e-2, mistakes=mistakes)


def other_guards(values):
    """What comes out of one layer with other ways to avoid 0 / 0."""
    norm, guards = values.double().norm(), {}
    for small in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1.1920929e-07, 1e-6, 1e-5, 1e-4, 1e-3):
        guards |= {
            f"{small:.5g} added to the norm: ask in its place whether the norm is 0": values / (norm + small),
            f"{small:.5g} added to the sum of the squares: ask in its place whether it is 0": (
                values / (norm.square() + small).sqrt()
            ),
            f"{small:.5g} as the least value of the norm: ask in its place whether it is 0": (
                values / norm.clamp_min(small)
            ),
        }
    for least, most in ((5e-10, 5e-7), (5e-7, 5e-4), (5e-4, 5)):
        words = (
            f"the norm compared with a number from {least:g} to {most:g} in place of 0, and layers below it left out"
        )
        guards[words] = values / norm if norm > least * 1.1 else values
    return guards


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_normalize_per_layer_needs(normalize_per_layer):
    Contract(gives=dict, dtype=True).hold(
        normalize_per_layer, lambda: {"scores": {"first": numbers(4), "dead": torch.zeros(3), "last": numbers(2)}}
    )


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
