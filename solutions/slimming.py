"""Network slimming: a penalty on the batch norms' scales, one threshold for all of them, surgery, finetuning.

Liu et al. 2017 (arXiv 1708.06519). What counts is the whole pull on a scale, strength · sum of lr / (1 - momentum):
their strength 1e-4 would move one by 0.03 only in twenty of our epochs, against values near 1.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.training import train
from minicifar import BatchLoader
from solutions.budgets import at_the_floor, global_plan
from solutions.drivers import SEARCHING, first_image, narrowed, opened, searching_epochs, seeded
from solutions.graph.groups import Group
from solutions.iterative import digest_of
from solutions.prunable import prunable_groups
from solutions.scales import as_lists, scale_scores, scales_of

STRENGTH = 1e-2
SMALL = 0.1  # a scale that does not say much, beside those near 1


def train_sparse(
    network: nn.Module,
    groups: Sequence[Group],
    loader: BatchLoader,
    epochs: int,
    *,
    slimming_step: Callable[[nn.Module, float], None],
    strength: float = STRENGTH,
    resume: Path | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train a network in place with the penalty `strength` on the scales of all channels that can go → the history.

    One dict an epoch, as `train` gives it, with `scales`: |γ| of every channel, by its group's name. `slimming_step`:
    that of `while_training`, or a student's. `resume`: a file. Raises PlanError where no channel that can
    go has a scale.
    """
    names = {slot.parameter for slots in scales_of(network, groups).values() for slot in slots}

    def after_epoch(network: nn.Module) -> dict[str, Any]:
        scores = scale_scores(network, groups)
        small = torch.cat(list(scores.values())) < SMALL
        status = f"{int(small.sum())} of {len(small)} scales below {SMALL:g}"
        return {"scales": as_lists(scores), "status": status}

    return train(
        network,
        loader,
        epochs,
        before_step=lambda network: penalised(network, strength, names, slimming_step),
        after_epoch=after_epoch,
        resume=resume,
        progress=progress,
        on_stop="raise",
        **SEARCHING,
    )


def slim(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    budget: float,
    epochs: int,
    *,
    slimming_step: Callable[[nn.Module, float], None],
    absorbed_bias: Callable[[nn.Module, Tensor], Tensor],
    strength: float = STRENGTH,
    searching: int | None = None,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """Slimming in `epochs` epochs → the narrow network, and its history.

    For `searching` of them (two thirds) `train_sparse`; then the channels with the smallest scales go, wherever they
    are, until `budget`, a share of the MACs, is met; what they still say is absorbed; the narrow network is finetuned
    for the rest. `slimming_step`, `absorbed_bias`: those of `while_training`, or a student's. `seed`: of what the
    network draws. `network` is not changed. `resume` names a folder: stopped, the same call goes on from there, to the
    same bits.

    The history: `searching`, that of `train_sparse`; `plan`; `floor`, the groups of which one channel is left;
    `unabsorbed`; `finetuning`. Raises PlanError where no channel that can go has a scale, or where the budget cannot be
    met.
    """
    asked = {"network": digest_of(network), "budget": budget, "epochs": epochs, "strength": strength, "seed": seed}
    folder = opened(resume, {**asked, "searching": searching})
    first = searching_epochs(epochs, searching)
    network = copy.deepcopy(network)
    example = first_image(network, loader)
    groups = prunable_groups(network, example, progress=progress)
    with seeded(seed):
        options: dict[str, Any] = {"strength": strength, "slimming_step": slimming_step, "progress": progress}
        log = train_sparse(network, groups, loader, first, resume=folder and folder / "searching.resume", **options)
        plan = global_plan(network, groups, scale_scores(network, groups), budget, example)
        ending: dict[str, Any] = {"absorbed_bias": absorbed_bias, "folder": folder, "progress": progress}
        narrow, end = narrowed(network, groups, plan, loader, epochs - first, **ending)
    return narrow, {"searching": log, "floor": at_the_floor(groups, plan), **end}


def penalised(
    network: nn.Module, strength: float, names: Iterable[str], slimming_step: Callable[[nn.Module, float], None]
) -> None:
    """`slimming_step` for the named scales only: the gradients of the others stay as they are."""
    wanted = set(names)
    others = {
        name: parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if parameter.ndim == 1 and parameter.grad is not None and name not in wanted
    }
    slimming_step(network, strength)
    for name, gradient in others.items():
        network.get_parameter(name).grad = gradient
