"""PCAS: gates learn on the frozen network which channels an image needs; their means rank all channels.

Yamamoto & Maeno 2018 (arXiv 1806.05382).
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.training import train
from minicifar import BatchLoader
from solutions.budgets import at_the_floor, global_plan
from solutions.drivers import first_image, narrowed, once, opened, seeded
from solutions.feature_maps import readers
from solutions.graph.groups import Group
from solutions.iterative import digest_of
from solutions.plans import PlanError
from solutions.prunable import prunable_groups
from solutions.scales import as_lists

REDUCTION = 4  # r: the gate's inner layer has a quarter of the channels
SEARCHING_EPOCHS = 5
OPEN = 4.0  # the bias at which a gate begins: sigmoid(4) = 0.98
# A gate that is nearly open has small slopes: with SGD's steps it hardly moves in a few epochs, with Adam's it does.
# The rate falls at the end: with a constant one two seeds left one and two channels of the third layer.
GATING: dict[str, Any] = {"lr": 0.01, "optimizer": "adam", "weight_decay": 0.0}

Gate = Callable[[Tensor, nn.Linear, nn.Linear], Tensor]
Importance = Callable[[Sequence[Tensor]], Tensor]


class Gated(nn.Module):
    """A frozen copy of a network in evaluation mode, with a gate for every channel group that a layer reads.

    A gate multiplies the maps where layers read them: each reader of a residual stage sees other maps, by the same
    gate. Only gates can learn. `seen`: the gates of the last pass, by group, one tensor (N, C) a reader.
    """

    def __init__(self, network: nn.Module, groups: Sequence[Group], attention_gate: Gate) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.attention_gate = attention_gate
        self.names = {group.name: str(number) for number, group in enumerate(groups) if group.free}
        self.gates = nn.ModuleDict({self.names[group.name]: new_gate(group) for group in groups if group.free})
        self.to(next(network.parameters()).device)
        self.seen: dict[str, list[Tensor]] = {}
        for layer, reading in readers(self.network, groups).items():
            self.network.get_submodule(layer).register_forward_pre_hook(self.gating(reading))

    def train(self, mode: bool = True) -> "Gated":
        """PyTorch's switch, which leaves the frozen network in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """The network's outputs, with every channel as far as its gate is open."""
        self.seen = {}
        return self.network(images)

    def gating(self, reading: Sequence[tuple[Group, np.ndarray]]) -> Any:
        """The hook of one reader."""

        def gate(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            axis = -1 if isinstance(module, nn.Linear) else 1
            maps = inputs[0].movedim(axis, 1)
            for group, places in reading:
                own = torch.from_numpy(np.flatnonzero(places >= 0)).to(maps.device)
                channel = torch.from_numpy(places[places >= 0]).to(maps.device)
                gates = self.gates_of(group, maps.index_select(1, own), channel)
                whole = torch.ones(maps.shape[:2], dtype=maps.dtype, device=maps.device)
                whole = whole.index_copy(1, own, gates.to(maps.dtype)[:, channel])
                maps = maps * whole.view(*whole.shape, *[1] * (maps.ndim - 2))
            return (maps.movedim(1, axis), *inputs[1:])

        return gate

    def gates_of(self, group: Group, maps: Tensor, channel: Tensor) -> Tensor:
        """The gates (N, C) of one group's maps, (N, positions, …), `channel` of each position in any order.

        Of a layer that reads a part of the channels only, the others count as maps of zeros, and as not seen. Raises
        PlanError where a layer reads some channels more often than others, ValueError for gates of another shape, or
        that cannot learn.
        """
        there, count = channel.unique(return_counts=True)
        if count.min() != count.max():
            raise PlanError(f"A layer reads some channels of {group.name} more often than others: no gate fits.")
        ordered = maps.index_select(1, channel.argsort(stable=True)).reshape(len(maps), len(there), -1, 1)
        if len(there) < group.channels:
            all_maps = ordered.new_zeros(len(maps), group.channels, *ordered.shape[2:])
            ordered = all_maps.index_copy(1, there, ordered)
        layers: Any = self.gates[self.names[group.name]]
        gates = torch.as_tensor(self.attention_gate(ordered, *layers))
        if gates.shape != (len(maps), group.channels):
            raise ValueError(f"attention_gate gave {tuple(gates.shape)} for {tuple(ordered.shape)}: (N, C) is asked.")
        if self.training and torch.is_grad_enabled() and not gates.requires_grad:
            raise ValueError("attention_gate gave gates that cannot learn: leave out .detach(), .data and no_grad().")
        unseen = torch.ones(group.channels, dtype=torch.bool, device=gates.device).index_fill(0, there, False)
        self.seen.setdefault(group.name, []).append(gates.detach().masked_fill(unseen, torch.nan))
        return gates


def new_gate(group: Group) -> nn.ModuleList:
    """The two linear layers of a group's gate, at first nearly open: C → C / r → C."""
    inner = max(1, group.channels // REDUCTION)
    down, up = nn.Linear(group.channels, inner), nn.Linear(inner, group.channels)
    nn.init.constant_(up.bias, OPEN)
    return nn.ModuleList([down, up])


def importance(
    gated: Gated, batches: Iterable[tuple[Tensor, Tensor]], mean_importance: Importance
) -> dict[str, Tensor]:
    """`mean_importance` of every channel over all images of `batches`, by group; the mean over a group's readers."""
    device = next(gated.parameters()).device
    gates: dict[str, list[list[Tensor]]] = {}
    gated.eval()
    with torch.inference_mode():
        for images, _ in batches:
            gated(images.to(device))
            for name, of_readers in gated.seen.items():
                for place, values in enumerate(of_readers):
                    places = gates.setdefault(name, [])
                    if place == len(places):
                        places.append([])
                    places[place].append(values.float().cpu())
    return {
        name: torch.stack([torch.as_tensor(mean_importance(one)).float() for one in places]).nanmean(dim=0)
        for name, places in gates.items()
    }


def learned_importance(
    network: nn.Module,
    groups: Sequence[Group],
    loader: BatchLoader,
    epochs: int,
    *,
    attention_gate: Gate,
    mean_importance: Importance,
    resume: Path | None = None,
    progress: bool = True,
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Gates trained for `epochs` on the frozen network → the importance of every channel by group, and the history.

    Means over one epoch of `loader`, as it augments, (C,) each. `resume`: a file. The gates' first weights are drawn
    from the global random numbers.
    """
    gated = Gated(network, groups, attention_gate)
    log = train(gated, loader, epochs, resume=resume, progress=progress, on_stop="raise", **GATING)
    return importance(gated, once(loader), mean_importance), log


def pcas(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    budget: float,
    epochs: int,
    *,
    attention_gate: Gate,
    mean_importance: Importance,
    searching: int = SEARCHING_EPOCHS,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """PCAS in `epochs` epochs → the narrow network, and its history.

    For `searching` of them the gates learn, on the frozen network; then the channels of the lowest importance in the
    whole network go, as many as `budget`, a share of the MACs, asks; the gates are taken away, and the narrow network
    is finetuned for the rest. `attention_gate`, `mean_importance`: those of `learned_widths`, or a student's. `seed`:
    of the gates' weights, and of what the network draws. `network` is not changed. `resume` names a folder: stopped,
    the same call goes on from there, to the same bits.

    The history: `searching`, one dict an epoch as `train` gives it; `importance` by group; `plan`; `floor`, the groups
    of which one channel is left; `unabsorbed`; `finetuning`. Raises PlanError where the budget cannot be met, and
    ValueError for gates of another shape or that cannot learn.
    """
    asked = {"network": digest_of(network), "budget": budget, "epochs": epochs, "seed": seed, "searching": searching}
    folder = opened(resume, asked)
    first = min(searching, epochs)
    example = first_image(network, loader)
    groups = prunable_groups(network, example, progress=progress)
    with seeded(seed):
        kernels: dict[str, Any] = {"attention_gate": attention_gate, "mean_importance": mean_importance}
        options: dict[str, Any] = {"resume": folder and folder / "searching.resume", "progress": progress}
        scores, log = learned_importance(network, groups, loader, first, **kernels, **options)
        plan = global_plan(network, groups, scores, budget, example)
        ending: dict[str, Any] = {"absorbed_bias": None, "folder": folder, "progress": progress}
        narrow, end = narrowed(network, groups, plan, loader, epochs - first, **ending)
    about = {"importance": as_lists(scores), "floor": at_the_floor(groups, plan)}
    return narrow, {"searching": log, **about, **end}
