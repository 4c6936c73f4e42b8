"""L1 filter pruning with real surgery (Li et al. 2016, arXiv 1608.08710).

A convolution's weight W has shape (O, I, kH, kW); W[j] is filter j, and its output is channel j. Removing
filter j removes channel j everywhere: the row of the weight, the bias, the batch norm's entry, and the input
slice of every layer that reads it.
"""

import copy
import math

import torch
from torch import Tensor, nn


def filter_l1_norms(weight: Tensor) -> Tensor:
    """Score of every filter, s_j = sum |W_j|: `weight` (O, I, kH, kW) → (O,).

    Of the weight's dtype, float32 or float64. The bias is not counted; `weight` is not changed. Li et al. 2016,
    section 3.1.
    """
    return weight.abs().sum(dim=(1, 2, 3))


def filters_to_keep(scores: Tensor, keep_ratio: float) -> Tensor:
    """Indices of the filters with the highest `scores` (O,), in increasing order → (K,) int64.

    Of O filters floor((1 - keep_ratio) * O + 1e-9) are removed, but at least one filter stays; of equal scores any.
    `keep_ratio` lies between 0 and 1; raises ValueError otherwise.
    """
    if not 0 <= keep_ratio <= 1:
        raise ValueError(f"keep_ratio must lie between 0 and 1, not {keep_ratio}")
    removed = math.floor((1 - keep_ratio) * len(scores) + 1e-9)
    kept = max(1, len(scores) - removed)
    return scores.topk(kept).indices.sort().values


def narrow_conv(conv: nn.Conv2d, outputs: Tensor, inputs: Tensor) -> nn.Conv2d:
    """A new convolution with the filters `outputs` (K,) and the input channels `inputs` (M,) of `conv`.

    Weight (O, I, kH, kW) → (K, M, kH, kW), bias (O,) → (K,) if there is one, in the order of the indices. Stride,
    padding, padding mode, dilation and dtype stay; `conv` itself is not changed. For groups = 1.
    """
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


def narrow_batchnorm(norm: nn.BatchNorm2d, channels: Tensor) -> nn.BatchNorm2d:
    """A new batch norm with the `channels` (K,) of `norm`, in their order: weight, bias, running mean and variance.

    `eps`, `momentum`, the count of batches, the mode (train or eval) and the dtype stay; `norm` is not changed.
    """
    narrow = copy.deepcopy(norm)
    narrow.num_features = len(channels)
    narrow.weight.data = norm.weight.data[channels].clone()
    narrow.bias.data = norm.bias.data[channels].clone()
    narrow.running_mean = norm.running_mean[channels].clone()
    narrow.running_var = norm.running_var[channels].clone()
    return narrow


def narrow_linear(linear: nn.Linear, channels: Tensor, pixels: int) -> nn.Linear:
    """A new linear layer behind `flatten`, which reads only the `channels` (K,) of the feature map.

    `flatten` turns a feature map (C, H, W) into C*H*W features, and channel j owns the `pixels` = H*W columns
    j*pixels … (j+1)*pixels - 1. Weight (F, C*pixels) → (F, K*pixels), in the order of `channels`; a bias is copied if
    there is one, the dtype stays; `linear` is not changed.
    """
    columns = (channels[:, None] * pixels + torch.arange(pixels, device=channels.device)).flatten()
    narrow = nn.Linear(len(columns), linear.out_features, bias=linear.bias is not None).to(linear.weight)
    narrow.weight.data = linear.weight.data[:, columns].clone()
    if linear.bias is not None:
        narrow.bias.data = linear.bias.data.clone()
    return narrow


def prune_vgg(network: nn.Module, keep_ratio: float) -> nn.Module:
    """A really smaller copy of a VGG: in every convolution the filters with the highest L1 norms stay.

    `network.features` is a chain of Conv2d, BatchNorm2d, ReLU and pooling, in this order and of any sizes,
    `network.classifier` one Linear behind a flatten. All scores come from the unpruned weights (Li et al.'s
    *independent* strategy). The classes and the three colours that come in are never pruned; `network` is not changed.
    """
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
    return pruned


def greedy_l1_norms(weight: Tensor, inputs: Tensor) -> Tensor:
    """Score of every filter over the input channels that are left: s_j = sum over i in `inputs` of |W_ji|.

    `weight` (O, I, kH, kW), `inputs` (M,), at least one → (O,), of the weight's dtype. Li et al. 2016, section 3.2:
    the *greedy* strategy, which does not count the input slices of channels that are already removed.
    """
    return weight[:, inputs].abs().sum(dim=(1, 2, 3))
