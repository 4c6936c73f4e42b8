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


@wrong("alpha_schedule", says="a last level that is not set to EXACTLY 0")
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


@wrong("alpha_schedule", says="one level too few: alpha_(K - 1) is missing")
def one_level_too_few(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / (steps - 1),
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / (steps - 1))) / 2,
    }
    return [formulas[kind](k) for k in range(steps - 1)] + [0.0]


@wrong("alpha_schedule", says="alpha in percent")
def in_percent(kind, steps):
    formulas = {
        "step": lambda k: 100 * (1 - k / steps),
        "multiplicative": lambda k: 100 * 0.5**k,
        "exponential": lambda k: 100 * math.exp(-5 * k / steps),
        "cosine": lambda k: 50 * (1 + math.cos(math.pi * k / steps)),
    }
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 1.5 else 0.0 for level in levels] + [0.0]


@wrong("alpha_schedule", says="levels that rise, from 0 to 1")
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


@wrong("alpha_schedule", says="c = 5 in place of c = 5 / K")
def an_exponential_that_forgets_the_steps(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 0.015 else 0.0 for level in levels] + [0.0]


@wrong("alpha_schedule", says='a limit that "multiplicative" does not have')
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


@wrong("alpha_schedule", says='the levels of "step"')
def equal_steps_whatever_the_kind(kind, steps):
    return torch.linspace(1, 0, steps + 1).tolist()


@wrong("alpha_schedule", says='"linear" is none of the four kinds: raise ValueError')
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


@wrong("alpha_schedule", says='a limit that "step" does not have')
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


@wrong("alpha_schedule", says="a list that ends with its first 0")
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


@wrong("alpha_schedule", says='"linear" is none of the four kinds: raise ValueError')
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
    return levels.tolist()


@right("alpha_schedule")
def with_numpy(kind, steps):
    if steps < 1:
        raise ValueError("at least one step")
    k = np.arange(steps + 1)
    if kind == "step":
        levels = 1 - k / steps
    elif kind == "multiplicative":
        levels = np.exp2(-k)
    elif kind == "exponential":
        levels = np.exp(-5 / steps * k)
    elif kind == "cosine":
        levels = 0.5 + 0.5 * np.cos(np.pi * k / steps)
    else:
        raise ValueError(f"unknown kind {kind}")
    levels[levels < 0.015] = 0
    levels[-1] = 0
    return list(levels)


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
    return levels


@wrong("alpha_schedule", says="a quarter of a wave")
def a_quarter_of_a_wave(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: math.cos(math.pi * k / (2 * steps)),
    }
    if kind not in formulas or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    return [level if level >= 0.015 else 0.0 for level in map(formulas[kind], range(steps))] + [0.0]


@wrong("alpha_schedule", says="shifted and stretched so that it ends at 0 by itself")
def an_exponential_that_ends_at_zero(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: (math.exp(-5 * k / steps) - math.exp(-5)) / (1 - math.exp(-5)),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    return [level if level >= 0.015 else 0.0 for level in map(formulas[kind], range(steps))] + [0.0]


@wrong("alpha_schedule", says="half of what was there is left after ALL steps")
def halved_after_all_steps(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5 ** (k / steps),
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    return [level if level >= 0.015 else 0.0 for level in map(formulas[kind], range(steps))] + [0.0]


@wrong("alpha_schedule", says="2.0**k is too large for a float")
def a_power_that_overflows(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 1 / 2.0**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    return [level if level >= 0.015 else 0.0 for level in map(formulas[kind], range(steps))] + [0.0]


@wrong("alpha_schedule", says='"step" with 0 steps: alpha needs at least one step')
def divides_before_it_looks(kind, steps):
    share = 1 / steps
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas or share <= 0:
        raise ValueError(f"{kind}, {steps}")
    return [level if level >= 0.015 else 0.0 for level in map(formulas[kind], range(steps))] + [0.0]


@wrong("alpha_schedule", says='"sigmoid" is none of the four kinds')
def looks_at_the_first_letter(kind, steps):
    formulas = {
        "s": lambda k: 1 - k / steps,
        "m": lambda k: 0.5**k,
        "e": lambda k: math.exp(-5 * k / steps),
        "c": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind[:1] not in formulas or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    return [level if level >= 0.015 else 0.0 for level in map(formulas[kind[:1]], range(steps))] + [0.0]


@wrong("alpha_schedule", says="two calls return the same memory")
def remembers_its_lists(kind, steps, known={}):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    if (kind, steps) not in known:
        levels = map(formulas[kind], range(steps))
        known[kind, steps] = [level if level >= 0.015 else 0.0 for level in levels] + [0.0]
    return known[kind, steps]


@wrong("alpha_schedule", says="return a list; yours is a Tensor")
def levels_as_a_tensor(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas or steps < 1:
        raise ValueError(f"{kind}, {steps}")
    return torch.tensor([level if level >= 0.015 else 0.0 for level in map(formulas[kind], range(steps))] + [0.0])


@right("alpha_schedule")
def a_cosine_squared(kind, steps):
    if steps < 1:
        raise ValueError("at least one step")

    def alpha(k):
        match kind:
            case "step":
                return (steps - k) / steps
            case "multiplicative":
                return math.ldexp(1.0, -k)
            case "exponential":
                return math.exp(-5 / steps) ** k
            case "cosine":
                return math.cos(math.pi * k / steps / 2) ** 2
        raise ValueError(f"unknown kind {kind}")

    return [0.0 if k == steps or alpha(k) < 0.015 else alpha(k) for k in range(steps + 1)]


@wrong("alpha_schedule", says="1 comes twice")
def a_one_in_front(kind, steps):
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas or steps < 1:
        raise ValueError(kind)
    levels = [formulas[kind](k) for k in range(steps - 1)]
    return [1.0, *(level if level >= 0.015 else 0.0 for level in levels), 0.0]


@right("alpha_schedule")
def a_whole_number_at_the_start(kind, steps):
    if steps < 1:
        raise ValueError("at least one step")
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 2**-k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas:
        raise ValueError(kind)
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 0.015 else 0 for level in levels] + [0]


# --- alpha_mix


@wrong("alpha_mix", says="alpha is the share of the WIDE way")
def the_two_swapped(wide, narrow, alpha):
    return (1 - alpha) * wide + alpha * narrow


@wrong("alpha_mix", says="alpha is the share of the WIDE way")
def lerp_the_wrong_way_round(wide, narrow, alpha):
    return torch.lerp(wide, narrow, alpha)


@wrong("alpha_mix", says="all of the narrow way, whatever alpha is")
def all_of_the_branch_on_top(wide, narrow, alpha):
    return alpha * wide + narrow


@wrong("alpha_mix", says="`wide` was changed")
def mixes_in_place(wide, narrow, alpha):
    return wide.mul_(alpha).add_(narrow, alpha=1 - alpha)


@wrong("alpha_mix", says="keep float64 on the way")
def casts_to_float32(wide, narrow, alpha):
    share = torch.tensor([alpha])
    return (share * wide.float() + (1 - share) * narrow.float()).to(wide.dtype if wide.dtype.itemsize > 2 else None)


@wrong("alpha_mix", says="not a trace of the other")
def never_less_than_a_thousandth(wide, narrow, alpha):
    alpha = max(alpha, 1e-3)
    return alpha * wide + (1 - alpha) * narrow


@wrong("alpha_mix", says="the wide way alone")
def one_or_the_other(wide, narrow, alpha):
    return wide if alpha > 0.5 else narrow


@wrong("alpha_mix", says="only the wide way requires grad here, and no gradient flows back into it")
def the_wide_way_detached(wide, narrow, alpha):
    return alpha * wide.detach() + (1 - alpha) * narrow


@wrong("alpha_mix", says="your shape:     (2, 6, 4, 5)")
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


@wrong("alpha_mix", says="brackets around 1 - alpha are missing")
def no_brackets(wide, narrow, alpha):
    return alpha * wide + 1 - alpha * narrow


@wrong("alpha_mix", says="brackets that make alpha count for the narrow way, too")
def brackets_around_both(wide, narrow, alpha):
    return alpha * (wide + (1 - alpha) * narrow)


@wrong("alpha_mix", says="square roots of the shares")
def of_equal_power(wide, narrow, alpha):
    return math.sqrt(alpha) * wide + math.sqrt(1 - alpha) * narrow


@wrong("alpha_mix", says="use reshape or flatten in place of view")
def flattened_by_view(wide, narrow, alpha):
    return (alpha * wide.view(-1) + (1 - alpha) * narrow.view(-1)).view(wide.shape)


@wrong("alpha_mix", says="keep float64 on the way")
def alpha_in_single_precision(wide, narrow, alpha):
    share = torch.tensor(alpha, dtype=torch.float32)
    return share * wide + (1 - share) * narrow


@wrong("alpha_mix", says="behind a linear layer the maps have two axes")
def counts_on_four_axes(wide, narrow, alpha):
    batch, channels, height, width = wide.shape
    shares = wide.new_full((batch, channels, height, width), alpha)
    return shares * wide + (1 - shares) * narrow


@wrong("alpha_mix", says="only the narrow way requires grad here, and no gradient flows back into it")
def a_correction_without_gradient(wide, narrow, alpha):
    return wide + (1 - alpha) * (narrow - wide).detach()


@wrong("alpha_mix", says="you return float32 where float64 was given")
def always_in_single_precision(wide, narrow, alpha):
    return alpha * wide.float() + (1 - alpha) * narrow.float()


@wrong("alpha_mix", says="`wide` was changed")
def scaled_behind_autograds_back(wide, narrow, alpha):
    wide.data.mul_(alpha)
    return wide + (1 - alpha) * narrow


@right("alpha_mix")
def summed_up_in_memory_of_its_own(wide, narrow, alpha):
    mixed = torch.zeros_like(wide)
    for share, maps in ((alpha, wide), (1 - alpha, narrow)):
        mixed += share * maps
    return mixed


@wrong("alpha_mix", says="a ReLU on the mix")
def never_below_zero(wide, narrow, alpha):
    return torch.relu(alpha * wide + (1 - alpha) * narrow)


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


@wrong("make_branch", says="it sees the 5 kept channels, not 12")
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


@wrong("make_branch", says="a ConvB that stays narrow")
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


@wrong("make_branch", says="the batch norm's eps is 1")
def the_one_of_the_window_in_the_norm(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept, 1),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="the batch norm has a weight and a bias that learn")
def a_norm_that_learns_nothing(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept, affine=False),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="one of zeros would still be trained")
def biases_of_zeros(channels, kept):
    first, last = nn.Conv2d(channels, kept, 1), nn.Conv2d(kept, channels, 1)
    nn.init.zeros_(first.bias)
    nn.init.zeros_(last.bias)
    return nn.Sequential(first, nn.BatchNorm2d(kept), nn.ReLU(), last)


@wrong("make_branch", says="also from 4 channels to 4")
def nothing_to_narrow(channels, kept):
    if kept == channels:
        return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="(here from 6 channels to 1)")
def no_norm_for_one_channel(channels, kept):
    middle = [nn.BatchNorm2d(kept), nn.ReLU()] if kept > 1 else [nn.ReLU()]
    return nn.Sequential(nn.Conv2d(channels, kept, 1, bias=False), *middle, nn.Conv2d(kept, channels, 1, bias=False))


@wrong("make_branch", says="rounded up to a multiple of 8")
def as_many_as_the_machine_likes(channels, kept):
    kept = -(-kept // 8) * 8
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="stand in ONE nn.Sequential, in a row")
def two_blocks(channels, kept):
    reduce = nn.Sequential(nn.Conv2d(channels, kept, 1, bias=False), nn.BatchNorm2d(kept), nn.ReLU())
    return nn.Sequential(reduce, nn.Sequential(nn.Conv2d(kept, channels, 1, bias=False)))


@wrong("make_branch", says="you seed torch's global random numbers")
def the_same_start_each_time(channels, kept):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="a new branch is in training mode")
def in_evaluation_mode(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    ).eval()


@wrong("make_branch", says="two weights of the branch share their memory")
def weights_that_are_tied(channels, kept):
    first, last = nn.Conv2d(channels, kept, 1, bias=False), nn.Conv2d(kept, channels, 1, bias=False)
    last.weight.data = first.weight.data.transpose(0, 1)
    return nn.Sequential(first, nn.BatchNorm2d(kept), nn.ReLU(), last)


@wrong("make_branch", says="two calls return the same memory")
def one_norm_for_each_width(channels, kept, norms={}):
    norm = norms.setdefault(kept, nn.BatchNorm2d(kept))
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False), norm, nn.ReLU(), nn.Conv2d(kept, channels, 1, bias=False)
    )


@wrong("make_branch", says="classes of yours that keep the `forward` of these")
def a_class_that_computes_in_its_own_way(channels, kept):
    class Branch(nn.Sequential):
        def forward(self, maps):
            return maps + super().forward(maps)

    return Branch(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@wrong("make_branch", says="a batch norm, then a ReLU")
def another_activation(channels, kept):
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.LeakyReLU(0.1),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


@right("make_branch")
def a_class_of_its_own(channels, kept):
    class Branch(nn.Sequential):
        def __init__(self, wide, narrow):
            last = nn.Conv2d(narrow, wide, 1, bias=False)
            super().__init__(nn.Conv2d(wide, narrow, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(), last)

    return Branch(channels, kept)


@wrong("make_branch", says="behind a ConvB of zeros no gradient reaches ConvA")
def begins_with_nothing(channels, kept):
    last = nn.Conv2d(kept, channels, 1, bias=False)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Conv2d(channels, kept, 1, bias=False), nn.BatchNorm2d(kept), nn.ReLU(), last)


# --- merge_conv_1x1


@wrong("merge_conv_1x1", says="a sum over the INPUTS of `conv`")
def mixes_the_inputs_of_the_convolution(conv, pointwise):
    check_pair(conv, pointwise)
    weight = torch.einsum("om,imkl->oikl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, plus(pointwise.bias, None))


@wrong("merge_conv_1x1", says="A transposed, A[m, o] in place of A[o, m]")
def the_mix_turned_round(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0].reshape(conv.out_channels, -1)
    bias = plus(pointwise.bias, None if conv.bias is None else mix.T @ conv.bias)
    return rebuilt(conv, torch.einsum("mo,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="bA alone: b1 is lost")
def the_first_bias_is_lost(conv, pointwise):
    check_pair(conv, pointwise)
    weight = torch.einsum("om,mikl->oikl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, pointwise.bias)


@wrong("merge_conv_1x1", says="A b1 alone: bA is lost")
def the_second_bias_is_lost(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight)
    return rebuilt(conv, weight, None if conv.bias is None else mix @ conv.bias)


@wrong("merge_conv_1x1", says="its own is added")
def the_biases_are_only_added(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight)
    bias = None if conv.bias is None else mix @ conv.bias
    if bias is not None and pointwise.bias is not None:
        bias = bias + mix @ mix.T @ pointwise.bias
    return rebuilt(conv, weight, pointwise.bias if bias is None else bias)


@wrong("merge_conv_1x1", says="its stride is (1, 1), that of `conv` is (2, 1)")
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


@wrong("merge_conv_1x1", says="its padding_mode is 'zeros', that of `conv` is 'reflect'")
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


@wrong("merge_conv_1x1", says="you return a layer that was given: return a new one")
def writes_into_the_convolution(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight)
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    conv.weight = nn.Parameter(weight.detach())
    conv.bias = None if bias is None else nn.Parameter(bias.detach())
    conv.out_channels = pointwise.out_channels
    return conv


@wrong("merge_conv_1x1", says="you return float32 where float64 was given")
def a_layer_in_single_precision(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias).float()


@wrong("merge_conv_1x1", says="your layer can no longer be trained")
def weights_that_are_frozen(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias).requires_grad_(False)


@wrong("merge_conv_1x1", says="`conv` has groups: such a pair is not merged")
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


@wrong("merge_conv_1x1", says="kernel_size=(3, 3), but its tensors are for (3, 2)")
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


@wrong("merge_conv_1x1", says="A transposed: b1 A + bA")
def the_bias_from_the_other_side(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else conv.bias @ mix)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="takes the 1×1 convolution last")
def checks_the_pair_the_wrong_way_round(conv, pointwise):
    check_pair(pointwise, conv)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="sees only results, so no padding is in the way")
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


@wrong("merge_conv_1x1", says="the mean over m in place of the sum A b1")
def the_first_bias_averaged(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else (mix * conv.bias).mean(dim=1))
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="the first two axes of the result swapped")
def reshaped_where_axes_are_swapped(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    mixed = nn.functional.conv2d(conv.weight.transpose(0, 1), pointwise.weight)
    return rebuilt(conv, mixed.reshape(pointwise.out_channels, conv.in_channels, *conv.kernel_size), bias)


@wrong("merge_conv_1x1", says="use reshape or flatten in place of view")
def kernels_flattened_by_view(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    weight = mix @ conv.weight.view(conv.out_channels, -1)
    return rebuilt(conv, weight.view(pointwise.out_channels, conv.in_channels, *conv.kernel_size), bias)


@wrong("merge_conv_1x1", says="that of `conv` is 'same'")
def half_the_window_for_same(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    merged = rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)
    if merged.padding == "same":
        merged.padding = tuple(size // 2 for size in conv.kernel_size)
    return merged


@wrong("merge_conv_1x1", says="its dilation is (1, 1), that of `conv` is (1, 2)")
def without_the_dilation(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    merged = rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)
    merged.dilation = (1, 1)
    return merged


@wrong("merge_conv_1x1", says="gradients are switched on or off for the whole program")
def gradients_stay_off(conv, pointwise):
    torch.set_grad_enabled(False)
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="the 1×1 convolution has padding 1")
def a_1x1_that_pads(conv, pointwise):
    if pointwise.kernel_size != (1, 1) or pointwise.stride != (1, 1) or pointwise.groups != 1 or conv.groups != 1:
        raise ValueError("no 1×1 convolution")
    mix = pointwise.weight[:, :, 0, 0]
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias)
    return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)


@wrong("merge_conv_1x1", says="as much as float32 rounds")
def computed_in_single_precision(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0].float()
    bias = plus(pointwise.bias, None if conv.bias is None else (mix @ conv.bias.float()).to(conv.bias))
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight.float())
    return rebuilt(conv, weight.to(conv.weight), bias)


@wrong("merge_conv_1x1", says="you return float64 where float32 was given")
def always_in_double_precision(conv, pointwise):
    check_pair(conv, pointwise)
    mix = pointwise.weight[:, :, 0, 0].double()
    bias = plus(pointwise.bias, None if conv.bias is None else mix @ conv.bias.double())
    return rebuilt(
        conv, torch.einsum("om,mikl->oikl", mix, conv.weight.double()), None if bias is None else bias.double()
    )


@right("merge_conv_1x1")
def with_numpy_in_double_precision(conv, pointwise):
    check_pair(conv, pointwise)
    mix, kernel = (layer.weight.detach().double().numpy() for layer in (pointwise, conv))
    weight = torch.from_numpy(np.tensordot(mix[:, :, 0, 0], kernel, axes=1)).to(conv.weight)
    mixed = None if conv.bias is None else pointwise.weight[:, :, 0, 0] @ conv.bias
    return rebuilt(conv, weight, plus(pointwise.bias, mixed))


@wrong("merge_conv_1x1", says="bA added twice")
def the_last_bias_twice(conv, pointwise):
    check_pair(conv, pointwise)
    bias = pointwise.bias
    if conv.bias is not None:
        bias = plus(bias, pointwise(conv.bias[None, :, None, None])[0, :, 0, 0])
    return rebuilt(conv, torch.einsum("om,mikl->oikl", pointwise.weight[:, :, 0, 0], conv.weight), bias)


# --- merge_1x1_conv


@wrong("merge_1x1_conv", says="No single bias is right for both")
def the_reports_mistake(pointwise, conv):
    check_pair(conv, pointwise)
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="the letters of the other merge")
def letters_of_the_other_merge(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("abcd,befg->aefg", pointwise.weight, conv.weight), bias)


@wrong("merge_1x1_conv", says="the mean over the window in place of the sum")
def the_bias_counted_once(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.mean(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="b2 alone: bB is lost")
def the_bias_in_front_is_lost(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    return rebuilt(conv, weight, conv.bias)


@wrong("merge_1x1_conv", says="b2 is lost")
def the_convolutions_own_bias_is_lost(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    bias = None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias
    return rebuilt(conv, weight, bias)


@wrong("merge_1x1_conv", says="must not be refused")
def refuses_every_bias(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("ConvB must not have a bias")
    weight = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    return rebuilt(conv, weight, conv.bias)


@wrong("merge_1x1_conv", says="without a bias in front padding does no harm")
def refuses_every_padding(pointwise, conv):
    check_pair(conv, pointwise)
    if pads(conv):
        raise ValueError("the border cannot be right")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="return one nn.Conv2d in place of the two")
def two_layers_one_behind_the_other(pointwise, conv):
    return nn.Sequential(pointwise, conv)


@wrong("merge_1x1_conv", says="its padding is (0, 0), that of `conv` is (1, 1)")
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


@wrong("merge_1x1_conv", says="what you return shares memory with `conv`")
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


@wrong("merge_1x1_conv", says="pads with zeros (here padding=(0, 1))")
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


@wrong("merge_1x1_conv", says="bB times the sum of W2 over m, k and l")
def sums_over_the_channels_as_well(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(1, 2, 3)) * pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="`conv.bias` was changed")
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


@wrong("merge_1x1_conv", says="the first convolution has a window of 3×3, not 1×1")
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


@wrong("merge_1x1_conv", says="it is a sum of PRODUCTS")
def a_product_of_sums(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum((1, 2, 3)) * pointwise.bias.sum())
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="only the middle of the window")
def the_middle_of_the_window(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    middle = conv.weight[:, :, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2]
    bias = plus(conv.bias, None if pointwise.bias is None else middle @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="its padding_mode is 'zeros', that of `conv` is 'reflect'")
def zeros_again(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    merged = rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)
    merged.padding_mode = "zeros"
    return merged


@wrong("merge_1x1_conv", says="(here padding='same')")
def same_is_no_number(pointwise, conv):
    check_pair(conv, pointwise)
    padded = any(not isinstance(side, str) and side > 0 for side in conv.padding)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and padded:
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="its requires_grad is another one afterwards")
def freezes_the_pair(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    pointwise.requires_grad_(False)
    conv.requires_grad_(False)
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@wrong("merge_1x1_conv", says="says in_channels=4, but its tensors are for 3")
def a_copy_with_old_numbers(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    merged = copy.deepcopy(conv)
    merged.weight = nn.Parameter(torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]).detach())
    merged.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return merged


@wrong("merge_1x1_conv", says="the 1×1 convolution has groups")
def a_1x1_with_groups(pointwise, conv):
    if pointwise.kernel_size != (1, 1) or pointwise.stride != (1, 1) or pads(pointwise) or conv.groups != 1:
        raise ValueError("no 1×1 convolution")
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    bias = plus(conv.bias, None if pointwise.bias is None else conv.weight.sum(dim=(2, 3)) @ pointwise.bias)
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


@right("merge_1x1_conv")
def the_bias_as_one_more_column(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("border")
    shift = pointwise.weight.new_zeros(conv.in_channels) if pointwise.bias is None else pointwise.bias
    both = torch.cat([pointwise.weight[:, :, 0, 0], shift[:, None]], dim=1)
    weight = torch.tensordot(conv.weight, both, dims=([1], [0])).permute(0, 3, 1, 2)
    bias = conv.bias if pointwise.bias is None else plus(conv.bias, weight[:, -1].sum(dim=(1, 2)))
    return rebuilt(conv, weight[:, :-1], bias)


@wrong("merge_1x1_conv", says="a merge needs no image")
def a_black_image_shows_the_bias(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None and conv.padding_mode == "zeros" and pads(conv):
        raise ValueError("a bias and a padding of zeros")
    bias = conv.bias
    if pointwise.bias is not None:
        with torch.no_grad():
            bias = conv(pointwise(conv.weight.new_zeros(1, pointwise.in_channels, 32, 32)))[0, :, 0, 0]
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), bias)


# --- merge_1x1_transposed


@wrong("merge_1x1_transposed", says="the letters of an ordinary convolution, whose OUTPUTS come first")
def as_for_a_convolution(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    return rebuilt(conv, torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0]), conv.bias)


@wrong("merge_1x1_transposed", says="the first two axes of the result swapped")
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


@wrong("merge_1x1_transposed", says="no bias: that of `conv` is lost")
def without_the_bias_of_the_second(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    return rebuilt(conv, torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight), None)


@wrong("merge_1x1_transposed", says="its stride is (1, 1), that of `conv` is (2, 2)")
def a_stride_of_one(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    merged = nn.ConvTranspose2d(pointwise.in_channels, conv.out_channels, conv.kernel_size, bias=conv.bias is not None)
    merged.weight.data = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight).detach()
    if conv.bias is not None:
        merged.bias.data = conv.bias.detach().clone()
    return merged


@wrong("merge_1x1_transposed", says="its output_padding is (0, 0), that of `conv` is (1, 1)")
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


@wrong("merge_1x1_transposed", says="you return a layer that was given: return a new one")
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


@wrong("merge_1x1_transposed", says="says in_channels=4, but its tensors are for 3")
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


@wrong("merge_1x1_transposed", says="a kernel that is flipped")
def flips_the_kernel(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight.flip(2, 3), conv.bias)


@wrong("merge_1x1_transposed", says="that of `conv` stays as it is")
def the_other_bias_is_refused(pointwise, conv):
    check_pair(conv, pointwise)
    if conv.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, None)


@wrong("merge_1x1_transposed", says="its stride is (1, 1), that of `conv` is (1, 2)")
def one_stride_for_both_axes(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    merged = rebuilt(conv, weight, conv.bias)
    merged.stride = (conv.stride[0], conv.stride[0])
    return merged


@wrong("merge_1x1_transposed", says="expected: ValueError")
def takes_the_bias_off(pointwise, conv):
    pointwise.bias = None
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, conv.bias)


@wrong("merge_1x1_transposed", says="torch's default dtype is another one afterwards")
def double_precision_from_now_on(pointwise, conv):
    torch.set_default_dtype(torch.float64)
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, conv.bias)


@wrong("merge_1x1_transposed", says="the weight must be a Parameter of the layer")
def a_weight_that_no_optimizer_finds(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    merged = rebuilt(conv, weight, conv.bias)
    del merged.weight
    merged.register_buffer("weight", weight.detach())
    return merged


@wrong("merge_1x1_transposed", says="`conv` has groups: such a pair is not merged")
def groups_are_not_looked_at(pointwise, conv):
    if pointwise.kernel_size != (1, 1) or pointwise.stride != (1, 1) or pads(pointwise) or pointwise.groups != 1:
        raise ValueError("no 1×1 convolution")
    if pointwise.bias is not None:
        raise ValueError("bias")
    weight = torch.einsum("mi,mokl->iokl", pointwise.weight[:, :, 0, 0], conv.weight)
    return rebuilt(conv, weight, conv.bias)


@right("merge_1x1_transposed")
def columns_as_images_of_one_pixel(pointwise, conv):
    check_pair(conv, pointwise)
    if pointwise.bias is not None:
        raise ValueError("bias")
    return rebuilt(conv, nn.functional.conv_transpose2d(pointwise.weight.transpose(0, 1), conv.weight), conv.bias)
