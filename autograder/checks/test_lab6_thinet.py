"""Visible tests of lab 6. A test's first argument is the exercise that it grades."""

import contextlib
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from course_utils import artifacts, expect
from course_utils.contracts import Contract


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- sample_contributions


def other_contributions(patches, weight):
    """What comes out with mistakes that are often made with windows and filters."""
    product = patches * weight
    window = product.shape[2] * product.shape[3]
    inside = (patches != 0).sum((2, 3)).clamp(min=1)
    side = min(product.shape[2:])
    right = product.sum((2, 3))
    samples, channels = right.shape
    mistakes = {
        "the mean over the window in place of the sum": product.mean((2, 3)),
        "the mean over the pixels that are not 0, times the size of the window": right * window / inside,
        "the largest product of the window in place of the sum": product.amax((2, 3)),
        "a filter that is turned round, as in a mathematical convolution": (patches * weight.flip(2, 3)).sum((2, 3)),
        "a matrix product of the windows, in which rows of the patch meet all rows of the filter (multiply number by "
        "number)": (patches @ weight.transpose(2, 3)).sum((2, 3)),
        "sums over the windows that are multiplied afterwards": patches.sum((2, 3)) * weight.sum((2, 3)),
        "the first sample's filter for all samples": (patches * weight[:1]).sum((2, 3)),
        "the first sample's patch for all samples": (patches[:1] * weight).sum((2, 3)),
        f"a square window of {side} x {side} pixels (every axis has its own size)": product[:, :, :side, :side].sum(
            (2, 3)
        ),
        "the sum over the rows of the window only": product.sum(2),
        "the sum over the columns of the window only": product.sum(3),
        "the sum over the channels too": product.sum((1, 2, 3)),
        "the sum over the channels, not over the window": product.sum(1),
        "the sum over the samples, not over the window": product.sum(0),
        "channels and samples swapped": right.T,
        "a reshape to (S, window, C), which mixes windows and channels: a reshape swaps no axes, and the order is "
        "(S, C, window)": product.reshape(samples, -1, channels).sum(1),
        "a reshape to (C, S, window), which mixes samples and channels: a reshape swaps no axes, and the order is "
        "(S, C, window)": product.reshape(channels, samples, -1).sum(2).T,
        "the patches alone, without the weights": patches.sum((2, 3)),
        "the weights alone, without the patches": weight.sum((2, 3)),
        "a sum of patch and weight in place of their product": (patches + weight).sum((2, 3)),
        "absolute values of the sums": right.abs(),
        "sums of absolute values": product.abs().sum((2, 3)),
        "absolute weights": (patches * weight.abs()).sum((2, 3)),
        "squares": product.square().sum((2, 3)),
        "numbers below 0 set to 0, as a ReLU does": right.relu(),
        "products below 0 set to 0, as a ReLU does": product.relu().sum((2, 3)),
        "shares of each sample, which add up to 1": right / right.sum(1, keepdim=True),
        "one more axis of size 1": right[..., None],
        "two more axes of size 1": right[..., None, None],
    }
    return mistakes


@pytest.mark.points(1)
def test_what_each_channel_adds_to_each_sample(sample_contributions):
    patches, weight = numbers(6, 4, 2, 3), numbers(6, 4, 2, 3, seed=1)
    patches[:3, :, 0] = 0  # these look over the border
    hint = "x_c = the sum over the window of weight[s, c] · patch[s, c], s a sample with a filter of its own: of "
    hint += "(6, 4, 2, 3) one number for each of 6 samples and 4 channels"
    answer = sample_contributions(*expect.copies(patches, weight))
    mistakes = other_contributions(patches, weight)
    expect.same(answer, (patches * weight).sum((2, 3)), hint, mistakes=mistakes)


@pytest.mark.points(1)
def test_windows_and_samples_of_any_size(sample_contributions):
    for what, shape in {
        "one sample": (1, 4, 3, 2),
        "one channel": (5, 1, 2, 3),
        "one sample and one channel": (1, 1, 3, 3),
        "a layer behind a flatten, with 4 pixels a channel": (5, 3, 4, 1),
        "a convolution of 1 x 1": (4, 3, 1, 1),
    }.items():
        patches, weight = numbers(*shape), numbers(*shape, seed=1)
        hint = f"{what}: patches and weight of {shape} give one number a sample and channel, {shape[:2]}"
        right = (patches * weight).sum((2, 3))
        mistakes = {"squeeze, which drops every axis of size 1: name the axes": right.squeeze()}
        mistakes |= other_contributions(patches, weight)
        expect.same(sample_contributions(*expect.copies(patches, weight)), right, hint, mistakes=mistakes)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_sample_contributions_needs(sample_contributions):
    contract = Contract(gives=Tensor, dtype=True)
    contract.hold(sample_contributions, lambda: {"patches": numbers(5, 4, 3, 2), "weight": numbers(5, 4, 3, 2, seed=1)})
    contract.hold(  # windows that lie in larger images
        sample_contributions,
        lambda: {"patches": numbers(5, 4, 6, 6)[:, :, 1:4, 2:4], "weight": numbers(5, 4, 5, 5, seed=1)[:, :, :3, :2]},
    )


# --- channels_to_remove


def channels(answer, expected, hint, mistakes):
    """That an answer names the right channels in the right order; says what is wrong otherwise."""
    found = channel_numbers(answer)
    said = expect.mistaken(found, mistakes)
    again = next((channel for channel in found if found.count(channel) > 1), None)
    assert again is None or said, (
        f"every channel can go only once, {again} goes again: what marks it as gone must last, whatever later steps "
        f"add to its cost\n  yours: {found}"
    )
    if len(found) != len(expected) and not said:
        hint = f"return the {len(expected)} channels that are REMOVED, yours are {len(found)}: {hint}"
    expect.equal(found, expected, hint, mistakes=mistakes)


def channel_numbers(answer):
    """The channels of an answer, whatever holds them; says what else came."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    try:
        return [int(channel) for channel in answer]
    except (TypeError, ValueError):
        raise AssertionError(f"return a list of channels (whole numbers)\n  yours: {answer!r:.200}") from None


def one_by_one(contributions, count, error, last=False):
    """What is removed where each step takes the channel of the smallest error(removed, channel), of equal ones the
    first, or the last.
    """
    removed = []
    for _ in range(count):
        left = [channel for channel in range(contributions.shape[1]) if channel not in removed]
        left = left[::-1] if last else left
        removed.append(min(left, key=lambda channel: float(error(removed, channel))))
    return removed


def greedy(contributions, count, last=False):
    """The right channels."""
    x = contributions.double()
    return one_by_one(x, count, lambda gone, c: x[:, [*gone, c]].sum(1).square().sum(), last)


def other_removals(contributions, count):
    """What comes out with mistakes that are often made with the greedy choice."""
    x, right = contributions.double(), greedy(contributions, count)
    everything, gram, centred = x.sum(1), x.T @ x, x - x.mean(0)

    def choice(error):
        return one_by_one(x, count, error)

    def error(gone, channel):
        return x[:, [*gone, channel]].sum(1)

    def growth(factor):
        return lambda gone, c: gram[c, c] + factor * gram[c, gone].sum()

    return {
        "each channel judged alone, without those that are gone: the sum over T comes before the square": choice(
            lambda _, c: gram[c, c]
        ),
        "each channel judged alone, by its absolute values": choice(lambda _, c: x[:, c].abs().sum()),
        "the channels that are missed MOST": choice(lambda gone, c: -error(gone, c).square().sum()),
        "the channels that are missed MOST, each alone": choice(lambda _, c: -gram[c, c]),
        "the channels that STAY": [c for c in range(x.shape[1]) if c not in right],
        "the right channels, but sorted in the end: they come in the order in which they go": sorted(right),
        "the right channels in reversed order: the first to go comes first": right[::-1],
        "the best set of all, every set tried: the method is greedy and takes one after the other": best_set(x, count),
        "the factor 2 left out: adding c to T changes the sum by G[c, c] + 2 · (the sum over T of G[c, t])": choice(
            growth(1)
        ),
        "a factor of 3 in place of 2 in what a channel adds to the sum": choice(growth(3)),
        "a minus in place of the plus: G[c, c] − 2 · (the sum over T of G[c, t])": choice(growth(-2)),
        "G[c, t] alone, without G[c, c]": choice(lambda gone, c: gram[c, gone].sum()),
        "only the channel that went last in T, not ALL that are gone": choice(lambda gone, c: growth(2)(gone[-1:], c)),
        "only the channel that went first in T, not ALL that are gone": choice(lambda gone, c: growth(2)(gone[:1], c)),
        "the growth nearest to 0 (an absolute value): the sum may also become SMALLER, which is best": choice(
            lambda gone, c: growth(2)(gone, c).abs()
        ),
        "the sum over the samples before the square: each sample has an error of its own": choice(
            lambda gone, c: error(gone, c).sum().square()
        ),
        "absolute values in place of squares": choice(lambda gone, c: error(gone, c).abs().sum()),
        "the largest error of all samples in place of the sum of squares": choice(
            lambda gone, c: error(gone, c).abs().max()
        ),
        "the mean over the samples subtracted from every channel first": choice(
            lambda gone, c: centred[:, [*gone, c]].sum(1).square().sum()
        ),
        "what STAYS made small, in place of what goes": choice(
            lambda gone, c: (everything - error(gone, c)).square().sum()
        ),
        "positions among the channels that are left, in place of the channels' own numbers": positions_left(x, count),
        "the smallest sum of an EARLIER step as the bound for later ones: each step takes its own smallest": (
            one_bound(x, count)
        ),
    }


def best_set(x, count):
    """The channels of the set whose sum of squares is smallest."""
    sets = itertools.combinations(range(x.shape[1]), count)
    return list(min(sets, key=lambda chosen: x[:, list(chosen)].sum(1).square().sum().item()))


def positions_left(x, count):
    """What is removed where a channel is deleted from the columns and those behind it are renumbered."""
    gone, removed = torch.zeros(len(x), 1, dtype=x.dtype), []
    for _ in range(count):
        removed.append(int((gone + x).square().sum(0).argmin()))
        gone = gone + x[:, removed[-1:]]
        x = x[:, [column for column in range(x.shape[1]) if column != removed[-1]]]
    return removed


def one_bound(x, count):
    """What is removed where the smallest sum so far is not forgotten after each step; the first where none is below."""
    removed, bound = [], torch.inf
    for _ in range(count):
        left = [channel for channel in range(x.shape[1]) if channel not in removed]
        sums = {channel: float(x[:, [*removed, channel]].sum(1).square().sum()) for channel in left}
        best = min(left, key=lambda channel: sums[channel])
        removed.append(best if sums[best] < bound else left[0])
        bound = min(bound, sums[best])
    return removed


@pytest.mark.points(1)
def test_the_first_to_go_is_the_one_that_is_missed_least(channels_to_remove):
    contributions = torch.tensor([[3.0, -2.0, 1.0, 0.5], [1.0, 2.0, -2.0, 0.5]])
    hint = "the sums of squares are 10, 8, 5 and 0.5: channel 3 is missed least, and goes first"
    channels(channels_to_remove(contributions.clone(), 1), [3], hint, other_removals(contributions, 1))
    hint = "the same call once more: remember and draw nothing (a default argument such as `removed=[]` is made once)"
    try:
        again = channel_numbers(channels_to_remove(contributions.clone(), 1))
    except (IndexError, ValueError, TypeError) as error:
        raise AssertionError(f"{hint}\n  yours stopped with {type(error).__name__}: {error}") from None
    expect.equal(again, [3], hint)


@pytest.mark.points(1)
def test_two_that_cancel_go_together(channels_to_remove):
    contributions = torch.tensor([[-4.0, -2.0, 5.0, 4.0, 1.0], [0.0, 1.0, -2.0, -1.0, 3.0]])
    hint = "2 samples, 5 channels, 2 go: channel 1 first (sum of squares 5), then channel 3, with which the sum over "
    hint += "T has the squares (-2 + 4)² + (1 - 1)² = 4; with any other channel it has more"
    channels(channels_to_remove(contributions.clone(), 2), [1, 3], hint, other_removals(contributions, 2))


@pytest.mark.points(1)
def test_all_that_are_gone_count_and_the_order_is_that_in_which_they_go(channels_to_remove):
    contributions = torch.randint(-5, 6, (6, 8), generator=torch.Generator().manual_seed(56)).float()
    hint = "6 samples, 8 channels, 5 go. Each step adds to T the channel c that keeps the sum over the samples of "
    hint += "(sum over T and c)² smallest"
    answer = channels_to_remove(contributions.clone(), 5)
    channels(answer, [5, 2, 4, 1, 0], hint, other_removals(contributions, 5))


@pytest.mark.points(1)
def test_of_equal_channels_the_first_goes(channels_to_remove):
    contributions = torch.tensor([[5.0, 2.0, -1.0, 2.0, 1.0], [0.0, 1.0, 2.0, 1.0, 2.0]])
    right, last = greedy(contributions, 4), greedy(contributions, 4, last=True)
    hint = "channels 1, 2, 3 and 4 all have the sum of squares 5: of equal ones the FIRST goes, and so in every step"
    mistakes = {"the LAST of equal channels": last} | other_removals(contributions, 4)
    channels(channels_to_remove(contributions.clone(), 4), right, hint, mistakes)
    hint = "dead channels are equal too: of three that are 0 on all samples the first goes first, each once"
    dead = torch.zeros(4, 3)
    channels(channels_to_remove(dead.clone(), 3), [0, 1, 2], hint, {"the LAST of equal channels": [2, 1, 0]})


@pytest.mark.points(1, alone=False)
def test_none_and_all_and_more_than_there_are(channels_to_remove):
    contributions = numbers(9, 6, seed=108)
    mistakes = other_removals(contributions, 6)
    channels(channels_to_remove(contributions.clone(), 0), [], "count 0: nothing is removed, an empty list", {})
    hint = "count 6 of 6: all of them go; only for MORE than there are raise ValueError"
    try:
        answer = channels_to_remove(contributions.clone(), 6)
    except ValueError as error:
        raise AssertionError(f"{hint}\n  yours stopped with ValueError: {error}") from None
    channels(answer, greedy(contributions, 6), hint, mistakes)
    channels(channels_to_remove(contributions[:, :1].clone(), 1), [0], "one channel, one goes", {})
    row = torch.tensor([[4.0, 2.0, 1.0, 3.0]])
    hint = "one sample in which all channels have the same sign: the smallest goes first, then the next. Only fewer "
    hint += "CHANNELS than `count`, columns, are a ValueError: fewer samples are none"
    try:
        answer = channels_to_remove(row.clone(), 3)
    except ValueError as error:
        raise AssertionError(f"{hint}\n  yours stopped with ValueError: {error}") from None
    channels(answer, [2, 1, 3], hint, other_removals(row, 3))
    hint = "7 of 6 channels cannot go: raise ValueError if there are fewer channels than `count`"
    expect.raises(ValueError, hint, channels_to_remove, contributions.clone(), 7)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_channels_to_remove_needs(channels_to_remove):
    def removed(contributions, count):
        return expect.whole_numbers(channels_to_remove(contributions, count))

    for count in (3, 0):
        Contract(gives=list).hold(removed, lambda count=count: {"contributions": numbers(9, 5), "count": count})


# --- least_squares_scale


def scale_of(answer, kept, hint):
    """The answer as a vector of finite numbers, in double precision."""
    came = expect.tensor(answer, hint)
    words = "return a vector: one factor for each of the {} kept channels\n  yours is a column, (K, 1): take [:, 0]"
    assert tuple(came.shape) != (kept, 1), words.format(kept)
    scale = expect.same_shape(came, (kept,), f"one factor for each of the {kept} kept channels, dead ones too").double()
    assert bool(torch.isfinite(scale).all()), f"{hint}\n  yours holds infinite or undefined factors: {scale.tolist()}"
    return scale


def residual(contributions, target, scale):
    return (target.double() - contributions.double() @ scale).square().sum().item()


def best_scale(contributions, target):
    """The factors that fit best where only one choice does, in double precision."""
    return torch.linalg.lstsq(contributions.double(), target.double()[:, None]).solution[:, 0]


def other_scales(contributions, target):
    """What comes out with mistakes that are often made with least squares."""
    x, y, best = contributions.double(), target.double(), best_scale(contributions, target)
    total, power = x.sum(1), x.square().sum(0)
    return {
        "each channel fitted for itself, as if the others were not there": x.T @ y / power,
        "each channel fitted for itself to the REST, target - X·1, as if the others kept the factor 1: one system of "
        "equations holds for all of them": 1 + x.T @ (y - total) / power,
        "one factor for all channels": (total @ y / (total @ total)).expand(len(best)),
        "the ratio of the means of target and kept sum, for all channels": (y.mean() / total.mean()).expand(len(best)),
        "ones: nothing is scaled": torch.ones_like(best),
        "the CHANGE of the factors, without the 1 that it is added to": best - 1,
        "1 added to the factors that fit the whole target (1 belongs to what fits the REST, target - X·1)": best + 1,
        "the change subtracted from 1 in place of added": 2 - best,
        "factors below 0 set to 0": best.clamp(min=0),
        "absolute values of the factors": best.abs(),
        "a constant fitted as well, for which the layer has no room (to subtract the means first is the same)": (
            best_scale(x - x.mean(0), y - y.mean())
        ),
        "lstsq(target, contributions): the arguments are in each other's place": x.T @ y / (y @ y),
        "Xᵀy, without the inverse of XᵀX": x.T @ y,
        "the inverse of the right factors": 1 / best,
        "least squares without the last sample": best_scale(x[:-1], y[:-1]),
        "factors that are divided by their sum": best / best.sum(),
        "factors that are divided by the largest": best / best.max(),
        "factors that are divided by their mean, so that they are 1 on average": best / best.mean(),
    }


def ridge(contributions, target, scale):
    """A mistake in words → the answer, if a ridge gives it: then Xᵀ(y - X w) is a multiple of w, or of w - 1."""
    x, y = contributions.double(), target.double()
    rest = x.T @ (y - x @ scale)
    for pulled in (scale, scale - 1):
        size = float(rest @ pulled / (pulled @ pulled).clamp(min=1e-30))
        off = (rest - size * pulled).abs().max()
        if size > 0 and off <= 1e-3 * rest.abs().max() and off <= 1e-2 * size * pulled.abs().max():
            return {f"a ridge: about {size:.3g} added to the diagonal of XᵀX, which pulls the factors away": scale}
    return {}


def cut_off(contributions, target):
    """What comes out where small singular values count as zero."""
    x, y = contributions.double(), target.double()
    for share in (0.1, 1e-3):
        words = f"singular values below {share:.1%} of the largest taken for 0 (rcond): weak channels are not fitted"
        inverse = torch.linalg.pinv(x, rtol=share)
        yield words, inverse @ y
        yield words + ", they keep the factor 1", 1 + inverse @ (y - x.sum(1))


FACTORS = [2.0, -1.0, 0.5]


@pytest.mark.points(1)
def test_the_factors_that_are_known(least_squares_scale):
    contributions = numbers(40, 3) + 0.5 * numbers(40, 1, seed=1)
    factors = torch.tensor(FACTORS)
    target = contributions @ factors
    hint = "the target is 2 times channel 0, minus channel 1, plus half of channel 2: these are the factors"
    scale = scale_of(least_squares_scale(*expect.copies(contributions, target)), 3, hint)
    mistakes = other_scales(contributions, target) | ridge(contributions, target, scale)
    expect.same(scale, factors.double(), hint, tolerance=1e-4, mistakes=mistakes)
    contributions = contributions.double() * torch.tensor([1.0, 100.0, 0.01]).double()
    target = contributions @ factors.double()
    hint = (
        "the same with channel 1 a hundred times as large and channel 2 a hundredth: weak channels are fitted as well"
    )
    scale = scale_of(least_squares_scale(*expect.copies(contributions, target)), 3, hint)
    mistakes = dict(cut_off(contributions, target)) | ridge(contributions, target, scale)
    expect.same(scale, factors.double(), hint, tolerance=1e-2, mistakes=mistakes)


@pytest.mark.points(1)
def test_nothing_comes_closer(least_squares_scale):
    everything = numbers(60, 8) + 0.4 + 0.7 * numbers(60, 1, seed=1)
    contributions, target = everything[:, :5], everything.sum(1)
    best = best_scale(contributions, target)
    hint = "5 of 8 channels are kept, and stand for all: min over w of ||target - X w||²"
    scale = scale_of(least_squares_scale(*expect.copies(contributions, target)), 5, hint)
    came, least = residual(contributions, target, scale), residual(contributions, target, best)
    mistakes = other_scales(contributions, target) | dict(cut_off(contributions, target))
    mistakes |= ridge(contributions, target, scale)
    hint += f"; the sum of squared errors can be {least:.2f}, with your factors it is {came:.2f}"
    expect.same(scale, best, hint, tolerance=1e-3, mistakes=mistakes)


SINGULAR = (
    "XᵀX is singular: it has no inverse, nor a Cholesky factor, and the driver 'gels' does not take X either; "
    "torch.linalg.lstsq with driver='gelsd' does"
)


def singular_scale(least_squares_scale, contributions, target, what, undefined=""):
    """The factors of a problem of which many are the best; says what is the matter where yours stops or overflows."""
    why = f"{what}{undefined}: {SINGULAR}"
    try:
        answer = least_squares_scale(*expect.copies(contributions, target))
    except NotImplementedError:
        raise
    except (RuntimeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        raise AssertionError(f"{why}\n  yours stopped with {said}") from None
    return scale_of(answer, contributions.shape[1], why)


def met(least_squares_scale, contributions, target, what):
    """That factors of a moderate size meet a target which can be met."""
    scale = singular_scale(least_squares_scale, contributions, target, what)
    error, largest = residual(contributions, target, scale), scale.abs().max().item()
    if error / float(target.double().square().sum()) < 1e-6 and largest < 1e4:
        return
    said = [f"{what}: many factors meet the target exactly, some of them of ordinary size"]
    said.append(f"your squared error: {error:.3g}, your largest factor: {largest:.3g}")
    said.append(expect.mistaken(scale, other_scales(contributions, target) | ridge(contributions, target, scale)))
    if not said[-1] and fits(least_squares_scale):
        said[-1] = f"where one choice alone fits best, yours finds it. Here it is otherwise, and {SINGULAR}"
    raise AssertionError("\n  ".join(filter(None, said)))


def fits(least_squares_scale):
    """Whether an answer is right where only one choice of factors fits best."""
    contributions, factors = numbers(40, 3), torch.tensor(FACTORS)
    came = torch.as_tensor(least_squares_scale(contributions.clone(), contributions @ factors)).detach()
    return expect.alike(came, factors)


@pytest.mark.points(1)
def test_a_dead_channel_and_fewer_samples_than_channels(least_squares_scale):
    everything = (16 * numbers(60, 6)).round() / 16  # sums without rounding
    everything[:, 2] = 0
    everything[0, 1] = 0
    everything[30:, 1] = -everything[:30, 1]
    contributions, target = everything[:, :4], everything.sum(1)
    what = "channel 2 is 0 on all samples"
    undefined = " (what is divided by its length, or its sum of squares, is undefined)"
    scale = singular_scale(least_squares_scale, contributions, target, what, undefined)
    alive = [0, 1, 3]
    best = best_scale(contributions[:, alive], target)
    mistakes = other_scales(contributions[:, alive], target) | ridge(contributions[:, alive], target, scale[alive])
    outer = contributions[:, [0, 3]]
    for factor in (1, 0):
        first, last = best_scale(outer, target - factor * contributions[:, 1]).tolist()
        words = f"channel 1 taken for dead (it keeps the factor {factor}): dead is what is 0 on ALL samples"
        mistakes[words] = torch.tensor([first, factor, last])
    hint = f"{what}; the factors of the others are those that fit best without it. (Channel 1 adds up to 0 over the "
    hint += "samples, and is 0 on the first, but speaks)"
    expect.same(scale[alive], best, hint, tolerance=1e-3, mistakes=mistakes)
    for seed in range(6):  # rounding can hide that XᵀX is singular, but hardly each time
        contributions = numbers(4, 7, seed=seed)
        what = "4 samples and 7 channels"
        if seed > 2:
            contributions[:, 5] = contributions[:, 2]
            what += ", of which 2 and 5 are the same"
        target = contributions @ numbers(7, seed=seed + 3)
        met(least_squares_scale, contributions, target, what)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_least_squares_scale_needs(least_squares_scale):
    hint = "return the factors"

    def make():
        everything = numbers(30, 6) + 0.5 * numbers(30, 1, seed=1)
        return {"contributions": everything[:, :4].clone(), "target": everything.sum(1)}

    Contract(gives=Tensor).hold(lambda *arguments: expect.tensor(least_squares_scale(*arguments), hint), make)


# --- rescale_inputs


def layer_with(layer, seed=0):
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed + number)
    return layer


def rescaled(weight, scale):
    """A weight of which everything read of channel c is multiplied by scale[c]."""
    return (weight.reshape(len(weight), len(scale), -1) * scale[:, None]).reshape(weight.shape)


def other_rescalings(weight, scale):
    """What a weight becomes with mistakes that are often made."""
    right = rescaled(weight, scale)

    def norm(values):
        return values.flatten(1).norm(dim=1).view(-1, *[1] * (weight.ndim - 1))

    columns = weight.reshape(len(weight), -1)
    pixels = columns.shape[1] // len(scale)
    side = math.isqrt(pixels)
    single, first, square = columns.clone(), columns.clone(), columns.clone().reshape(len(weight), len(scale), -1)
    square[:, :, : side * side] *= scale[:, None]
    single[:, ::pixels] *= scale
    first[:, : len(scale)] *= scale
    filters = scale.repeat(len(weight))[: len(weight)].view(-1, *[1] * (weight.ndim - 1))
    some = scale.clone()
    some[len(weight) :] = 1  # as many as there are filters
    numbers_of, maps = ("columns", "feature maps") if weight.ndim == 2 else ("numbers of each filter", "windows")
    mistakes = {
        "no change of the layer's own weight, as where a copy is scaled": weight,
        "the FILTERS scaled (axis 0), in place of what they read": weight * filters,
        "division in place of multiplication": rescaled(weight, 1 / scale),
        "addition in place of multiplication": rescaled(weight, torch.zeros_like(scale))
        + rescaled(torch.ones_like(weight), scale),
        "the factors themselves in place of scaled weights": rescaled(torch.ones_like(weight), scale),
        "absolute values of the factors": rescaled(weight, scale.abs()),
        "factors below 0 set to 0": rescaled(weight, scale.relu()),
        "factors of 0 left out, as if they were none": rescaled(weight, torch.where(scale == 0, 1, scale)),
        "the square roots of the factors": rescaled(weight, scale.sqrt()),
        "the factors applied twice": rescaled(right, scale),
        "the mean of the factors for all channels": weight * scale.mean(),
        "the factors in reversed order": rescaled(weight, scale.flip(0)),
        "factors divided by their mean": rescaled(weight, scale / scale.mean()),
        "every filter brought back to the norm that it had": right * (norm(weight) / norm(right)),
        f"only the first {len(weight)} channels scaled, as many as there are filters": rescaled(weight, some),
        "the factors dealt out in turn along each filter, as for the order (filters, window, channels): all that is "
        "read of one channel lies side by side": (columns * scale.repeat(pixels)).reshape(weight.shape),
        f"only one of the {pixels} {numbers_of} for every channel scaled": single.reshape(weight.shape),
        f"only the first {len(scale)} {numbers_of} scaled": first.reshape(weight.shape),
        f"square {maps} of {side} x {side} pixels, so that some of the {pixels} {numbers_of} for every channel are "
        "not scaled": square.reshape(weight.shape),
    }
    if weight.numel() % len(scale) == 0:
        parts = weight.reshape(len(scale), -1) * scale[:, None]
        words = (
            "the weight cut into one piece a channel along its FIRST axis (`view(C, -1)`), which holds the filters: "
        )
        mistakes[words + "the channels are on the second"] = parts.reshape(weight.shape)
    return {words: value for words, value in mistakes.items() if bool(torch.isfinite(value).all())}


def rescales(rescale_inputs, layer, scale, hint):
    """That a layer's weight is rescaled and its bias is not."""
    weight = layer.weight.detach().clone()
    bias = None if layer.bias is None else layer.bias.detach().clone()
    rescale_inputs(layer, scale.clone())
    expect.same(layer.weight, rescaled(weight, scale), hint, mistakes=other_rescalings(weight, scale))
    if bias is not None:
        mistakes = {"the bias times the mean of the factors": bias * scale.mean()}
        if len(bias) == len(scale):
            mistakes["the bias times the factors"] = bias * scale
        hint = "the bias is added after the sum over the inputs: it is not scaled"
        expect.same(layer.bias, bias, hint, mistakes=mistakes)


@pytest.mark.points(1)
def test_the_input_slices_of_a_convolution(rescale_inputs):
    scale = torch.tensor([2.0, 0.3, -1.5, 0.7])
    hint = (
        "in place, the input slice weight[:, c] is multiplied by scale[c] = 2, 0.3, -1.5, 0.7; here a convolution of "
    )
    hint += "weight (4, 4, 3, 2)"
    try:
        rescales(rescale_inputs, layer_with(nn.Conv2d(4, 4, (3, 2))), scale, hint)
    except RuntimeError as error:
        rescale_inputs(layer_with(nn.Conv2d(4, 4, 3)), scale.clone())
        words = "for a kernel of 3 x 3 it does not stop: each direction has its own size"
        raise AssertionError(f"{hint}\n  yours stopped with {type(error).__name__}: {error}\n  {words}") from None
    hint = hint.replace("(4, 4, 3, 2)", "(2, 4, 1, 3), without a bias")
    rescales(rescale_inputs, layer_with(nn.Conv2d(4, 2, (1, 3), bias=False)), scale, hint)
    hint = "a factor of 0 silences its channel; here a convolution of weight (3, 4, 2, 2)"
    rescales(rescale_inputs, layer_with(nn.Conv2d(4, 3, 2)), torch.tensor([1.0, 0.0, 0.0, -2.0]), hint)


@pytest.mark.points(1)
def test_the_columns_of_a_linear_layer(rescale_inputs):
    scale = torch.tensor([2.0, 0.3, -1.5])
    hint = "behind a flatten channel c owns neighbouring columns; with 2 x 3 pixels a channel columns 6c to 6c + 5 are "
    hint += "multiplied by scale[c] = 2, 0.3, -1.5, in place"
    rescales(rescale_inputs, layer_with(nn.Linear(18, 5)), scale, hint)
    hint = "with one pixel a channel, column c is multiplied by scale[c]"
    rescales(rescale_inputs, layer_with(nn.Linear(3, 3, bias=False)), scale, hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_rescale_inputs_needs(rescale_inputs):
    def rescale(layer, scale):
        rescale_inputs(layer, scale)

    lying = layer_with(nn.Conv2d(3, 4, (3, 2))).to(memory_format=torch.channels_last)
    hint = "a weight in channels_last, as the course's training leaves it, is scaled in place as well: `contiguous`, "
    hint += "`reshape` and `flatten` may give a COPY of it, and who scales that leaves the layer as it was"
    with contextlib.suppress(RuntimeError):  # what stops is told below
        rescales(rescale_inputs, lying, numbers(3, seed=9), hint)
    contract = Contract(changes=("layer",))
    contract.hold(rescale, lambda: {"layer": layer_with(nn.Conv2d(3, 4, (3, 2))), "scale": numbers(3, seed=9)})
    contract.hold(rescale, lambda: {"layer": layer_with(nn.Linear(12, 5)), "scale": numbers(3, seed=9)})
    for name, layer in {"a convolution": nn.Conv2d(3, 2, 3, bias=False), "a linear layer": nn.Linear(6, 2)}.items():
        layer, scale = layer_with(layer).requires_grad_(False), numbers(3, seed=9)
        (same,) = expect.copies(layer)
        rescale(same, scale.clone())
        rescale(layer, scale.double())
        hint = f"{name} of float32 stays float32 where the factors are float64, as least squares may give them"
        expect.equal(layer.weight.dtype, torch.float32, hint)
        expect.same(
            layer.weight, same.weight, f"{name} of float32 becomes the same with factors of float32 and float64"
        )
        assert not layer.weight.requires_grad, f"{name} that is not trained (requires_grad=False) is trained afterwards"
        layer, scale = layer_with(layer).double(), scale.double() / 3
        expected = rescaled(layer.weight.clone(), scale)
        rescale(layer, scale)
        if expect.alike(layer.weight, expected):
            hint = f"{name} of float64 and factors of float64 are multiplied in float64"
            mistakes = {"float32 on the way, to which numbers are rounded": expected}
            expect.same(layer.weight, expected, hint, mistakes=mistakes)


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
