"""Every pruning method of the course as one function: from a trained network to a pruned one that was trained again."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.training import evaluate
from minicifar import BatchLoader
from solutions.alpha_branch import AlphaNetwork, alpha_schedule, shrink
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from solutions.controls import narrow_control
from solutions.graph.groups import Group
from solutions.iterative import plan_step, prune_iteratively
from solutions.masks import apply_masks, global_masks
from solutions.scoring import CRITERIA, ranking
from solutions.surgery import prune
from solutions.thinet import thinet
from studies.runs import fully_trained

MASKS = "magnitude masks"
NOT_PRUNED = "not pruned"
RATE = 0.1
SETTINGS: dict[str, Any] = {"lr": RATE, "label_smoothing": 0.1}

Pruned = tuple[
    nn.Module, float | None
]  # the network in the end, and its accuracy before retraining, where there is one


@dataclass
class Task:
    """One trained network, and what a method needs to prune it and to retrain it for `epochs`.

    `batches`: images and labels by which channels are ranked. `folder`: for what is half done.
    """

    network: nn.Module
    groups: Sequence[Group]
    loader: BatchLoader
    batches: Sequence[tuple[Tensor, Tensor]]
    test: Iterable[tuple[Tensor, Tensor]]
    keep_ratio: float
    epochs: int
    first_epochs: int
    seed: int
    folder: Path

    @property
    def widths(self) -> dict[str, int]:
        """Channels of every group."""
        return {group.name: group.channels for group in self.groups}

    def retrained(self, network: nn.Module, epochs: int | None = None, **options: Any) -> tuple[nn.Module, float]:
        """The network after `epochs` (the task's, if not given), and its accuracy before."""
        before = evaluate(network, self.test).accuracy
        options = {**SETTINGS, "resume": self.folder / "retraining.resume", "progress": False, **options}
        return fully_trained(network, self.loader, epochs or self.epochs, **options), before


def by_criterion(criterion: str, task: Task) -> Pruned:
    """One step, the same share of every layer."""
    rank = ranking(criterion, task.batches, seed=task.seed)
    plan = plan_step(task.groups, rank(task.network, task.groups), task.widths, task.keep_ratio)
    return task.retrained(prune(task.network, task.groups, plan))


def step_by_step(task: Task, steps: int = 4) -> Pruned:
    """L1 in four equal steps with retraining between them."""
    ratios = [1 - (1 - task.keep_ratio) * (step + 1) / steps for step in range(steps)]
    epochs = task.epochs // steps
    last = task.epochs - epochs * (steps - 1)
    options: dict[str, Any] = {"resume": task.folder, "progress": False, "on_stop": "raise", **SETTINGS}
    pruned, _ = prune_iteratively(task.network, task.groups, task.loader, ratios, epochs, final_epochs=last, **options)
    return pruned, None


def by_thinet(task: Task) -> Pruned:
    """Greedy, with least squares, layer by layer; the stages of a residual network stay whole."""
    images = torch.cat([images for images, _ in task.batches])[:400]
    pruned, _ = thinet(task.network, task.groups, images, task.keep_ratio, locations=25, progress=False, seed=task.seed)
    return task.retrained(pruned)


def by_alpha_branch(task: Task) -> Pruned:
    """Branches from a ranking; alpha falls in a third of the epochs, then the merged network is trained."""
    branched = AlphaNetwork(task.network, kept_widths(task.network, task.keep_ratio))
    start_from_ranking(branched, task.batches[0][0], seed=task.seed)
    falling = max(1, task.epochs // 3)
    levels = alpha_schedule("step", falling + 1)
    options: dict[str, Any] = {"lr": RATE / 4, "resume": task.folder, "progress": False, "on_stop": "raise"}
    train_through(branched, task.loader, levels, 1, [], **options)
    branched.alpha = 0.0
    return task.retrained(shrink(branched), task.epochs - falling)


def by_masks(task: Task) -> Pruned:
    """Single weights by one global threshold: the same share goes, and no layer gets smaller."""
    network = copy.deepcopy(task.network)
    hold = partial(apply_masks, masks=global_masks(network, 1 - task.keep_ratio))
    hold(network)
    return task.retrained(network, after_step=hold)


def from_scratch(task: Task) -> Pruned:
    """The control: the narrow shape from random weights, with the first training's epochs too."""
    rank = ranking("L1", task.batches)
    plan = plan_step(task.groups, rank(task.network, task.groups), task.widths, task.keep_ratio)
    twin = narrow_control(prune(task.network, task.groups, plan), task.seed)
    return task.retrained(twin, task.first_epochs + task.epochs)[0], None


def not_pruned(task: Task) -> Pruned:
    """The other control: the whole network, trained on for as long as the pruned ones are."""
    return task.retrained(copy.deepcopy(task.network))


METHODS: dict[str, Callable[[Task], Pruned]] = {
    **{criterion: partial(by_criterion, criterion) for criterion in CRITERIA},
    "L1, four steps": step_by_step,
    "ThiNet": by_thinet,
    "alpha-branch": by_alpha_branch,
    MASKS: by_masks,
    "from scratch": from_scratch,
    NOT_PRUNED: not_pruned,
}
