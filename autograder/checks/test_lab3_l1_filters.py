"""Visible tests of lab 3. A test's first argument is the exercise that it grades."""

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect
from course_utils.networks import vgg_mini


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conv(inputs, outputs, seed=0, **options):
    layer = nn.Conv2d(inputs, outputs, options.pop("kernel_size", 3), **options)
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed + number)
    return layer


def batchnorm(channels, seed=0):
    norm = nn.BatchNorm2d(channels)
    norm.weight.data, norm.bias.data = numbers(channels, seed=seed), numbers(channels, seed=seed + 1)
    norm.running_mean, norm.running_var = (
        numbers(channels, seed=seed + 2),
        numbers(channels, seed=seed + 3) ** 2 + 0.1,
    )
    return norm.eval()


def network_with_statistics(widths=(6, 8, 8, 5), classes=3, seed=0):
    """A small VGG whose batch norms hold statistics that matter."""
    network = vgg_mini(widths=widths, classes=classes, seed=seed)
    for number, layer in enumerate(network.features):
        if isinstance(layer, nn.BatchNorm2d):
            source = batchnorm(layer.num_features, seed=seed + number)
            layer.load_state_dict(source.state_dict())
    return network.eval()


# --- filter_l1_norms


@pytest.mark.points(1)
def test_one_score_per_filter(filter_l1_norms):
    weight = numbers(5, 3, 2, 4)
    expect.same_shape(filter_l1_norms(weight), (5,), "one score per filter: sum over every axis but the first")


@pytest.mark.points(1)
def test_sign_does_not_matter(filter_l1_norms):
    weight = torch.tensor([[[[-3.0]], [[-1.0]]], [[[1.0]], [[-1.0]]]])
    hint = "take absolute values first: a filter of large negative weights matters, and +1 and −1 must not cancel"
    expect.same(filter_l1_norms(weight), [4.0, 2.0], hint)


# --- filters_to_keep


@pytest.mark.points(1)
def test_the_highest_scores_stay(filters_to_keep):
    kept = expect.tensor(filters_to_keep(torch.tensor([0.1, 4.0, 0.2, 3.0]), 0.5), "return the indices that stay")
    hint = "the filters with the HIGHEST scores stay, the lowest are removed; return their indices"
    expect.equal(sorted(kept.tolist()), [1, 3], hint)


@pytest.mark.points(1)
def test_the_order_is_kept(filters_to_keep):
    kept = expect.tensor(filters_to_keep(torch.tensor([3.0, 1.0, 2.0, 4.0]), 0.75), "return the indices that stay")
    hint = "indices in increasing order, please: topk and argsort order by score, so sort the indices once more"
    expect.equal(kept.tolist(), [0, 2, 3], hint)


@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("filters", "keep_ratio", "stay"), [(8, 0.625, 5), (10, 0.25, 3), (3, 0.5, 2)], ids=["5 of 8", "3 of 10", "2 of 3"]
)
def test_how_many_stay(filters_to_keep, filters, keep_ratio, stay):
    kept = filters_to_keep(numbers(filters).abs(), keep_ratio)
    hint = f"of {filters} filters at keep ratio {keep_ratio}, floor((1 - keep_ratio) * {filters} + 1e-9) are removed"
    expect.equal(len(kept), stay, hint + "; round what is removed down, not what stays")


@pytest.mark.points(1)
def test_one_filter_always_stays(filters_to_keep):
    kept = expect.tensor(filters_to_keep(torch.tensor([1.0, 3.0, 2.0]), 0.0), "at least one filter stays")
    expect.equal(kept.tolist(), [1], "at least one filter stays, even at keep ratio 0: an empty layer cuts the network")


# --- narrow_conv


@pytest.mark.points(1)
def test_weight_of_the_filters_that_stay(narrow_conv):
    layer, outputs, inputs = conv(6, 5), torch.tensor([0, 2, 4]), torch.tensor([1, 3])
    narrow = narrow_conv(*expect.copies(layer, outputs, inputs))
    hint = "weight[outputs] picks the filters (axis 0), [:, inputs] the input channels (axis 1)"
    expect.same(narrow.weight, layer.weight[outputs][:, inputs], hint)
    expect.equal((narrow.in_channels, narrow.out_channels), (2, 3), "in_channels and out_channels say the new widths")


@pytest.mark.points(1)
def test_bias_is_narrowed(narrow_conv):
    layer, outputs = conv(4, 5, bias=True), torch.tensor([0, 3])
    narrow = narrow_conv(*expect.copies(layer, outputs, torch.arange(4)))
    assert narrow.bias is not None, "the layer has a bias, the narrow one has none: pass bias=… on"
    expect.same(narrow.bias, layer.bias[outputs], "the bias has one entry per filter: pick it with `outputs`")
    without = narrow_conv(conv(4, 5, bias=False), outputs, torch.arange(4))
    assert without.bias is None, "the layer has no bias, so the narrow one must have none: a new random bias came in"


@pytest.mark.points(1)
def test_stride_and_padding_stay(narrow_conv):
    layer = conv(4, 6, stride=2, padding=1)
    images, outputs = numbers(2, 4, 9, 9, seed=5), torch.tensor([1, 2, 5])
    answer = narrow_conv(*expect.copies(layer, outputs, torch.arange(4)))
    hint = "stride, padding, dilation and kernel size are those of the layer"
    expect.same(answer(images), layer(images)[:, outputs], hint)


@pytest.mark.points(1)
def test_the_old_layer_is_not_changed(narrow_conv):
    layer = conv(4, 5)
    before = layer.weight.detach().clone()
    narrow = narrow_conv(layer, torch.arange(5), torch.arange(4))
    assert narrow is not layer, "return a new layer, not the old one"
    expect.same_shape(narrow.weight, before.shape, "when all channels stay, the new layer is as wide as the old one")
    narrow.weight.data.zero_()
    expect.unchanged(layer.weight, before, "the narrow layer shares its memory with the old one: clone what you pick")


# --- narrow_batchnorm


@pytest.mark.points(1)
def test_weight_and_bias_of_the_channels(narrow_batchnorm):
    norm, channels = batchnorm(6), torch.tensor([1, 2, 5])
    narrow = narrow_batchnorm(*expect.copies(norm, channels))
    expect.same(narrow.weight, norm.weight[channels], "pick the batch norm's weight with `channels`")
    expect.same(narrow.bias, norm.bias[channels], "pick the batch norm's bias with `channels`")
    expect.equal(narrow.num_features, 3, "num_features says the new number of channels")


@pytest.mark.points(2)
def test_running_statistics_are_kept(narrow_batchnorm):
    norm, channels = batchnorm(6), torch.tensor([0, 4])
    narrow = narrow_batchnorm(*expect.copies(norm, channels))
    hint = "the running mean belongs to channels too: a fresh one (zeros) makes evaluation mode wrong"
    expect.same(narrow.running_mean, norm.running_mean[channels], hint)
    hint = "the running variance belongs to channels too: a fresh one (ones) makes evaluation mode wrong"
    expect.same(narrow.running_var, norm.running_var[channels], hint)


# --- narrow_linear


@pytest.mark.points(1)
def test_a_channel_owns_neighbouring_columns(narrow_linear):
    linear = nn.Linear(3 * 4, 2)
    narrow = narrow_linear(*expect.copies(linear, torch.tensor([0, 2]), 4))
    hint = "channel j owns the columns j*pixels … (j+1)*pixels - 1 (not column j alone, and not every pixels-th one)"
    expect.same(narrow.weight, linear.weight[:, [0, 1, 2, 3, 8, 9, 10, 11]], hint)


@pytest.mark.points(1)
def test_the_bias_of_the_outputs_stays(narrow_linear):
    linear = nn.Linear(3 * 4, 2)
    narrow = narrow_linear(*expect.copies(linear, torch.tensor([1]), 4))
    assert narrow.bias is not None, "the linear layer's bias is missing"
    expect.same(narrow.bias, linear.bias, "the bias belongs to the outputs, which all stay: copy it whole")


# --- prune_vgg


def pruned_network(answer):
    """The answer, in evaluation mode, which must be a network made of PyTorch's layers."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, nn.Module), f"return a network (nn.Module); yours is a {type(answer).__name__}"
    return answer.eval()


@pytest.mark.points(1)
def test_nothing_changes_at_keep_ratio_1(prune_vgg):
    network, images = network_with_statistics(), numbers(4, 3, 32, 32, seed=3)
    with torch.no_grad():
        answer = pruned_network(prune_vgg(*expect.copies(network, 1.0)))(images)
        expect.same(answer, network(images), "at keep ratio 1 nothing may change")


@pytest.mark.points(1)
def test_widths_of_the_pruned_network(prune_vgg):
    pruned = pruned_network(prune_vgg(network_with_statistics(widths=(8, 8, 8, 8)), 0.5))
    widths = [layer.out_channels for layer in pruned.features if isinstance(layer, nn.Conv2d)]
    expect.equal(widths, [4, 4, 4, 4], "every convolution keeps half of its 8 filters")
    expect.equal(pruned.classifier.out_features, 3, "the classes are never pruned")


@pytest.mark.points(2)
def test_removing_equals_zeroing(prune_vgg):
    """What is left computes what the whole network computes when the weak filters' channels are silenced."""
    network, images = network_with_statistics(), numbers(4, 3, 32, 32, seed=3)
    with torch.no_grad():
        answer = pruned_network(prune_vgg(*expect.copies(network, 0.5)))(images)
        silenced = silence_weak_channels(network, 0.5)(images)
    hint = "the pruned network must compute what the whole one does with the weakest channels silenced:"
    hint += " check that the batch norm and the next layer's inputs follow the filters that you kept"
    expect.same(answer, silenced, hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_the_network_is_not_changed(prune_vgg):
    network = network_with_statistics()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pruned = pruned_network(prune_vgg(network, 0.5))
    after = network.state_dict()
    hint = "prune_vgg changed the network that it was given: work on a copy"
    assert all(after[name].shape == before[name].shape for name in before), hint
    assert all(torch.equal(after[name], before[name]) for name in before), hint
    expect.same_shape(pruned(numbers(2, 3, 32, 32)), (2, 3), "the pruned network still gives one logit per class")


def silence_weak_channels(network, keep_ratio):
    """A hook behind every batch norm's ReLU sets the channels of the weakest filters to zero."""
    hooks, scores = [], None
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            scores = layer.weight.detach().abs().sum(dim=(1, 2, 3))
        elif isinstance(layer, nn.ReLU):
            removed = scores.argsort()[: int((1 - keep_ratio) * len(scores) + 1e-9)]
            mask = torch.ones(len(scores))
            mask[removed] = 0
            hooks.append(layer.register_forward_hook(lambda _, __, out, mask=mask: out * mask[:, None, None]))

    def forward(images):
        output = network(images)
        for hook in hooks:
            hook.remove()
        return output

    return forward


# --- the network that is handed in


@pytest.mark.points(1)
def test_enough_parameters_are_gone(lab3_pruned_onnx):
    measured, original = artifacts.measured(lab3_pruned_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= 0.45, (
        f"at least 55 % of the parameters must go: {measured.parameters:,} of "
        f"{original.parameters:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab3_pruned_onnx, award):
    measured, original = artifacts.measured(lab3_pruned_onnx), artifacts.measured_baseline()
    assert measured.parameters <= 0.45 * original.parameters, "accuracy counts once 55 % of the parameters are gone"
    award(*artifacts.ramp("lab3_pruned", measured, original))


# --- greedy_l1_norms


@pytest.mark.points(1)
def test_only_the_channels_left_are_counted(greedy_l1_norms):
    weight = torch.tensor([[[[1.0]], [[-5.0]], [[2.0]]], [[[4.0]], [[1.0]], [[-4.0]]]])
    hint = "pick the input channels (axis 1) first, then sum absolute values as before"
    expect.same(greedy_l1_norms(weight, torch.tensor([0, 2])), [3.0, 8.0], hint)
