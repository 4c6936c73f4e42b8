"""Hidden tests of lab 8: other lengths, dtypes and layers, with numbers that are drawn for the course."""

import pytest
import torch
from torch import nn

from autograder.checks.test_lab8_alpha_branch import (
    EVERY,
    FAN,
    FORMULAS,
    MIX,
    TURNED,
    branch_of,
    check_outputs,
    conv,
    levels,
    merged,
    names_of,
    pointwise,
    same_mix,
    schedule,
    schedule_hint,
    transposed,
)
from autograder.checks.test_lab8_alpha_branch import numbers as fixed_numbers
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


# --- alpha_schedule


@pytest.mark.points(1)
def test_schedules_of_other_lengths(alpha_schedule):
    for kind in FORMULAS:
        for steps in (2, 7, 20, 90 + expect.drawn(5) % 20):
            hint = f"{schedule_hint(kind)}; here K = {steps}, below 0.015 it is 0, and so is the last"
            expect.same(levels(alpha_schedule, kind, steps), schedule(kind, steps), hint, tolerance=1e-6)


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
            hint = f"{said}: {MIX}; b = A b1 + bA; all settings are those of `conv`"
            layer = merged(merge_conv_1x1, pair, hint)
            check_outputs(layer, pair, numbers(2, inputs, 11, 10, seed=20), hint)


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
            biases = f"{' and a bias in front' * front}{' and the bias b2 of `conv`' * behind}"
            hint = f"{said}{biases}: {FAN}; {EVERY}; all settings are those of `conv`"
            layer = merged(merge_1x1_conv, pair, hint)
            check_outputs(layer, pair, numbers(2, inputs, 11, 10, seed=20), hint)
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
            hint = f"{said}: {TURNED}; stride, padding, output_padding, dilation and bias are those of `conv`"
            layer = merged(merge_1x1_transposed, pair, hint)
            check_outputs(layer, pair, numbers(2, inputs, 6, 5, seed=20), hint)
