"""Hidden tests of lab 1: other layers, networks that are not plain chains, what must not change."""

import pytest
import torch
from torch import nn

from autograder.checks.test_lab1_costs import (
    Stopwatch,
    conv_batchnorm_linear,
    hooks_on,
    latency,
    left_as_found,
    macs_of,
    modes,
    number,
)
from course_utils import expect
from course_utils.networks import parameter_count, resnet20


def twice_the_same_layer():
    """conv – ReLU – the same conv again."""
    conv = nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(conv, nn.ReLU(), conv)


def partly_frozen():
    """A network in training mode whose batch norm is kept in evaluation mode, as in fine-tuning."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)).train()
    network[1].eval()
    return network


def wrong_channels():
    """Stops half-way: the second layer expects other channels than the first one makes."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(5, 6, 3)).train()


def left_as_found_after_an_error(function):
    network = wrong_channels()
    mode, hooks = modes(network), hooks_on(network)
    hint = "the image does not fit this network: the error of the pass must come out, not a number"
    expect.raises(RuntimeError, hint, function, network, (3, 8, 8))
    hint = "after an error in the pass, hooks are left behind on the network: remove them in a `finally` block"
    expect.equal(hooks_on(network), hooks, hint)
    hint = "after an error in the pass, the modules must be back in the mode in which you found them: use `finally`"
    expect.equal(modes(network), mode, hint)


# --- count_parameters


@pytest.mark.points(1)
def test_frozen_layers_and_lone_parameters_count(count_parameters):
    network = nn.Sequential(nn.Linear(3, 3, bias=False), nn.PReLU(7)).requires_grad_(False)
    hint = "every parameter counts: also those that are frozen (no gradient), and those of layers other than conv and "
    hint += "linear"
    mistakes = {0: "frozen parameters are left out here", 9: "a PReLU has parameters too: do not pick layers by type"}
    number(count_parameters(network), 9 + 7, hint, mistakes)


@pytest.mark.points(1)
def test_parameters_of_a_residual_network(count_parameters):
    network = resnet20(widths=(4, 6, 8))
    hint = "layers inside blocks inside stages count too, shortcuts included"
    number(count_parameters(*expect.copies(network)), parameter_count(network), hint)


# --- conv_macs


@pytest.mark.points(1)
def test_stride_and_padding_are_in_the_output_size(conv_macs):
    hint = "stride, padding and dilation have already had their say in the size of the output"
    macs = 7 * 4 * 6 * 4 * 9
    mistakes = {
        macs / 4: "do not divide by the stride again",
        3 * 1 * 6 * 4 * 9: "`output_size` is already the size of the output: do not work it out again",
        4 * 2 * 6 * 4 * 9: "`output_size` is already the size of the output: do not work it out again",
        7 * 4 * 6 * 4 * 25: "a dilated kernel has holes: it has as many weights as before",
    }
    number(conv_macs(nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2), (7, 4)), macs, hint, mistakes)


@pytest.mark.points(1)
def test_depthwise(conv_macs):
    hint = "depthwise (groups = channels): each of the 10 filters sees one channel"
    mistakes = {25 * 10 * 10 * 15: "this forgets the groups", 25 * 15: "all 10 output channels count"}
    conv = nn.Conv2d(10, 10, (3, 5), groups=10)
    number(conv_macs(conv, torch.Size([5, 5])), 25 * 10 * 15, hint, mistakes)


# --- count_macs


@pytest.mark.points(1)
def test_layers_that_run_twice(count_macs):
    hint = "this network runs one layer twice, and each run is work: count runs, not layers"
    once = 5 * 6 * 16 * 9
    number(count_macs(twice_the_same_layer(), (4, 5, 6)), 2 * once, hint, {once: "this counts it once"})


@pytest.mark.points(1)
def test_macs_of_a_residual_network(count_macs):
    hint = "layers inside blocks inside stages count too, shortcuts included; images are 3×24×16"
    network = resnet20(widths=(4, 6, 8))
    number(count_macs(*expect.copies(network, (3, 24, 16))), macs_of(network, (3, 24, 16)), hint)


@pytest.mark.points(1)
def test_a_layer_that_is_not_known(count_macs):
    network = nn.Sequential(nn.Conv1d(3, 5, 3, padding=1), nn.Flatten(), nn.Linear(40, 2))
    hint = (
        "a Conv1d has weights too. Count it, or raise a ValueError: what is not known must not cost nothing in silence"
    )
    try:
        answer = count_macs(network, (3, 8))
    except ValueError:
        return
    number(answer, 8 * 5 * 9 + 80, hint, {80: "the Conv1d is left out without a word"})


@pytest.mark.points(1)
def test_modes_and_statistics_of_other_networks(count_macs):
    left_as_found(count_macs, partly_frozen(), (3, 3, 3))


@pytest.mark.points(1)
def test_after_an_error(count_macs):
    left_as_found_after_an_error(count_macs)


# --- weight_bytes


@pytest.mark.points(1)
def test_rounded_once_and_buffers_left_out(weight_bytes):
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    hint = "36 parameters of 7 bits: 252 bits, 32 bytes"
    mistakes = {
        33: "this rounds every tensor up: the whole network has one last byte",
        31: "this rounds down",
        38: "the buffers of the batch norm are in it",
        36: "this gives every parameter a whole byte",
    }
    number(weight_bytes(network, 7), 32, hint, mistakes)


# --- peak_activation_bytes


@pytest.mark.points(1)
def test_other_dtypes(peak_activation_bytes):
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU()).double()
    hint = "a network of float64: give it an image of its own dtype; a value takes 8 bytes"
    try:
        answer = peak_activation_bytes(network, (3, 6, 4))
    except RuntimeError as error:
        raise AssertionError(f"{hint}\n  your function stopped: {error}") from None
    number(answer, (3 * 24 + 5 * 8) * 8, hint, {(3 * 24 + 5 * 8) * 4.0: "4 bytes are right for float32 only"})


@pytest.mark.points(1)
def test_after_an_error_in_the_pass(peak_activation_bytes):
    left_as_found(peak_activation_bytes, partly_frozen(), (3, 3, 3))
    left_as_found_after_an_error(peak_activation_bytes)


@pytest.mark.points(1)
def test_the_peak_may_be_anywhere(peak_activation_bytes):
    layers = nn.Conv2d(1, 2, 3, stride=4), nn.ReLU(), nn.Upsample(scale_factor=8), nn.ReLU(), nn.MaxPool2d(8)
    hint = "every kind of layer counts, convolution or not: here the ReLU behind the upsampling is the largest"
    mistakes = {
        (81 + 8) * 4.0: "only the convolution is measured here",
        (81 + 16 * 16 * 2) * 4.0: "input and output of ONE layer",
    }
    number(peak_activation_bytes(nn.Sequential(*layers), (1, 9, 9)), 2 * 2 * 16 * 16 * 2 * 2, hint, mistakes)
    nested = nn.Sequential(conv_batchnorm_linear())
    hint = "conv 3×10×8 → 4×5×4: 320 values"
    number(peak_activation_bytes(nested, (3, 10, 8)), 320 * 4, hint)


# --- median_latency


@pytest.mark.points(1)
def test_one_repeat_without_warm_up(median_latency):
    number(latency(median_latency, Stopwatch(0.75), 0, 1), 0.75, "one run of 0.75 s, no warm-up")


@pytest.mark.points(1)
def test_each_run_is_timed_by_itself(median_latency):
    hint = "clock, run, clock, for every repeat: the times are 8, 1, 1, 1 and 1 s"
    mistakes = {
        2.4: "this is the mean of all runs: time each by itself and take the median",
        10.0: "look at the clock anew before every run: these are times since the first one's start",
    }
    number(latency(median_latency, Stopwatch(8.0, 1.0, 1.0, 1.0, 1.0), 0, 5), 1.0, hint, mistakes)
