"""Visible tests of lab 2. A test's first argument is the exercise that it grades."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import artifacts, expect
from course_utils.contracts import Contract
from course_utils.networks import vgg_mini
from solutions.training_step import training_step


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small_network(seed=0):
    """A network with batch norms, whose weights are all different from zero."""
    return vgg_mini(widths=(4, 6), classes=3, seed=seed)


def some_masks(network, seed=0, share=0.6):
    chance = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(parameter.shape, generator=chance) > share
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1
    }


def batch(seed=0):
    return numbers(6, 3, 32, 32, seed=seed), torch.arange(6) % 3


def accepted(call, hint):
    """What a call gives; an AssertionError with the hint where it stops: for inputs that the hint has to explain."""
    try:
        return call()
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if type(error).__module__ != "builtins" or isinstance(error, NotImplementedError):
            raise
        raise AssertionError(f"{hint}\n  yours stopped with {type(error).__name__}: {error}") from None


# --- magnitude_mask


def zeros_and_ones(answer, shape, hint):
    """A mask as a bool tensor of this shape; True and False, or 1 and 0: the contract minds the dtype."""
    mask = expect.same_shape(answer, shape, hint)
    values = set(mask.double().unique().tolist())
    assert values <= {0.0, 1.0}, (
        f"a mask holds True and False (or 1 and 0) only: it says what stays\n  yours: {expect.show(mask)}"
    )
    return mask.bool()


def floor(share, count):
    return math.floor(share * count + 1e-9)


def without_lowest(scores, count):
    """A mask without the `count` lowest scores."""
    mask = torch.ones(scores.numel(), dtype=torch.bool)
    mask[scores.flatten().argsort(stable=True)[:count]] = False
    return mask.view(scores.shape)


def other_masks(weight, share):
    """What comes out with mistakes that are often made with the smallest weights."""
    sizes, gone = weight.abs(), floor(share, weight.numel())
    filters = sizes.flatten(1) if weight.ndim > 1 else sizes[None]
    each = torch.stack([without_lowest(row, floor(share, row.numel())) for row in filters]).view(weight.shape)
    right, order = without_lowest(sizes, gone), sizes.flatten().argsort()
    return {
        "no absolute values, so that large negative weights go first": without_lowest(weight, gone),
        "True for what goes, False for what stays": ~right,
        "the LARGEST magnitudes removed": without_lowest(-sizes, gone),
        "`sparsity` taken for the share that stays": without_lowest(sizes, floor(1 - share, weight.numel())),
        "the share taken from each filter, in place of the weight as a whole": each,
        "the order of argsort taken for ranks": (order >= gone).view(weight.shape),
        "squares, which are all 0 for weights so small": without_lowest(sizes.square(), gone),
        "float32 on the way, in which weights so close are equal": without_lowest(sizes.float(), gone),
        "`sparsity` taken for the threshold": sizes > share,
        "a threshold of sparsity times the largest magnitude": sizes > share * sizes.max(),
    }


def compare_mask(magnitude_mask, weight, share, hint):
    answer = zeros_and_ones(magnitude_mask(weight.clone(), share), weight.shape, "the mask has its weight's shape")
    expected = without_lowest(weight.abs(), floor(share, weight.numel()))
    expect.same(answer, expected, hint, mistakes=other_masks(weight, share))


@pytest.mark.points(1)
def test_the_smallest_magnitudes_go(magnitude_mask):
    hint = "a weight (4, 3, 2, 3) at sparsity 0.4: the mask is False for the 28 smallest |w| of all 72, True for others"
    compare_mask(magnitude_mask, numbers(4, 3, 2, 3), 0.4, hint)
    hint = "weights of about 1e-30, whose squares are all 0 in float32: the mask is False where |w| is smallest"
    compare_mask(magnitude_mask, numbers(4, 5, seed=1) * 1e-30, 0.4, hint)
    hint = "float64 weights around 1 that differ by about 1e-12: the mask is False where |w| is smallest"
    compare_mask(magnitude_mask, 1 + numbers(4, 5, seed=2).double() * 1e-12, 0.4, hint)


def floor_in_float32(share, count):
    return int(torch.floor(torch.tensor(share, dtype=torch.float32) * count + 1e-9))


def other_counts(share, count):
    """How many stay with other ways of rounding."""
    return {
        "round(sparsity * N)": count - round(share * count),
        "sparsity * N rounded up, as where what STAYS is rounded down": count - math.ceil(share * count - 1e-9),
        "floor(sparsity * N) without the 1e-9": count - math.floor(share * count),
        "sparsity * N in float32, which is too coarse for the 1e-9": count - floor_in_float32(share, count),
        "`sparsity` taken for the share that stays": floor(share, count),
    }


@pytest.mark.points(1)
@pytest.mark.parametrize(
    "cases",
    [[(0.38, (5, 2, 3, 3))], [(0.28, (5, 2, 3)), (0.33, (5, 2, 3, 3))], [(0.7, (5, 2, 3, 3)), (0.53, (4, 5, 5))]],
    ids=["34 of 90", "29 of 90", "63 of 90 and 53 of 100"],
)
def test_exactly_so_many_go(magnitude_mask, cases):
    ruled_out = []
    for share, shape in cases:
        mask = zeros_and_ones(magnitude_mask(numbers(*shape), share), shape, "the mask has its weight's shape")
        count, gone = mask.numel(), floor(share, mask.numel())
        hint = (
            f"of {count} weights at sparsity {share}, floor({share} * {count} + 1e-9) = {gone} go and {count - gone} "
        )
        hint += "stay; how many do"
        mistakes = {words: stay for words, stay in other_counts(share, count).items() if words not in ruled_out}
        expect.equal(int(mask.sum()), count - gone, hint, mistakes=mistakes)
        ruled_out += [words for words, stay in mistakes.items() if stay != count - gone]


@pytest.mark.points(1)
def test_equal_weights_and_zeros(magnitude_mask):
    weight = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 2.0])
    hint = "of 1, -1, 1, -1, 1, 2 exactly half go, though five are equally large: argsort tells them apart, a threshold"
    hint += " does not. How many stay, and whether 2 does"
    mask = zeros_and_ones(magnitude_mask(weight.clone(), 0.5), (6,), "the mask has the shape of its weight")
    mistakes = {
        "a threshold, which takes all equal ones": (1, True),
        "a threshold, which keeps all equal ones": (6, True),
    }
    expect.equal((int(mask.sum()), bool(mask[5])), (3, True), hint, mistakes=mistakes)
    weight = torch.tensor([0.0, 0.0, 0.3, 0.0, 0.5, -2.0, 0.0, 3.0, 0.0, -1.0])
    for share in (0.2, 0.7):
        mask = zeros_and_ones(magnitude_mask(weight.clone(), share), (10,), "the mask has the shape of its weight")
        gone = floor(share, 10)
        hint = f"10 weights of which 5 are zero already, sparsity {share}: {gone} go, zeros first; how many stay"
        mistakes = {
            "the share taken of those that are not zero, and all zeros removed besides": 5 - floor(share, 5),
            "the share taken of those that are not zero, zeros among what goes": 10 - floor(share, 5),
            "a threshold, which takes all zeros": 5 if share < 0.5 else 3,
        }
        expect.equal(int(mask.sum()), 10 - gone, hint, mistakes=mistakes)
        kept = weight.abs() >= (0.3 if gone <= 5 else 1)
        assert bool(mask[kept].all()), f"{hint}; the largest magnitudes stay\n  yours: {mask.tolist()}"


@pytest.mark.points(1)
def test_nothing_or_all_goes(magnitude_mask):
    for share, stay in ((0.0, 24), (1.0, 0), (0, 24), (1, 0)):
        hint = f"at sparsity {share} {stay} of 24 weights stay"
        answer = accepted(lambda share=share: magnitude_mask(numbers(4, 6), share), hint)
        mask = zeros_and_ones(answer, (4, 6), "the mask has the shape of its weight")
        ends = {
            0: "[-stay:] of those sorted, for [-0:] is everything",
            24: "[:-gone] of those sorted: [:-0] is nothing",
        }
        expect.equal(int(mask.sum()), stay, hint, mistakes={ends[stay]: 24 - stay})


@pytest.mark.points(1, alone=False)
def test_a_sparsity_out_of_range_is_an_error(magnitude_mask):
    for share in (-0.1, 1.5, float("nan")):
        hint = f"sparsity {share} makes no sense: raise ValueError for anything outside 0…1"
        expect.raises(ValueError, hint, magnitude_mask, torch.arange(1.0, 5.0), share)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_magnitude_mask_needs(magnitude_mask):
    for share in (0.5, 0.0):
        Contract(gives=Tensor).hold(
            magnitude_mask, lambda share=share: {"weight": numbers(4, 3, 3, 2), "sparsity": share}
        )
    expect.equal(magnitude_mask(numbers(4, 3), 0.5).dtype, torch.bool, "a mask is a tensor of bool: True and False")


# --- sparsity


def zeros_and_weights(parameters):
    """How many zeros, and how many numbers in all."""
    parameters = list(parameters)
    return sum(int((weight == 0).sum()) for weight in parameters), sum(weight.numel() for weight in parameters)


def share_of(parameters):
    zeros, count = zeros_and_weights(parameters)
    return zeros / count if count else 0.0


def other_sparsities(network):
    """What comes out with mistakes that are often made when zeros are counted."""
    every = list(network.parameters())
    weights = [weight for weight in every if weight.ndim > 1]
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    zeros, count = zeros_and_weights(weights)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    without_norms = {
        id(p): p
        for layer in network.modules()
        for name, p in layer.named_parameters(recurse=False)
        if layer not in norms and "bias" not in name
    }
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    near = sum(int(torch.isclose(weight, torch.zeros_like(weight)).sum()) for weight in weights)
    of_layers = [p for layer in network.modules() for p in layer.parameters(recurse=False) if p.ndim > 1]
    top = {id(m.weight): m.weight for m in network.children() if isinstance(m, (nn.Conv2d, nn.Linear))}
    shares = {
        "the mean of the layers' shares (count all zeros, and divide once)": sum(share_of([w]) for w in weights)
        / len(weights),
        "the share that is NOT zero": 1 - zeros / count,
        "the number of zeros, in place of their share": zeros,
        "per cent, in place of a share": 100 * zeros / count,
        "zeros divided by what is not zero": zeros / max(1, count - zeros),
        "all parameters counted, biases and batch norms too": share_of(every),
        "the weights' zeros divided by the number of ALL parameters": zeros / zeros_and_weights(every)[1],
        "all parameters' zeros divided by the number of weights": zeros_and_weights(every)[0] / count,
        "every parameter called weight counted, those of batch norms too": share_of(
            p for name, p in network.named_parameters() if name.endswith("weight")
        ),
        "all counted but biases and BatchNorm2d, so the weights of other norms too": share_of(without_norms.values()),
        "only parameters called weight counted, no other matrices": share_of(
            p for name, p in network.named_parameters() if p.ndim > 1 and name.endswith("weight")
        ),
        "only layers without children counted, not what a larger module owns itself": share_of(
            {id(p): p for layer in leaves for p in layer.parameters() if p.ndim > 1}.values()
        ),
        "weights with three or five axes left out (more than one axis counts)": share_of(
            w for w in weights if w.ndim in (2, 4)
        ),
        "every index of nonzero() counted: it gives one for each axis of each weight": 1
        - sum(int((w != 0).sum()) * w.ndim for w in weights) / count,
        "float32 on the way, in which small float64 weights are 0": share_of(w.float() for w in weights),
        "squares, which are 0 for small weights": share_of(w.square() for w in weights),
        "only Conv2d and Linear counted, no other convolutions": share_of(
            {id(layer.weight): layer.weight for layer in layers}.values()
        ),
        "only layers at the top counted, not those inside others": share_of(top.values()),
        "only convolutions counted": share_of(w for w in weights if w.ndim > 2),
        "only linear layers counted": share_of(w for w in weights if w.ndim == 2),
        "buffers with two axes counted as weights (state_dict() holds them, parameters() does not)": share_of(
            [*weights, *(b for b in network.buffers() if b.ndim > 1)]
        ),
        "a shared weight counted twice": share_of(of_layers),
        "only parameters that require gradients counted": share_of(w for w in weights if w.requires_grad),
        "numbers close to 0 counted as zeros": near / count,
        "a result rounded to two digits": round(zeros / count, 2),
        "a result rounded to three digits": round(zeros / count, 3),
        "whole-number division": zeros // count,
    }
    return {words: value for words, value in shares.items() if abs(value - zeros / count) > 1e-6}


def compare_sparsity(sparsity, network, hint, mistakes=None):
    zeros, count = zeros_and_weights(weight for weight in network.parameters() if weight.ndim > 1)
    hint = f"{hint}: {zeros} of {count} weights are zero"
    expected, options = zeros / count, {**other_sparsities(network), **(mistakes or {})}
    came = expect.number(sparsity(network), hint)
    expect.same(came, expected, hint, tolerance=1e-6, mistakes=options)


def filled(network, zeros, seed=0):
    """A network without zeros but for the first `zeros` numbers of each weight."""
    with torch.no_grad():
        for place, parameter in enumerate(network.parameters()):
            parameter.copy_(numbers(*parameter.shape, seed=seed + place).abs() + 0.1)
            if parameter.ndim > 1:
                parameter.flatten()[: zeros + place] = 0.0
    return network


@pytest.mark.points(1)
def test_zeros_of_all_layers_are_counted(sparsity):
    first = filled(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(2, 41, bias=False)), zeros=4)
    compare_sparsity(sparsity, first, "a convolution (2, 1, 3, 3) and a linear layer (41, 2)")
    second = filled(
        nn.Sequential(nn.Sequential(nn.Conv2d(3, 5, 3, bias=False)), nn.Linear(20, 150, bias=False)), zeros=1
    )
    both = share_of([*first.parameters(), *second.parameters()])
    words = {"the network of an earlier call counted as well (remember and draw nothing)": both}
    hint = "a convolution (5, 3, 3, 3) inside another Sequential, and a linear layer (150, 20)"
    compare_sparsity(sparsity, second, hint, words)


def kinds_of_networks():
    """Networks by what is particular about their parameters."""
    norms = filled(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 4)), zeros=5)
    for place, part in ((0, "bias"), (1, "bias"), (2, "bias")):
        getattr(norms[place], part).data.zero_()
    norms[1].weight.data[0] = 0.0
    frozen = filled(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6)), zeros=7)
    frozen[1].weight.requires_grad = False
    shared = filled(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)), zeros=3)
    shared[1].weight = shared[0].weight
    buffer = filled(nn.Sequential(nn.Linear(4, 5)), zeros=7)
    buffer[0].register_buffer("mask", torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tiny = filled(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6).double()), zeros=7)
    tiny[0].weight.data[3], tiny[1].weight.data[4] = 1e-30, 1e-60
    others = filled(nn.Sequential(nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.LayerNorm(7), nn.PReLU(4)), zeros=5)
    others.append(filled(nn.BatchNorm1d(4), zeros=0))
    owner = filled(nn.Sequential(nn.Linear(4, 5)), zeros=7)
    owner.register_parameter("matrix", nn.Parameter(torch.eye(3)))
    return {
        "biases and batch norms do not count, though theirs are 0": norms,
        "Conv1d, Conv3d and transposed convolutions are convolutions": filled(
            nn.Sequential(
                nn.Sequential(nn.Conv1d(3, 4, 2), nn.Conv2d(2, 5, 2)),
                nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Linear(7, 2)),
                *(nn.Conv3d(1, 2, 2), nn.Linear(3, 4), nn.Conv2d(1, 3, 3)),
            ),
            zeros=2,
        ),
        "a buffer is no weight": buffer,
        "a frozen layer counts": frozen,
        "two layers share one weight, which is one parameter and counts once": shared,
        "1e-30, and 1e-60 in float64, are small and not zero": tiny,
        "the weights of other norms and of PReLU have one axis and do not count": others,
        "a matrix that the network itself owns counts, whatever its name": owner,
    }


@pytest.mark.points(1)
def test_all_parameters_with_two_axes_or_more_count_and_no_others(sparsity):
    for words, network in kinds_of_networks().items():
        compare_sparsity(sparsity, network, words)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_sparsity_needs(sparsity):
    Contract(gives=float).hold(sparsity, lambda: {"network": small_network()})


# --- global_threshold


def other_thresholds(weights, share):
    """What comes out with mistakes that are often made with one threshold for all layers."""
    values = torch.cat([weight.flatten() for weight in weights]).double()
    sizes, count = values.abs().sort().values, values.numel()
    layers = [weight.abs().double().flatten().sort().values for weight in weights]
    each = [layer[min(floor(share, len(layer)), len(layer) - 1)].item() for layer in layers]
    place, unique, nonzero = floor(share, count), sizes.unique(), sizes[sizes > 0]
    vectors = [layer for layer, weight in zip(layers, weights, strict=True) if weight.ndim > 1]

    def at(position, among=sizes):
        return among[min(max(position, 0), len(among) - 1)].item() if len(among) else math.nan

    return {
        "the largest magnitude that GOES, at position k - 1 (positions count from 0)": at(place - 1),
        "the magnitude after the smallest that stays": at(place + 1),
        "the values sorted, without their magnitudes |w|": at(place, values.sort().values),
        "the values sorted by sign, and the magnitude taken afterwards": abs(at(place, values.sort().values)),
        "the largest sorted first": at(place, sizes.flip(0)),
        "the mean of the layers' own thresholds (sort all layers together)": sum(each) / len(each),
        "the smallest of the layers' own thresholds (sort all layers together)": min(each),
        "the largest of the layers' own thresholds (sort all layers together)": max(each),
        "the first layer alone": each[0],
        "the last layer alone": each[-1],
        "the number that goes rounded down for each layer (it is for all together)": at(
            sum(floor(share, len(layer)) for layer in layers)
        ),
        "floor(sparsity * N) without the 1e-9": at(math.floor(share * count)),
        "sparsity * N in float32, which is too coarse for the 1e-9": at(floor_in_float32(share, count)),
        "the position sparsity * (N - 1), as quantile takes it": at(floor(share, count - 1)),
        "the position sparsity * (N - 1) rounded up, as quantile takes it with interpolation='higher' (count from N)": (
            at(math.ceil(share * (count - 1) - 1e-9))
        ),
        "round(sparsity * N)": at(round(share * count)),
        "sparsity * N rounded up": at(math.ceil(share * count - 1e-9)),
        "`sparsity` taken for the share that stays": at(floor(1 - share, count)),
        "equal magnitudes counted once (unique)": at(floor(share, len(unique)), unique),
        "weights that are zero already left out": at(floor(share, len(nonzero)), nonzero),
        "tensors with one axis left out": at(
            floor(share, sum(map(len, vectors))), torch.cat([*vectors, sizes[:0]]).sort().values
        ),
        "an interpolation, as torch.quantile makes": sizes.quantile(share).item(),
        "the middle between the largest that goes and the smallest that stays": (at(place - 1) + at(place)) / 2,
        "the square of the magnitude": at(place) ** 2,
        "a share of the largest magnitude": share * sizes.max().item(),
    }


def compare_threshold(global_threshold, weights, share, hint, ruled_out=()):
    """One number, that of a weight: what lies below it goes, and it stays itself. What this rules out is returned."""
    sizes = torch.cat([weight.abs().flatten().double() for weight in weights]).sort().values
    gone = floor(share, len(sizes))
    hint = (
        f"{hint}, sparsity {share}: of {len(sizes)} weights the {gone} smallest |w| go, and the threshold is the next"
    )
    came = expect.number(accepted(lambda: global_threshold([w.clone() for w in weights], share), hint), hint)
    mistakes = other_thresholds(weights, share)
    mistakes = {w: v for w, v in mistakes.items() if abs(v - sizes[gone].item()) > 1e-6 and w not in ruled_out}
    expect.same(came, sizes[gone].item(), hint, tolerance=1e-5, mistakes=mistakes)
    below, right = int((sizes < came).sum()), int((sizes < sizes[gone]).sum())
    facts = (
        f"yours is {came:.12g}, the weight's magnitude {sizes[gone].item():.12g}: {below} lie below yours, not {right}"
    )
    assert below == right, (
        f"{hint}. It is that weight's magnitude exactly: not rounded, in no other "
        f"dtype, and without a detour (such as the root of squares)\n  {facts}"
    )
    return [*ruled_out, *mistakes]


def one_after_the_other(global_threshold, cases):
    """Thresholds of several (hint, layers, sparsity); a mistake that one has ruled out is not named afterwards."""
    ruled_out = ()
    for hint, weights, share in cases:
        ruled_out = compare_threshold(global_threshold, weights, share, hint, ruled_out)


@pytest.mark.points(1)
def test_the_threshold_is_common_to_all_layers(global_threshold):
    small, middle = torch.tensor([[1.0, -2.0, 3.0, -4.0, 5.5]]), torch.tensor([[-5.0, 7.0, 9.0, 11.0]])
    large = torch.tensor([[10.0, -20.0], [30.0, 45.0]])
    random = [numbers(3, 4), 5 * numbers(2, 3, 2, seed=1), 2 * numbers(8, seed=2)]
    cases = [
        ("layers -5, 7, 9, 11, then 1, -2, 3, -4, 5.5, then 10, -20, 30, 45", [middle, small, large], 0.25),
        *(("layers of 12, 12 and 8 weights, of any shapes", random, share) for share in (0.2, 0.6)),
    ]
    one_after_the_other(global_threshold, cases)


@pytest.mark.points(1)
def test_the_threshold_itself_stays(global_threshold):
    layers = [numbers(200, 5), numbers(77, 3, seed=1)]
    cases = [
        ("one layer 0.5, -1.5, 2.5, -3.5, 4.5", [torch.tensor([0.5, -1.5, 2.5, -3.5, 4.5])], 0.4),
        *(("1231 random weights", layers, share) for share in (0.3, 0.6, 0.8)),
        ("10500 random weights, all of which count", [numbers(150, 70)], 0.55),
        ("float64 weights that differ by about 1e-9", [1 + numbers(40, 5).double() * 1e-9], 0.55),
    ]
    one_after_the_other(global_threshold, cases)


@pytest.mark.points(1)
def test_how_many_go_in_all(global_threshold):
    equal = torch.tensor([[1.0, -1.0, 1.0], [2.5, -1.0, -3.0]]), torch.tensor([[4.0, 1.0, 5.0], [6.0, -1.0, 7.0]])
    zeros = torch.tensor([[0.0, 0.0, 1.0], [0.0, -6.0, 4.0]]), torch.tensor([[5.0, 0.0, -2.0], [3.0, 0.0, 7.0]])
    cases = [
        ("three layers of 11 weights", [numbers(11), 3 * numbers(1, 11, seed=1), numbers(11, 1, seed=2)], 0.9),
        ("a layer of 52 weights", [numbers(4, 13)], 0.2),
        ("layers of 60 and 30 weights", [numbers(5, 2, 3, 2), numbers(30, seed=1)], 0.7),
        ("a layer of 100 weights", [numbers(10, 10)], 0.53),
        ("layers with equal magnitudes, each of which counts", equal, 0.5),
        ("layers with five zeros, which are weights like others", zeros, 0.6),
    ]
    one_after_the_other(global_threshold, cases)


@pytest.mark.points(1)
def test_at_sparsity_0_all_stay(global_threshold):
    weights = [numbers(4, 5), numbers(3, seed=1)]
    compare_threshold(global_threshold, weights, 0.0, "nothing goes")
    compare_threshold(global_threshold, [torch.tensor([[-3.0]])], 0.9, "a single weight of -3")


@pytest.mark.points(1, alone=False)
def test_a_sparsity_without_a_threshold_is_an_error(global_threshold):
    for share in (1.5, -0.1, 1.0, float("nan")):
        hint = (
            f"sparsity {share}: raise ValueError outside 0 ≤ sparsity < 1; at 1 no weight is left to be the threshold"
        )
        expect.raises(ValueError, hint, global_threshold, [torch.arange(1.0, 5.0)], share)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_global_threshold_needs(global_threshold):
    Contract(gives=float).hold(
        global_threshold, lambda: {"weights": [numbers(4, 3, 3, 2), numbers(5, 6, seed=1)], "sparsity": 0.4}
    )


# --- apply_masks


def same_state(network, expected, hint, mistakes=None, tolerance=1e-6):
    """The network's state is as expected; or what mistake it comes from, or the first part that differs."""
    state = {name: value.detach() for name, value in network.state_dict().items()}
    for name in expected:
        assert name in state, f"{name} is gone from the network: change numbers, not layers"
    if all(expect.close(state[name], wanted, tolerance) for name, wanted in expected.items()):
        return
    words = []
    for mistake, gives in (mistakes or {}).items():
        values = gives()
        if all(expect.alike(state[name], values[name].detach()) for name in expected):
            words.append(mistake)
    assert not words, f"{hint}\n  that is what comes out with {', or '.join(words)}"
    for name, wanted in expected.items():
        expect.same(state[name], wanted, f"{hint}; look at {name}", tolerance=tolerance)


def state_of(network):
    return copy.deepcopy(dict(network.state_dict()))


def with_masks(state, masks):
    """A state whose weights are zero where the masks are False."""
    return {name: value * masks[name] if name in masks else value for name, value in state.items()}


def kept_in_part(masks):
    """The masks without those that prune all."""
    return {name: mask for name, mask in masks.items() if bool(mask.any())}


def more_masks(network, seed=0):
    """Masks of all weights, of a batch norm, and of a bias that is pruned as a whole; the last layer's come first."""
    channels = torch.arange(network.get_parameter("features.1.bias").numel())
    norm = {"features.1.weight": channels != 2, "features.1.bias": channels % 2 == 0}
    masks = some_masks(network, seed)
    return {"classifier.bias": torch.zeros(3, dtype=torch.bool), **{n: masks[n] for n in reversed(masks)}, **norm}


def with_biases(network):
    """A network whose biases are not zero, as they are after training."""
    with torch.no_grad():
        for place, (name, parameter) in enumerate(network.named_parameters()):
            if name.endswith("bias"):
                parameter.copy_(numbers(*parameter.shape, seed=place))
    return network


def other_maskings(network, masks):
    """What comes out with mistakes that are often made with masks."""
    before, names = state_of(network), {name for name, _ in network.named_parameters()}
    weights = [name for name, parameter in network.named_parameters() if parameter.ndim > 1]
    by_order = {
        name: mask
        for name, mask in zip(weights, masks.values(), strict=False)
        if mask.shape == before[name].shape[-mask.ndim :]
    }

    def by_ending():
        state = dict(before)
        for name in names:
            for end, mask in masks.items():
                if name.endswith(end) and mask.shape == state[name].shape:
                    state[name] = state[name] * mask
        return state

    return {
        "nothing changed in the network": lambda: before,
        "the masks turned around (True stays)": lambda: with_masks(before, {n: ~mask for n, mask in masks.items()}),
        "the masks in place of the weights": lambda: {**before, **masks},
        "masks paired with weights by their order, not by name": lambda: with_masks(before, by_order),
        "names compared by their ends only": by_ending,
        "only the masks of parameters called weight": lambda: with_masks(
            before, {name: mask for name, mask in masks.items() if name.endswith("weight")}
        ),
        "only the masks of convolutions": lambda: with_masks(
            before, {name: mask for name, mask in masks.items() if mask.ndim > 2}
        ),
        "masks left out where the weight holds zeros already": lambda: with_masks(
            before, {name: mask for name, mask in masks.items() if bool((before[name] != 0).all())}
        ),
        "only masks with two axes or more (any parameter may have one)": lambda: with_masks(
            before, {name: mask for name, mask in masks.items() if mask.ndim > 1}
        ),
        "masks left out that keep nothing": lambda: with_masks(before, kept_in_part(masks)),
        "only the first mask": lambda: with_masks(before, dict(list(masks.items())[:1])),
        "weights without a mask set to zero": lambda: with_masks(
            {name: value * (name not in weights or name in masks) for name, value in before.items()}, masks
        ),
    }


def compare_masking(apply_masks, network, masks, hint):
    expected, mistakes = with_masks(state_of(network), masks), other_maskings(network, masks)
    apply_masks(network, expect.copies(masks)[0])
    same_state(network, expected, hint, mistakes)


@pytest.mark.points(1)
def test_what_the_masks_keep_is_as_before(apply_masks):
    network = with_biases(small_network())
    hint = "zero where a mask is False, unchanged where it is True and where there is no mask"
    compare_masking(apply_masks, network, more_masks(network), f"{hint}; any parameter may have one, biases too")
    compare_masking(apply_masks, network, more_masks(network, seed=1), f"{hint}; other masks for the same network")


def chain():
    """Eleven layers of one shape, 0 … 10, so that 0.weight is the end of 10.weight, and a norm, 11."""
    network = nn.Sequential(*(nn.Linear(3, 3) for _ in range(11)), nn.LayerNorm(3))
    for place, parameter in enumerate(network.parameters()):
        parameter.data = numbers(*parameter.shape, seed=place)
    return network


@pytest.mark.points(1)
def test_masks_go_by_name_in_any_order_and_not_everything_has_one(apply_masks):
    network = small_network()
    masks = {name: mask for name, mask in some_masks(network).items() if name != "classifier.weight"}
    compare_masking(apply_masks, network, masks, "masks for all weights but classifier.weight, which stays as it is")
    network = chain()
    masks = {
        name: (torch.arange(network.get_parameter(name).numel()) % (place + 2) > 0).view_as(network.get_parameter(name))
        for place, name in enumerate(("7.weight", "11.weight", "1.bias", "0.weight"))
    }
    hint = "eleven linear layers and a norm, and masks for 7.weight, 11.weight, 1.bias and 0.weight: only these four, "
    hint += "each by its own mask"
    compare_masking(apply_masks, network, masks, hint)
    compare_masking(apply_masks, network, {}, "no masks, so nothing changes")
    single, masks = filled(nn.Linear(3, 2), zeros=0).half(), {"weight": torch.tensor([[True, False, True]] * 2)}
    hint = "a network that is one linear layer, so its parameter's name is `weight`, without a dot; in float16"
    accepted(lambda: compare_masking(apply_masks, single, masks, hint), hint)
    hint += "; the dtype of the weight"
    expect.equal(str(single.weight.dtype).removeprefix("torch."), "float16", f"{hint}, which stays")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_apply_masks_needs(apply_masks):
    def arguments():
        network = small_network()
        network.features[3].weight.requires_grad = False
        return {"network": network, "masks": some_masks(network)}

    network, masks = arguments().values()
    names = set(network.state_dict())
    with torch.enable_grad():
        apply_masks(network, masks)
    more = sorted(set(network.state_dict()) - names)
    assert not more, f"{more and more[0]} is new in the network's state dict: the network keeps no masks, only zeros"
    Contract(changes=("network",)).hold(apply_masks, arguments)


# --- masked_step


def trained_with_momentum(network):
    """An optimizer that has gathered momentum for every weight, also for those that are pruned afterwards."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    training_step(network, *batch(seed=5), optimizer)
    return optimizer


def masked(network, masks):
    """Set to zero what the masks prune."""
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name)[~mask] = 0
    return network


def zeros_stay(network, masks, hint):
    """That pruned weights are zero, and not all others."""
    for name, mask in masks.items():
        weight = network.get_parameter(name)
        alive = int((weight[~mask] != 0).sum())
        assert not alive, f"{hint}\n  {name}: {alive} of {int((~mask).sum())} pruned weights are not zero"
        assert not mask.any() or bool((weight[mask] != 0).any()), (
            f"{hint}\n  {name}: all weights are zero, also those that stay"
        )


def copied(network):
    """A copy of a network, with its gradients."""
    twin = copy.deepcopy(network)
    for mine, parameter in zip(twin.parameters(), network.parameters(), strict=True):
        mine.grad = None if parameter.grad is None else parameter.grad.clone()
    return twin


def twin_of(network, optimizer):
    """A copy of a network, with an optimizer of its own that remembers as much."""
    twin = copied(network)
    mine = type(optimizer)(twin.parameters(), lr=0.1)
    mine.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return twin, mine


@pytest.mark.points(1)
def test_pruned_weights_stay_zero(masked_step):
    network = with_biases(small_network())
    optimizer, masks = trained_with_momentum(network), more_masks(network)
    masked(network, masks)
    before = state_of(network)
    for step in range(2):
        masked_step(network, *batch(step), optimizer, *expect.copies(masks))
        hint = "pruned weights are zero after the step: apply the masks AFTER it (the optimizer moves every weight, by "
        zeros_stay(network, masks, f"{hint}gradients and by momentum). Step {step + 1}:")
    still = [name for name in kept_in_part(masks) if torch.equal(network.get_parameter(name), before[name])]
    hint = (
        "what the masks keep is trained: is the training step missing, or has the optimizer lost sight of the weights?"
    )
    assert not still, f"{hint}\n  {still and still[0]} is as before"


def smallest(state, masks):
    """Masks that prune as many as these do, the smallest of a state's weights."""
    return {name: without_lowest(state[name].abs(), int((~mask).sum())) for name, mask in masks.items()}


ADDED = "old gradients added, that were not forgotten (optimizer.zero_grad() comes before backward)"
AGAIN = (
    "a second pass through the network in training mode, such as one for the loss afterwards: batch norms learn from "
)
AGAIN += "each (the loss to return is the one that the step started from)"


def other_masked_steps(network, optimizer, masks, steps):
    """Where mistakes lead that are often made in a masked step."""

    def after(do):
        twin, mine = twin_of(network, optimizer)
        for step in range(steps):
            do(twin, mine, batch(step))
        return twin.state_dict()

    def plain(twin, mine, data):
        training_step(twin, *data, mine)
        masked(twin, masks)

    def masks_first(twin, mine, data):
        masked(twin, masks)
        training_step(twin, *data, mine)

    def again(twin, mine, data):
        training_step(twin, *data, mine)
        mine.step()
        masked(twin, masks)

    def twice(twin, mine, data):
        training_step(twin, *data, mine)
        plain(twin, mine, data)

    def for_each_mask(twin, mine, data):
        for name, mask in masks.items():
            training_step(twin, *data, mine)
            masked(twin, {name: mask})
        masked(twin, masks)

    def restored(twin, mine, data):
        before = {name: twin.get_parameter(name).detach().clone() for name in masks}
        training_step(twin, *data, mine)
        with torch.no_grad():
            for name, mask in masks.items():
                twin.get_parameter(name).copy_(before[name] * mask)

    def zeros_as_masks(twin, mine, data):
        zeros = {name: twin.get_parameter(name).detach() != 0 for name in masks}
        training_step(twin, *data, mine)
        masked(twin, zeros)

    def resting(twin, mine, data):
        mine.zero_grad()
        F.cross_entropy(twin(data[0]), data[1]).backward()
        mine.step()
        masked(twin, masks)

    def forgetful(twin, mine, data):
        plain(twin, mine, data)
        mine.state.clear()

    def by_gradients(twin, mine, data):
        twin.train()
        mine.zero_grad()
        F.cross_entropy(twin(data[0]), data[1]).backward()
        for name, mask in masks.items():
            twin.get_parameter(name).grad *= mask
        mine.step()

    def only(those):
        def do(twin, mine, data):
            training_step(twin, *data, mine)
            masked(twin, those)

        return do

    def made_anew(twin, mine, data):
        training_step(twin, *data, mine)
        masked(twin, smallest(twin.state_dict(), masks))

    def forward_only(twin, mine, data):
        twin.train()
        mine.zero_grad()
        weights = {name: twin.get_parameter(name) * mask for name, mask in masks.items()}
        F.cross_entropy(torch.func.functional_call(twin, weights, (data[0],)), data[1]).backward()
        mine.step()

    def adding_up(twin, mine, data):
        F.cross_entropy(twin.train()(data[0]), data[1]).backward()
        mine.step()
        masked(twin, masks)

    def looking_again(twin, mine, data):
        plain(twin, mine, data)
        twin(data[0])

    def anew(twin, mine, data):
        training_step(twin, *data, torch.optim.SGD(twin.parameters(), lr=0.1))
        masked(twin, masks)

    return {
        words: lambda do=do: after(do)
        for words, do in {
            ADDED: adding_up,
            AGAIN: looking_again,
            "no masks applied after the step": lambda twin, mine, data: training_step(twin, *data, mine),
            "the masks applied before the step, not after it": masks_first,
            "gradients that are masked, and weights that are not": by_gradients,
            "optimizer.step() called once more": again,
            "two training steps in place of one": twice,
            "as many training steps as there are masks": for_each_mask,
            "all masked weights as they were before the step, those that stay too": restored,
            "kept weights that are 0 held at 0, as if zeros were the masks": zeros_as_masks,
            "the network in evaluation mode": resting,
            "an optimizer that forgets its momentum": forgetful,
            "a new optimizer, without momentum": anew,
            "only the masks of convolutions": only({name: mask for name, mask in masks.items() if mask.ndim > 2}),
            "only masks with two axes or more": only({name: mask for name, mask in masks.items() if mask.ndim > 1}),
            "masks left out that keep nothing": only(kept_in_part(masks)),
            "new masks, of the smallest weights after the step": made_anew,
            "masks on the way forward only: set the weights themselves to zero": forward_only,
            "no training step": lambda twin, mine, data: masked(twin, masks),
        }.items()
    }


@pytest.mark.points(1)
def test_the_other_weights_learn_as_always(masked_step):
    network = with_biases(small_network())
    optimizer, masks = trained_with_momentum(network), more_masks(network)
    for mask in some_masks(network):
        masks[mask].flatten()[:2] = True
    masked(network, masks).eval()
    with torch.no_grad():
        for name in some_masks(network):
            network.get_parameter(name).flatten()[:2] = 0.0  # zeros by chance, which are kept
    twin, mine = twin_of(network, optimizer)
    mistakes = other_masked_steps(copied(network), twin_of(network, optimizer)[1], masks, steps=2)
    losses = []
    for step in range(2):
        before = training_step(twin, *batch(step), mine)
        masked(twin, masks)
        after = F.cross_entropy(copy.deepcopy(twin)(batch(step)[0]), batch(step)[1]).item()
        resting = F.cross_entropy(copy.deepcopy(twin).eval()(batch(step)[0]), batch(step)[1]).item()
        losses.append((masked_step(network, *batch(step), optimizer, *expect.copies(masks)), before, after, resting))
    hint = "two masked steps are two training steps, each followed by the masks; here of a network that comes in "
    hint += (
        "evaluation mode, with zeros among the weights that stay, and of an optimizer with momentum and old gradients"
    )
    same_state(network, dict(twin.state_dict()), hint, mistakes, tolerance=1e-4)
    for came, before, after, resting in losses:
        hint = "return the loss that the step started from, as training_step does"
        options = {"the loss AFTER the step": after, "the loss after the step, in evaluation mode": resting}
        expect.same(expect.number(came, hint), torch.tensor(before), hint, tolerance=1e-4, mistakes=options)


@pytest.mark.points(1)
def test_other_masks_in_the_next_step(masked_step):
    """Nothing is left behind of earlier masks, in the network or in the function."""
    network = small_network()
    first, second = some_masks(network), some_masks(network, seed=1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    masked_step(masked(network, first), *batch(), optimizer, *expect.copies(first))
    with torch.no_grad():
        for name, parameter in small_network(seed=4).named_parameters():  # so that what is zero is so by `second`
            network.get_parameter(name).copy_(parameter)
    masked(network, second)

    def after(masks, gradients=None, step=training_step, passes=0):
        twin, mine = twin_of(network, optimizer)
        for name, mask in (gradients or {}).items():
            twin.get_parameter(name).register_hook(lambda slope, mask=mask: slope * mask)
        step(twin, *batch(1), mine)
        masked(twin, masks)
        for _ in range(passes):
            twin(batch(1)[0])
        return twin.state_dict()

    def adding_up(twin, images, labels, mine):
        F.cross_entropy(twin.train()(images), labels).backward()
        mine.step()

    expected = after(second)
    mistakes = {
        "the masks of an earlier call (remember and draw nothing)": after(first),
        "earlier masks and these together": after({name: mask & second[name] for name, mask in first.items()}),
        "gradients that earlier masks still cut off (remove your hooks)": after(second, first),
        ADDED: after(second, step=adding_up),
        AGAIN: after(second, passes=1),
    }
    masked_step(network, *batch(1), optimizer, *expect.copies(second))
    hint = "a second step with other masks, weights and images is one training step, followed by the second masks alone"
    named = {words: lambda state=state: state for words, state in mistakes.items()}
    same_state(network, expected, hint, named, tolerance=1e-4)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_masked_step_needs(masked_step):
    def arguments():
        network = small_network()
        optimizer, masks, (images, labels) = trained_with_momentum(network), some_masks(network), batch()
        network.features[3].weight.requires_grad = False
        names = {"network": masked(network, masks), "images": images, "labels": labels}
        return {**names, "optimizer": optimizer, "masks": masks}

    contract = Contract(
        gives=float, changes=("network", "optimizer", "mode"), without=("gradients", "modes", "no_grad")
    )
    contract.hold(masked_step, arguments)


# --- rewind


@torch.enable_grad()
def early_state(seed):
    """A state after one step of training."""
    early = with_biases(small_network(seed=seed))
    training_step(early, *batch(seed), torch.optim.SGD(early.parameters(), lr=0.1))
    return state_of(early)


def trained_network():
    """A network that has been trained longer, with masks."""
    network = small_network()
    optimizer = trained_with_momentum(network)
    training_step(network, *batch(seed=6), optimizer)
    return network


def in_another_order(state):
    """The same state, in which names of one shape have changed places: the last comes first."""
    names = {value.shape: [name for name in state if state[name].shape == value.shape] for value in state.values()}
    return {name: state[name] for name in (names[value.shape].pop() for value in list(state.values()))}


def other_rewindings(network, start, masks):
    """What comes out with mistakes that are often made on the way back."""
    now, names = state_of(network), [name for name, _ in network.named_parameters()]
    zeros = {name: now[name] != 0 for name in masks}
    back = with_masks(start, masks)
    return {
        words: lambda state=state: state
        for words, state in {
            "nothing changed in the network": now,
            "the masks left out or applied before going back (they come after it)": start,
            "tensors paired by their order, not by their names": with_masks(
                dict(zip(now, start.values(), strict=True)), masks
            ),
            "new masks, of the smallest weights of `start`": with_masks(start, smallest(start, masks)),
            "running statistics reset to 0 and 1: those of `start` come back": {
                **back,
                **{name: torch.zeros_like(back[name]) for name in back if "running_mean" in name or "tracked" in name},
                **{name: torch.ones_like(back[name]) for name in back if "running_var" in name},
            },
            "only masks with two axes or more": with_masks(
                start, {name: mask for name, mask in masks.items() if mask.ndim > 1}
            ),
            "masks left out that keep nothing": with_masks(start, kept_in_part(masks)),
            "the masks turned around": with_masks(start, {name: ~mask for name, mask in masks.items()}),
            "parameters only: the batch norms' statistics are part of `start`, and go back too": {
                **now, **{name: back[name] for name in names},
            },
            "weights with two axes or more only: biases and batch norms are part of `start`, and go back too": {
                **with_masks(now, masks), **{name: value for name, value in back.items() if value.ndim > 1},
            },
            "weights that have masks only: all the rest is part of `start`, and goes back too": {
                **now, **{name: back[name] for name in masks},
            },
            "num_batches_tracked left as it was": {
                **back, **{name: now[name] for name in back if name.endswith("num_batches_tracked")},
            },
            "the zeros of the present network in place of the masks": with_masks(start, zeros),
            "pruned weights that keep their present values": {
                **back, **{name: torch.where(mask, start[name], now[name]) for name, mask in masks.items()},
            },
            "the present weights masked, and not those of `start`": with_masks(now, masks),
        }.items()
    }  # fmt: skip


@pytest.mark.points(1)
def test_what_stays_is_as_it_was_at_the_start(rewind):
    for words, masks in (("masks for weights and biases", more_masks(small_network())), ("no masks", {})):
        network, start = trained_network(), early_state(seed=1)
        masked(network, some_masks(network, seed=3, share=0.2))  # zeros of earlier masks
        mistakes = other_rewindings(network, *expect.copies(start, masks))
        rewind(network, *expect.copies(start, masks))
        hint = f"{words}: the values of `start` everywhere, statistics too, but zero where a mask prunes"
        same_state(network, with_masks(start, masks), hint, mistakes)
    single, start = filled(nn.Linear(3, 2), zeros=0), state_of(filled(nn.Linear(3, 2), zeros=0, seed=2))
    masks = {"weight": torch.tensor([[True, False, True]] * 2)}
    mistakes = other_rewindings(single, *expect.copies(start, masks))
    rewind(single, *expect.copies(start, masks))
    hint = "a network that is one linear layer, and owns its weight and bias itself: the values of `start`, masked"
    same_state(single, with_masks(start, masks), hint, mistakes)


@pytest.mark.points(1)
def test_start_can_be_used_again(rewind):
    network, first, second = trained_network(), early_state(seed=1), early_state(seed=2)
    start, masks, others = copy.deepcopy(first), some_masks(network), more_masks(network, seed=1)
    rewind(network, start, masks)
    given = copy.deepcopy(start)
    training_step(network, *batch(), torch.optim.SGD(network.parameters(), lr=0.1))
    for name, value in given.items():
        hint = (
            f"`start` is used several times, so copy its values: {name} of `start` was changed by a training step of "
        )
        assert torch.equal(start[name], value), f"{hint}the network: they share memory"
    mistakes = {
        "the `start` of an earlier call (remember and draw nothing)": with_masks(first, others),
        "the masks of an earlier call (remember and draw nothing)": with_masks(second, masks),
        "`start` and masks of an earlier call (remember and draw nothing)": with_masks(first, masks),
        "earlier masks and these together": with_masks(with_masks(second, masks), others),
    }
    masked(network, some_masks(network, seed=7, share=0.3))  # zeros that are nobody's masks
    second = in_another_order(second)
    options = other_rewindings(network, second, others)
    hint = "a second call, to another `start`, whose names come in another order, with other masks"
    accepted(lambda: rewind(network, *expect.copies(second, others)), hint)
    named = {words: lambda state=state: state for words, state in mistakes.items()}
    same_state(network, with_masks(second, others), hint, {**named, **options})


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_rewind_needs(rewind):
    def arguments():
        network = small_network()
        network.features[3].weight.requires_grad = False
        return {"network": network, "start": early_state(seed=1), "masks": some_masks(network)}

    Contract(changes=("network",), without=("gradients",)).hold(rewind, arguments)


# --- the network that is handed in


@pytest.mark.points(1)
def test_nine_of_ten_weights_are_zero(lab2_masked_onnx):
    measured, original = artifacts.measured(lab2_masked_onnx), artifacts.measured_baseline()
    left = measured.nonzero / original.parameters
    assert left <= 0.11, (
        f"at most 11 % may be different from zero: {measured.nonzero:,} of {original.parameters:,} are ({left:.1%}). "
        "Were the masks applied after every step?"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab2_masked_onnx, award):
    measured, original = artifacts.measured(lab2_masked_onnx), artifacts.measured_baseline()
    assert measured.nonzero <= 0.11 * original.parameters, "accuracy counts once at most 11 % are different from zero"
    award(*artifacts.ramp("lab2_masked", measured, original))
