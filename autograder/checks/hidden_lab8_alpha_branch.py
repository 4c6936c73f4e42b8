"""Hidden tests of lab 8: other lengths, dtypes and layers, pairs that must be refused, and arguments left alone."""

import copy
import math

import pytest
import torch
from torch import nn

from autograder.checks.test_lab8_alpha_branch import (
    FAN,
    MIX,
    TURNED,
    check_outputs,
    conv,
    layers_of,
    levels,
    merged,
    pointwise,
    schedule_hint,
    transposed,
)
from autograder.checks.test_lab8_alpha_branch import numbers as fixed_numbers
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


# --- alpha_schedule


@pytest.mark.points(1)
def test_schedules_of_other_lengths(alpha_schedule):
    formulas = {
        "step": lambda k, steps: 1 - k / steps,
        "multiplicative": lambda k, steps: 0.5**k,
        "exponential": lambda k, steps: math.exp(-5 * k / steps),
        "cosine": lambda k, steps: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    for kind, formula in formulas.items():
        for steps in (1, 7, 20, *([80] if kind == "step" else [])):  # equal steps fall below 0.015 only then
            values = [formula(k, steps) for k in range(steps)]
            expected = [value if value >= 0.015 else 0.0 for value in values] + [0.0]
            hint = f"{schedule_hint(kind)}; here K = {steps}, below 0.015 it is 0, and so is the last"
            expect.same(levels(alpha_schedule, kind, steps), expected, hint, tolerance=1e-6)


@pytest.mark.points(1)
def test_what_is_no_schedule(alpha_schedule):
    for kind, steps, hint in (
        ("linear", 4, 'there is no kind "linear"'),
        ("step", 0, "alpha needs at least one step from 1 to 0"),
    ):
        expect.raises(ValueError, f"{hint}: raise ValueError", alpha_schedule, kind, steps)


# --- alpha_mix


@pytest.mark.points(1)
def test_a_mix_keeps_the_dtype(alpha_mix):
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        wide, narrow = numbers(2, 3, 4, 4, dtype=dtype), numbers(2, 3, 4, 4, seed=1, dtype=dtype)
        answer = expect.same_shape(alpha_mix(wide, narrow, 0.3), (2, 3, 4, 4), "the mix has the shape of both")
        hint = f"feature maps of {dtype} give a mix of {dtype}: the next layer takes no other dtype"
        assert answer.dtype == dtype, f"{hint}\n  yours: {answer.dtype}"


@pytest.mark.points(1)
def test_behind_a_linear_layer(alpha_mix):
    for alpha in (0.9, 0.015625):
        wide, narrow = numbers(5, 7), numbers(5, 7, seed=1)
        expected = alpha * wide + (1 - alpha) * narrow
        expect.same(alpha_mix(wide, narrow, alpha), expected, f"alpha · wide + (1 - alpha) · narrow, alpha {alpha:g}")


@pytest.mark.points(1)
def test_both_ways_learn(alpha_mix):
    for learns in ("wide", "narrow"):
        ways = {"wide": numbers(2, 3, 4, 4), "narrow": numbers(2, 3, 4, 4, seed=1)}
        ways[learns].requires_grad_()
        answer = alpha_mix(ways["wide"], ways["narrow"], 0.5)
        hint = f"no gradient flows back into the {learns} way: mix without detach and without no_grad"
        assert answer is not None and getattr(answer, "requires_grad", False), hint


# --- make_branch


def whole_branch(make_branch, channels, kept):
    """The four layers of a branch, in their order."""
    layers, _ = layers_of(make_branch, channels, kept)
    names = [type(layer).__name__ for layer in layers]
    expect.equal(names, ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d"], "a branch is ConvA, batch norm, ReLU, ConvB")
    return layers


@pytest.mark.points(1)
def test_what_a_branch_computes(make_branch):
    for channels, kept in ((12, 5), (4, 4), (6, 1)):
        first, norm, relu, last = whole_branch(make_branch, channels, kept)
        maps = numbers(3, channels, 6, 5, dtype=torch.float32)
        hint = f"{channels} channels, {kept} kept: as many channels come out as go in, and the image keeps its size"
        try:
            answer = nn.Sequential(first, norm, relu, last).train()(maps)
        except RuntimeError as error:
            raise AssertionError(f"{hint}\n  the branch stopped: {error}") from None
        expect.same_shape(answer, maps.shape, hint)
        middle = torch.relu(nn.functional.batch_norm(first(maps), None, None, training=True))
        expect.same(answer, last(middle), f"{hint}; fresh batch norms have weight 1 and bias 0", tolerance=1e-4)


@pytest.mark.points(1)
def test_a_branch_learns(make_branch):
    layers = whole_branch(make_branch, 6, 2)
    for layer in layers:
        for name, parameter in layer.named_parameters():
            assert parameter.requires_grad, f"the {name} of {layer} does not learn: leave requires_grad as it is"
    hint = "the batch norm has a weight and a bias that learn, and running statistics, as the one in the wide way"
    assert layers[1].affine and layers[1].track_running_stats, hint
    again = whole_branch(make_branch, 6, 2)
    hint = "every layer gets a branch of its own: make new layers in each call"
    assert all(one is not other for one, other in zip(layers, again, strict=True)), hint


# --- merge_conv_1x1

SETTINGS = {
    "as wide in between as at both ends": {"padding": 1},
    "a window of 5 and stride 3": {"kernel": 5, "stride": 3, "padding": (0, 4)},
    "a window of 1": {"kernel": 1, "stride": 2},
    'padding="same"': {"kernel": (3, 2), "padding": "same"},
    'padding="valid"': {"padding": "valid", "dilation": 2},
    "padding by replication": {"padding": 2, "padding_mode": "replicate"},
}


def kernel_of(options):
    size = options.get("kernel", 3)
    return size if isinstance(size, tuple) else (size, size)


@pytest.mark.points(2)
def test_many_convolutions_before_a_1x1(merge_conv_1x1):
    for said, options in SETTINGS.items():
        for bias in (False, True):
            pair = conv(4, 4, bias=bias, seed=expect.drawn(3), **options), pointwise(4, 4, bias=bias)
            why = "the 1×1 convolution sees only results, so no bias and no padding is in the way"
            layer = merged(merge_conv_1x1, nn.Conv2d, pair, (4, 4, *kernel_of(options)), MIX, why)
            hint = f"{said}{' and both biases' if bias else ''}: {MIX}; b = A b1 + bA; all settings are those of `conv`"
            check_outputs(layer, pair, numbers(2, 4, 11, 10, seed=20), hint)


@pytest.mark.points(1)
def test_what_is_no_1x1_behind(merge_conv_1x1):
    layer = merged(merge_conv_1x1, nn.Conv2d, (conv(4, 4), pointwise(4, 2)), (2, 4, 3, 3), MIX)
    check_outputs(layer, (conv(4, 4), pointwise(4, 2)), numbers(1, 4, 6, 6), MIX)
    refused(merge_conv_1x1, wrong_pairs(conv))


def wrong_pairs(kind):
    """Pairs of a layer and a 1×1 convolution that no merge takes; the second is the one that is called 1×1."""
    yield kind(4, 4, groups=2), pointwise(4, 4)
    yield kind(4, 4), conv(4, 4, 1, groups=2)
    for options in ({"kernel": 3}, {"kernel": 1, "stride": 2}, {"kernel": 1, "padding": 1}):
        yield kind(4, 4), conv(4, 4, **options)


def refused(merge, pairs):
    for pair in pairs:
        hint = "grouped convolutions, and pairs without a plain 1×1 convolution, are a ValueError: `check_pair` says so"
        expect.raises(ValueError, f"{hint}\n  this pair: {pair[0]} and {pair[1]}", merge, *pair)


def left_alone(merge, pair):
    """The pair must stay what it is, and the merged layer must be new, in memory of its own, and able to learn."""
    before = copy.deepcopy(pair)
    layer = merge(*pair)
    assert layer is not None, "your function returned None: is the `return` missing?"
    assert all(layer is not one for one in pair), "return a new layer: the pair must stay as it is"
    one_layer = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    assert one_layer, f"return one layer in place of the two\n  yours is a {type(layer).__name__}"
    expect.equal([str(one) for one in pair], [str(one) for one in before], "the pair's settings must stay as they are")
    for one, then in zip(pair, before, strict=True):
        for (name, now), old in zip(one.named_parameters(), then.parameters(), strict=True):
            expect.unchanged(now, old, f"the {name} of {one} must stay as it is")
    for name, values in layer.named_parameters():
        assert values.requires_grad, f"the merged layer's {name} does not learn any more: it needs requires_grad"
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.is_leaf, (
        "the weight must be a parameter of the layer"
    )
    for values in layer.parameters():
        values.data.zero_()
    for one, then in zip(pair, before, strict=True):
        for (name, now), old in zip(one.named_parameters(), then.parameters(), strict=True):
            hint = f"the merged layer shares memory with the {name} of {one}: clone what you take over"
            assert torch.equal(now, old), hint
    return layer


@pytest.mark.points(1)
def test_the_pair_is_left_alone(merge_conv_1x1):
    layer = left_alone(merge_conv_1x1, (conv(3, 4, bias=True), pointwise(4, 4, bias=True)))
    expect.same_shape(layer.weight, (4, 3, 3, 3), MIX)
    left_alone(merge_conv_1x1, (conv(3, 4), pointwise(4, 4, bias=True)))


# --- merge_1x1_conv


@pytest.mark.points(2)
def test_many_convolutions_behind_a_1x1(merge_1x1_conv):
    for said, options in SETTINGS.items():
        zeros = options.get("padding_mode", "zeros") == "zeros" and options.get("padding", 0) not in (0, "valid")
        for front, behind in ((False, False), (False, True), (not zeros, True)):
            pair = pointwise(4, 4, bias=front), conv(4, 4, bias=behind, seed=expect.drawn(3), **options)
            why = 'only a bias IN FRONT of a padding of zeros is in the way; "valid" pads nothing, as `pads` knows'
            layer = merged(merge_1x1_conv, nn.Conv2d, pair, (4, 4, *kernel_of(options)), FAN, why)
            biases = f"{' and a bias in front' * front}{' and the bias b2 of `conv`' * behind}"
            hint = f"{said}{biases}: {FAN}; all settings are those of `conv`"
            check_outputs(layer, pair, numbers(2, 4, 11, 10, seed=20), hint)


@pytest.mark.points(1)
def test_every_padding_of_zeros(merge_1x1_conv):
    for options in ({"padding": (0, 1)}, {"padding": "same"}, {"kernel": 1, "padding": 1}, {"padding": 1, "stride": 2}):
        hint = f"a bias in front of a padding of zeros, here {options}: raise ValueError"
        expect.raises(ValueError, hint, merge_1x1_conv, pointwise(3, 4, bias=True), conv(4, 5, **options))
    pair = pointwise(3, 4, bias=True), conv(4, 5, 1, padding="same")
    hint = 'with a window of 1, padding="same" adds nothing'
    layer = merged(merge_1x1_conv, nn.Conv2d, pair, (5, 3, 1, 1), FAN, hint)
    check_outputs(layer, pair, numbers(2, 3, 6, 6), hint)


@pytest.mark.points(1)
def test_what_is_no_1x1_in_front(merge_1x1_conv):
    pair = pointwise(4, 4), conv(4, 2)
    check_outputs(merged(merge_1x1_conv, nn.Conv2d, pair, (2, 4, 3, 3), FAN), pair, numbers(1, 4, 6, 6), FAN)
    refused(merge_1x1_conv, [(second, first) for first, second in wrong_pairs(conv)])


@pytest.mark.points(1)
def test_the_pair_in_front_is_left_alone(merge_1x1_conv):
    layer = left_alone(merge_1x1_conv, (pointwise(4, 4), conv(4, 4, padding=1, bias=True)))
    expect.same_shape(layer.weight, (4, 4, 3, 3), FAN)
    for bias in (False, True):
        left_alone(merge_1x1_conv, (pointwise(4, 4, bias=True), conv(4, 4, bias=bias)))


# --- merge_1x1_transposed


@pytest.mark.points(2)
def test_many_transposed_convolutions(merge_1x1_transposed):
    cases = {
        "as wide in between as at both ends": {"kernel": 2, "stride": 2},
        "a window of 4 and stride 2": {"kernel": 4, "stride": 2, "padding": 1},
        "dilation 2": {"kernel": (3, 2), "dilation": 2, "padding": (2, 0)},
        "stride 3 and output_padding": {"kernel": 3, "stride": 3, "output_padding": (2, 0)},
        "a window smaller than the stride": {"kernel": 1, "stride": 2},
    }
    for said, options in cases.items():
        for bias in (False, True):
            pair = pointwise(4, 4), transposed(4, 4, bias=bias, seed=expect.drawn(3), **options)
            layer = merged(merge_1x1_transposed, nn.ConvTranspose2d, pair, (4, 4, *kernel_of(options)), TURNED)
            hint = f"{said}: {TURNED}; stride, padding, output_padding, dilation and bias are those of `conv`"
            check_outputs(layer, pair, numbers(2, 4, 6, 5, seed=20), hint)


@pytest.mark.points(1)
def test_what_is_no_1x1_in_front_of_a_transposed_one(merge_1x1_transposed):
    pair = pointwise(4, 4), transposed(4, 2, 2)
    layer = merged(merge_1x1_transposed, nn.ConvTranspose2d, pair, (4, 2, 2, 2), TURNED)
    check_outputs(layer, pair, numbers(1, 4, 6, 6), TURNED)
    refused(merge_1x1_transposed, [(second, first) for first, second in wrong_pairs(transposed)])


@pytest.mark.points(1)
def test_the_transposed_pair_is_left_alone(merge_1x1_transposed):
    layer = left_alone(merge_1x1_transposed, (pointwise(4, 4), transposed(4, 4, stride=2, bias=True)))
    expect.same_shape(layer.weight, (4, 4, 2, 2), TURNED)
