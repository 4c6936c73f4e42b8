"""Scores of every criterion for a whole network, in one pass over the data, through its channel groups."""

import zlib
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from solutions.activation_criteria import (
    activation_mean_scores,
    gate_taylor_scores,
    mutual_information,
    obd_scores,
)
from solutions.criteria import apoz_scores, minimum_weight_scores, normalize_per_layer, taylor_scores
from solutions.feature_maps import Batches, Criterion, Maps, Mean, Scores, map_scores, weight_scores
from solutions.graph.groups import Group
from solutions.l1 import filter_l1_norms


class Deviation:
    """The standard deviation over the positions of all examples: sqrt(mean of z² - (mean of z)²), of all batches."""

    def __init__(self) -> None:
        self.mean = Mean(lambda activation, _: activation.double().mean(dim=(0, 2, 3)))
        self.square = Mean(lambda activation, _: activation.double().square().mean(dim=(0, 2, 3)))

    def update(self, maps: Maps) -> None:
        """Take one more batch into both means."""
        self.mean.update(maps)
        self.square.update(maps)

    def value(self) -> Tensor:
        """The scores (C,)."""
        return (self.square.value() - self.mean.value().square()).clamp_min(0).sqrt()


class GateTaylor:
    """`gate_taylor_scores` of every minibatch, averaged: each counts once, however many examples it has."""

    def __init__(self) -> None:
        self.scores: list[Tensor] = []

    def update(self, maps: Maps) -> None:
        """Take one more minibatch into the mean."""
        self.scores.append(gate_taylor_scores(maps.activation, maps.gradient).detach().double().cpu())

    def value(self) -> Tensor:
        """The scores (C,), in float64."""
        return torch.stack(self.scores).mean(dim=0)


class Information:
    """`mutual_information` of a map's spatial mean and the class, over the examples of all batches."""

    def __init__(self) -> None:
        self.means: list[Tensor] = []
        self.labels: list[Tensor] = []

    def update(self, maps: Maps) -> None:
        """Note one batch's means (N, C) and classes."""
        self.means.append(maps.activation.mean(dim=(2, 3)).cpu())
        self.labels.append(maps.labels.cpu())

    def value(self) -> Tensor:
        """The scores (C,), in nats."""
        return mutual_information(torch.cat(self.means), torch.cat(self.labels))


WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"L1": filter_l1_norms, "minimum weight": minimum_weight_scores}
MAPS: dict[str, Callable[[], Criterion]] = {
    "activation mean": partial(Mean, lambda activation, _: activation_mean_scores(activation)),
    "activation std": Deviation,
    "APoZ": partial(Mean, lambda activation, _: apoz_scores(activation)),
    "Taylor": partial(Mean, taylor_scores),
    "gate Taylor": GateTaylor,
    "OBD": partial(Mean, obd_scores),
    "mutual information": Information,
}
CRITERIA = ("random", *WEIGHTS, *MAPS)


def score(
    network: nn.Module, batches: Batches, groups: Sequence[Group], criteria: Sequence[str] = CRITERIA, seed: int = 0
) -> dict[str, Scores]:
    """The scores of all `criteria`, {criterion: {group: (channels,)}}, in one pass over `batches` of (images, labels).

    A channel that several layers make, or several tensors hold (a residual stage; behind a pooling and in front of it),
    has the mean of its scores there. Batches weigh as much as they have examples (gate Taylor's: all alike). The
    network is as it was found afterwards. `seed`: of "random". Raises ValueError for a criterion that is not in
    CRITERIA.
    """
    if unknown := set(criteria) - set(CRITERIA):
        raise ValueError(f"There is no criterion {sorted(unknown)[0]!r}; there are {', '.join(CRITERIA)}.")
    scores: dict[str, Scores] = {}
    if "random" in criteria:
        scores["random"] = {group.name: random_scores(group, seed) for group in groups}
    for name in set(criteria) & set(WEIGHTS):
        scores[name] = weight_scores(network, groups, WEIGHTS[name])
    if of_maps := {name: MAPS[name] for name in criteria if name in MAPS}:
        scores |= map_scores(network, batches, groups, of_maps)
    return {name: scores[name] for name in criteria}


def ranking(
    criterion: str, batches: Batches, normalize: bool = False, seed: int = 0
) -> Callable[[nn.Module, Sequence[Group]], Scores]:
    """A criterion as `prune_iteratively` and `group_sensitivity` take it.

    `normalize`: by `normalize_per_layer`; "random" is on one scale already.
    """

    def rank(network: nn.Module, groups: Sequence[Group]) -> Scores:
        scores = score(network, batches, groups, [criterion], seed=seed)[criterion]
        return normalize_per_layer(scores) if normalize and criterion != "random" else scores

    rank.__name__ = f"{criterion}, {'normalised' if normalize else 'raw'}"
    return rank


def random_scores(group: Group, seed: int = 0) -> Tensor:
    """A permutation of 1/C, 2/C, …, 1, drawn from the seed and the group's name: in all groups on one scale."""
    chance = torch.Generator().manual_seed(seed + zlib.crc32(group.name.encode()))
    return (torch.randperm(group.channels, generator=chance) + 1) / group.channels
