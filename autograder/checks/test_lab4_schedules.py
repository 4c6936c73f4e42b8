"""Visible tests of lab 4. A test's first argument is the exercise that it grades."""

import copy

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect
from course_utils.networks import vgg_mini
from solutions.l1 import prune_vgg


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network_with_statistics(widths=(6, 8), seed=0):
    """A small VGG whose batch norms have biases and statistics that matter."""
    network = vgg_mini(widths=widths, classes=3, seed=seed)
    for number, norm in enumerate(layer for layer in network.features if isinstance(layer, nn.BatchNorm2d)):
        channels, first = norm.num_features, seed + 10 * number
        norm.weight.data = numbers(channels, seed=first) + 1
        norm.bias.data = numbers(channels, seed=first + 1)
        norm.running_mean = numbers(channels, seed=first + 2)
        norm.running_var = numbers(channels, seed=first + 3) ** 2 + 0.1
    return network.eval()


def outputs(network, seed=0):
    """A number that depends on everything the network computes."""
    hint = "there are hooks on the network, and they do not travel: change the batch norm's weight and bias"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules()), hint
    with torch.no_grad():
        return network(numbers(2, 3, 32, 32, seed=seed)).double().abs().sum().item()


def silenced(network, position, keep_ratio):
    """A copy in which the weakest filters of one convolution give channels of zeros."""
    copied = copy.deepcopy(network)
    scores = network.features[position].weight.detach().abs().sum(dim=(1, 2, 3))
    removed = scores.argsort()[: int((1 - keep_ratio) * len(scores) + 1e-9)]
    copied.features[position + 1].weight.data[removed] = 0
    copied.features[position + 1].bias.data[removed] = 0
    return copied


def scanned(answer, names, ratios):
    """The answer as a dictionary with one list of numbers for each convolution."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, dict), (
        f"return a dictionary: a convolution's name and its numbers\n  yours: {answer!r:.200}"
    )
    hint = "one entry for each convolution, under its name in named_modules()"
    expect.equal(sorted(answer), sorted(names), hint)
    for name, values in answer.items():
        expect.equal(len(values), len(ratios), f"{name}: one number for each of the {len(ratios)} keep ratios")
    return answer


# --- sensitivity_scan


@pytest.mark.points(1)
def test_one_number_for_each_layer_and_ratio(sensitivity_scan):
    network = network_with_statistics()
    answer = scanned(sensitivity_scan(network, [1.0, 0.5, 0.2], outputs), ["features.0", "features.3"], [1.0, 0.5, 0.2])
    for name, values in answer.items():
        hint = f"{name}: at keep ratio 1 nothing is pruned, so evaluate(network) says what it says of the whole network"
        expect.same(values[0], outputs(network_with_statistics()), hint, tolerance=1e-4)


@pytest.mark.points(2)
def test_a_silenced_filter_is_as_good_as_gone(sensitivity_scan):
    network = network_with_statistics()
    answer = scanned(sensitivity_scan(network, [0.5], outputs), ["features.0", "features.3"], [0.5])
    for position in (0, 3):
        expected = outputs(silenced(network_with_statistics(), position, 0.5))
        hint = (
            f"features.{position} alone, half of its filters silent: the weakest "
            f"by their L1 norm, and behind the batch norm "
            "their channels must be ZERO, so its weight and its bias are zero there"
        )
        expect.same(answer[f"features.{position}"], [expected], hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_every_measurement_starts_from_the_whole_network(sensitivity_scan):
    answer = scanned(
        sensitivity_scan(network_with_statistics(), [0.2, 0.7], outputs), ["features.0", "features.3"], [0.2, 0.7]
    )
    for position in (0, 3):
        expected = [outputs(silenced(network_with_statistics(), position, ratio)) for ratio in (0.2, 0.7)]
        hint = "each layer alone, each ratio from the whole layer: put everything back before the next measurement"
        expect.same(answer[f"features.{position}"], expected, hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_the_network_is_as_it_was(sensitivity_scan):
    network = network_with_statistics()
    before = copy.deepcopy(network.state_dict())
    scanned(sensitivity_scan(network, [0.5], outputs), ["features.0", "features.3"], [0.5])
    for name, value in network.state_dict().items():
        expect.unchanged(value, before[name], f"{name} is not as it was before the scan: keep a clone, and put it back")


# --- cubic_sparsity


@pytest.mark.points(1)
def test_half_way_seven_eighths_are_gone(cubic_sparsity):
    hint = (
        "half-way, (6 - 2) / (10 - 2), 1 - (1 - 1/2)³ = 7/8 of the final "
        "sparsity is reached: fast first, slow at the end"
    )
    expect.same(cubic_sparsity(6, 2, 10, 0.8), 0.7, hint, tolerance=1e-6)
    expect.same(cubic_sparsity(4, 2, 10, 0.8), 0.8 * (1 - 0.75**3), "a quarter of the way is (4 - 2) / (10 - 2)", 1e-6)


@pytest.mark.points(1)
def test_before_and_after(cubic_sparsity):
    expect.same(cubic_sparsity(0, 2, 10, 0.8), 0.0, "before `begin` nothing is pruned", tolerance=1e-6)
    expect.same(cubic_sparsity(15, 2, 10, 0.8), 0.8, "after `end` the sparsity stays at `final`", tolerance=1e-6)


# --- prune_and_reset


def pruned_and_reset(answer):
    """The two things that are returned: a network, and an optimizer."""
    hint = "return two things: the pruned network, and the new optimizer"
    assert isinstance(answer, (tuple, list)) and len(answer) == 2, f"{hint}\n  yours: {answer!r:.200}"
    pruned, optimizer = answer
    assert isinstance(pruned, nn.Module), f"{hint}; the first is a {type(pruned).__name__}"
    assert isinstance(optimizer, torch.optim.Optimizer), f"{hint}; the second is a {type(optimizer).__name__}"
    return pruned, optimizer


def used(optimizer, network):
    """Let it take one step, so that it has gathered momentum."""
    network(numbers(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


def known_to(optimizer):
    return {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}


@pytest.mark.points(1)
def test_the_new_optimizer_trains_the_pruned_network(prune_and_reset):
    network = network_with_statistics()
    optimizer = used(torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), network)
    pruned, fresh = pruned_and_reset(prune_and_reset(network, optimizer, 0.25))
    hint = "keep_ratio 0.25: of 6 and 8 filters 2 and 2 stay; keep_ratio, your argument, is the share that STAYS"
    expect.equal([pruned.features[0].out_channels, pruned.features[3].out_channels], [2, 2], hint)
    expected, came = prune_vgg(network, 0.25).state_dict(), pruned.state_dict()
    expect.equal(sorted(came), sorted(expected), "the pruned network has the layers of the old one: use prune_vgg")
    for name, value in expected.items():
        hint = f"{name}: the trained weights and statistics of the filters that stay must come along, as in prune_vgg"
        expect.same(came[name], value, hint)
    hint = "the new optimizer must know the parameters of the PRUNED network: it would train the old one"
    assert known_to(fresh) == {id(parameter) for parameter in pruned.parameters()}, hint


@pytest.mark.points(1)
def test_no_momentum_survives(prune_and_reset):
    network = network_with_statistics()
    optimizer = used(torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), network)
    pruned, fresh = pruned_and_reset(prune_and_reset(network, optimizer, 0.5))
    hint = "a NEW optimizer starts without memory; this one brings momentum of filters that are gone"
    assert not any(value is not None for state in fresh.state.values() for value in state.values()), hint
    assert known_to(fresh) == {id(parameter) for parameter in pruned.parameters()}, "it must know the pruned network"


@pytest.mark.points(1)
def test_the_settings_stay(prune_and_reset):
    network = network_with_statistics()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.8, weight_decay=0.01, nesterov=True)
    optimizer.param_groups[0]["lr"] = 0.025
    pruned, fresh = pruned_and_reset(prune_and_reset(network, optimizer, 0.5))
    assert known_to(fresh) == {id(parameter) for parameter in pruned.parameters()}, "it must know the pruned network"
    for name in ("lr", "momentum", "weight_decay", "nesterov"):
        hint = f"{name} is the one that the old optimizer has NOW, in param_groups[0] (a schedule may have changed it)"
        expect.equal(fresh.param_groups[0][name], optimizer.param_groups[0][name], hint)


# --- narrow_twin


def twin_of(answer, pruned):
    """The answer as a network with the same tensors, of the same shapes."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, nn.Module), f"return a network (nn.Module); yours is a {type(answer).__name__}"
    shapes = [(name, tuple(value.shape)) for name, value in pruned.state_dict().items()]
    came = [(name, tuple(value.shape)) for name, value in answer.state_dict().items()]
    assert came == shapes, "the twin has the same layers as the pruned network, with the same shapes"
    return answer


@pytest.mark.points(1)
def test_the_weights_are_new(narrow_twin):
    pruned = network_with_statistics(widths=(3, 5))
    twin = twin_of(narrow_twin(pruned, 5), pruned)
    for name, value in twin.named_parameters():
        if value.ndim > 1:
            same = torch.isclose(value, pruned.get_parameter(name)).double().mean().item()
            assert same < 0.5, (
                f"{name} is still the pruned network's: draw it anew, with the layer's reset_parameters()"
            )
            assert value.std() > 0.01, f"{name} must be random: with equal weights all filters learn the same"
    hint = "classifier.bias is still the pruned network's: biases start anew too (reset_parameters draws them as well)"
    assert not torch.allclose(twin.classifier.bias, pruned.classifier.bias), hint


@pytest.mark.points(1)
def test_batch_norms_start_anew(narrow_twin):
    pruned = network_with_statistics(widths=(3, 5))
    twin = twin_of(narrow_twin(pruned, 5), pruned)
    for name, value in twin.state_dict().items():
        if "running_mean" in name:
            hint = (
                f"{name}: a network that has seen nothing has no statistics (a "
                f"batch norm's reset_parameters clears them)"
            )
            expect.same(value, torch.zeros_like(value), hint)
        if "running_var" in name:
            hint = f"{name} starts at 1: a batch norm's reset_parameters clears both statistics, mean and variance"
            expect.same(value, torch.ones_like(value), hint)
    for name, norm in twin.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            hint = (
                f"{name}: γ (weight) starts at 1 and β (bias) at 0; "
                f"reset_running_stats leaves them, reset_parameters not"
            )
            expect.same(norm.weight, torch.ones_like(norm.weight), hint)
            expect.same(norm.bias, torch.zeros_like(norm.bias), hint)


@pytest.mark.points(1)
def test_the_seed_decides(narrow_twin):
    pruned = network_with_statistics(widths=(3, 5))
    first, again, other = (twin_of(narrow_twin(pruned, seed), pruned) for seed in (1, 1, 2))
    weights = [one.features[0].weight for one in (first, again, other)]
    assert torch.equal(weights[0], weights[1]), (
        "the same seed must give the same weights: torch.manual_seed(seed) first"
    )
    assert not torch.equal(weights[0], weights[2]), "another seed must give other weights: use the argument `seed`"


# --- the network that is handed in


@pytest.mark.points(1)
def test_enough_parameters_are_gone(lab4_pruned_onnx):
    measured, original = artifacts.measured(lab4_pruned_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= 0.2, (
        f"at least 80 % of the parameters must go: {measured.parameters:,} of "
        f"{original.parameters:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab4_pruned_onnx, award):
    measured, original = artifacts.measured(lab4_pruned_onnx), artifacts.measured_baseline()
    assert measured.parameters <= 0.2 * original.parameters, "accuracy counts once 80 % of the parameters are gone"
    award(*artifacts.ramp("lab4_pruned", measured, original))
