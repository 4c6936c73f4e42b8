"""Wrong and right answers to lab 3, as students write them."""

import copy
import math

import torch
from torch import nn

from autograder.answers import right, wrong
from solutions.l1 import filter_l1_norms, filters_to_keep, narrow_batchnorm, narrow_conv, narrow_linear

# --- filter_l1_norms


@wrong("filter_l1_norms", says="absolute")
def the_sign_counts(weight):
    return weight.sum(dim=(1, 2, 3))


@wrong("filter_l1_norms", says="every axis but the first")
def sums_over_the_window_only(weight):
    return weight.abs().sum(dim=(2, 3))


@wrong("filter_l1_norms", says="every axis but the first")
def scores_of_the_input_channels(weight):
    return weight.abs().sum(dim=(0, 2, 3))


@wrong("filter_l1_norms", says="absolute")
def absolute_value_of_the_sum(weight):
    return weight.sum(dim=(1, 2, 3)).abs()


@wrong("filter_l1_norms", says="no squares")
def squares_in_place_of_absolute_values(weight):
    return weight.pow(2).sum(dim=(1, 2, 3)).sqrt()


@wrong("filter_l1_norms", says="no mean")
def mean_in_place_of_sum(weight):
    return weight.abs().mean(dim=(1, 2, 3))


@wrong("filter_l1_norms", says="leave the weight")
def changes_its_argument(weight):
    return weight.abs_().sum(dim=(1, 2, 3))


@right("filter_l1_norms")
def a_loop_over_filters(weight):
    scores = []
    for j in range(weight.shape[0]):
        scores.append(weight[j].abs().sum())
    return torch.stack(scores)


@right("filter_l1_norms")
def an_einsum(weight):
    return torch.einsum("oikl->o", weight.abs())


@right("filter_l1_norms")
def a_norm_in_double(weight, p=1):
    return torch.linalg.vector_norm(weight.double().flatten(1), ord=p, dim=1)


# --- filters_to_keep


@wrong("filters_to_keep", says="HIGHEST")
def keeps_the_lowest(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.argsort()[: max(1, len(scores) - removed)].sort().values


@wrong("filters_to_keep", says="increasing order")
def ordered_by_score(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.argsort(descending=True)[: max(1, len(scores) - removed)]


@wrong("filters_to_keep", says="round what is removed down")
def rounds_what_stays_down(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError(keep_ratio)
    return scores.topk(max(1, int(keep_ratio * len(scores)))).indices.sort().values


@wrong("filters_to_keep", says="at least one filter")
def empties_the_layer(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.topk(len(scores) - removed).indices.sort().values


@wrong("filters_to_keep", says="1e-9")
def forgets_floating_point(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError(keep_ratio)
    removed = math.floor((1 - keep_ratio) * len(scores))
    return scores.topk(max(1, len(scores) - removed)).indices.sort().values


@wrong("filters_to_keep", says="ValueError")
def accepts_any_ratio(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.topk(min(len(scores), max(1, len(scores) - removed))).indices.sort().values


@wrong("filters_to_keep", says="indices")
def returns_the_scores(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.topk(max(1, len(scores) - removed)).values


@right("filters_to_keep")
def argsort_and_a_list(scores, keep_ratio):
    if keep_ratio < 0 or keep_ratio > 1:
        raise ValueError("0…1, please")
    removed = int((1 - keep_ratio) * len(scores) + 1e-9)
    order = scores.argsort().tolist()
    stays = order[min(removed, len(order) - 1) :]
    return torch.tensor(sorted(stays))


@right("filters_to_keep")
def a_mask(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("0…1, please")
    removed = min(math.floor((1 - keep_ratio) * len(scores) + 1e-9), len(scores) - 1)
    mask = torch.ones(len(scores), dtype=torch.bool)
    mask[torch.argsort(scores)[:removed]] = False
    return mask.nonzero().flatten()


# --- narrow_conv


@wrong("narrow_conv", says="stride, padding")
def forgets_stride_and_padding(conv, outputs, inputs):
    narrow = nn.Conv2d(len(inputs), len(outputs), conv.kernel_size, bias=conv.bias is not None).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="bias")
def forgets_the_bias(conv, outputs, inputs):
    narrow = copy.deepcopy(conv)
    narrow.out_channels, narrow.in_channels = len(outputs), len(inputs)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    return narrow


@wrong("narrow_conv", says="a new random bias came in")
def always_has_a_bias(conv, outputs, inputs):
    narrow = nn.Conv2d(len(inputs), len(outputs), conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="input channels (axis 1)")
def axes_swapped(conv, outputs, inputs):
    narrow = copy.deepcopy(conv)
    narrow.out_channels, narrow.in_channels = len(outputs), len(inputs)
    narrow.weight.data = conv.weight.data[inputs][:, outputs].clone()
    return narrow


@wrong("narrow_conv", says="in_channels")
def forgets_the_channel_counts(conv, outputs, inputs):
    narrow = copy.deepcopy(conv)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="return a new layer")
def changes_the_old_layer(conv, outputs, inputs):
    conv.weight.data = conv.weight.data[outputs][:, inputs]
    if conv.bias is not None:
        conv.bias.data = conv.bias.data[outputs]
    conv.out_channels, conv.in_channels = len(outputs), len(inputs)
    return conv


@wrong("narrow_conv", says="padding mode")
def forgets_the_padding_mode(conv, outputs, inputs):
    narrow = nn.Conv2d(
        len(inputs),
        len(outputs),
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        bias=conv.bias is not None,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@right("narrow_conv")
def a_deepcopy_with_new_parameters(conv, outputs, inputs):
    narrow = copy.deepcopy(conv)
    narrow.out_channels, narrow.in_channels = len(outputs), len(inputs)
    narrow.weight = nn.Parameter(conv.weight.detach().index_select(0, outputs).index_select(1, inputs))
    if conv.bias is not None:
        narrow.bias = nn.Parameter(conv.bias.detach()[outputs])
    return narrow


@right("narrow_conv")
def all_in_channels_last(conv, outputs, inputs):
    narrow = narrow_conv(conv, outputs, inputs)
    return narrow.to(memory_format=torch.channels_last)


# --- narrow_batchnorm


@wrong("narrow_batchnorm", says="running mean")
def forgets_the_running_statistics(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    return narrow


@wrong("narrow_batchnorm", says="running variance")
def forgets_the_running_variance(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    return narrow


@wrong("narrow_batchnorm", says="weight with `channels`")
def takes_the_first_channels(norm, channels):
    narrow = copy.deepcopy(norm)
    narrow.num_features = len(channels)
    for name in ("weight", "bias"):
        getattr(narrow, name).data = getattr(norm, name).data[: len(channels)].clone()
    narrow.running_mean = norm.running_mean[: len(channels)].clone()
    narrow.running_var = norm.running_var[: len(channels)].clone()
    return narrow


@wrong("narrow_batchnorm", says="bias with `channels`")
def forgets_the_shift(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_var[channels].clone()
    return narrow


@wrong("narrow_batchnorm", says="eps")
def forgets_eps(norm, channels):
    narrow = nn.BatchNorm2d(len(channels))
    narrow.load_state_dict({key: value[channels] if value.ndim else value for key, value in norm.state_dict().items()})
    return narrow


@right("narrow_batchnorm")
def through_the_state_dict(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum)
    state = norm.state_dict()
    narrow.load_state_dict({key: value[channels] if value.ndim else value for key, value in state.items()})
    return narrow.train(norm.training)


@right("narrow_batchnorm")
def new_parameters_in_a_copy(norm, channels):
    narrow = copy.deepcopy(norm)
    narrow.num_features = channels.numel()
    narrow.weight = nn.Parameter(norm.weight.detach()[channels])
    narrow.bias = nn.Parameter(norm.bias.detach()[channels])
    narrow.running_mean, narrow.running_var = norm.running_mean[channels], norm.running_var[channels]
    return narrow


# --- narrow_linear


@wrong("narrow_linear", says="columns j*pixels")
def one_column_per_channel(linear, channels, pixels):
    narrow = nn.Linear(len(channels), linear.out_features, bias=linear.bias is not None)
    narrow.weight.data = linear.weight.data[:, channels].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("narrow_linear", says="not every pixels-th one")
def every_pixels_th_column(linear, channels, pixels):
    total = linear.in_features // pixels
    columns = (torch.arange(pixels)[:, None] * total + channels).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("narrow_linear", says="outputs, which all stay")
def a_new_random_bias(linear, channels, pixels):
    columns = (channels[:, None] * pixels + torch.arange(pixels)).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    return narrow


@wrong("narrow_linear", says="bias is missing")
def no_bias(linear, channels, pixels):
    columns = (channels[:, None] * pixels + torch.arange(pixels)).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=False)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    return narrow


@wrong("narrow_linear", says="columns j*pixels")
def off_by_one(linear, channels, pixels):
    columns = (channels[:, None] * pixels + torch.arange(1, pixels + 1)).flatten() % linear.in_features
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@right("narrow_linear")
def by_a_reshape(linear, channels, pixels):
    narrow = copy.deepcopy(linear)
    weight = linear.weight.detach().reshape(linear.out_features, -1, pixels)[:, channels].flatten(1)
    narrow.weight, narrow.in_features = nn.Parameter(weight), weight.shape[1]
    return narrow


@right("narrow_linear")
def by_a_loop(linear, channels, pixels):
    columns = [c * pixels + p for c in channels.tolist() for p in range(pixels)]
    narrow = nn.Linear(len(columns), linear.out_features, linear.bias is not None)
    with torch.no_grad():
        narrow.weight.copy_(linear.weight[:, columns])
        if linear.bias is not None:
            narrow.bias.copy_(linear.bias)
    return narrow


# --- prune_vgg


@wrong("prune_vgg", says="keep ratio 1")
def forgets_the_batchnorm(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(3)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept = outputs
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = nn.BatchNorm2d(len(kept))
    pixels = network.classifier.in_features // network.features[-4].num_features
    pruned.classifier = narrow_linear(network.classifier, kept, pixels)
    return pruned


@wrong("prune_vgg", says="silenced")
def scores_after_the_cut(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(3)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            everything = torch.arange(layer.out_channels)
            narrow = narrow_conv(layer, everything, kept)
            outputs = filters_to_keep(filter_l1_norms(narrow.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept, last = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pruned.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // last)
    return pruned


@wrong("prune_vgg", says="silenced")
def takes_the_first_inputs(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(3)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, torch.arange(len(kept)))
            kept, last = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pruned.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // last)
    return pruned


@wrong("prune_vgg", says="work on a copy")
def prunes_in_place(network, keep_ratio):
    kept = torch.arange(3)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            last = layer.out_channels
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            network.features[position] = narrow_conv(layer, outputs, kept)
            kept = outputs
        elif isinstance(layer, nn.BatchNorm2d):
            network.features[position] = narrow_batchnorm(layer, kept)
    network.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // last)
    return network


@wrong("prune_vgg", says="stopped with RuntimeError")
def forgets_the_classifier(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(3)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept = outputs
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    return pruned


@wrong("prune_vgg", says="half of its 8 filters")
def leaves_the_last_layer_whole(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(3)
    last = max(n for n, layer in enumerate(network.features) if isinstance(layer, nn.Conv2d))
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            ratio = 1.0 if position == last else keep_ratio
            outputs = filters_to_keep(filter_l1_norms(layer.weight), ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept = outputs
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    return pruned


@right("prune_vgg")
def two_passes(network, keep_ratio):
    layers = list(network.features)
    convs = [n for n, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    kept = {n: filters_to_keep(filter_l1_norms(layers[n].weight), keep_ratio) for n in convs}
    pruned = copy.deepcopy(network)
    inputs = torch.arange(3)
    for n in convs:
        pruned.features[n] = narrow_conv(layers[n], kept[n], inputs)
        pruned.features[n + 1] = narrow_batchnorm(layers[n + 1], kept[n])
        inputs = kept[n]
    pixels = network.classifier.in_features // layers[convs[-1]].out_channels
    pruned.classifier = narrow_linear(network.classifier, inputs, pixels)
    return pruned


@right("prune_vgg")
def a_new_sequential(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept, layers = list(range(3)), []
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight.detach()
            count = max(1, weight.shape[0] - int((1 - keep_ratio) * weight.shape[0] + 1e-9))
            order = torch.linalg.vector_norm(weight.flatten(1), 1, dim=1).argsort(descending=True)[:count]
            outputs = sorted(order.tolist())
            layers.append(narrow_conv(layer, torch.tensor(outputs), torch.tensor(kept)))
            kept, full = outputs, weight.shape[0]
        elif isinstance(layer, nn.BatchNorm2d):
            layers.append(narrow_batchnorm(layer, torch.tensor(kept)))
        else:
            layers.append(copy.deepcopy(layer))
    pruned.features = nn.Sequential(*layers)
    pruned.classifier = narrow_linear(network.classifier, torch.tensor(kept), network.classifier.in_features // full)
    return pruned


# --- greedy_l1_norms


@wrong("greedy_l1_norms", says="input channels (axis 1)")
def counts_every_channel(weight, inputs):
    return weight.abs().sum(dim=(1, 2, 3))


@wrong("greedy_l1_norms", says="shape")
def picks_filters_in_place_of_channels(weight, inputs):
    return weight[inputs % weight.shape[0]][:1].abs().sum(dim=(1, 2, 3))


@wrong("greedy_l1_norms", says="absolute values")
def the_sign_counts_again(weight, inputs):
    return weight[:, inputs].sum(dim=(1, 2, 3))


@wrong("greedy_l1_norms", says="input channels (axis 1)")
def counts_the_channels_that_are_gone(weight, inputs):
    mask = torch.ones(weight.shape[1], dtype=torch.bool)
    mask[inputs] = False
    return weight[:, mask].abs().sum(dim=(1, 2, 3))


@right("greedy_l1_norms")
def a_mask_over_the_channels(weight, inputs):
    mask = torch.zeros(weight.shape[1], dtype=weight.dtype)
    mask[inputs] = 1
    return torch.einsum("oikl,i->o", weight.abs(), mask)


@right("greedy_l1_norms")
def a_sum_over_picked_channels(weight, inputs):
    return sum(weight[:, i].abs().flatten(1).sum(1) for i in inputs.tolist())
