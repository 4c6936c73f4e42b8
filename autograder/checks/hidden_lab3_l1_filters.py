"""Hidden tests of lab 3: other sizes, other options, the traps that the visible tests leave open."""

import math

import pytest
import torch
from torch import nn

from autograder.checks.test_lab3_l1_filters import (
    LAST_LEFT_OUT,
    NO_BIAS,
    PARTS,
    SORTED,
    batchnorm,
    columns_of,
    conv,
    indices,
    linear,
    network_with_statistics,
    other_biases,
    other_choices,
    other_columns,
    other_counts,
    other_greedy_scores,
    other_parts,
    other_scores,
    pruned_copy,
    same_setting,
    say_which_layer,
)
from autograder.checks.test_lab3_l1_filters import numbers as fixed_numbers
from autograder.checks.test_lab3_l1_filters import silence_weak_channels as silenced
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


@pytest.mark.points(1)
def test_layers_of_other_shapes(filter_l1_norms):
    for shape in ((7, 2, 3, 4), (3, 8, 1, 1), (4, 1, 3, 2), (2, 3, 1, 5)):
        weight = numbers(*shape, seed=2)
        hint = f"s_j = sum |W_j|, for a weight {shape}: one score for each filter"
        expect.same(filter_l1_norms(weight.clone()), weight.abs().sum((1, 2, 3)), hint, mistakes=other_scores(weight))


@pytest.mark.points(1, alone=False)
def test_rounding_is_exact(filters_to_keep):
    cases = {
        (90, 0.3, 27): "(1 - 0.3) * 90 is 62.99999999999999 in floating point: add 1e-9 before rounding down",
        (100, 0.07, 7): "(1 - 0.07) * 100 is 93.0, but 0.07 * 100 is 7.000000000000001 in floating point",
        (512, 0.625, 320): "(1 - 0.625) * 512 is 192.0",
        (1000, 0.335, 335): "(1 - 0.335) * 1000 is 665.0",
    }
    for (filters, keep_ratio, stay), fact in cases.items():
        hint = f"of {filters} filters at keep ratio {keep_ratio} {filters - stay} are removed, {stay} stay: {fact}"
        kept = expect.tensor(filters_to_keep(numbers(filters), keep_ratio), hint)
        expect.equal([kept.numel()], [stay], f"{hint}; how many do", mistakes=other_counts(filters, [keep_ratio]))


@pytest.mark.points(1)
def test_scores_of_all_kinds(filters_to_keep):
    scores, hint = numbers(40, seed=5), "of 40 scores, negative ones among them, the 10 highest stay"
    kept, best = indices(filters_to_keep(scores.clone(), 0.25), hint), scores.topk(10).indices.sort().values
    expect.equal(kept, best.tolist(), f"{hint}: their indices in increasing order", mistakes=other_choices(scores, 10))
    twice, hint = scores.repeat(2), "of 80 scores, of which two each are equal, the 20 highest stay"
    kept = indices(filters_to_keep(twice.clone(), 0.25), hint)
    expect.equal(len(set(kept)), 20, f"{hint}, each once; how many different ones do")
    expect.same(twice[kept].sort().values, twice.sort().values[-20:], f"{hint}; the scores of those that do")
    assert kept == sorted(kept), f"{hint}: their indices in increasing order\n  yours: {kept}"


@pytest.mark.points(1)
def test_settings_one_by_one(narrow_conv):
    options = {
        "stride": (1, 3),
        "padding": "same",
        "dilation": 2,
        "padding_mode": "circular",
        "kernel_size": (1, 5),
    }
    for name, value in options.items():
        layer = conv(3, 4, bias=False, **{"kernel_size": (3, 2), name: value}).double()
        images = numbers(1, 3, 9, 10).double()
        narrow = narrow_conv(*expect.copies(layer, torch.tensor([3, 0]), torch.tensor([0, 1, 2])))
        same_setting(narrow, layer, name)
        expect.equal(narrow.weight.dtype, torch.float64, "the narrow layer keeps the dtype of the old one")
        hint = f"a layer with {name}={value}, whose filters 3 and 0 are kept, in this order"
        expect.same(narrow(images), layer(images)[:, [3, 0]], hint)


@pytest.mark.points(1)
def test_any_order_of_filters_and_inputs(narrow_conv):
    layer = conv(5, 5)
    weight = layer.weight.detach()
    for outputs, inputs in (([4, 0, 2], [3, 1]), ([2, 0, 1, 4, 3], [1, 0, 4, 2, 3])):
        narrow = narrow_conv(*expect.copies(layer, torch.tensor(outputs), torch.tensor(inputs)))
        hint = f"the weight's filters and inputs come in the order of the indices, here {outputs} and {inputs}"
        mistakes = {SORTED: weight[sorted(outputs)][:, sorted(inputs)]}
        expect.same(narrow.weight, weight[outputs][:, inputs], hint, mistakes=mistakes)
        hint = f"the bias has one entry for every filter: pick it with `outputs`, here {outputs}"
        expect.same(narrow.bias, layer.bias[outputs], hint, mistakes=other_biases(layer, outputs, inputs))


@pytest.mark.points(1)
def test_settings_of_the_batch_norm_stay(narrow_batchnorm):
    for momentum, channels in ((0.3, [5, 2, 3]), (None, [3, 5, 0, 1, 4, 2]), (0.0, [4])):
        norm, images = batchnorm(6, seed=4), numbers(2, 6, 4, 4)
        norm.eps, norm.momentum = 0.01, momentum
        narrow = narrow_batchnorm(*expect.copies(norm, torch.tensor(channels)))
        expect.equal((narrow.eps, narrow.momentum), (0.01, momentum), "eps and momentum are those of the batch norm")
        for name in PARTS:
            hint, values = f"{name} of the channels {channels}, in this order", getattr(norm, name)
            expect.same(getattr(narrow, name), values[channels], hint, mistakes=other_parts(norm, channels, name))
        hint = f"in evaluation mode the channels that stay, {channels}, must come out as before"
        expect.same(narrow.eval()(images[:, channels]), norm(images)[:, channels], hint)


@pytest.mark.points(1, alone=False)
def test_both_batch_norms_go_on_learning_by_themselves(narrow_batchnorm):
    norm = batchnorm(5).train()
    narrow = narrow_batchnorm(norm, torch.arange(5))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    expect.equal(narrow.training, True, "a batch norm in training mode stays in training mode")
    narrow(numbers(3, 5, 2, 2))
    expect.equal(int(narrow.num_batches_tracked), 1, "the narrow batch norm counts its own batches")
    for name, value in before.items():
        hint = f"a training step of the narrow batch norm changed {name} of the old one: they share memory"
        expect.same(norm.state_dict()[name], value, hint)


@pytest.mark.points(1)
def test_other_feature_map_sizes(narrow_linear):
    for pixels, channels in ((6, [4, 1, 3]), (1, [4, 1, 3, 0, 2])):
        layer = linear(5 * pixels, 4, bias=False)
        maps = numbers(2, 5, pixels)
        zeroed = torch.zeros_like(maps)
        zeroed[:, channels] = maps[:, channels]
        narrow = narrow_linear(*expect.copies(layer, torch.tensor(channels), pixels))
        assert narrow.bias is None, NO_BIAS
        hint = f"{len(channels)} channels of {pixels} pixels: the in_features of the new layer"
        mistakes = {
            "a map taken for square, whose other pixels are lost": len(channels) * math.isqrt(pixels) ** 2,
            LAST_LEFT_OUT: len(channels) * (pixels - 1),
            "the layer's in_features left as they were": 5 * pixels,
        }
        expect.equal(narrow.in_features, len(channels) * pixels, hint, mistakes=mistakes)
        hint = f"of 5 channels of {pixels} pixels, channel j owns the columns j*{pixels} … (j + 1)*{pixels} - 1; here "
        hint += f"the channels are {channels}, in this order"
        columns = columns_of(channels, pixels).flatten()
        expect.same(narrow.weight, layer.weight[:, columns], hint, mistakes=other_columns(layer, channels, pixels))
        hint = "the narrow layer must give what the old one gives when the removed channels are zero"
        expect.same(narrow(maps[:, channels].flatten(1)), layer(zeroed.flatten(1)), hint)


@pytest.mark.points(2)
def test_removing_equals_zeroing_on_another_network(prune_vgg):
    for keep_ratio in (0.75, 0.3):
        network = network_with_statistics(widths=(9, 11, 13, 8), classes=4, seed=expect.drawn(9) % 1000)
        images = numbers(1, 3, 32, 32, seed=1)
        with torch.no_grad():
            hint = f"a network with layers of different widths at keep ratio {keep_ratio}"
            pruned = pruned_copy(prune_vgg, network, keep_ratio, hint)
            hint = say_which_layer(pruned, network, keep_ratio, hint)
            expect.same(pruned(images), silenced(network, keep_ratio)(images), hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_other_chains(prune_vgg):
    long = nn.Sequential(
        conv(3, 6, padding=1, bias=False), batchnorm(6), nn.ReLU(),
        conv(6, 12, kernel_size=(1, 5), stride=(2, 1), padding=(0, 2), seed=9), batchnorm(12), nn.ReLU(),
        nn.MaxPool2d(2), conv(12, 5, kernel_size=1, seed=3), batchnorm(5), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 3)),
    )  # fmt: skip
    short = nn.Sequential(conv(3, 5, seed=4), batchnorm(5), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 3)))
    images = numbers(2, 3, 16, 16, seed=1)
    for features, which in ((long, "with other kernels, strides and pooling"), (short, "with a single convolution")):
        network = network_with_statistics(widths=(6, 4, 5), classes=2)
        network.features, network.classifier = features, linear(5 * 3, 2)
        network.eval()
        hint = f"a VGG {which}; its classifier sees 3 pixels of every channel"
        with torch.no_grad():
            pruned = pruned_copy(prune_vgg, network, 0.5, hint)
            hint = say_which_layer(pruned, network, 0.5, hint)
            expect.same(pruned(images), silenced(network, 0.5)(images), hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_unsorted_and_all_inputs(greedy_l1_norms):
    weight = numbers(4, 6, 3, 3)
    for inputs in ([4, 0, 3], [1], range(6)):
        left = weight[:, list(inputs)]
        hint = f"the greedy score over the input channels {list(inputs)}"
        answer = expect.called(hint, greedy_l1_norms, *expect.copies(weight, torch.tensor(inputs)))
        expect.same(answer, left.abs().sum((1, 2, 3)), hint, mistakes=other_greedy_scores(weight, list(inputs)))
