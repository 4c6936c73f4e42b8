"""Hidden tests of lab 1: networks and times of each course's own, and what the visible tests leave open."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograder.checks.test_lab1_costs import (
    Stopwatch,
    conv_batchnorm_linear,
    left_as_found_after_an_error,
    macs_are,
    median_is,
    network_takes,
    number,
    other_counts,
    peak_is,
    work_of,
)
from course_utils import expect
from course_utils.networks import parameter_count, resnet20


def drawn(least, most, seed):
    """A whole number from `least` to `most`, another one in each course."""
    return least + expect.drawn(seed) % (most - least + 1)


def costs_as_much_elsewhere(function, mistakes=None):
    """A network on torch's device "meta" in place of a GPU. (Its first pass imports much: too slow for `check`.)"""
    hint = "on another device (here `meta`, for a GPU) a network costs as much"
    advice = f"{hint}: make the image on the parameters' device"
    there = expect.called(advice, function, conv_batchnorm_linear().to("meta"), (3, 10, 8))
    hint += " as on the CPU; its tensors have no memory here, all at the address 0"
    number(there, function(conv_batchnorm_linear(), (3, 10, 8)), hint, mistakes)


def macs_of(network, size):
    """Multiply-accumulates as PyTorch counts them: FLOPs, so half of them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *size))
    return counter.get_total_flops() // 2


def residual_network():
    return resnet20(widths=(drawn(3, 6, 1), drawn(4, 8, 2), drawn(5, 9, 3)), classes=drawn(2, 7, 4))


# --- count_parameters


@pytest.mark.points(1)
def test_parameters_of_a_residual_network(count_parameters):
    network = residual_network()
    network.stages[0].requires_grad_(False)
    hint = "layers inside blocks inside stages count too, shortcuts and frozen ones included"
    number(count_parameters(network), parameter_count(network), hint, other_counts(network))


# --- conv_macs


@pytest.mark.points(1)
def test_a_convolution_with_everything(conv_macs):
    for seed in range(3):
        groups = (3, 7)[drawn(0, 1, seed)]
        conv = nn.Conv2d(  # no two of these numbers have products that mistakes could take for each other
            groups * drawn(11, 13, seed + 10),
            groups * drawn(5, 6, seed + 20),
            (drawn(2, 3, seed + 30), drawn(4, 5, seed + 40)),
            stride=(8, drawn(9, 10, seed + 50)),
            padding=(1, 4),
            dilation=(4, 3),
            groups=groups,
        )
        size = torch.Size([(17, 19)[drawn(0, 1, seed + 60)], (23, 29)[drawn(0, 1, seed + 70)]])
        macs = size.numel() * conv.weight.numel()
        macs_are(conv_macs, conv, size, macs, f"H W O (I / groups) kH kW of {conv} with an output of {tuple(size)}")


# --- count_macs


@pytest.mark.points(1)
def test_macs_of_a_residual_network(count_macs):
    network = residual_network()
    hint = "layers inside blocks inside stages count too, shortcuts included; images are 3×24×16"
    macs, mistakes = macs_of(network, (3, 24, 16)), work_of(network, (3, 24, 16))[1]
    number(expect.called(hint, count_macs, network, (3, 24, 16)), macs, hint, mistakes)
    costs_as_much_elsewhere(count_macs)


@pytest.mark.points(1)
def test_a_network_with_everything(count_macs):
    channels, groups = drawn(2, 5, 5), drawn(2, 3, 6)
    again = nn.Conv2d(3 * groups, 3 * groups, 3, padding=1, groups=groups)
    network = nn.Sequential(
        nn.Conv2d(channels, 2 * groups, (3, 2), stride=(1, 2), groups=1),
        nn.Sequential(nn.ConvTranspose2d(2 * groups, 3 * groups, (2, 5), stride=(2, 1), groups=groups), nn.ReLU()),
        again,
        nn.AvgPool2d(2),
        again,
        nn.Linear(drawn(14, 16, 7) // 2, 3),
    )
    width = 2 * (2 * network[5].in_features - 4)  # 4 columns more from the transposed convolution, then half of them
    hint = f"convolutions with groups and strides, a transposed one, one that runs twice, a linear layer: {network}"
    network_takes(count_macs, network, (channels, drawn(7, 9, 8), width), hint)


# --- peak_activation_bytes


@pytest.mark.points(1)
def test_the_peak_of_other_networks(peak_activation_bytes):
    hint = "a residual network, images of 3×24×16"
    peak_is(peak_activation_bytes, residual_network(), (3, 24, 16), hint)
    network = nn.Sequential(nn.Linear(6, drawn(50, 70, 9)), nn.Sequential(nn.Tanh(), nn.AdaptiveAvgPool2d((1, 2))))
    hint = "a linear layer on each row of an image of 2×5×6, a Tanh, a pooling"
    peak_is(peak_activation_bytes, network.to(torch.bfloat16), (2, 5, 6), hint)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Linear(7, 2)).train()
    left_as_found_after_an_error(peak_activation_bytes, network)
    words = "input and output counted once where a layer works in place"
    costs_as_much_elsewhere(peak_activation_bytes, {words: 4 * 80})


# --- median_latency


@pytest.mark.points(1)
def test_times_of_all_kinds(median_latency):
    orders = {(0, 9): (2, 0, 1, 8, 5, 7, 4, 3, 6), (3, 6): (4, 1, 2, 3, 0, 7, 8, 5, 6), (4, 1): (1, 3, 0, 4, 2)}
    for (warmup, repeats), order in orders.items():  # orders for which few mistakes give the same
        steps = [drawn(1, 1023, seed) / 64 for seed in range(len(order))]
        times = [sum(steps[: place + 1]) for place in order]
        hint = f"{warmup} runs of warm-up, then {repeats} timed ones, of {times[warmup:]} s"
        median_is(median_latency, Stopwatch(*times), warmup, repeats, hint)
