"""AOFP's binary filter search of one target: a space of filters that is halved until some of them can go.

Ding et al., ICML 2019, section 3.3. What it is made of are four small functions, `Kernels`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

THRESHOLD = 0.01  # theta: the damage below which filters go (the paper's default)


class Kernels(NamedTuple):
    """The four functions of `solutions.aofp`, or somebody else's."""

    random_half: Callable[[list[int], int], list[int]]
    damage: Callable[[Tensor, Tensor, Tensor], float]
    credit: Callable[[Tensor, Tensor, list[int], float], None]
    next_move: Callable[[Tensor, list[int], list[int], float], tuple[list[int], list[int]]]


@dataclass
class Search:
    """The binary filter search of one target: the filters that are `alive`, the `space`, their accounts, its history.

    `waits`: how many training batches pass before it begins; `batches`: how many it has seen since its last move.
    `seen`: each of these batches' half and its damage; `history`: one dict a move, with the training batch, the space,
    what was seen, the scores, v, and what was pruned.
    """

    kernels: Kernels
    filters: int
    alive: list[int]
    waits: int = 0
    space: list[int] = field(default_factory=list)
    seen: list[tuple[list[int], float]] = field(default_factory=list)
    totals: Tensor = field(default_factory=lambda: torch.zeros(0))
    counts: Tensor = field(default_factory=lambda: torch.zeros(0))
    history: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.space:
            self.look_at(self.alive)

    def look_at(self, space: Sequence[int]) -> None:
        """Search this space next, with empty accounts."""
        self.space, self.seen = sorted(space), []
        self.totals = torch.zeros(self.filters, dtype=torch.float64)
        self.counts = torch.zeros(self.filters, dtype=torch.int64)

    @property
    def batches(self) -> int:
        """How many batches it has seen since its last move."""
        return len(self.seen)

    def ablated(self, batch: int, seed: int) -> list[int]:
        """The half that is ablated in a training batch; none while it waits, or where one filter is left."""
        return [] if batch < self.waits else self.kernels.random_half(self.space, seed)

    def note(self, ablated: list[int], amount: float) -> None:
        """One batch more: the damage of a half."""
        self.kernels.credit(self.totals, self.counts, ablated, amount)
        self.seen.append((ablated, amount))

    def scores(self) -> Tensor:
        """The mean damage of every filter (C,) float64; infinite where it was never ablated."""
        return torch.where(self.counts > 0, self.totals / self.counts, torch.inf)

    def move(self, batch: int, threshold: float) -> list[int]:
        """End a search, and begin the next → the filters that should go, those of the lowest score first.

        They are alive until `prune` says which of them went: a budget may need fewer.
        """
        scores = self.scores()
        pruned, space = self.kernels.next_move(scores, self.alive, self.space, threshold)
        half = sorted(scores[self.space].tolist())[: len(self.space) // 2]
        entry = {"batch": batch, "space": self.space, "seen": self.seen, "scores": scores[self.space].tolist()}
        self.history.append({**entry, "v": half[-1] if half else None, "pruned": pruned})
        self.look_at(space)
        return sorted(pruned, key=lambda filter: (scores[filter].item(), filter))

    def prune(self, filters: Sequence[int]) -> None:
        """Take filters out; the next search is among all that are left."""
        self.alive = sorted(set(self.alive) - set(filters))
        self.look_at(self.alive)

    def state(self) -> dict[str, Any]:
        """All but the kernels as plain data and tensors, which `Search(kernels, **state)` takes."""
        return {name: value for name, value in vars(self).items() if name != "kernels"}
