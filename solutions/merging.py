"""Two linear layers with nothing between them are one: merged exactly, by einsum, or refused with the reason.

Gschossmann 2021 ends alpha-branch pruning with such merges, and found that its autoencoder did not match afterwards.
The merged layers here equal the pairs up to rounding, borders included.
"""

from typing import Any

import torch
from torch import Tensor, nn


def merge_conv_1x1(conv: nn.Conv2d, pointwise: nn.Conv2d) -> nn.Conv2d:
    """One new convolution, of the pair's dtype, for `conv` and a 1×1 convolution behind it; both stay as they are.

    W[o] = sum_m A[o, m] · W1[m], b = A b1 + bA; stride, padding and the rest are those of `conv`. Exact for any of
    them. Raises ValueError for grouped convolutions, or if the second is no 1×1 of stride 1 without padding.
    """
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


def merge_1x1_conv(pointwise: nn.Conv2d, conv: nn.Conv2d) -> nn.Conv2d:
    """One new convolution, of the pair's dtype, for a 1×1 convolution and `conv` behind it; both stay as they are.

    W[o, i] = sum_m W2[o, m] · B[m, i]; b = b2 + sum over m, k, l of W2[o, m, k, l] · bB[m]. The bias bB of the first is
    there inside the image and not in a padding of zeros, where no single bias can stand for it: with both, the pair is
    refused (ValueError), as are grouped convolutions, and a first one that is no 1×1 of stride 1 without padding.
    """
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError(
            "the 1×1 convolution has a bias and the next one pads with zeros: at the border no merged bias is right. "
            "Give the 1×1 convolution bias=False, or pad by reflection, replication or wrap-around."
        )
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


def merge_1x1_transposed(pointwise: nn.Conv2d, conv: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """One new transposed convolution in place of a 1×1 convolution and `conv`, which stay as they are.

    `conv.weight` is (inputs, outputs, kH, kW): W[i, o] = sum_m B[m, i] · W2[m, o], in the pair's dtype; the bias of
    `conv` stays. Any bias of the 1×1 convolution would reach the output's pixels through different entries of the
    kernel: ValueError, as for grouped convolutions, and a first one that is no 1×1 of stride 1 without padding.
    """
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError(
            "the 1×1 convolution has a bias, which differs from pixel to pixel behind a transposed convolution: no "
            "merged bias is right. Give it bias=False."
        )
    return rebuilt(conv, torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight), conv.bias)


def merge_transposed_1x1(transposed: nn.ConvTranspose2d, pointwise: nn.Conv2d) -> nn.ConvTranspose2d:
    """One transposed convolution in place of `transposed` and a 1×1 convolution behind it; exact.

    W[i, o] = sum_m W1[i, m] · A[o, m], b = A b1 + bA: as for a convolution, with the first two axes of the weights
    swapped. Raises ValueError for grouped convolutions.
    """
    check_pair(transposed, pointwise)
    swapped = nn.Conv2d(transposed.in_channels, transposed.out_channels, transposed.kernel_size)
    swapped.weight.data, swapped.bias = transposed.weight.detach().transpose(0, 1), transposed.bias
    merged = merge_conv_1x1(swapped, pointwise)
    return rebuilt(transposed, merged.weight.transpose(0, 1), merged.bias)


def merge_linear(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """One linear layer in place of two: W = W2 W1, b = W2 b1 + b2."""
    bias = plus(second.bias, None if first.bias is None else second.weight @ first.bias)
    return rebuilt(first, second.weight @ first.weight, bias)


def merge_1x1_linear(pointwise: nn.Conv2d, linear: nn.Linear) -> nn.Linear:
    """One linear layer behind a flatten in place of a 1×1 convolution, the flatten and `linear`; exact.

    Channel m owns P neighbouring columns, so the linear layer is a convolution whose window is the whole image of P
    pixels.
    """
    window = (1, linear.in_features // pointwise.out_channels)
    whole = nn.Conv2d(pointwise.out_channels, linear.out_features, window)
    whole.weight.data, whole.bias = linear.weight.detach().view_as(whole.weight), linear.bias
    merged = merge_1x1_conv(pointwise, whole)
    return rebuilt(linear, merged.weight.flatten(1), merged.bias)


# --- what the merges share


def check_pair(conv: nn.Conv2d | nn.ConvTranspose2d, pointwise: nn.Conv2d) -> None:
    """Raises ValueError unless `pointwise` is a plain 1×1 convolution, and neither is grouped."""
    plain = pointwise.kernel_size == (1, 1) and pointwise.stride == (1, 1) and not pads(pointwise)
    if not plain:
        raise ValueError("one of the two must be a 1×1 convolution of stride 1 without padding.")
    if pointwise.groups != 1 or conv.groups != 1:
        raise ValueError("grouped convolutions are not merged: a dense kernel would be larger than both.")


def pads(conv: nn.Conv2d) -> bool:
    """Whether a convolution adds anything around its input."""
    if isinstance(conv.padding, str):
        return conv.padding == "same" and conv.kernel_size != (1, 1)
    return any(side > 0 for side in conv.padding)


def plus(bias: Tensor | None, added: Tensor | None) -> Tensor | None:
    """The sum of two biases, of which each may be missing."""
    if bias is None or added is None:
        return added if bias is None else bias
    return bias + added


def rebuilt(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> Any:
    """A layer of the same kind and settings with this weight and bias."""
    options = {"bias": bias is not None, "device": weight.device, "dtype": weight.dtype}
    if isinstance(layer, nn.Linear):
        new: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], **options)
    else:
        transposed = isinstance(layer, nn.ConvTranspose2d)
        for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode"):
            options[name] = getattr(layer, name)
        if transposed:
            options["output_padding"] = layer.output_padding
        inputs, outputs = weight.shape[:2] if transposed else weight.shape[1::-1]
        new = type(layer)(inputs, outputs, **options)
    new.weight.data = weight.detach().clone()
    if bias is not None:
        new.bias.data = bias.detach().clone()
    return new.train(layer.training)
