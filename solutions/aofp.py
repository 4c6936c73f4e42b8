"""AOFP, approximated oracle filter pruning (Ding et al., ICML 2019): which filters matter, asked during training.

The four small functions that a search is made of. `aofp_search` searches one target with them, `aofp_training` a whole
network.
"""

import torch
from torch import Tensor

from solutions.aofp_search import Kernels


def random_half(space: list[int], seed: int) -> list[int]:
    """A random half of the search space: floor(|S| / 2) of its filters, without replacement, in increasing order.

    Every filter of `space` (different numbers, in any order) is as likely as any other; the same seed gives the same
    half, and no global random numbers are drawn.
    """
    order = torch.randperm(len(space), generator=torch.Generator().manual_seed(seed))
    return sorted(space[place] for place in order[: len(space) // 2].tolist())


def damage(base: Tensor, ablated: Tensor, mask: Tensor) -> float:
    """How much of the follower's output a random half made: ||m · (base - ablated)||² / ||m · base||².

    `base`, `ablated`: the follower's output (N, C, H, W) or (N, C), with all filters and without the half; `mask` (C,):
    1 for the follower's own channels that are still there, 0 for others. Sums over batch, channels and positions. Where
    there was nothing, so that ||m · base||² = 0, there is no damage: 0.
    """
    own = mask.view(-1, *[1] * (base.ndim - 2))
    whole = (own * base).square().sum().item()
    return (own * (base - ablated)).square().sum().item() / whole if whole else 0.0


def credit(totals: Tensor, counts: Tensor, ablated: list[int], amount: float) -> None:
    """Add the damage of one batch to the account of every filter that was ablated in it, in place.

    `totals` (C,): the sum of damages by filter; `counts` (C,): of how many batches.
    """
    totals[ablated] += amount
    counts[ablated] += 1


def next_move(scores: Tensor, alive: list[int], space: list[int], threshold: float) -> tuple[list[int], list[int]]:
    """What a search does after its batches: the filters that are pruned, and the space of the next search.

    `scores` (C,): the mean damage of every filter, infinite where it was never ablated; `alive`: the filters that are
    still there, `space` those among them that were searched, both in any order. Let g = floor(|S| / 2), and v the g-th
    smallest score in the space (of equal ones the smaller filter first). v < threshold: these g go, and all survivors
    are searched next. Else, g > 1: none goes, and the g lowest are searched next. Else none goes, and all that are
    alive are searched next. A space of one filter (g = 0) is left alone: none goes, and it stays as it is. Both lists
    in increasing order.
    """
    half = len(space) // 2
    if half == 0:
        return [], sorted(space)
    lowest = sorted(space, key=lambda filter: (scores[filter].item(), filter))[:half]
    if scores[lowest[-1]] < threshold:
        return sorted(lowest), sorted(set(alive) - set(lowest))
    return [], sorted(lowest) if half > 1 else sorted(alive)


KERNELS = Kernels(random_half, damage, credit, next_move)
