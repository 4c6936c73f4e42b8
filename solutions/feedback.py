"""Dynamic pruning with feedback: masks are drawn anew every few steps, and all dense weights go on learning.

Lin et al. 2020 (arXiv 2006.07253). Forward pass and gradient use the masked weights, the update goes to all: an error
of pruning is corrected when a weight grows back.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.training import train
from minicifar import BatchLoader
from solutions.budgets import at_the_floor, global_plan
from solutions.drivers import (
    FINETUNING,
    SEARCHING,
    epochs_done,
    first_image,
    narrowed,
    opened,
    searching_epochs,
    seeded,
)
from solutions.graph.groups import Group
from solutions.iterative import digest_of
from solutions.masks import apply_masks, global_masks
from solutions.plans import makers
from solutions.prunable import prunable_groups
from solutions.reader_masks import ReaderMasks
from solutions.schedules import cubic_sparsity

EVERY = 16  # steps between two masks
RISE = 0.6  # the share of the steps after which the final sparsity is reached


def train_with_feedback(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    sparsity: float,
    epochs: int,
    *,
    dense_update: Callable[..., float],
    every: int = EVERY,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """Feedback for weights in `epochs` epochs → a network with the share `sparsity` of zeros, and its history.

    Every `every` steps of an epoch, its first among them, one magnitude threshold over all layers gives new masks
    of the dense weights, at the sparsity of the cubic schedule, which reaches its end after 60 % of the steps. At
    the end those of the final weights are applied. `dense_update`: that of `while_training`, or a student's.
    `seed`: of what the network draws. `network` is not changed. `resume` names a folder: stopped, the same call
    goes on from there, to the same bits. The history: `training`, one dict an epoch with the network's `sparsity`
    under the masks, how many weights `died` from the epoch's first mask to its last, and how many `returned`.
    """
    asked = {"network": digest_of(network), "sparsity": sparsity, "epochs": epochs, "every": every, "seed": seed}
    folder = opened(resume, asked)
    file = folder and folder / "training.resume"
    network = copy.deepcopy(network).eval()
    classes, smoothing = network(first_image(network, loader)).shape[1], FINETUNING["label_smoothing"]
    state = _Masks(epochs_done(file) * len(loader))

    def step(network: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> float:
        place = state.step % len(loader)
        if place % every == 0:
            state.now = global_masks(network, cubic_sparsity(state.step, 0, RISE * epochs * len(loader), sparsity))
            state.first = state.now if place == 0 else state.first
        state.step += 1
        targets = (1 - smoothing) * F.one_hot(labels, classes) + smoothing / classes
        return dense_update(network, images, targets, optimizer, state.now)

    def after_epoch(_network: nn.Module) -> dict[str, Any]:
        pairs = [(before, state.now[name]) for name, before in state.first.items()]
        died = sum((before & ~now).sum().item() for before, now in pairs)
        returned = sum((~before & now).sum().item() for before, now in pairs)
        zeros = sum((~now).sum().item() for _, now in pairs) / sum(now.numel() for _, now in pairs)
        return {"sparsity": zeros, "died": died, "returned": returned, "status": f"{zeros:.1%} zeros"}

    with seeded(seed):
        options: dict[str, Any] = {"lr": FINETUNING["lr"], "resume": file, "progress": progress, "on_stop": "raise"}
        log = train(network, loader, epochs, step=step, after_epoch=after_epoch, **options)
    apply_masks(network, global_masks(network, sparsity))
    return network, {"training": log}


@dataclass
class _Masks:
    """The masks of now, those of the epoch's first step, and how many steps there were."""

    step: int
    now: dict[str, Tensor] = field(default_factory=dict)
    first: dict[str, Tensor] = field(default_factory=dict)


def relative_norms(network: nn.Module, groups: Sequence[Group]) -> dict[str, Tensor]:
    """sqrt(Σ w²) of every channel, over the weights that make or carry it, in units of its group's mean.

    So filters of different layers can be compared. (Lin et al. divide by the root of the number of weights: that
    depends on the layer's width, by which weights are drawn, and would take filters from the deep layers alone.)
    """
    norms = {}
    for group in groups:
        squares = torch.zeros(group.channels)
        for slot, weight in makers(network, group):
            own = torch.from_numpy(slot.channel >= 0)
            sums = weight.transpose(0, slot.axis).flatten(1).float().square().sum(1).cpu()
            squares.index_add_(0, torch.from_numpy(slot.channel)[own], sums[own])
        norms[group.name] = squares.sqrt() / squares.sqrt().mean().clamp_min(1e-12)
    return norms


def filters_with_feedback(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    budget: float,
    epochs: int,
    *,
    every: int = EVERY,
    searching: int | None = None,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """The structured form in `epochs` epochs: filters of small norm are masked, and can come back.

    For `searching` of them (two thirds) the filters with the lowest `relative_norms` of the whole network are
    masked, anew every `every` steps of an epoch, as many as a share of the MACs asks that falls along the cubic
    schedule to `budget` after 60 % of the steps; then those of the final norms go. Masked filters learn as if they
    were read. All else as in `slimming.slim`; an epoch in `searching` holds `widths`, how many filters `died` and
    how many `returned` in it.
    """
    asked = {"network": digest_of(network), "budget": budget, "epochs": epochs, "every": every, "seed": seed}
    folder = opened(resume, {**asked, "searching": searching})
    file = folder and folder / "searching.resume"
    first = searching_epochs(epochs, searching)
    network = copy.deepcopy(network)
    example = first_image(network, loader)
    groups = [group for group in prunable_groups(network, example, progress=progress) if group.free]
    masks, state = ReaderMasks(network, groups), _Plans(epochs_done(file) * len(loader))

    def renew() -> None:
        share = cubic_sparsity(state.step, 0, RISE * first * len(loader), 1 - budget)
        state.now = global_plan(network, groups, relative_norms(network, groups), 1 - share, example)
        masks.set(state.now)

    def after_step(_network: nn.Module) -> None:
        state.step += 1
        place = state.step % len(loader)
        if place == 0:
            state.last = state.now
        if place % every == 0:
            renew()

    def after_epoch(_network: nn.Module) -> dict[str, Any]:
        before, now = (
            {group.name: set(plan.get(group.name, range(group.channels))) for group in groups}
            for plan in (state.first, state.last)
        )
        died, returned = (sum(len(a[name] - b[name]) for name in a) for a, b in ((before, now), (now, before)))
        state.first, widths = state.now, {name: len(stay) for name, stay in now.items()}
        status = "-".join(map(str, widths.values()))
        return {"widths": widths, "died": died, "returned": returned, "status": status}

    with seeded(seed):
        renew()
        state.first = state.now
        options: dict[str, Any] = {**SEARCHING, "resume": file, "progress": progress, "on_stop": "raise"}
        try:
            log = train(network, loader, first, after_step=after_step, after_epoch=after_epoch, **options)
        finally:
            masks.remove()
        plan = global_plan(network, groups, relative_norms(network, groups), budget, example)
        ending: dict[str, Any] = {"absorbed_bias": None, "folder": folder, "progress": progress}
        narrow, end = narrowed(network, groups, plan, loader, epochs - first, **ending)
    return narrow, {"searching": log, "floor": at_the_floor(groups, plan), **end}


@dataclass
class _Plans:
    """The plans of now, of the epoch's first step and of the last epoch's end, and how many steps there were."""

    step: int
    now: dict[str, list[int]] = field(default_factory=dict)
    first: dict[str, list[int]] = field(default_factory=dict)
    last: dict[str, list[int]] = field(default_factory=dict)
