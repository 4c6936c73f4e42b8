"""AOFP, approximated oracle filter pruning (Ding et al., ICML 2019): which filters matter, asked during training.

The four small functions that a search is made of, and the search of one target with them. `aofp_training` runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

THRESHOLD = 0.01  # theta: the damage below which filters go (the paper's default)


def random_half(space: Sequence[int], seed: int) -> list[int]:
    """A random half of the search space: floor(|S| / 2) of its filters, without replacement, in increasing order.

    Every filter of `space` (different numbers, in any order) is as likely as any other; the same seed gives the same
    half, and no global random numbers are drawn.
    """
    order = torch.randperm(len(space), generator=torch.Generator().manual_seed(seed))
    return sorted(space[place] for place in order[: len(space) // 2].tolist())


def damage(base: Tensor, ablated: Tensor, mask: Tensor) -> float:
    """How much of the follower's output a random half made: ||m · (base - ablated)||² / ||m · base||².

    `base`, `ablated`: the follower's output (N, C, H, W) or (N, C), with all filters and without the half; `mask` (C,):
    1 for the follower's own channels that are still there, 0 for others. Sums over batch, channels and positions. An
    output that is zero everywhere has no damage: 0.
    """
    own = mask.view(-1, *[1] * (base.ndim - 2)).to(base)
    whole = (own * base).square().sum().item()
    return (own * (base - ablated)).square().sum().item() / whole if whole else 0.0


def credit(totals: Tensor, counts: Tensor, ablated: Sequence[int], amount: float) -> None:
    """Add the damage of one batch to the account of every filter that was ablated in it, in place.

    `totals` (C,): the sum of damages by filter; `counts` (C,): of how many batches.
    """
    totals[list(ablated)] += amount
    counts[list(ablated)] += 1


def next_move(
    scores: Tensor, alive: Sequence[int], space: Sequence[int], threshold: float
) -> tuple[list[int], list[int]]:
    """What a search does after its batches: the filters that are pruned, and the space of the next search.

    `scores` (C,): the mean damage of every filter, infinite where it was never ablated; `alive`: the filters that are
    still there, `space` those among them that were searched. Let g = floor(|S| / 2) and v the g-th smallest score in
    the space (of equal ones the smaller filter first). v < threshold: these g go, and all survivors are searched next.
    Else, g > 1: none goes, and the g lowest are searched next. Else none goes, and all are searched next. A space of
    one filter (g = 0) is left alone. Both lists in increasing order.
    """
    half = len(space) // 2
    if half == 0:
        return [], sorted(space)
    lowest = sorted(space, key=lambda filter: (scores[filter].item(), filter))[:half]
    if scores[lowest[-1]] < threshold:
        return sorted(lowest), sorted(set(alive) - set(lowest))
    return [], sorted(lowest) if half > 1 else sorted(alive)


@dataclass
class Search:
    """The binary filter search of one target: the filters that are `alive`, the `space`, their accounts, its history.

    `waits`: how many training batches pass before it begins; `batches`: how many it has seen since its last move;
    `history`: one dict a move, with the training batch, the space and its scores, v, and what was pruned.
    """

    filters: int
    alive: list[int]
    waits: int = 0
    space: list[int] = field(default_factory=list)
    batches: int = 0
    totals: Tensor = field(default_factory=lambda: torch.zeros(0))
    counts: Tensor = field(default_factory=lambda: torch.zeros(0))
    history: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.space:
            self.look_at(self.alive)

    def look_at(self, space: Sequence[int]) -> None:
        """Search this space next, with empty accounts."""
        self.space, self.batches = sorted(space), 0
        self.totals = torch.zeros(self.filters, dtype=torch.float64)
        self.counts = torch.zeros(self.filters, dtype=torch.int64)

    def ablated(self, batch: int, seed: int) -> list[int]:
        """The half that is ablated in a training batch; none while it waits, or where one filter is left."""
        return [] if batch < self.waits else random_half(self.space, seed)

    def note(self, ablated: Sequence[int], amount: float) -> None:
        """One batch more: the damage of a half."""
        credit(self.totals, self.counts, ablated, amount)
        self.batches += 1

    def scores(self) -> Tensor:
        """The mean damage of every filter (C,) float64; infinite where it was never ablated."""
        return torch.where(self.counts > 0, self.totals / self.counts, torch.inf)

    def move(self, batch: int, threshold: float) -> list[int]:
        """End a search, and begin the next → the filters that should go, those of the lowest score first.

        They are alive until `prune` says which of them went: a budget may need fewer.
        """
        scores = self.scores()
        pruned, space = next_move(scores, self.alive, self.space, threshold)
        half = sorted(scores[self.space].tolist())[: len(self.space) // 2]
        entry = {"batch": batch, "space": self.space, "scores": scores[self.space].tolist()}
        self.history.append({**entry, "v": half[-1] if half else None, "pruned": pruned})
        self.look_at(space)
        return sorted(pruned, key=lambda filter: (scores[filter].item(), filter))

    def prune(self, filters: Sequence[int]) -> None:
        """Take filters out; the next search is among all that are left."""
        self.alive = sorted(set(self.alive) - set(filters))
        self.look_at(self.alive)

    def state(self) -> dict[str, Any]:
        """All of it as plain data and tensors, which `Search(**state)` takes."""
        return dict(vars(self))
