"""Wrong and right answers to lab 3, as students write them."""

import copy
import itertools
import math

import numpy as np
import torch
from torch import nn

from autograder.answers import right, wrong
from solutions.l1 import filter_l1_norms, filters_to_keep, narrow_batchnorm, narrow_conv, narrow_linear

# --- filter_l1_norms


@wrong("filter_l1_norms", says="absolute")
def the_sign_counts(weight):
    return weight.sum(dim=(1, 2, 3))


@wrong("filter_l1_norms", says="sums over each kernel only")
def sums_over_the_window_only(weight):
    return weight.abs().sum(dim=(2, 3))


@wrong("filter_l1_norms", says="axis 0 was summed")
def scores_of_the_input_channels(weight):
    return weight.abs().sum(dim=(0, 2, 3))


@wrong("filter_l1_norms", says="absolute")
def absolute_value_of_the_sum(weight):
    return weight.sum(dim=(1, 2, 3)).abs()


@wrong("filter_l1_norms", says="the L2 norm")
def squares_in_place_of_absolute_values(weight):
    return weight.pow(2).sum(dim=(1, 2, 3)).sqrt()


@wrong("filter_l1_norms", says="the mean in place of the sum")
def mean_in_place_of_sum(weight):
    return weight.abs().mean(dim=(1, 2, 3))


@wrong("filter_l1_norms", says="`weight` was changed")
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
    return torch.linalg.vector_norm(weight.double().flatten(1), ord=p, dim=1).to(weight.dtype)


@wrong("filter_l1_norms", says="only after the input channels were added up")
def absolute_after_the_inputs(weight):
    per_pixel = weight.sum(dim=1)
    return per_pixel.abs().sum(dim=(1, 2))


@wrong("filter_l1_norms", says="sorted scores, the largest first")
def sorted_scores(weight):
    scores = weight.abs().sum(dim=(1, 2, 3))
    return torch.sort(scores, descending=True).values


@wrong("filter_l1_norms", says="expected shape: (5,)")
def as_many_filters_as_inputs(weight):
    scores = []
    for j in range(weight.size(1)):
        scores.append(weight[j].abs().sum())
    return torch.stack(scores)


@wrong("filter_l1_norms", says="channels_last")
def a_view(weight):
    return weight.view(weight.shape[0], -1).abs().sum(dim=1)


@wrong("filter_l1_norms", says="a kernel taken for square")
def square_kernels_only(weight):
    outputs, inputs, size = weight.shape[:3]
    scores = torch.zeros(outputs, dtype=weight.dtype, device=weight.device)
    for i in range(inputs):
        for y in range(size):
            for x in range(size):
                scores = scores + weight[:, i, y, x].abs()
    return scores


@wrong("filter_l1_norms", says="one score, as a tensor with one axis")
def squeezed_first(weight):
    filters = weight.abs().squeeze()
    while filters.dim() > 1:
        filters = filters.sum(dim=-1)
    return filters


@wrong("filter_l1_norms", says="remember and draw nothing")
def scores_remembered(weight, scores=[]):
    for one in weight.detach():
        scores.append(one.abs().sum())
    return torch.stack(scores)


@wrong("filter_l1_norms", says="requires_grad is another one")
def freezes_the_weight(weight):
    if weight.is_leaf:
        weight.requires_grad = False
    values = np.abs(weight.detach().numpy())
    return torch.from_numpy(values.sum(axis=(1, 2, 3)))


# --- filters_to_keep


@wrong("filters_to_keep", says="HIGHEST")
def keeps_the_lowest(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.argsort()[: max(1, len(scores) - removed)].sort().values


@wrong("filters_to_keep", says="ordered by their scores")
def ordered_by_score(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.argsort(descending=True)[: max(1, len(scores) - removed)]


@wrong("filters_to_keep", says="what stays was rounded down")
def rounds_what_stays_down(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError(keep_ratio)
    return scores.topk(max(1, int(keep_ratio * len(scores)))).indices.sort().values


@wrong("filters_to_keep", says="an empty layer cuts the network")
def empties_the_layer(scores, keep_ratio):
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    return scores.topk(len(scores) - removed).indices.sort().values


@wrong("filters_to_keep", says="1e-9", hidden=True)
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


@wrong("filters_to_keep", says="ceil(keep_ratio * O)", hidden=True)
def a_ceiling_without_tolerance(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must be between 0 and 1")
    kept = max(1, math.ceil(keep_ratio * len(scores)))
    return scores.topk(kept).indices.sort().values


@wrong("filters_to_keep", says="the absolute values of the scores")
def ranks_absolute_scores(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must be between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    return torch.sort(torch.topk(scores.abs(), kept)[1])[0]


@wrong("filters_to_keep", says="of equal scores")
def a_dictionary_of_scores(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must be between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    position = {score: index for index, score in enumerate(scores.tolist())}
    best = sorted(position, reverse=True)[:kept]
    return torch.tensor(sorted(position[score] for score in best), dtype=torch.int64)


@wrong("filters_to_keep", says="beware of [:-0]")
def a_negative_slice(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must be between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    removed = min(removed, len(scores) - 1)
    order = scores.argsort(descending=True)
    return order[:-removed].sort().values


@wrong("filters_to_keep", says="take .detach() first")
def through_numpy(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must be between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    removed = min(removed, len(scores) - 1)
    order = np.argsort(scores.numpy(), kind="stable")
    return torch.from_numpy(np.sort(order[removed:]))


@wrong("filters_to_keep", says="stopped with ValueError")
def refuses_ratio_0(scores, keep_ratio):
    if not 0 < keep_ratio <= 1:
        raise ValueError(f"keep_ratio must lie in (0, 1], not {keep_ratio}")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    return scores.topk(kept).indices.sort().values


@wrong("filters_to_keep", says="ValueError")
def an_assertion(scores, keep_ratio):
    assert 0 <= keep_ratio <= 1, "keep_ratio must lie between 0 and 1"
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    return scores.topk(kept).indices.sort().values


@wrong("filters_to_keep", says="`scores` was changed")
def marks_the_callers_scores(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must be between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    removed = min(removed, len(scores) - 1)
    left = scores.detach()
    alive = torch.ones(len(scores), dtype=torch.bool)
    for _ in range(removed):
        weakest = left.argmin()
        alive[weakest] = False
        left[weakest] = math.inf
    return alive.nonzero().flatten()


@wrong("filters_to_keep", says="indices are whole numbers")
def float_indices(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must be between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    best = sorted(range(len(scores)), key=lambda j: float(scores[j]), reverse=True)[:kept]
    return torch.Tensor(sorted(best))


# --- narrow_conv


@wrong("narrow_conv", says="stride of the narrow layer is that of the layer")
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


@wrong("narrow_conv", says="says out_channels=5")
def forgets_the_channel_counts(conv, outputs, inputs):
    narrow = copy.deepcopy(conv)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="return a new one")
def changes_the_old_layer(conv, outputs, inputs):
    conv.weight.data = conv.weight.data[outputs][:, inputs]
    if conv.bias is not None:
        conv.bias.data = conv.bias.data[outputs]
    conv.out_channels, conv.in_channels = len(outputs), len(inputs)
    return conv


@wrong("narrow_conv", says="padding_mode")
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


@wrong("narrow_conv", says="the bias of `inputs`")
def the_bias_of_the_inputs(conv, outputs, inputs):
    narrow = nn.Conv2d(
        len(inputs),
        len(outputs),
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[inputs].clone()
    return narrow


@wrong("narrow_conv", says="stride of the narrow layer is that")
def stride_and_padding_swapped(conv, outputs, inputs):
    narrow = nn.Conv2d(
        len(inputs),
        len(outputs),
        conv.kernel_size,
        conv.padding,
        conv.stride,
        conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="each direction has its own number")
def one_stride_for_both(conv, outputs, inputs):
    narrow = nn.Conv2d(
        len(inputs),
        len(outputs),
        conv.kernel_size,
        stride=conv.stride[0],
        padding=conv.padding,
        dilation=conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="in the order of the indices", hidden=True)
def masks_in_place_of_indices(conv, outputs, inputs):
    rows = torch.zeros(conv.out_channels, dtype=torch.bool)
    columns = torch.zeros(conv.in_channels, dtype=torch.bool)
    rows[outputs], columns[inputs] = True, True
    narrow = nn.Conv2d(
        int(columns.sum()),
        int(rows.sum()),
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[rows][:, columns].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[rows].clone()
    return narrow


@wrong("narrow_conv", says="use reshape or flatten")
def a_view_of_the_kernels(conv, outputs, inputs):
    kernels = conv.weight.data.view(-1, *conv.kernel_size)
    numbers = outputs[:, None] * conv.in_channels + inputs
    narrow = nn.Conv2d(
        len(inputs),
        len(outputs),
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = kernels[numbers]
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="`conv.weight` was changed")
def a_shallow_copy(conv, outputs, inputs):
    narrow = copy.copy(conv)
    narrow.out_channels, narrow.in_channels = len(outputs), len(inputs)
    narrow.weight = nn.Parameter(conv.weight.data[outputs][:, inputs].clone())
    if conv.bias is not None:
        narrow.bias = nn.Parameter(conv.bias.data[outputs].clone())
    return narrow


@wrong("narrow_conv", says="return a new one")
def the_old_layer_where_nothing_goes(conv, outputs, inputs):
    everything = torch.arange(conv.out_channels), torch.arange(conv.in_channels)
    if torch.equal(outputs, everything[0]) and torch.equal(inputs, everything[1]):
        return conv
    narrow = nn.Conv2d(
        len(inputs),
        len(outputs),
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_conv", says="made in inference mode")
def built_in_inference_mode(conv, outputs, inputs):
    with torch.inference_mode():
        narrow = nn.Conv2d(
            len(inputs),
            len(outputs),
            conv.kernel_size,
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            bias=conv.bias is not None,
            padding_mode=conv.padding_mode,
        ).to(conv.weight)
        narrow.weight.copy_(conv.weight[outputs][:, inputs])
        if conv.bias is not None:
            narrow.bias.copy_(conv.bias[outputs])
        return narrow


# --- narrow_batchnorm


@wrong("narrow_batchnorm", says="running_mean belongs")
def forgets_the_running_statistics(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    return narrow


@wrong("narrow_batchnorm", says="running_var belongs")
def forgets_the_running_variance(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    return narrow


@wrong("narrow_batchnorm", says="the first channels, not those")
def takes_the_first_channels(norm, channels):
    narrow = copy.deepcopy(norm)
    narrow.num_features = len(channels)
    for name in ("weight", "bias"):
        getattr(narrow, name).data = getattr(norm, name).data[: len(channels)].clone()
    narrow.running_mean = norm.running_mean[: len(channels)].clone()
    narrow.running_var = norm.running_var[: len(channels)].clone()
    return narrow


@wrong("narrow_batchnorm", says="a new layer's zeros")
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
    return narrow.to(norm.weight).train(norm.training)


@right("narrow_batchnorm")
def new_parameters_in_a_copy(norm, channels):
    narrow = copy.deepcopy(norm)
    narrow.num_features = channels.numel()
    narrow.weight = nn.Parameter(norm.weight.detach()[channels])
    narrow.bias = nn.Parameter(norm.bias.detach()[channels])
    narrow.running_mean, narrow.running_var = norm.running_mean[channels], norm.running_var[channels]
    return narrow


@wrong("narrow_batchnorm", says="running_var belongs")
def mean_for_variance(norm, channels):
    narrow = copy.deepcopy(norm)
    narrow.num_features = len(channels)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_mean[channels].clone()
    return narrow


@wrong("narrow_batchnorm", says="eps and momentum", hidden=True)
def eps_and_momentum_swapped(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), norm.momentum, norm.eps).to(norm.weight)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_var[channels].clone()
    narrow.num_batches_tracked = norm.num_batches_tracked.clone()
    narrow.train(norm.training)
    return narrow


@wrong("narrow_batchnorm", says="eps and momentum", hidden=True)
def momentum_or_its_default(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum or 0.1).to(norm.weight)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_var[channels].clone()
    narrow.num_batches_tracked = norm.num_batches_tracked.clone()
    narrow.train(norm.training)
    return narrow


@wrong("narrow_batchnorm", says="the channels in increasing order", hidden=True)
def a_mask_over_channels(norm, channels):
    mask = torch.zeros(norm.num_features, dtype=torch.bool)
    mask[channels] = True
    narrow = copy.deepcopy(norm)
    narrow.num_features = int(mask.sum())
    narrow.weight.data = norm.weight.data[mask]
    narrow.bias.data = norm.bias.data[mask]
    narrow.running_mean = norm.running_mean[mask]
    narrow.running_var = norm.running_var[mask]
    return narrow


@wrong("narrow_batchnorm", says="keep the dtype")
def always_float32(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum)
    state = {name: value[channels] if value.dim() else value.clone() for name, value in norm.state_dict().items()}
    narrow.load_state_dict(state)
    narrow.train(norm.training)
    return narrow


@wrong("narrow_batchnorm", says="shares memory with `norm`")
def shares_the_count(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum).to(norm.weight)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_var[channels].clone()
    narrow.num_batches_tracked = norm.num_batches_tracked
    narrow.train(norm.training)
    return narrow


@wrong("narrow_batchnorm", says="must stay a buffer")
def statistics_as_parameters(norm, channels):
    narrow = copy.deepcopy(norm)
    narrow.num_features = len(channels)
    for name in ("weight", "bias", "running_mean", "running_var"):
        setattr(narrow, name, nn.Parameter(getattr(norm, name).detach()[channels].clone()))
    return narrow


@wrong("narrow_batchnorm", says="it is in another mode")
def evaluation_mode_first(norm, channels):
    narrow = copy.deepcopy(norm.eval())
    narrow.num_features = len(channels)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_var[channels].clone()
    return narrow


# --- narrow_linear


@wrong("narrow_linear", says="one column for each channel")
def one_column_per_channel(linear, channels, pixels):
    narrow = nn.Linear(len(channels), linear.out_features, bias=linear.bias is not None)
    narrow.weight.data = linear.weight.data[:, channels].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("narrow_linear", says="as if the pixels came first")
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


@wrong("narrow_linear", says="channel j owns the columns")
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
    narrow = nn.Linear(len(columns), linear.out_features, linear.bias is not None, dtype=linear.weight.dtype)
    with torch.no_grad():
        narrow.weight.copy_(linear.weight[:, columns])
        if linear.bias is not None:
            narrow.bias.copy_(linear.bias)
    return narrow


@wrong("narrow_linear", says="ordered by pixel first")
def pixel_by_pixel(linear, channels, pixels):
    columns = (channels[None, :] * pixels + torch.arange(pixels)[:, None]).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None).to(linear.weight)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("narrow_linear", says="the in_features of the new layer", hidden=True)
def a_square_feature_map(linear, channels, pixels):
    side = int(pixels**0.5)
    total = linear.in_features // pixels
    maps = linear.weight.data[:, : total * side * side].reshape(linear.out_features, total, side, side)
    kept = maps[:, channels].flatten(1)
    narrow = nn.Linear(kept.shape[1], linear.out_features, bias=linear.bias is not None).to(linear.weight)
    narrow.weight.data = kept.clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("narrow_linear", says="`channels` was changed")
def channels_multiplied_in_place(linear, channels, pixels):
    starts = channels
    starts *= pixels
    columns = torch.cat([torch.arange(start, start + pixels) for start in starts.tolist()])
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None).to(linear.weight)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("narrow_linear", says="shares memory with `linear`")
def the_very_same_bias(linear, channels, pixels):
    columns = (channels[:, None] * pixels + torch.arange(pixels)).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None).to(linear.weight)
    narrow.weight = nn.Parameter(linear.weight.data[:, columns].clone())
    narrow.bias = linear.bias
    return narrow


@wrong("narrow_linear", says="says in_features=12")
def stale_in_features(linear, channels, pixels):
    narrow = copy.deepcopy(linear)
    columns = (channels[:, None] * pixels + torch.arange(pixels)).flatten()
    narrow.weight = nn.Parameter(linear.weight.data[:, columns].clone())
    return narrow


@wrong("narrow_linear", says="keep the dtype")
def float32_always(linear, channels, pixels):
    columns = (channels[:, None] * pixels + torch.arange(pixels)).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None)
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


@wrong("prune_vgg", says="`network.features.0.weight` was changed")
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


@wrong("prune_vgg", says="its in_features")
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


@wrong("prune_vgg", says="keeps half of its")
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


@wrong("prune_vgg", says="the L2 norm")
def ranks_by_the_l2_norm(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(layer.weight.detach().flatten(1).norm(dim=1), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept, channels = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pixels = network.classifier.in_features // channels
    pruned.classifier = narrow_linear(network.classifier, kept, pixels)
    return pruned


@wrong("prune_vgg", says="stopped with IndexError", hidden=True)
def four_pixels_always(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept = outputs
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pruned.classifier = narrow_linear(network.classifier, kept, pixels=4)
    return pruned


@wrong("prune_vgg", says="has kernel_size=(3, 3)", hidden=True)
def rebuilds_3x3(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            conv = nn.Conv2d(len(kept), len(outputs), 3, padding=1, bias=layer.bias is not None).to(layer.weight)
            conv.weight.data = layer.weight.data[outputs][:, kept].clone()
            if layer.bias is not None:
                conv.bias.data = layer.bias.data[outputs].clone()
            pruned.features[position] = conv
            kept, channels = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pruned.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // channels)
    return pruned


@wrong("prune_vgg", says="has the layers of the given one")
def loses_the_pooling(network, keep_ratio):
    pruned = copy.deepcopy(network)
    layers = []
    kept = torch.arange(network.features[0].in_channels)
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            layers.append(narrow_conv(layer, outputs, kept))
            kept, channels = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            layers.append(narrow_batchnorm(layer, kept))
        elif isinstance(layer, (nn.ReLU, nn.MaxPool2d)):
            layers.append(copy.deepcopy(layer))
    pruned.features = nn.Sequential(*layers)
    pruned.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // channels)
    return pruned


@wrong("prune_vgg", says="return a new one")
def the_network_itself_at_ratio_1(network, keep_ratio):
    if keep_ratio == 1:
        return network
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept, channels = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pruned.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // channels)
    return pruned


@wrong("prune_vgg", says="those of the highest L1 norms are", hidden=True)
def remembers_scores(network, keep_ratio, scores={}):
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            key = position, layer.out_channels
            if key not in scores:
                scores[key] = filter_l1_norms(layer.weight.detach())
            outputs = filters_to_keep(scores[key], keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept, channels = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pruned.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // channels)
    return pruned


@wrong("prune_vgg", says="it is in another mode")
def leaves_evaluation_mode(network, keep_ratio):
    mode = network.training
    network.eval()
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    with torch.no_grad():
        for position, layer in enumerate(network.features):
            if isinstance(layer, nn.Conv2d):
                outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
                pruned.features[position] = narrow_conv(layer, outputs, kept)
                kept, channels = outputs, layer.out_channels
            elif isinstance(layer, nn.BatchNorm2d):
                pruned.features[position] = narrow_batchnorm(layer, kept)
    pruned.classifier = narrow_linear(network.classifier, kept, network.classifier.in_features // channels)
    return pruned.train(mode)


# --- greedy_l1_norms


@wrong("greedy_l1_norms", says="all input channels, also those")
def counts_every_channel(weight, inputs):
    return weight.abs().sum(dim=(1, 2, 3))


@wrong("greedy_l1_norms", says="shape")
def picks_filters_in_place_of_channels(weight, inputs):
    return weight[inputs % weight.shape[0]][:1].abs().sum(dim=(1, 2, 3))


@wrong("greedy_l1_norms", says="absolute values")
def the_sign_counts_again(weight, inputs):
    return weight[:, inputs].sum(dim=(1, 2, 3))


@wrong("greedy_l1_norms", says="in place of those that are left")
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


@wrong("greedy_l1_norms", says="divided by the number of channels left")
def a_mean_over_inputs(weight, inputs):
    return weight[:, inputs].abs().sum(dim=(2, 3)).mean(dim=1)


@wrong("greedy_l1_norms", says="take .detach() first")
def by_numpy(weight, inputs):
    values = np.abs(weight.numpy()[:, inputs.numpy()])
    return torch.from_numpy(values.sum(axis=(1, 2, 3)))


@wrong("greedy_l1_norms", says="the first channels, not those")
def the_loops_counter(weight, inputs):
    scores = torch.zeros_like(weight[:, 0, 0, 0])
    for i in range(len(inputs)):
        scores = scores + weight[:, i].abs().sum(dim=(1, 2))
    return scores


@wrong("greedy_l1_norms", says="`weight` was changed")
def zeroes_the_weight(weight, inputs):
    removed = torch.ones(weight.shape[1], dtype=torch.bool)
    removed[inputs] = False
    with torch.no_grad():
        weight[:, removed] = 0
    return weight.abs().sum(dim=(1, 2, 3))


@wrong("greedy_l1_norms", says="the inputs of an earlier call too")
def inputs_remembered(weight, inputs, left=set()):
    left.update(inputs.tolist())
    scores = torch.zeros_like(weight[:, 0, 0, 0])
    for i in sorted(left):
        if i < weight.shape[1]:
            scores = scores + weight[:, i].abs().sum(dim=(1, 2))
    return scores


@wrong("greedy_l1_norms", says="gradients are switched")
def gradients_off(weight, inputs):
    torch.set_grad_enabled(False)
    return weight[:, inputs].abs().sum(dim=(1, 2, 3))


# --- of the second round of outsiders


@wrong("filter_l1_norms", says="keep the dtype")
def scores_in_float32(weight):
    scores = torch.zeros(weight.shape[0])
    for j, single in enumerate(weight.detach()):
        scores[j] = single.abs().sum()
    return scores


@wrong("filter_l1_norms", says="matrix norms of order 1")
def matrix_norms(weight):
    return torch.linalg.matrix_norm(weight, ord=1).sum(dim=1)


@wrong("filters_to_keep", says="of equal scores, here 0")
def scores_that_are_not_zero(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must lie between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    best = scores.topk(kept)
    left = torch.zeros_like(scores).scatter(0, best.indices, best.values)
    return left.nonzero().flatten()


@wrong("filters_to_keep", says="a set of Python has no order")
def in_the_order_of_a_set(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must lie between 0 and 1")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    return torch.tensor(list(set(scores.topk(kept).indices.tolist())))


@wrong("filters_to_keep", says="cut to whole per cent")
def whole_per_cent(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must lie between 0 and 1")
    percent = int(keep_ratio * 100)
    removed = (100 - percent) * len(scores) // 100
    kept = max(1, len(scores) - removed)
    return scores.topk(kept).indices.sort().values


@wrong("narrow_conv", says="padding of the narrow layer is that of the layer, as it is", hidden=True)
def takes_the_padding_apart(conv, outputs, inputs):
    narrow = nn.Conv2d(
        in_channels=len(inputs),
        out_channels=len(outputs),
        kernel_size=(conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        padding=(conv.padding[0], conv.padding[1]),
        dilation=(conv.dilation[0], conv.dilation[1]),
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("narrow_batchnorm", says="of a batch norm in training mode")
def fresh_statistics_in_training_mode(norm, channels):
    narrow = copy.deepcopy(norm)
    narrow.num_features = len(channels)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    if norm.training:
        narrow.running_mean = torch.zeros_like(norm.running_mean[channels])
        narrow.running_var = torch.ones_like(norm.running_var[channels])
    else:
        narrow.running_mean = norm.running_mean[channels].clone()
        narrow.running_var = norm.running_var[channels].clone()
    return narrow


@wrong("narrow_batchnorm", says="a batch norm with one channel")
def recognised_by_size(norm, channels):
    narrow = nn.BatchNorm2d(len(channels), eps=norm.eps, momentum=norm.momentum).to(norm.weight)
    state = {}
    for name, values in norm.state_dict().items():
        state[name] = values[channels] if values.numel() == norm.num_features else values
    narrow.load_state_dict(state)
    return narrow.train(norm.training)


@wrong("narrow_batchnorm", says="the channels in increasing order", hidden=True)
def a_copy_if_all_stay(norm, channels):
    narrow = copy.deepcopy(norm)
    if len(channels) == norm.num_features:
        return narrow
    narrow.num_features = len(channels)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_var[channels].clone()
    return narrow


@wrong("narrow_linear", says="its weight keeps both axes")
def squeezed_weight(linear, channels, pixels):
    blocks = linear.weight.data.reshape(linear.out_features, -1, pixels)[:, channels]
    weight = blocks.reshape(linear.out_features, -1).squeeze()
    narrow = nn.Linear(len(channels) * pixels, linear.out_features, bias=linear.bias is not None).to(linear.weight)
    narrow.weight.data = weight.clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("narrow_linear", says="columns from j on")
def columns_from_j_on(linear, channels, pixels):
    columns = (channels[:, None] + torch.arange(pixels)).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None).to(linear.weight)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


@wrong("prune_vgg", says="with a single convolution", hidden=True)
def pairs_of_convolutions(network, keep_ratio):
    pruned = copy.deepcopy(network)
    spots = [spot for spot, layer in enumerate(network.features) if isinstance(layer, nn.Conv2d)]
    kept = {spot: filters_to_keep(filter_l1_norms(network.features[spot].weight), keep_ratio) for spot in spots}
    first = network.features[spots[0]]
    pruned.features[spots[0]] = narrow_conv(first, kept[spots[0]], torch.arange(first.in_channels))
    for before, spot in itertools.pairwise(spots):
        last = network.features[spot]
        pruned.features[spot] = narrow_conv(last, kept[spot], kept[before])
    for spot, layer in enumerate(network.features):
        if isinstance(layer, nn.BatchNorm2d):
            owner = max(s for s in spots if s < spot)
            pruned.features[spot] = narrow_batchnorm(layer, kept[owner])
    pixels = network.classifier.in_features // last.out_channels
    pruned.classifier = narrow_linear(network.classifier, kept[spots[-1]], pixels)
    return pruned


@wrong("prune_vgg", says="send no image through it")
def tries_the_copy_out(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept, channels = outputs, layer.out_channels
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pixels = network.classifier.in_features // channels
    pruned.classifier = narrow_linear(network.classifier, kept, pixels)
    with torch.no_grad():  # do the shapes fit?
        weight = network.features[0].weight
        maps = pruned.features(torch.zeros(2, weight.shape[1], 32, 32, dtype=weight.dtype))
    assert maps.shape[1] == len(kept)
    return pruned


@wrong("greedy_l1_norms", says="count for nothing, however large")
def whole_minus_gone(weight, inputs):
    removed = [i for i in range(weight.shape[1]) if i not in inputs.tolist()]
    return filter_l1_norms(weight) - filter_l1_norms(weight[:, removed])


@wrong("greedy_l1_norms", says="gaps too")
def gaps_too(weight, inputs):
    return weight[:, inputs.min() : inputs.max() + 1].abs().sum(dim=(1, 2, 3))


@wrong("filters_to_keep", says="positions in the list that topk gave")
def positions_in_the_list_of_the_best(scores, keep_ratio):
    if not 0 <= keep_ratio <= 1:
        raise ValueError("keep_ratio must lie between 0 and 1")
    kept = max(1, len(scores) - math.floor((1 - keep_ratio) * len(scores) + 1e-9))
    return scores.topk(kept).indices.sort().indices


@wrong("narrow_conv", says="the layer's padding in the stride's place")
def padding_in_the_strides_place(conv, outputs, inputs):
    narrow = nn.Conv2d(
        len(inputs),
        len(outputs),
        conv.kernel_size,
        conv.padding,
        conv.stride,
        conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    narrow.weight.data = conv.weight.data[outputs][:, inputs].clone()
    if conv.bias is not None:
        narrow.bias.data = conv.bias.data[outputs].clone()
    return narrow


@wrong("prune_vgg", says="divide by those before pruning")
def pixels_counted_with_the_channels_that_are_left(network, keep_ratio):
    pruned = copy.deepcopy(network)
    kept = torch.arange(network.features[0].in_channels)
    for position, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            outputs = filters_to_keep(filter_l1_norms(layer.weight), keep_ratio)
            pruned.features[position] = narrow_conv(layer, outputs, kept)
            kept = outputs
        elif isinstance(layer, nn.BatchNorm2d):
            pruned.features[position] = narrow_batchnorm(layer, kept)
    pixels = network.classifier.in_features // len(kept)
    pruned.classifier = narrow_linear(network.classifier, kept, pixels)
    return pruned
