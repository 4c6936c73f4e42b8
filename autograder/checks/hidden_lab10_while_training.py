"""Hidden tests of lab 10: other sizes, dtypes and networks, against formulas, finite differences and the layers."""

import random

import pytest
import torch
from torch import nn

from autograder.checks.test_lab10_while_training import (
    batch,
    compare_auxiliary,
    compare_bias,
    compare_penalty,
    compare_slopes,
    compare_thresholding,
    compare_update,
    drawn_layer,
    small_network,
    some_masks,
    trained_with_momentum,
    with_gradients,
)
from autograder.checks.test_lab10_while_training import numbers as fixed_numbers
from course_utils import expect
from course_utils.networks import mobile_mini, resnet20

numbers = expect.in_course(fixed_numbers)


def chance(seed):
    """Python's random numbers, drawn for the course."""
    return random.Random(expect.drawn(seed))


@pytest.mark.points(1)
def test_the_penalty_of_other_networks(slimming_step):
    hint = "strength · sign(γ) is added to the gradient of every batch norm's scales, here of a "
    compare_penalty(slimming_step, with_gradients(resnet20(widths=(3, 4, 5)), seed=2), 0.1, f"{hint}residual network")
    network = with_gradients(mobile_mini(widths=(4, 4, 6, 6)), seed=3)
    compare_penalty(slimming_step, network.double(), 1e-3, f"{hint}MobileNet in float64")
    bare = with_gradients(nn.BatchNorm2d(5), seed=4)
    compare_penalty(slimming_step, bare, 0.5, f"{hint}network that is nothing but a batch norm")
    compare_penalty(slimming_step, bare, 0.0, "with a strength of 0 nothing is added")


@pytest.mark.points(1)
def test_the_penalty_is_added_in_every_step(slimming_step):
    network = with_gradients(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    hint = "a second call adds the slope once more, of the scales as they are then"
    compare_penalty(slimming_step, network, 0.5, hint)
    network[1].weight.data.neg_()
    compare_penalty(slimming_step, network, 0.5, hint)


@pytest.mark.points(1)
def test_biases_of_random_layers(absorbed_bias):
    drawn = chance(1)
    for round_ in range(8):
        inputs, outputs = drawn.randrange(1, 7), drawn.randrange(1, 7)
        kernel = drawn.choice([1, 3, (1, 3), (2, 1), 5])
        layer = drawn_layer(nn.Conv2d(inputs, outputs, kernel, bias=drawn.random() < 0.6), seed=round_)
        layer = layer if round_ % 2 else layer.double()
        constant = numbers(inputs, seed=round_).relu().to(layer.weight)
        hint = (
            f"a convolution from {inputs} to {outputs} channels with kernels of {kernel}, constants {constant.tolist()}"
        )
        compare_bias(absorbed_bias, layer, constant, hint)
    for inputs, outputs, bias in ((1, 4, True), (4, 1, False)):
        layer = drawn_layer(nn.Conv2d(inputs, outputs, 3, bias=bias))
        compare_bias(absorbed_bias, layer, numbers(inputs), f"a convolution of {inputs} inputs and {outputs} outputs")
    linear = drawn_layer(nn.Linear(9, 2, bias=False))
    compare_bias(absorbed_bias, linear, numbers(9), "a linear layer without a bias")


@pytest.mark.points(1)
def test_random_thresholds(soft_threshold):
    drawn, hint = chance(2), "sign(W) · relu(|W| - sigmoid(s))"
    for round_ in range(8):
        shape = tuple(drawn.randrange(1, 5) for _ in range(drawn.randrange(1, 5)))
        kind = drawn.choice([torch.float32, torch.float64])
        s = torch.tensor(drawn.uniform(-5, 2), dtype=kind)
        compare_thresholding(soft_threshold, numbers(*shape, seed=round_).to(kind), s, f"{hint}, W of shape {shape}")
    for s in (-1000.0, -100.0, 100.0):
        hint = "s far out: exp(s) or exp(-s) may be too large for a float, and the sigmoid is still 0 or 1"
        compare_thresholding(soft_threshold, numbers(3, 4), torch.tensor(s), hint)


@pytest.mark.points(1)
def test_random_gradients(soft_threshold_gradient):
    drawn, hint = chance(3), "the gradients in W and s"
    for round_ in range(8):
        shape = tuple(drawn.randrange(1, 5) for _ in range(drawn.randrange(1, 5)))
        kind = drawn.choice([torch.float32, torch.float64])
        s = torch.tensor(drawn.uniform(-4, 1), dtype=kind)
        weight, gradient = (numbers(*shape, seed=seed).to(kind) for seed in (round_, 50 + round_))
        compare_slopes(soft_threshold_gradient, weight, s, gradient, f"{hint}, W of shape {shape}")
    for s in (-1000.0, -100.0, 100.0):
        hint = "s far out: exp(s) or exp(-s) may be too large for a float, and the sigmoid is still 0 or 1"
        compare_slopes(soft_threshold_gradient, numbers(3, 4), torch.tensor(s), numbers(3, 4, seed=1), hint)


@pytest.mark.points(1)
def test_several_steps_with_feedback(dense_update):
    """Masks that change from step to step: a weight that was pruned has learned in the meantime."""
    network = small_network(seed=3)
    optimizer = trained_with_momentum(network)
    for step in range(3):
        hint = f"step {step + 1} of three, each with masks of its own"
        masks = some_masks(network, seed=expect.drawn(step) % 1000, share=0.7)
        compare_update(dense_update, network, optimizer, masks, batch(step), hint)


@pytest.mark.points(1)
def test_feedback_in_other_networks(dense_update):
    network = mobile_mini(widths=(3, 4), classes=3, seed=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    masks = some_masks(network, seed=1)
    compare_update(dense_update, network, optimizer, masks, batch(4), "a MobileNet, and another optimizer")
    network = small_network(seed=5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, weight_decay=0.1)
    hint = "weight decay acts on the DENSE weights: they are back before the optimizer's step"
    compare_update(dense_update, network, optimizer, some_masks(network, seed=2), batch(5), hint)
    network = small_network(seed=6)
    compare_update(dense_update, network, torch.optim.SGD(network.parameters(), lr=0.1), {}, batch(6), "no masks")


@pytest.mark.points(1)
def test_random_auxiliary_parameters(auxiliary_step):
    drawn = chance(7)
    for round_ in range(6):
        shape = tuple(drawn.randrange(1, 6) for _ in range(drawn.randrange(1, 5)))
        kind = drawn.choice([torch.float32, torch.float64])
        m, weight, gradient = (numbers(*shape, seed=10 * round_ + seed).to(kind) for seed in range(3))
        weight = torch.where(numbers(*shape, seed=10 * round_ + 5) > 1, 0.0, weight)
        hint = f"auxiliary parameters of shape {shape}"
        compare_auxiliary(auxiliary_step, 3 * m, weight, gradient, drawn.uniform(0.01, 3), drawn.uniform(0, 2), hint)
    far = torch.tensor([-1000.0, -200.0, 0.0, 200.0])
    hint = "m far out: exp(-m) may be too large for a float, and the sigmoid is still 0 or 1"
    compare_auxiliary(auxiliary_step, far, torch.ones(4), torch.full((4,), 50.0), 1.0, 1.0, hint)
