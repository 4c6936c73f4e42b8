"""Widths that are learned or searched: the small functions that four methods are made of.

PCAS (Yamamoto & Maeno 2018, arXiv 1806.05382), AMC (He et al. 2018, arXiv 1802.03494) and channel pruning by LASSO (He,
Zhang, Sun 2017, arXiv 1707.06168). The modules `attention`, `amc` and `lasso` prune whole networks with them.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from solutions.rounding import channels_removed


def attention_gate(maps: Tensor, down: nn.Linear, up: nn.Linear) -> Tensor:
    """How far each channel of each image is let through → the gates (N, C), between 0 and 1.

    sigmoid(up(relu(down(z)))), z (N, C) the mean of every map over its positions. `maps` (N, C, H, W); `down` a linear
    layer from C to C / 4 or any other width, `up` one back to C, both with biases. The gates depend on the layers'
    parameters: gradients go through. Nothing is changed. Yamamoto & Maeno 2018, section 3.1.
    """
    return up(down(maps.mean(dim=(2, 3))).relu()).sigmoid()


def mean_importance(gates: Sequence[Tensor]) -> Tensor:
    """The importance of every channel: the mean of its gates over all images → (C,).

    `gates`: a list, of every batch a tensor (N, C); batches may differ in N, and every *image* weighs the same. Nothing
    is changed. Yamamoto & Maeno 2018, section 3.2.
    """
    return torch.cat(list(gates)).mean(dim=0)


def clipped_action(
    action: float,
    layer: int,
    widths: Sequence[int],
    least: Sequence[int],
    macs: Callable[[Sequence[int]], int],
    budget: float,
) -> int:
    """How many channels layer number `layer` keeps, so that the budget of MACs can still be met → a whole number.

    `action`: the keep ratio that the agent wants, 0 to 1; of width C it leaves C - floor((1 - action) · C + 1e-9)
    channels. `layer` counts from 0. `widths`: a list, of all layers, those before `layer` as they were decided, it and
    later ones whole. `least`: the fewest channels that each layer may keep. `macs(widths)` → the MACs of a network with
    such widths, one for every layer, which grow with each of them; `budget`: the most that the whole network may have
    in the end. The answer is the largest number of channels that is not more than the action wants and with which, all
    later layers at their least, the budget is met; but never below `least[layer]`, also where the action wants fewer or
    the budget is missed then. Nothing is changed. He et al. 2018, algorithm 1.
    """
    before, after = list(widths[:layer]), list(least[layer + 1 :])
    low, high = least[layer], widths[layer] - channels_removed(widths[layer], action)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if macs([*before, middle, *after]) <= budget else (low, middle - 1)
    return low


def reward(logits: Tensor, labels: Tensor, macs: int | None = None) -> float:
    """What the agent gets at the end of an episode, from the pruned network's `logits` (N, K) → a Python number.

    Without `macs`: minus the mean cross-entropy, for a search under a budget. With `macs`, those of the pruned network:
    -error · ln(macs), error being the share of images that are wrong, for a search that chooses its own budget; `macs`
    is at least 1. Nothing is changed. He et al. 2018, section 3.3; the loss stands in for their accuracy: it tells
    plans apart where few images change sides.
    """
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    error = (logits.argmax(dim=1) != labels).double().mean().item()
    return -error * math.log(macs)


def lasso_step(contributions: Tensor, target: Tensor, beta: Tensor, channel: int, strength: float) -> Tensor:
    """One step of coordinate descent: `beta` with the best value for one channel, all others held → a new tensor (C,).

    Minimises 1/(2N) · ||y - Σ_c β_c x_c||² + strength · Σ|β_c| over β of `channel`. With r = y minus what all *other*
    channels give, and a = x·r / N, it is sign(a) · max(|a| - strength, 0) / (x·x / N); 0 for a channel that never
    speaks (x·x = 0). `contributions` (N, C) holds x_c in its columns, `target` (N,) is y. Nothing is changed. The
    problem is that of He, Zhang, Sun 2017, section 3.1; coordinate descent is the usual way to solve it.
    """
    column, changed = contributions[:, channel], beta.clone()
    changed[channel] = 0
    pull = column @ (target - contributions @ changed) / len(target)
    size = column @ column / len(target)
    if size > 0:
        changed[channel] = pull.sign() * (pull.abs() - strength).clamp_min(0) / size
    return changed
