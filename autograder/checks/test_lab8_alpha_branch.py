"""Visible tests of lab 8. A test's first argument is the exercise that it grades."""

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def filled(layer, seed=0):
    """The layer in float64, with weights and biases from a seed."""
    layer = layer.double()
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed + number)
    return layer


def pointwise(inputs, outputs, bias=False, seed=10):
    return filled(nn.Conv2d(inputs, outputs, 1, bias=bias), seed)


def conv(inputs, outputs, kernel=3, seed=0, bias=False, **options):
    return filled(nn.Conv2d(inputs, outputs, kernel, bias=bias, **options), seed)


def transposed(inputs, outputs, kernel=2, seed=0, bias=False, **options):
    return filled(nn.ConvTranspose2d(inputs, outputs, kernel, bias=bias, **options), seed)


# --- alpha_schedule


def levels(alpha_schedule, kind, steps):
    """The answer as a list of numbers."""
    hint = "return a list of numbers, the levels of alpha in the order in which they come"
    found = expect.tensor(alpha_schedule(kind, steps), hint)
    assert found.ndim == 1 and not found.is_complex(), f"{hint}\n  yours: {expect.show(found)}"
    found = found.double().tolist()
    hint = (
        f"alpha_0 to alpha_K: with K = {steps} steps there are K + 1 = {steps + 1} levels, those that are 0 among them"
    )
    expect.equal(len(found), steps + 1, hint)
    return found


@pytest.mark.points(1)
def test_from_one_down_to_zero(alpha_schedule):
    for kind in ("step", "cosine", "multiplicative", "exponential"):
        found = levels(alpha_schedule, kind, 4)
        hint = f'"{kind}": alpha starts at 1, where only the original counts, and falls'
        assert abs(found[0] - 1) < 1e-12, expect.say(hint, 1.0, found[0])
        hint = f'"{kind}": the last level is EXACTLY 0; as long as it is not, the wide way cannot be dropped'
        assert found[-1] == 0, expect.say(hint, 0.0, found[-1])
        assert found == sorted(found, reverse=True), f'"{kind}": alpha never rises again\n  yours: {found}'


def schedule_hint(kind):
    return {
        "step": '"step": alpha_k = 1 - k / K, equal steps',
        "cosine": '"cosine": alpha_k = (1 + cos(pi k / K)) / 2, half a wave, in radians',
        "multiplicative": '"multiplicative": alpha_k = 2^-k, half of what was there, whatever K is',
        "exponential": '"exponential": alpha_k = exp(-c k) with c = 5 / K',
    }[kind]


@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("step", [1, 0.75, 0.5, 0.25, 0]),
        ("multiplicative", [1, 0.5, 0.25, 0.125, 0]),
        ("exponential", [1, 0.2865047968601901, 0.0820849986238988, 0.02351774585600911, 0]),
        ("cosine", [1, 0.8535533905932737, 0.5, 0.1464466094067262, 0]),
    ],
    ids=["step", "multiplicative", "exponential", "cosine"],
)
def test_the_levels_of_each_kind(alpha_schedule, kind, expected):
    expect.same(levels(alpha_schedule, kind, 4), torch.tensor(expected).double(), schedule_hint(kind), tolerance=1e-6)


@pytest.mark.points(1)
def test_what_is_below_the_limit_is_zero(alpha_schedule):
    found = levels(alpha_schedule, "multiplicative", 9)
    hint = "a level below 0.015 is set to exactly 0: 2^-6 = 0.015625 stays, 2^-7 = 0.0078 does not"
    expect.same(found, [0.5**k if k <= 6 else 0.0 for k in range(10)], hint, tolerance=1e-6)


# --- alpha_mix


@pytest.mark.points(1)
def test_a_share_of_each(alpha_mix):
    wide, narrow = numbers(2, 3, 4, 5), numbers(2, 3, 4, 5, seed=1)
    hint = "alpha · wide + (1 - alpha) · narrow: at alpha 0.75 three quarters come from the WIDE way"
    expect.same(alpha_mix(*expect.copies(wide, narrow), 0.75), 0.75 * wide + 0.25 * narrow, hint)


@pytest.mark.points(1)
def test_the_ends(alpha_mix):
    wide, narrow = numbers(2, 3, 4, 4), numbers(2, 3, 4, 4, seed=1)
    at_1, at_0 = (alpha_mix(*expect.copies(wide, narrow), alpha) for alpha in (1.0, 0.0))
    expect.same(at_1, wide, "at alpha 1 the next layer sees the wide way, as if there were no branch")
    expect.same(at_0, narrow, "at alpha 0 it sees the narrow one, not a trace of the other")


@pytest.mark.points(1)
def test_the_two_ways_stay_as_they_are(alpha_mix):
    wide, narrow = numbers(2, 3, 4, 4), numbers(2, 3, 4, 4, seed=1)
    before = wide.clone(), narrow.clone()
    expect.same_shape(alpha_mix(wide, narrow, 0.3), wide.shape, "the mix has the shape of both")
    for now, then in zip((wide, narrow), before, strict=True):
        expect.unchanged(now, then, "the backward pass needs both feature maps as they were")


# --- make_branch


def layers_of(make_branch, channels, kept):
    """The layers of the answer, and the two convolutions among them."""
    branch = make_branch(channels, kept)
    assert branch is not None, "your function returned None: is the `return` missing?"
    hint = "return an nn.Sequential of ConvA, batch norm, ReLU and ConvB"
    assert isinstance(branch, nn.Sequential), f"{hint}\n  yours is a {type(branch).__name__}"
    ends = (0, len(branch) - 1)
    layers = [layer for place, layer in enumerate(branch) if place in ends or not isinstance(layer, nn.Identity)]
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    names = ", ".join(type(layer).__name__ for layer in layers) or "nothing"
    expect.equal(len(convolutions), 2, f"{hint}, so of two convolutions\n  your layers: {names}")
    return layers, convolutions


@pytest.mark.points(1)
def test_down_to_the_kept_channels_and_up_again(make_branch):
    _, convolutions = layers_of(make_branch, 12, 5)
    shapes = [(layer.in_channels, layer.out_channels) for layer in convolutions]
    expect.equal(shapes, [(12, 5), (5, 12)], "ConvA goes from 12 to 5 channels, ConvB back from 5 to 12")
    for layer, name in zip(convolutions, ("ConvA", "ConvB"), strict=True):
        plain = (layer.kernel_size, layer.stride, layer.groups) == ((1, 1), (1, 1), 1)
        assert plain and layer.padding in ((0, 0), "same", "valid"), (
            f"{name} is a 1×1 convolution without stride, padding and groups\n  yours: {layer}"
        )


@pytest.mark.points(1)
def test_neither_convolution_has_a_bias(make_branch):
    _, (first, last) = layers_of(make_branch, 8, 3)
    hint = "ConvA needs no bias: the batch norm behind it takes the mean, and the bias with it, off again. bias=False"
    assert first.bias is None, hint
    hint = (
        "ConvB has a bias. It is there inside the image, but not in the zeros that the next layer pads with, so at the "
        "border no merged bias is right: bias=False"
    )
    assert last.bias is None, hint


@pytest.mark.points(1)
def test_nothing_at_the_ends(make_branch):
    layers, (first, last) = layers_of(make_branch, 8, 3)
    names = ", ".join(type(layer).__name__ for layer in layers)
    hint = (
        "nothing may stand before ConvA: it is merged with the layer in "
        "front, and a batch norm or ReLU would be in the way"
    )
    assert layers[0] is first, f"{hint}\n  yours: {names}"
    hint = (
        "nothing may stand behind ConvB: it is merged with the layer behind "
        "it, and a batch norm or ReLU would be in the way"
    )
    assert layers[-1] is last, f"{hint}\n  yours: {names}"


@pytest.mark.points(1)
def test_norm_and_activation_in_between(make_branch):
    layers, (first, last) = layers_of(make_branch, 8, 3)
    places = [place for place, layer in enumerate(layers) if layer is first or layer is last]
    middle = layers[places[0] + 1 : places[-1]]
    names = [type(layer).__name__ for layer in middle]
    hint = "between ConvA and ConvB stands what stands in the wide way: a batch norm, then a ReLU"
    expect.equal(names, ["BatchNorm2d", "ReLU"], hint)
    expect.equal(middle[0].num_features, 3, "the batch norm stands behind ConvA: it sees the kept channels")


# --- merged layers


PLAIN = "is it `check_pair(conv, pointwise)`, with the 1×1 convolution last?"
REASONS = {
    "NoneType": "each of the two biases may be missing, and is None then: `plus` takes it as it is, `@` and `+` do not",
    "Boolean value": "ask whether `bias is not None`: a tensor of several numbers is neither true nor false",
    "in-place": "a parameter is written to under `torch.no_grad()`, or by its `.data`",
    "'str' and 'int'": '`conv.padding` may be a word, "same" or "valid": `pads(conv)` knows both',
}


def merged(merge, kind, pair, shape, hint, why=PLAIN):
    """The one layer that the answer makes of the pair, of the kind, weight shape and dtype that it must have.

    `why`: what an answer that refuses the pair has overlooked.
    """
    this = f"this pair: {pair[0]} and {pair[1]}"
    try:
        layer = merge(*expect.copies(*pair))
    except NotImplementedError:
        raise
    except ValueError as error:
        said = f"this pair can be merged exactly, it must not be refused: {why}"
        raise AssertionError(f"{said}\n  {this}\n  yours: {error}") from None
    except (AttributeError, RuntimeError, TypeError) as error:
        reason = next((reason for words, reason in REASONS.items() if words in str(error)), "")
        if not reason and not isinstance(error, RuntimeError):
            raise
        raise AssertionError(f"{reason or hint}\n  {this}\n  yours stopped: {error}") from None
    assert layer is not None, "your function returned None: is the `return` missing?"
    name = kind.__name__
    assert isinstance(layer, kind), f"return one nn.{name} in place of the two\n  yours is a {type(layer).__name__}"
    expect.same_shape(layer.weight, shape, hint)
    for what, values in layer.named_parameters():
        said = f"the {what} of the pair is float64, so that of the merged layer is too\n  yours: {values.dtype}"
        assert values.dtype == torch.float64, said
    return layer


def check_outputs(layer, pair, images, hint):
    """On full images, borders included, the merged layer gives what the pair gives, up to rounding in float64."""
    with torch.no_grad():
        expected = nn.Sequential(*pair)(images)
        try:
            came = layer(images)
        except RuntimeError as error:
            raise AssertionError(f"{hint}\n  the merged layer stopped: {error}") from None
    expect.same_shape(came, expected.shape, f"{hint}\n  what comes out has another size")
    off = ((came - expected).abs().amax((0, 1)) / expected.std()).nan_to_num(torch.inf)
    height, width = (max(1, side // 4) for side in off.shape)
    inside = off[height:-height, width:-width]
    said = f"{hint}\n  off by up to {off.max():.2g} standard deviations"
    if off.max() > 1e-10 and inside.numel() and inside.max() < 1e-10:
        said += ", but only at the border of the image"
    assert off.max() < 1e-10, said


def check_sizes(layer, *sizes):
    hint = "in_channels are the first layer's, out_channels the second one's, and kernel_size is that of `conv`"
    expect.equal((layer.in_channels, layer.out_channels, layer.kernel_size), sizes, hint)


ONE = "an axis of one channel stays an axis: `squeeze` drops it too, `weight[:, :, 0, 0]` does not"

# --- merge_conv_1x1

MIX = (
    "W[o] = sum over m of A[o, m] · W1[m]: the sum goes over the channels "
    "BETWEEN the two; (outputs of A, inputs of conv, kH, kW)"
)


@pytest.mark.points(1)
def test_the_weight_of_both(merge_conv_1x1):
    pair = conv(3, 4, (3, 2)), pointwise(4, 5)
    layer = merged(merge_conv_1x1, nn.Conv2d, pair, (5, 3, 3, 2), MIX)
    check_outputs(layer, pair, numbers(2, 3, 8, 8, seed=20), MIX)
    check_sizes(layer, 3, 5, (3, 2))
    for between, outputs in ((1, 5), (4, 1)):
        pair = conv(3, between), pointwise(between, outputs)
        layer = merged(merge_conv_1x1, nn.Conv2d, pair, (outputs, 3, 3, 3), ONE)
        check_outputs(layer, pair, numbers(2, 3, 8, 8, seed=20), ONE)


@pytest.mark.points(1)
def test_the_biases_of_both(merge_conv_1x1):
    cases = {
        (False, True): "the 1×1 convolution's bias bA stays: b = A b1 + bA, without b1 here",
        (True, False): "the bias b1 of the convolution passes through the 1×1 one: b = A b1 + bA, without bA here",
        (True, True): "b = A b1 + bA: the first bias passes through A, the second is added",
    }
    for (first, second), hint in cases.items():
        pair = conv(3, 4, bias=first), pointwise(4, 5, bias=second)
        layer = merged(merge_conv_1x1, nn.Conv2d, pair, (5, 3, 3, 3), hint, "no bias is in the way here")
        check_outputs(layer, pair, numbers(2, 3, 8, 8, seed=20), hint)


@pytest.mark.points(2)
def test_stride_padding_and_the_rest_stay(merge_conv_1x1):
    for name, value in {"stride": (2, 1), "padding": (2, 1), "dilation": (1, 2)}.items():
        pair = conv(3, 4, **{name: value}), pointwise(4, 5)
        layer = merged(merge_conv_1x1, nn.Conv2d, pair, (5, 3, 3, 3), MIX)
        check_outputs(layer, pair, numbers(2, 3, 9, 9, seed=20), f"the {name} is that of `conv`, here {value}")
    for mode in ("reflect", "circular"):
        pair = conv(3, 4, padding=1, padding_mode=mode), pointwise(4, 5)
        layer = merged(merge_conv_1x1, nn.Conv2d, pair, (5, 3, 3, 3), MIX)
        check_outputs(layer, pair, numbers(2, 3, 9, 9, seed=20), f'the padding_mode is that of `conv`, here "{mode}"')


# --- merge_1x1_conv

FAN = (
    "W[o, i] = sum over m of W2[o, m] · B[m, i]: the sum goes over the channels "
    "BETWEEN the two; (outputs of conv, inputs of B, kH, kW)"
)


@pytest.mark.points(1)
def test_the_weight_of_the_two(merge_1x1_conv):
    pair = pointwise(3, 4), conv(4, 5, (3, 2))
    layer = merged(merge_1x1_conv, nn.Conv2d, pair, (5, 3, 3, 2), FAN)
    check_outputs(layer, pair, numbers(2, 3, 8, 8, seed=20), FAN)
    check_sizes(layer, 3, 5, (3, 2))
    for inputs, between in ((3, 1), (1, 4)):
        pair = pointwise(inputs, between), conv(between, 5)
        layer = merged(merge_1x1_conv, nn.Conv2d, pair, (5, inputs, 3, 3), ONE)
        check_outputs(layer, pair, numbers(2, inputs, 8, 8, seed=20), ONE)


@pytest.mark.points(1)
def test_the_whole_image_with_its_border(merge_1x1_conv):
    for options in ({"padding": 1}, {"padding": (2, 1), "stride": 2}, {"padding": 2, "dilation": 2}):
        pair = pointwise(3, 4), conv(4, 5, **options)
        layer = merged(
            merge_1x1_conv, nn.Conv2d, pair, (5, 3, 3, 3), FAN, "without a bias in front padding does no harm"
        )
        said = ", ".join(f"{name}={value}" for name, value in options.items())
        hint = f"stride, padding and dilation are those of `conv`, here {said}"
        check_outputs(layer, pair, numbers(2, 3, 9, 9, seed=20), hint)
    hint = "the bias b2 of `conv` itself is added at the border as it is inside: it stays, whatever the padding"
    pair = pointwise(3, 4), conv(4, 5, padding=1, bias=True)
    layer = merged(merge_1x1_conv, nn.Conv2d, pair, (5, 3, 3, 3), FAN, hint)
    check_outputs(layer, pair, numbers(2, 3, 9, 9, seed=20), hint)


@pytest.mark.points(1)
def test_the_biases_without_padding(merge_1x1_conv):
    every = (
        "without padding every pixel of the window has the bias bB in it: b = b2 + the sum over m, k AND l of "
        "W2[o, m, k, l] · bB[m]"
    )
    cases = {
        (False, True): "the bias b2 of `conv` stays, and there is no bB here",
        (True, False): f"{every}, without b2 here",
        (True, True): every,
    }
    for (first, second), hint in cases.items():
        pair = pointwise(3, 4, bias=first), conv(4, 5, bias=second)
        layer = merged(merge_1x1_conv, nn.Conv2d, pair, (5, 3, 3, 3), hint, "a bias is no harm without padding")
        check_outputs(layer, pair, numbers(2, 3, 8, 8, seed=20), hint)


@pytest.mark.points(2)
def test_a_bias_in_front_of_a_padding_of_zeros(merge_1x1_conv):
    hint = (
        "the 1×1 convolution has a bias, and the next one pads with zeros. Inside, the bias reaches every pixel of the "
        "window; at the border some of them are padding and have none. No "
        "single bias is right for both: raise ValueError"
    )
    expect.raises(ValueError, hint, merge_1x1_conv, pointwise(3, 4, bias=True), conv(4, 5, padding=1))
    pair = pointwise(3, 4), conv(4, 5, padding=1)
    hint = "without a bias in front the padding does no harm"
    layer = merged(merge_1x1_conv, nn.Conv2d, pair, (5, 3, 3, 3), FAN, hint)
    check_outputs(layer, pair, numbers(2, 3, 8, 8, seed=20), hint)


@pytest.mark.points(1)
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_bias_in_front_of_another_padding(merge_1x1_conv, mode):
    pair = pointwise(3, 4, bias=True), conv(4, 5, padding=1, padding_mode=mode)
    hint = (
        f'padding_mode="{mode}" repeats pixels of the image, which have the '
        f"bias in them: the merge is exact, keep the mode"
    )
    layer = merged(merge_1x1_conv, nn.Conv2d, pair, (5, 3, 3, 3), hint, hint)
    check_outputs(layer, pair, numbers(2, 3, 8, 8, seed=20), hint)


# --- merge_1x1_transposed

TURNED = (
    "the weight of a transposed convolution is (INPUTS, OUTPUTS, kH, kW): W[i, o] = sum over m of B[m, i] · W2[m, o], "
    "with the channels m BETWEEN the two summed away"
)


@pytest.mark.points(1)
def test_inputs_before_outputs(merge_1x1_transposed):
    pair = pointwise(3, 4), transposed(4, 5, (2, 3))
    layer = merged(merge_1x1_transposed, nn.ConvTranspose2d, pair, (3, 5, 2, 3), TURNED)
    check_outputs(layer, pair, numbers(2, 3, 6, 6, seed=20), TURNED)
    check_sizes(layer, 3, 5, (2, 3))
    for inputs, between in ((3, 1), (1, 4)):
        pair = pointwise(inputs, between), transposed(between, 5)
        layer = merged(merge_1x1_transposed, nn.ConvTranspose2d, pair, (inputs, 5, 2, 2), ONE)
        check_outputs(layer, pair, numbers(2, inputs, 6, 6, seed=20), ONE)


@pytest.mark.points(1)
def test_twice_as_large_as_in_the_autoencoder(merge_1x1_transposed):
    pair = pointwise(6, 4), transposed(4, 5, 2, stride=2, bias=True)
    why = "only a bias of the 1×1 convolution is in the way, that of `conv` stays as it is"
    layer = merged(merge_1x1_transposed, nn.ConvTranspose2d, pair, (6, 5, 2, 2), TURNED, why)
    hint = "stride 2 makes the image twice as large: the stride is that of `conv`, and its bias stays"
    check_outputs(layer, pair, numbers(2, 6, 5, 5, seed=20), hint)


@pytest.mark.points(1)
def test_windows_that_overlap(merge_1x1_transposed):
    options = {"stride": 2, "padding": 1, "output_padding": 1}
    pair = pointwise(3, 4), transposed(4, 5, 3, **options)
    layer = merged(merge_1x1_transposed, nn.ConvTranspose2d, pair, (3, 5, 3, 3), TURNED)
    hint = "padding and output_padding are those of `conv`, here padding=1, output_padding=1"
    check_outputs(layer, pair, numbers(2, 3, 5, 5, seed=20), hint)


@pytest.mark.points(1)
def test_a_bias_in_front_of_a_transposed_convolution(merge_1x1_transposed):
    hint = (
        "the 1×1 convolution has a bias. Each pixel of the output gets it through other entries of the kernel, so one "
        "bias for all of them is wrong: raise ValueError"
    )
    for options in ({"stride": 2}, {"kernel": 3, "stride": 2}, {"kernel": 3, "padding": 1}):
        expect.raises(ValueError, hint, merge_1x1_transposed, pointwise(3, 4, bias=True), transposed(4, 5, **options))
    pair = pointwise(3, 4), transposed(4, 5, stride=2)
    layer = merged(merge_1x1_transposed, nn.ConvTranspose2d, pair, (3, 5, 2, 2), TURNED)
    check_outputs(layer, pair, numbers(2, 3, 5, 5, seed=20), "without a bias in front it can be merged")


# --- the network that is handed in


@pytest.mark.points(1)
def test_narrow_enough(lab8_alpha_onnx):
    measured, original = artifacts.measured(lab8_alpha_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= 0.13, (
        f"at most 13 % of the parameters may be left: {measured.parameters:,} "
        f"of {original.parameters:,} are ({left:.1%}). "
        "Has it been shrunk before it was saved?"
    )


@pytest.mark.points(4)
def test_accuracy_once_alpha_is_zero(lab8_alpha_onnx, award):
    measured, original = artifacts.measured(lab8_alpha_onnx), artifacts.measured_baseline()
    assert measured.parameters <= 0.13 * original.parameters, "accuracy counts once 87 % of the parameters are gone"
    award(*artifacts.ramp("lab8_alpha", measured, original))
