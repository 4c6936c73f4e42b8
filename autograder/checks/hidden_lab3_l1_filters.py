"""Hidden tests of lab 3: other sizes, other options, the traps that the visible tests leave open."""

import pytest
import torch
from torch import nn

from autograder.checks.test_lab3_l1_filters import batchnorm, conv, network_with_statistics, pruned_network
from autograder.checks.test_lab3_l1_filters import numbers as fixed_numbers
from autograder.checks.test_lab3_l1_filters import silence_weak_channels as silenced
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(7, 3, 5, 5), (2, 9, 1, 3)], ids=["7 filters of 3x5x5", "2 filters of 9x1x3"])
def test_norms_of_layers_that_are_not_square(filter_l1_norms, shape):
    weight = numbers(*shape, seed=2)
    expected = [sum(abs(v) for v in weight[j].flatten().tolist()) for j in range(shape[0])]
    hint = "sum all |weights| of each filter: no mean, no squares, no fixed layer size"
    expect.same(filter_l1_norms(weight), expected, hint)


@pytest.mark.points(1)
def test_scoring_does_not_change_the_weight(filter_l1_norms):
    weight = numbers(4, 3, 3, 3)
    before = weight.clone()
    expect.same_shape(filter_l1_norms(weight), (4,), "one score per filter: sum over every axis but the first")
    expect.unchanged(weight, before, "scoring must leave the weight as it was")


@pytest.mark.points(1)
def test_rounding_is_exact(filters_to_keep):
    kept = filters_to_keep(numbers(90).abs(), 0.3)
    expect.equal(len(kept), 27, "0.7 * 90 is 62.999… in floating point: add 1e-9 before rounding down")


@pytest.mark.points(1)
@pytest.mark.parametrize("keep_ratio", [-0.1, 1.5])
def test_a_ratio_out_of_range_is_an_error(filters_to_keep, keep_ratio):
    hint = f"keep_ratio {keep_ratio} makes no sense: raise ValueError for anything outside 0…1"
    expect.raises(ValueError, hint, filters_to_keep, torch.ones(4), keep_ratio)


@pytest.mark.points(1)
def test_dilation_and_padding_mode_stay(narrow_conv):
    layer = conv(3, 4, kernel_size=(3, 1), dilation=2, padding=2, padding_mode="reflect").double()
    images, outputs = numbers(1, 3, 8, 8).double(), torch.tensor([0, 3])
    narrow = narrow_conv(*expect.copies(layer, outputs, torch.arange(3)))
    expect.equal(narrow.weight.dtype, torch.float64, "the narrow layer keeps the dtype of the old one")
    hint = "kernel size, dilation and padding mode are those of the layer"
    expect.same(narrow(images), layer(images)[:, outputs], hint)


@pytest.mark.points(1)
def test_equal_numbers_of_filters_and_inputs(narrow_conv):
    layer, picked = conv(4, 4, bias=False), torch.tensor([0, 3])
    narrow = narrow_conv(*expect.copies(layer, picked, torch.tensor([1, 2])))
    hint = "weight[outputs, inputs] pairs filters with inputs; index twice: [outputs][:, inputs]"
    expect.same(narrow.weight, layer.weight[picked][:, [1, 2]], hint)


@pytest.mark.points(1)
def test_evaluation_mode_gives_the_same_numbers(narrow_batchnorm):
    norm, channels, images = batchnorm(6, seed=4), torch.tensor([2, 3, 5]), numbers(2, 6, 4, 4)
    norm.eps = 0.01
    answer = narrow_batchnorm(*expect.copies(norm, channels)).eval()(images[:, channels])
    hint = "in evaluation mode the channels that stay must come out as before (running statistics, eps)"
    expect.same(answer, norm(images)[:, channels], hint)


@pytest.mark.points(1)
def test_the_old_batchnorm_is_not_changed(narrow_batchnorm):
    norm = batchnorm(5)
    before = norm.running_mean.clone()
    narrow = narrow_batchnorm(norm, torch.arange(5))
    expect.same_shape(narrow.running_mean, (5,), "the running mean has one number for every channel that stays")
    narrow.running_mean.add_(1)
    expect.unchanged(norm.running_mean, before, "the narrow batch norm shares its memory with the old one")


@pytest.mark.points(1)
@pytest.mark.parametrize("pixels", [1, 6])
def test_other_feature_map_sizes(narrow_linear, pixels):
    linear, channels = nn.Linear(5 * pixels, 4, bias=False), torch.tensor([1, 3, 4])
    maps = numbers(2, 5, pixels)
    zeroed = torch.zeros_like(maps)
    zeroed[:, channels] = maps[:, channels]
    narrow = narrow_linear(*expect.copies(linear, channels, pixels))
    hint = "the narrow layer must give what the old one gives when the removed channels are zero"
    expect.same(narrow(maps[:, channels].flatten(1)), linear(zeroed.flatten(1)), hint)
    assert narrow.bias is None, "the layer has no bias, so the narrow one must have none"


@pytest.mark.points(2)
@pytest.mark.parametrize("keep_ratio", [0.75, 0.3])
def test_removing_equals_zeroing_on_another_network(prune_vgg, keep_ratio):
    network, images = (
        network_with_statistics(widths=(7, 5, 9, 6), classes=4, seed=expect.drawn(9)),
        numbers(3, 3, 32, 32, seed=1),
    )
    with torch.no_grad():
        answer, expected = (
            pruned_network(prune_vgg(*expect.copies(network, keep_ratio)))(images),
            silenced(network, keep_ratio)(images),
        )
    hint = "a network with layers of different widths: inputs, batch norm and classifier follow the kept filters"
    expect.same(answer, expected, hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_greedy_equals_l1_with_all_channels(greedy_l1_norms):
    weight = numbers(4, 6, 3, 3)
    hint = "with all input channels left, the greedy score is the L1 norm"
    expect.same(greedy_l1_norms(*expect.copies(weight, torch.arange(6))), weight.abs().sum(dim=(1, 2, 3)), hint)
