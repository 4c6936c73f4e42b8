"""Hidden tests of lab 8: other lengths, dtypes and layers, with numbers that are drawn for the course."""

import pytest
import torch
from torch import nn

from autograder.checks.test_lab8_alpha_branch import (
    BOTH,
    EITHER,
    FAN,
    FORMULAS,
    MIX,
    STAYS,
    TURNED,
    biases_before,
    biases_transposed,
    branch_of,
    check_outputs,
    conv,
    conv_1x1,
    levels,
    merged,
    names_of,
    one_by_one_conv,
    one_by_one_transposed,
    other_biases,
    other_schedules,
    pointwise,
    same_bias,
    same_mix,
    same_settings,
    same_weight,
    schedule,
    schedule_hint,
    transposed,
    weights_before,
    weights_behind,
    weights_transposed,
)
from autograder.checks.test_lab8_alpha_branch import numbers as fixed_numbers
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


# --- alpha_schedule


@pytest.mark.points(1)
def test_schedules_of_other_lengths(alpha_schedule):
    for kind in FORMULAS:
        for steps in (7, 2, 20, 101 + expect.drawn(5) % 20):
            mistakes = other_schedules(kind, steps)
            hint = f"{schedule_hint(kind)}; here K = {steps}, below 0.015 it is 0, and so is the last"
            found = levels(alpha_schedule, kind, steps, mistakes)
            expect.same(found, schedule(kind, steps), hint, tolerance=1e-6, mistakes=mistakes)


# --- alpha_mix


@pytest.mark.points(1)
def test_mixes_of_other_shapes_and_dtypes(alpha_mix):
    for shape, alpha in (((1, 1, 1, 1), 0.015625), ((3, 5), 0.9), ((1, 4, 3, 2), 0.55)):
        hint = f"alpha · wide + (1 - alpha) · narrow at alpha {alpha:g}, feature maps of shape {shape}"
        same_mix(alpha_mix, numbers(*shape), numbers(*shape, seed=1), alpha, hint)
    for dtype in (torch.bfloat16, torch.float16):
        wide, narrow = numbers(2, 3, 4, 4, dtype=dtype), numbers(2, 3, 4, 4, seed=1, dtype=dtype)
        answer = expect.same_shape(alpha_mix(wide, narrow, 0.3), (2, 3, 4, 4), "the mix has the shape of both")
        hint = f"feature maps of {dtype} give a mix of {dtype}: the next layer takes no other dtype"
        assert answer.dtype == dtype, f"{hint}\n  yours: {answer.dtype}"


# --- make_branch


@pytest.mark.points(1, alone=False)
def test_what_a_branch_computes(make_branch):
    for channels, kept in ((12, 5), (4, 4), (6, 1), (9 + expect.drawn(7) % 9, 7)):
        _, layers = branch_of(make_branch, channels, kept)
        maps = numbers(3, channels, 6, 5, dtype=torch.float32)
        hint = f"{channels} channels, {kept} kept: as many channels come out as go in, and the image keeps its size"
        names = names_of(layers)
        assert len(layers) > 3 and isinstance(layers[0], nn.Conv2d) and isinstance(layers[-1], nn.Conv2d), (
            f"a branch is ConvA, batch norm, ReLU, ConvB\n  yours: {names}"
        )
        with torch.no_grad():
            try:
                answer = nn.Sequential(*layers).train()(maps)
            except RuntimeError as error:
                raise AssertionError(f"{hint}\n  the branch stopped: {error}") from None
            expect.same_shape(answer, maps.shape, hint)
            middle = torch.relu(nn.functional.batch_norm(layers[0](maps), None, None, training=True))
            hint = "a branch is ConvA, batch norm, ReLU, ConvB, and a new batch norm has weight 1 and bias 0"
            expect.same(answer, layers[-1](middle), f"{hint}\n  yours: {names}", tolerance=1e-2)


# --- merged layers


def check(layer, pair, conv, weight, bias, images, said):
    """One after the other: the weight, the bias, the settings, and what comes out; each has its own hint and mistakes.

    `weight`, `bias`: what is right, the hint and the mistakes of a pair, which need equal numbers of channels.
    """
    equal = pair[0].in_channels == pair[0].out_channels == pair[1].out_channels
    for same, (right, hint, mistakes) in ((same_weight, weight), (same_bias, bias)):
        same(layer, right, f"{said}: {hint}", mistakes(pair) if equal else None)
    hint = f"{said}: the settings are those of `conv`"
    same_settings(layer, pair, weight[0], bias[0], images, hint, conv)
    check_outputs(layer, pair, images, f"{said}: what the layer computes as a whole, borders included")


# --- merge_conv_1x1

SETTINGS = {
    "as wide in between as at both ends": {"padding": 1},
    "a window of 5 and stride 3": {"kernel": 5, "stride": (3, 2), "padding": (0, 4)},
    "a window of 1": {"kernel": 1, "stride": 2},
    'padding="same"': {"kernel": (3, 2), "padding": "same"},
    'padding="valid"': {"padding": "valid", "dilation": (2, 1)},
    "padding by replication": {"padding": (2, 1), "padding_mode": "replicate"},
}


@pytest.mark.points(2)
def test_many_convolutions_before_a_1x1(merge_conv_1x1):
    for place, (said, options) in enumerate(SETTINGS.items()):
        for first, second, (inputs, between, outputs) in (
            (True, True, (4, 4, 4)),
            (place % 2 == 0, place % 4 == 1, (2, 5, 3)),
        ):
            pair = (
                conv(inputs, between, bias=first, seed=expect.drawn(3), **options),
                pointwise(between, outputs, bias=second, seed=expect.drawn(4)),
            )
            right, biases = conv_1x1(pair), BOTH[pair[0].bias is not None, pair[1].bias is not None]
            weight, bias = (right[0], MIX, weights_before), (right[1], biases, biases_before)
            images = numbers(2, inputs, 11, 10, seed=20)
            check(merged(merge_conv_1x1, pair, said), pair, pair[0], weight, bias, images, said)


# --- merge_1x1_conv


@pytest.mark.points(2)
def test_many_convolutions_behind_a_1x1(merge_1x1_conv):
    for place, (said, options) in enumerate(SETTINGS.items()):
        zeros = options.get("padding_mode", "zeros") == "zeros" and options.get("padding", 0) not in (0, "valid")
        for front, behind, (inputs, between, outputs) in (
            (not zeros, True, (4, 4, 4)),
            (False, place % 2 == 0, (2, 5, 3)),
        ):
            pair = (
                pointwise(inputs, between, bias=front, seed=expect.drawn(4)),
                conv(between, outputs, bias=behind, seed=expect.drawn(3), **options),
            )
            what = f"{said}{', a bias in front' * front}{', the bias b2 of `conv`' * behind}"
            right, biases = one_by_one_conv(pair), EITHER[front, behind]
            if front and options.get("padding_mode") == "replicate":
                biases = "the padding repeats pixels of the image, which have the bias in them. " + biases
            weight, bias = (right[0], FAN, weights_behind), (right[1], biases, other_biases)
            images = numbers(2, inputs, 11, 10, seed=20)
            check(merged(merge_1x1_conv, pair, what), pair, pair[1], weight, bias, images, what)
    pair = pointwise(3, 4, bias=True), conv(4, 5, 1, padding="same")
    hint = 'with a window of 1, padding="same" adds nothing'
    check_outputs(merged(merge_1x1_conv, pair, hint), pair, numbers(2, 3, 6, 6), hint)


# --- merge_1x1_transposed


@pytest.mark.points(2)
def test_many_transposed_convolutions(merge_1x1_transposed):
    cases = {
        "as wide in between as at both ends": {"kernel": 2, "stride": 2},
        "a window of 4 and stride 2": {"kernel": 4, "stride": (2, 1), "padding": 1},
        "dilation 2": {"kernel": (3, 2), "dilation": 2, "padding": (2, 0)},
        "stride 3 and output_padding": {"kernel": 3, "stride": 3, "output_padding": (2, 0)},
        "a window smaller than the stride": {"kernel": 1, "stride": 2},
    }
    for said, options in cases.items():
        for bias, (inputs, between, outputs) in ((True, (4, 4, 4)), (False, (2, 5, 3))):
            pair = (
                pointwise(inputs, between, seed=expect.drawn(4)),
                transposed(between, outputs, bias=bias, seed=expect.drawn(3), **options),
            )
            right, biases = (
                one_by_one_transposed(pair),
                STAYS if bias else "neither has a bias, so nothing may be added",
            )
            weight, added = (right[0], TURNED, weights_transposed), (right[1], biases, biases_transposed)
            images = numbers(2, inputs, 6, 5, seed=20)
            check(merged(merge_1x1_transposed, pair, said), pair, pair[1], weight, added, images, said)
