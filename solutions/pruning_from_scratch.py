"""Pruning from scratch: gates choose the widths of a network that was never trained.

Wang et al. 2019 (arXiv 1909.12579): structure can be found before any weight is learned.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from course_utils.training import train
from minicifar import BatchLoader
from solutions.budgets import at_the_floor, global_plan
from solutions.controls import narrow_control
from solutions.drivers import FINETUNING, first_image, opened, seeded
from solutions.graph.groups import Group
from solutions.iterative import digest_of
from solutions.prunable import prunable_groups
from solutions.scales import as_lists, scales_of
from solutions.surgery import prune

SEARCHING_EPOCHS = 10
START = 0.5  # of every gate
BALANCE = 0.5  # gamma: the weight of the penalty
RATIO = 0.5  # r: what the gates' mean is pulled to
SEARCHING: dict[str, Any] = {"lr": 0.01, "optimizer": "adam", "schedule": "constant", "weight_decay": 0.0}


class ChannelGate(nn.Module):
    """A parametrisation of a batch norm's scales: γ · gate, a gate for each channel of a group, shared by its norms."""

    def __init__(self, gates: nn.Parameter, channel: Tensor) -> None:
        super().__init__()
        self.gates = gates
        self.register_buffer("channel", channel)

    def forward(self, scale: Tensor) -> Tensor:
        """The scales as far as their gates are open; positions of other groups as they are."""
        whole = torch.cat([self.gates, self.gates.new_ones(1)])
        return scale * whole[self.channel]


def add_gates(network: nn.Module, groups: Sequence[Group]) -> dict[str, nn.Parameter]:
    """Put a gate on the scale of every channel that can go, in place → the gates, by group, all open by a half.

    Every other parameter is frozen. Raises PlanError where no channel that can go has a scale.
    """
    network.requires_grad_(False)
    channels = {group.name: group.channels for group in groups}
    gates, device = {}, next(network.parameters()).device
    for name, slots in scales_of(network, groups).items():
        gates[name] = nn.Parameter(torch.full((channels[name],), START, device=device))
        for slot in slots:
            layer = network.get_submodule(slot.parameter.removesuffix(".weight"))
            gate = ChannelGate(gates[name], torch.from_numpy(slot.channel).to(device))
            parametrize.register_parametrization(layer, "weight", gate)
    return gates


def pruned_from_scratch(
    network: nn.Module,
    loader: BatchLoader,
    budget: float,
    epochs: int,
    *,
    searching: int = SEARCHING_EPOCHS,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """Pruning from scratch in `epochs` epochs → the narrow network, and its history.

    Only the shape of `network` counts: the search begins with random weights, which stay as they are. For `searching`
    of the epochs the gates learn, by the cross-entropy + gamma · (mean of all |gates| - r)²,
    held between 0 and 1; then the channels of the smallest gates in the whole network go, as many as `budget`, a share
    of the MACs, asks. The rest of the epochs trains these widths from new random weights. `seed`: of all random
    weights. `resume` names a folder: stopped, the same call goes on from there, to the same bits.

    The history: `searching`, one dict an epoch with `open`, the gates' mean; `gates` by group; `plan`; `floor`, the
    groups of which one channel is left; `finetuning`. Raises PlanError where no channel that can go has a scale, or
    where the budget cannot be met.
    """
    asked = {"network": digest_of(network), "budget": budget, "epochs": epochs, "seed": seed, "searching": searching}
    folder = opened(resume, asked)
    first = min(searching, epochs)
    example = first_image(network, loader)
    groups = prunable_groups(network, example, progress=progress)
    random = narrow_control(network, seed)
    gated = copy.deepcopy(random)
    gates = add_gates(gated, groups)

    def penalise(_network: nn.Module) -> None:
        every = torch.cat(list(gates.values()))
        pull = 2 * BALANCE * (every.abs().mean() - RATIO) / len(every)
        for gate in gates.values():
            gate.grad += pull * gate.sign()

    def clip(_network: nn.Module) -> None:
        for gate in gates.values():
            gate.clamp_(0, 1)

    def after_epoch(_network: nn.Module) -> dict[str, Any]:
        mean = torch.cat(list(gates.values())).mean().item()
        return {"open": mean, "status": f"gates open by {mean:.0%}"}

    with seeded(seed):
        hooks: dict[str, Any] = {"before_step": penalise, "after_step": clip, "after_epoch": after_epoch}
        options: dict[str, Any] = {"resume": folder and folder / "searching.resume", "progress": progress}
        log = train(gated, loader, first, on_stop="raise", **SEARCHING, **hooks, **options)
        scores = {name: gate.detach().cpu() for name, gate in gates.items()}
        plan = global_plan(network, groups, scores, budget, example)
        narrow = narrow_control(prune(random, groups, plan), seed)
        options["resume"] = folder and folder / "finetuning.resume"
        end = train(narrow, loader, epochs - first, on_stop="raise", **FINETUNING, **options)
    about = {"gates": as_lists(scores), "plan": plan, "floor": at_the_floor(groups, plan)}
    return narrow, {"searching": log, **about, "finetuning": end}
