"""Wrong and right answers to lab 8, as students write them."""

import copy
import math
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from autograder.answers import right, wrong
from solutions.merging import check_pair, pads, plus, rebuilt

# --- alpha_schedule


@wrong("alpha_schedule", says="EXACTLY 0")
def never_quite_zero(kind, steps):
    if steps < 1 or kind not in ("step", "multiplicative", "exponential", "cosine"):
        raise ValueError(kind)
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    levels = [formulas[kind](k) for k in range(steps + 1)]
    return [level if level >= 0.015 else 0.0 for level in levels]


@wrong("alpha_schedule", says="there are K + 1 = 5 levels")
def one_level_too_few(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / (steps - 1),
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / (steps - 1))) / 2,
    }
    return [formulas[kind](k) for k in range(steps - 1)] + [0.0]


@wrong("alpha_schedule", says="alpha starts at 1")
def in_percent(kind, steps):
    formulas = {
        "step": lambda k: 100 * (1 - k / steps),
        "multiplicative": lambda k: 100 * 0.5**k,
        "exponential": lambda k: 100 * math.exp(-5 * k / steps),
        "cosine": lambda k: 50 * (1 + math.cos(math.pi * k / steps)),
    }
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 1.5 else 0.0 for level in levels] + [0.0]


@wrong("alpha_schedule", says="alpha starts at 1")
def from_zero_up_to_one(kind, steps):
    return [k / steps for k in range(steps + 1)]


@wrong("alpha_schedule", says="in radians")
def a_cosine_of_degrees(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(180 * k / steps)) / 2,
    }
    levels = [formulas[kind](k) for k in range(steps)]
    return sorted([level if level >= 0.015 else 0.0 for level in levels] + [0.0], reverse=True)


@wrong("alpha_schedule", says="exp(-c k) with c = 5 / K")
def an_exponential_that_forgets_the_steps(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 0.015 else 0.0 for level in levels] + [0.0]


@wrong("alpha_schedule", says="2^-7 = 0.0078 does not")
def without_the_limit(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if steps < 1:
        raise ValueError("at least one step")
    return [formulas[kind](k) for k in range(steps)] + [0.0]


@wrong("alpha_schedule", says="half of what was there, whatever K is")
def equal_steps_whatever_the_kind(kind, steps):
    return torch.linspace(1, 0, steps + 1).tolist()


@wrong("alpha_schedule", says='there is no kind "linear": raise ValueError')
def any_other_kind_is_a_cosine(kind, steps):
    if steps < 1:
        raise ValueError("at least one step")
    if kind == "step":
        levels = [1 - k / steps for k in range(steps)]
    elif kind == "multiplicative":
        levels = [0.5**k for k in range(steps)]
    elif kind == "exponential":
        levels = [math.exp(-5 * k / steps) for k in range(steps)]
    else:
        levels = [(1 + math.cos(math.pi * k / steps)) / 2 for k in range(steps)]
    return [level if level >= 0.015 else 0.0 for level in levels] + [0.0]


@wrong("alpha_schedule", says="here K = 80, below 0.015 it is 0")
def equal_steps_are_not_cut(kind, steps):
    if steps < 1 or kind not in ("step", "multiplicative", "exponential", "cosine"):
        raise ValueError(kind)
    if kind == "step":
        return [1 - k / steps for k in range(steps)] + [0.0]
    formulas = {
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 0.015 else 0.0 for level in levels] + [0.0]


@wrong("alpha_schedule", says="those that are 0 among them")
def small_levels_are_left_out(kind, steps):
    if steps < 1 or kind not in ("step", "multiplicative", "exponential", "cosine"):
        raise ValueError(kind)
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    return [level for level in (formulas[kind](k) for k in range(steps)) if level >= 0.015] + [0.0]


@wrong("alpha_schedule", says='there is no kind "linear": raise ValueError')
def an_assert_in_place_of_a_value_error(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    assert kind in formulas and steps >= 1, "bad arguments"
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 0.015 else 0.0 for level in levels] + [0.0]


@right("alpha_schedule")
def with_tensors(kind, steps):
    if steps < 1:
        raise ValueError("at least one step")
    k = torch.arange(steps + 1, dtype=torch.float64)
    if kind == "step":
        levels = 1 - k / steps
    elif kind == "multiplicative":
        levels = 2.0**-k
    elif kind == "exponential":
        levels = torch.exp(-5 * k / steps)
    elif kind == "cosine":
        levels = (1 + torch.cos(torch.pi * k / steps)) / 2
    else:
        raise ValueError(f"unknown kind {kind}")
    levels[levels < 0.015] = 0
    levels[-1] = 0
    return levels


@right("alpha_schedule")
def with_numpy(kind, steps):
    if steps < 1:
        raise ValueError("at least one step")
    k = np.arange(steps + 1)
    if kind == "step":
        levels = 1 - k / steps
    elif kind == "multiplicative":
        levels = 1 / 2**k
    elif kind == "exponential":
        levels = np.exp(-5 / steps * k)
    elif kind == "cosine":
        levels = 0.5 + 0.5 * np.cos(np.pi * k / steps)
    else:
        raise ValueError(f"unknown kind {kind}")
    levels[levels < 0.015] = 0
    levels[-1] = 0
    return levels


@right("alpha_schedule")
def one_level_after_the_other(kind, steps):
    if kind not in {"step", "multiplicative", "exponential", "cosine"} or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    levels, level = [], 1.0
    for k in range(steps):
        levels.append(level if level >= 0.015 else 0.0)
        if kind == "step":
            level = (steps - k - 1) / steps
        elif kind == "multiplicative":
            level = level / 2
        elif kind == "exponential":
            level = level * math.exp(-5 / steps)
        else:
            level = math.cos(math.pi * (k + 1) / (2 * steps)) ** 2
    levels.append(0.0)
    return tuple(levels)


# --- alpha_mix


@wrong("alpha_mix", says="three quarters come from the WIDE way")
def the_two_swapped(wide, narrow, alpha):
    return (1 - alpha) * wide + alpha * narrow


@wrong("alpha_mix", says="three quarters come from the WIDE way")
def lerp_the_wrong_way_round(wide, narrow, alpha):
    return torch.lerp(wide, narrow, alpha)


@wrong("alpha_mix", says="as if there were no branch")
def all_of_the_branch_on_top(wide, narrow, alpha):
    return alpha * wide + narrow


@wrong("alpha_mix", says="the backward pass needs both")
def mixes_in_place(wide, narrow, alpha):
    return wide.mul_(alpha).add_(narrow, alpha=1 - alpha)


@wrong("alpha_mix", says="give a mix of torch.bfloat16")
def casts_to_float32(wide, narrow, alpha):
    share = torch.tensor([alpha])
    return (share * wide.float() + (1 - share) * narrow.float()).to(wide.dtype if wide.dtype.itemsize > 2 else None)


@wrong("alpha_mix", says="not a trace of the other")
def never_less_than_a_thousandth(wide, narrow, alpha):
    alpha = max(alpha, 1e-3)
    return alpha * wide + (1 - alpha) * narrow


@wrong("alpha_mix", says="alpha · wide + (1 - alpha) · narrow")
def one_or_the_other(wide, narrow, alpha):
    return wide if alpha > 0.5 else narrow


@wrong("alpha_mix", says="no gradient flows back into the wide way")
def the_wide_way_detached(wide, narrow, alpha):
    return alpha * wide.detach() + (1 - alpha) * narrow


@wrong("alpha_mix", says="the mix has the shape of both")
def side_by_side(wide, narrow, alpha):
    return torch.cat([alpha * wide, (1 - alpha) * narrow], dim=1)


@right("alpha_mix")
def lerp_from_the_narrow_one(wide, narrow, alpha):
    return torch.lerp(narrow, wide, alpha)


@right("alpha_mix")
def the_narrow_one_and_a_share_of_the_difference(wide, narrow, alpha):
    return narrow + alpha * (wide - narrow)


@right("alpha_mix")
def the_wide_one_and_a_share_of_the_difference(wide, narrow, alpha):
    return wide + (1 - alpha) * (narrow - wide)


@right("alpha_mix")
def the_ends_by_hand(wide, narrow, alpha):
    if alpha == 0:
        return narrow
    return wide if alpha == 1 else torch.add(alpha * wide, narrow, alpha=1 - alpha)


# --- make_branch


@wrong("make_branch", says="nothing may stand behind ConvB")
def a_relu_at_the_end(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
        nn.ReLU(),
    )


@wrong("make_branch", says="nothing may stand before ConvA")
def begins_as_the_wide_way_does(channels, kept):
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="ConvB has a bias")
def a_bias_in_the_last(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False), nn.BatchNorm2d(kept), nn.ReLU(), nn.Conv2d(kept, channels, 1)
    )


@wrong("make_branch", says="ConvA needs no bias")
def a_bias_in_the_first(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1), nn.BatchNorm2d(kept), nn.ReLU(), nn.Conv2d(kept, channels, 1, bias=False)
    )


@wrong("make_branch", says="a batch norm, then a ReLU")
def without_a_norm(channels, kept):
    return nn.Sequential(nn.Conv2d(channels, kept, 1, bias=False), nn.ReLU(), nn.Conv2d(kept, channels, 1, bias=False))


@wrong("make_branch", says="a batch norm, then a ReLU")
def two_linear_layers(channels, kept):
    return nn.Sequential(nn.Conv2d(channels, kept, 1, bias=False), nn.Conv2d(kept, channels, 1, bias=False))


@wrong("make_branch", says="a batch norm, then a ReLU")
def relu_before_the_norm(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(kept),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="it sees the kept channels")
def a_norm_for_all_channels(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="is a 1×1 convolution")
def windows_of_three(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 3, padding=1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 3, padding=1, bias=False),
    )


@wrong("make_branch", says="ConvA goes from 12 to 5 channels")
def stays_narrow(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, kept, 1, bias=False),
    )


@wrong("make_branch", says="nothing may stand behind ConvB")
def a_place_for_the_pooling_at_the_end(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
        nn.Identity(),
    )


@right("make_branch")
def layers_with_names(channels, kept):
    return nn.Sequential(
        OrderedDict(
            ConvA=nn.Conv2d(channels, kept, kernel_size=(1, 1), bias=False),
            norm=nn.BatchNorm2d(kept, momentum=0.05),
            relu=nn.ReLU(inplace=True),
            ConvB=nn.Conv2d(kept, channels, kernel_size=(1, 1), bias=False),
        )
    )


@right("make_branch")
def padded_to_the_same_size(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, padding="same", bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, padding="same", bias=False),
    )


@right("make_branch")
def layer_by_layer(channels, kept):
    branch = nn.Sequential()
    branch.append(nn.Conv2d(channels, kept, 1, bias=False))
    branch.append(nn.BatchNorm2d(kept))
    branch.append(nn.ReLU())
    branch.append(nn.Conv2d(kept, channels, 1, bias=False))
    nn.init.orthogonal_(branch[-1].weight)
    return branch


# --- merge_conv_1x1


@wrong("merge_conv_1x1", says="the sum goes over the channels BETWEEN the two")
def mixes_the_inputs_of_the_convolution(conv, pointwise):
    check_pair(conv, pointwise)
    weight = torch.einsum("om,imkl->oikl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, plus(pointwise.bias, None))


@wrong("merge_conv_1x1", says="the sum goes over the channels BETWEEN the two")
def the_mix_turned_round(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0].reshape(conv.out_channels, -1)
    bias = plus(pointwise.bias, None if conv.bias is None else mix.T @ conv.bias)
    return rebuilt(conv, torch.einsum("mo,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="passes through the 1×1 one")
def the_first_bias_is_lost(conv, pointwise):
    check_pair(conv, pointwise)
    weight = torch.einsum("om,mikl->oikl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, pointwise.bias)


@wrong("merge_conv_1x1", says="bA stays")
def the_second_bias_is_lost(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight)
    return rebuilt(conv, weight, None if conv.bias is None else mix @ conv.bias)


@wrong("merge_conv_1x1", says="the second is added")
def the_biases_are_only_added(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight)
    bias = None if conv.bias is None else mix @ conv.bias
    if bias is not None and pointwise.bias is not None:
        bias = bias + mix @ mix.T @ pointwise.bias
    return rebuilt(conv, weight, pointwise.bias if bias is None else bias)


@wrong("merge_conv_1x1", says="the stride is that of `conv`")
def a_plain_layer_without_its_settings(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    merged = nn.Conv2d(conv.in_channels, pointwise.out_channels, conv.kernel_size)
    merged.weight.data = torch.einsum("om,mikl->oikl", mix, conv.weight).detach()
    merged.bias.data = torch.zeros(len(mix), dtype=mix.dtype)
    for part in (pointwise.bias, None if conv.bias is None else mix @ conv.bias):
        if part is not None:
            merged.bias.data += part.detach()
    return merged


@wrong("merge_conv_1x1", says="the padding_mode is that of `conv`")
def pads_with_zeros_all_the_same(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    merged = nn.Conv2d(
        conv.in_channels, pointwise.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation
    )
    merged.weight.data = torch.einsum("om,mikl->oikl", mix, conv.weight).detach()
    merged.bias.data = torch.zeros(len(mix), dtype=mix.dtype)
    for part in (pointwise.bias, None if conv.bias is None else mix @ conv.bias):
        if part is not None:
            merged.bias.data += part.detach()
    return merged


@wrong("merge_conv_1x1", says="return a new layer")
def writes_into_the_convolution(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight)
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    conv.weight = nn.Parameter(weight.detach())
    conv.bias = None if bias is None else nn.Parameter(bias.detach())
    conv.out_channels = pointwise.out_channels
    return conv


@wrong("merge_conv_1x1", says="float64")
def a_layer_in_single_precision(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias).float()


@wrong("merge_conv_1x1", says="does not learn any more")
def weights_that_are_frozen(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias).requires_grad_(False)


@wrong("merge_conv_1x1", says="`check_pair` says so")
def takes_every_pair(conv, pointwise):
    weight = torch.einsum("om,mikl->oikl", pointwise.weight.mean((2, 3)), conv.weight[:, : conv.in_channels])
    carried = None if conv.bias is None else pointwise.weight.mean((2, 3)) @ conv.bias
    return rebuilt(conv, weight, plus(pointwise.bias, carried))


@wrong("merge_conv_1x1", says="`squeeze` drops it too")
def squeezes_the_mix(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight.squeeze()
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="kernel_size is that of `conv`")
def square_windows_only(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    merged = nn.Conv2d(
        conv.in_channels,
        pointwise.out_channels,
        conv.kernel_size[0],
        conv.stride,
        conv.padding,
        conv.dilation,
        padding_mode=conv.padding_mode,
        bias=bias is not None,
    )
    merged.weight.data = torch.einsum("om,mikl->oikl", mix, conv.weight).detach()
    if bias is not None:
        merged.bias.data = bias.detach().clone()
    return merged


@wrong("merge_conv_1x1", says="each of the two biases may be missing")
def counts_on_both_biases(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = mix @ conv.bias + pointwise.bias
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="`bias is not None`")
def asks_whether_a_bias_is_true(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, mix @ conv.bias if conv.bias else None)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="the bias b1 of the convolution passes through the 1×1 one")
def the_bias_from_the_other_side(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else conv.bias @ mix)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="with the 1×1 convolution last")
def checks_the_pair_the_wrong_way_round(conv, pointwise):
    check_pair(pointwise, conv)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="the 1×1 convolution sees only results")
def refuses_what_the_other_merge_refuses(conv, pointwise):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="under `torch.no_grad()`")
def copies_into_a_parameter(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    merged = rebuilt(conv, pointwise.weight.new_empty(len(mix), *conv.weight.shape[1:]), bias)
    merged.weight.copy_(torch.einsum("om,mikl->oikl", mix, conv.weight))
    return merged


@right("merge_conv_1x1")
def one_matrix_product(conv, pointwise):
    if conv.groups != 1 or pointwise.groups != 1:
        raise ValueError("grouped")
    if pointwise.kernel_size != (1, 1) or pointwise.stride != (1, 1) or pointwise.padding not in ((0, 0), "valid"):
        raise ValueError("not 1×1")
    mix = pointwise.weight.flatten(1)
    merged = nn.Conv2d(
        conv.in_channels,
        pointwise.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        padding_mode=conv.padding_mode,
        bias=True,
        dtype=mix.dtype,
    )
    with torch.no_grad():
        merged.weight.copy_((mix @ conv.weight.flatten(1)).view_as(merged.weight))
        merged.bias.zero_()
        if conv.bias is not None:
            merged.bias += mix @ conv.bias
        if pointwise.bias is not None:
            merged.bias += pointwise.bias
    return merged


@right("merge_conv_1x1")
def as_the_paper_writes_it(conv, pointwise):
    check_pair(conv, pointwise)
    weight = torch.einsum("abcd,befg->aefg", pointwise.weight, conv.weight)
    bias = pointwise.bias
    if conv.bias is not None:
        bias = torch.einsum("abcd,b->a", pointwise.weight, conv.bias) + (0 if bias is None else bias)
    return rebuilt(conv, weight, bias)


@right("merge_conv_1x1")
def the_weight_is_an_image_too(conv, pointwise):
    check_pair(conv, pointwise)
    with torch.no_grad():
        weight = nn.functional.conv2d(conv.weight.transpose(0, 1), pointwise.weight).transpose(0, 1)
        merged = copy.deepcopy(conv)
        merged.weight, merged.out_channels = nn.Parameter(weight.contiguous()), pointwise.out_channels
        bias = torch.zeros_like(merged.weight[:, 0, 0, 0]) if pointwise.bias is None else pointwise.bias.clone()
        if conv.bias is not None:
            bias += pointwise.weight[:, :, 0, 0] @ conv.bias
    merged.bias = nn.Parameter(bias)
    return merged


# --- merge_1x1_conv


@wrong("merge_1x1_conv", says="No single bias is right for both")
def the_reports_mistake(pointwise, conv):
    check_pair(conv, pointwise)
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="the sum goes over the channels BETWEEN the two")
def letters_of_the_other_merge(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("abcd,befg->aefg", pointwise.weight, conv.weight), bias)


@wrong("merge_1x1_conv", says="the sum over m, k AND l")
def the_bias_counted_once(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.mean(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="every pixel of the window has the bias bB in it")
def the_bias_in_front_is_lost(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    return rebuilt(conv, weight, conv.bias)


@wrong("merge_1x1_conv", says="the bias b2 of `conv` stays")
def the_convolutions_own_bias_is_lost(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    bias = None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias
    return rebuilt(conv, weight, bias)


@wrong("merge_1x1_conv", says="it must not be refused")
def refuses_every_bias(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("ConvB must not have a bias")
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    return rebuilt(conv, weight, conv.bias)


@wrong("merge_1x1_conv", says="it must not be refused")
def refuses_every_padding(pointwise, conv):
    check_pair(conv, pointwise)
    if pads(conv):
        raise ValueError("the border cannot be right")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="return one nn.Conv2d in place of the two")
def two_layers_one_behind_the_other(pointwise, conv):
    return nn.Sequential(pointwise, conv)


@wrong("merge_1x1_conv", says="stride, padding and dilation are those of `conv`")
def stride_and_padding_are_lost(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    merged = nn.Conv2d(pointwise.in_channels, conv.out_channels, conv.kernel_size, padding_mode=conv.padding_mode)
    merged.weight.data = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]).detach()
    merged.bias.data = torch.zeros(conv.out_channels, dtype=conv.weight.dtype)
    if conv.bias is not None:
        merged.bias.data += conv.bias.detach()
    if pointwise.bias is not None:
        merged.bias.data += (conv.weight.sum(dim=(2, 3)) @ pointwise.bias).detach()
    return merged


@wrong("merge_1x1_conv", says="shares memory with the bias")
def takes_the_bias_over_as_it_is(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    merged = rebuilt(
        conv, weight, plus(conv.bias, None if pointwise.bias is None else conv.weight.sum((2, 3)) @ pointwise.bias)
    )
    if pointwise.bias is None and conv.bias is not None:
        merged.bias = conv.bias
    return merged


@wrong("merge_1x1_conv", says="a bias in front of a padding of zeros")
def looks_at_one_side_only(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and conv.padding[0] in (1, 2, 3):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="`squeeze` drops it too")
def squeezes_the_fan(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight.squeeze()), bias)


@wrong("merge_1x1_conv", says="it stays, whatever the padding")
def refuses_either_bias(pointwise, conv):
    check_pair(conv, pointwise)
    if plus(conv.bias, pointwise.bias) is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("a bias and a padding of zeros")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="it stays, whatever the padding")
def no_bias_at_all_where_zeros_are_padded(pointwise, conv):
    check_pair(conv, pointwise)
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    if conv.padding_mode == "zeros" and pads(conv):
        if pointwise.bias is not None:
            raise ValueError("border")
        return rebuilt(conv, weight, None)
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, weight, bias)


@wrong("merge_1x1_conv", says="repeats pixels of the image")
def refuses_a_padding_by_reflection(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says='"valid" pads nothing')
def refuses_whatever_is_not_padding_0(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and conv.padding != (0, 0):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="`conv.padding` may be a word")
def compares_the_padding_with_a_number(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and max(conv.padding) > 0:
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="the sum over m, k AND l")
def sums_over_the_channels_as_well(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(1, 2, 3)) * pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="the bias of Conv2d")
def adds_into_the_bias_of_the_convolution(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = conv.bias
    if pointwise.bias is not None:
        with torch.no_grad():
            added = conv.weight.sum(dim=(2, 3)) @ pointwise.bias
            bias = added if bias is None else bias.add_(added)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="No single bias is right for both")
def asserts_that_it_fits(pointwise, conv):
    check_pair(conv, pointwise)
    assert pointwise.bias is None or conv.padding_mode != "zeros" or not pads(conv)
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="`check_pair` says so")
def does_not_check_the_pair(pointwise, conv):
    grouped = pointwise.groups > 1 or conv.groups > 1
    if grouped or (pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv)):
        raise ValueError("grouped, or a bias at the border")
    fan = pointwise.weight.squeeze(3).squeeze(2)
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, fan), bias)


@right("merge_1x1_conv")
def axes_moved_and_a_matrix_product(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("the bias ends at the border")
    fan = pointwise.weight.flatten(1)
    weight = (conv.weight.movedim(1, -1) @ fan).movedim(-1, 1).contiguous()
    bias = torch.zeros(conv.out_channels, dtype=weight.dtype) if conv.bias is None else conv.bias
    if pointwise.bias is not None:
        bias = bias + conv.weight.sum((2, 3)) @ pointwise.bias
    return rebuilt(conv, weight, bias)


@right("merge_1x1_conv")
def as_the_notes_write_it(pointwise, conv):
    check_pair(conv, pointwise)
    if pads(conv) and conv.padding_mode == "zeros" and pointwise.bias is not None:
        raise ValueError("no bias in front of zeros")
    weight = torch.einsum("abcd,befg->aecd", conv.weight, pointwise.weight)
    bias = plus(None if pointwise.bias is None else torch.einsum("abcd,b->a", conv.weight, pointwise.bias), conv.bias)
    return rebuilt(conv, weight, bias)


@right("merge_1x1_conv")
def what_comes_out_of_the_bias_alone(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    merged = copy.deepcopy(conv)
    merged.in_channels = pointwise.in_channels
    with torch.no_grad():
        merged.weight = nn.Parameter(
            torch.stack(
                [
                    sum(conv.weight[:, m] * pointwise.weight[m, i] for m in range(conv.in_channels))
                    for i in range(pointwise.in_channels)
                ],
                dim=1,
            )
        )
        if pointwise.bias is not None:
            added = (conv.weight * pointwise.bias[:, None, None]).sum((1, 2, 3))
            merged.bias = nn.Parameter(added if conv.bias is None else conv.bias + added)
    return merged


# --- merge_1x1_transposed


@wrong("merge_1x1_transposed", says="(INPUTS, OUTPUTS, kH, kW)")
def as_for_a_convolution(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), conv.bias)


@wrong("merge_1x1_transposed", says="(INPUTS, OUTPUTS, kH, kW)")
def outputs_before_inputs(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    return rebuilt(conv, torch.einsum("mi,mokl->oikl", pointwise.weight[:, :, 0, 0], conv.weight), conv.bias)


@wrong("merge_1x1_transposed", says="one bias for all of them is wrong")
def a_bias_as_for_a_convolution(pointwise, conv):
    check_pair(conv, pointwise)
    added = None if pointwise.bias is None else pointwise.bias @ conv.weight.sum((2, 3))
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, plus(conv.bias, added))


@wrong("merge_1x1_transposed", says="its bias stays")
def without_the_bias_of_the_second(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    return rebuilt(conv, torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight), None)


@wrong("merge_1x1_transposed", says="the stride is that of `conv`")
def a_stride_of_one(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    merged = nn.ConvTranspose2d(pointwise.in_channels, conv.out_channels, conv.kernel_size, bias=conv.bias is not None)
    merged.weight.data = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight).detach()
    if conv.bias is not None:
        merged.bias.data = conv.bias.detach().clone()
    return merged


@wrong("merge_1x1_transposed", says="padding and output_padding are those of `conv`")
def without_the_output_padding(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    options = {"stride": conv.stride, "padding": conv.padding, "dilation": conv.dilation, "dtype": conv.weight.dtype}
    merged = nn.ConvTranspose2d(pointwise.in_channels, conv.out_channels, conv.kernel_size, **options)
    merged.weight.data = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight).detach()
    merged.bias.data = torch.zeros_like(merged.bias) if conv.bias is None else conv.bias.detach().clone()
    return merged


@wrong("merge_1x1_transposed", says="return one nn.ConvTranspose2d in place of the two")
def an_ordinary_convolution(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->oikl", pointwise.weight[:, :, 0, 0], conv.weight)
    merged = nn.Conv2d(pointwise.in_channels, conv.out_channels, conv.kernel_size, conv.stride)
    merged.weight.data = weight.detach()
    return merged


@wrong("merge_1x1_transposed", says="return a new layer")
def writes_into_the_transposed_one(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    conv.weight.data = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight).detach()
    conv.in_channels = pointwise.in_channels
    return conv


@wrong("merge_1x1_transposed", says="`squeeze` drops it too")
def squeezes_in_front_of_a_transposed_one(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    return rebuilt(conv, torch.einsum("mi,mokl->iokl", pointwise.weight.squeeze(), conv.weight), conv.bias)


@wrong("merge_1x1_transposed", says="one bias for all of them is wrong")
def refuses_a_bias_only_if_the_image_grows(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.stride != (1, 1):
        raise ValueError("bias")
    added = None if pointwise.bias is None else pointwise.bias @ conv.weight.sum((2, 3))
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, plus(conv.bias, added))


@wrong("merge_1x1_transposed", says="one bias for all of them is wrong")
def refuses_a_bias_only_if_windows_touch(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.stride == conv.kernel_size:
        raise ValueError("bias")
    added = None if pointwise.bias is None else pointwise.bias @ conv.weight.sum((2, 3))
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, plus(conv.bias, added))


@wrong("merge_1x1_transposed", says="that of `conv` stays as it is")
def refuses_the_bias_of_the_second(pointwise, conv):
    check_pair(conv, pointwise)
    if plus(pointwise.bias, conv.bias) is not None:
        raise ValueError("bias")
    return rebuilt(conv, torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight), None)


@wrong("merge_1x1_transposed", says="in_channels are the first layer's")
def a_copy_with_the_old_number_of_inputs(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    merged = copy.deepcopy(conv)
    merged.weight.data = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight).detach()
    return merged


@right("merge_1x1_transposed")
def letters_of_the_notes(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("a bias would come out differently from pixel to pixel")
    return rebuilt(conv, torch.einsum("nmij,nokl->mokl", pointwise.weight, conv.weight), conv.bias)


@right("merge_1x1_transposed")
def a_product_with_the_transposed_matrix(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = (pointwise.weight.flatten(1).T @ conv.weight.flatten(1)).view(-1, *conv.weight.shape[1:])
    merged = copy.deepcopy(conv)
    merged.weight, merged.in_channels = nn.Parameter(weight.detach()), pointwise.in_channels
    return merged


@right("merge_1x1_transposed")
def with_tensordot(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.tensordot(pointwise.weight[:, :, 0, 0], conv.weight, dims=([0], [0]))
    return rebuilt(conv, weight, conv.bias)
