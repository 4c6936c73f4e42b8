"""Hidden tests of lab 6: random inputs against the definitions, ties, too few samples, and arguments left alone."""

import pytest
import torch
from torch import nn

from autograder.checks.test_lab6_thinet import channels, residual, scale_of
from autograder.checks.test_lab6_thinet import numbers as fixed_numbers
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


def error_of(contributions, removed):
    return contributions.double()[:, removed].sum(1).square().sum().item()


@pytest.mark.points(1)
def test_contributions_of_random_windows(sample_contributions):
    patches, weight = numbers(5, 3, 2, 4), numbers(5, 3, 2, 4, seed=1)
    before = patches.clone(), weight.clone()
    expected = [[(patches[s, c] * weight[s, c]).sum().item() for c in range(3)] for s in range(5)]
    expect.same(
        sample_contributions(patches, weight), expected, "weight times patch, summed over the window", tolerance=1e-5
    )
    for now, then in zip((patches, weight), before, strict=True):
        expect.unchanged(now, then, "patches and weights must stay as they are")


@pytest.mark.points(1)
@pytest.mark.parametrize(("samples", "width", "seed"), [(50, 12, 0), (200, 9, 1), (6, 10, 2)])
def test_every_step_is_the_best_step(channels_to_remove, samples, width, seed):
    contributions = numbers(samples, width, seed=seed) + 0.4 * numbers(samples, 1, seed=9)
    before = contributions.clone()
    removed = channels(channels_to_remove(contributions, width - 2), width - 2)
    expect.unchanged(contributions, before, "the contributions must stay as they are")
    for step in range(len(removed)):
        costs = [
            error_of(before, [*removed[:step], channel]) for channel in range(width) if channel not in removed[:step]
        ]
        came = error_of(before, removed[: step + 1])
        hint = f"step {step + 1}: with channels {removed[:step]} gone, another channel keeps the sum of squares smaller"
        assert came <= min(costs) * 1.0001 + 1e-9, f"{hint}: {min(costs):.4f}, yours gives {came:.4f}"


@pytest.mark.points(1)
def test_fewer_samples_than_channels(least_squares_scale):
    contributions = numbers(4, 7)
    target = contributions @ numbers(7, seed=3)
    before = contributions.clone(), target.clone()
    scale = scale_of(least_squares_scale, contributions, target)
    hint = "4 samples and 7 factors: they can be met exactly, and lstsq(driver='gelsd') finds factors that do"
    assert residual(*before, scale) < 1e-6, f"{hint}\n  your squared error: {residual(*before, scale):.3g}"
    assert scale.abs().max() < 100, "the factors are huge: XᵀX is singular here, do not invert it"
    for now, then in zip((contributions, target), before, strict=True):
        expect.unchanged(now, then, "contributions and target must stay as they are")
    for seed in range(1, 6):  # rounding can hide that XᵀX is singular, but hardly five times
        contributions = numbers(4, 7, seed=seed)
        contributions[:, 5] = contributions[:, 2]
        target = contributions @ numbers(7, seed=seed + 3)
        scale = scale_of(least_squares_scale, *expect.copies(contributions, target))
        error, largest = residual(contributions, target, scale), scale.abs().max().item()
        twins = (
            f"4 samples, 7 factors, and channels 2 and 5 are the same: {hint}. "
            f"XᵀX is singular here, do not solve with it"
        )
        assert error < 1e-6 and largest < 10, (
            f"{twins}\n  your squared error: {error:.3g}, largest factor: {largest:.3g}"
        )


@pytest.mark.points(1)
def test_channels_on_very_different_scales(least_squares_scale):
    everything = numbers(80, 5).double() * torch.tensor([1.0, 1e3, 1e-3, 1.0, 1.0]).double()
    contributions, target = everything[:, :3], everything.sum(1)
    best = torch.linalg.lstsq(contributions, target[:, None], driver="gelsd").solution[:, 0]
    scale = scale_of(least_squares_scale, contributions, target)
    came, least = residual(contributions, target, scale), residual(contributions, target, best)
    assert came <= least * 1.001, f"the sum of squared errors can be {least:.4f}, with your factors it is {came:.4f}"


@pytest.mark.points(1)
def test_the_same_layer_goes_on(rescale_inputs):
    for layer in (nn.Conv2d(4, 3, (3, 1), stride=2), nn.Linear(4, 3)):
        layer.weight.data = numbers(*layer.weight.shape, seed=7)
        parameter, weight, bias = layer.weight, layer.weight.detach().clone(), layer.bias.detach().clone()
        scale = torch.tensor([1.0, 2.0, 0.5, -3.0])
        rescale_inputs(layer, scale)
        kind = type(layer).__name__
        assert layer.weight is parameter, f"{kind}: change the weight's values; the parameter stays the same object"
        expect.unchanged(layer.bias, bias, f"{kind}: the bias is added after the sum over the inputs, it is not scaled")
        shape = (1, 4) + (1,) * (weight.ndim - 2)
        expect.same(layer.weight, weight * scale.view(shape), f"{kind}: input slice c, weight[:, c], times scale[c]")
        expect.same(scale, torch.tensor([1.0, 2.0, 0.5, -3.0]), "the factors must stay as they are")
