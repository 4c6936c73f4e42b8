"""The batch norms' scales of every channel group: what slimming and structured soft thresholds rank channels by."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from solutions.graph.groups import Group, Slot
from solutions.graph.tensors import tensors_of
from solutions.plans import Plan, PlanError

NO_SCALES = "No channel group has a batch norm with scales, so there is nothing to rank channels by."


def scales_of(network: nn.Module, groups: Sequence[Group]) -> dict[str, list[Slot]]:
    """The batch norms' scales that belong to each group of which channels can go, by the group's name.

    Found by type: weights of affine batch norms that make or carry the group's channels. Groups without any are left
    out. Raises PlanError where no group has one.
    """
    norms = {f"{name}.weight" for name, module in network.named_modules() if is_scaling(module)}
    found = {
        group.name: [slot for slot in group.slots if slot.parameter in norms and not slot.consumes]
        for group in groups
        if group.free
    }
    found = {name: slots for name, slots in found.items() if slots}
    if not found:
        raise PlanError(NO_SCALES)
    return found


def is_scaling(module: nn.Module) -> bool:
    """Whether a module is a batch norm with scales."""
    return isinstance(module, _BatchNorm) and module.affine


def scale_scores(network: nn.Module, groups: Sequence[Group]) -> dict[str, Tensor]:
    """|γ| of every channel, by its group's name; where several batch norms scale a channel, their mean."""
    tensors = tensors_of(network)
    channels = {group.name: group.channels for group in groups}
    return {
        name: mean_over(slots, [tensors[slot.parameter].abs() for slot in slots], channels[name])
        for name, slots in scales_of(network, groups).items()
    }


def gone(channels: int, stay: Iterable[int] | Tensor) -> list[int]:
    """The channels that do not stay."""
    return sorted(set(range(channels)) - {int(channel) for channel in stay})


def mean_over(slots: Sequence[Slot], values: Sequence[Tensor], channels: int) -> Tensor:
    """The mean of the values that belong to each channel → (channels,) float32 on the CPU."""
    total, count = torch.zeros(channels), torch.zeros(channels)
    for slot, numbers in zip(slots, values, strict=True):
        own = torch.from_numpy(slot.channel >= 0)
        places = torch.from_numpy(slot.channel)[own]
        total.index_add_(0, places, numbers.detach().float().cpu()[own])
        count.index_add_(0, places, torch.ones(len(places)))
    return total / count.clamp_min(1)


def zero_scales(network: nn.Module, groups: Sequence[Group], plan: Plan) -> None:
    """Set the scales of all channels that the plan removes to 0, in place: what is left of them is a constant."""
    channels = {group.name: group.channels for group in groups}
    for name, slots in scales_of(network, [group for group in groups if group.name in plan]).items():
        removed = torch.tensor(gone(channels[name], plan[name]))
        for slot in slots:
            network.get_parameter(slot.parameter).data[torch.isin(torch.from_numpy(slot.channel), removed)] = 0


def as_lists(scores: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Scores as plain data."""
    return {name: [round(value, 5) for value in values.tolist()] for name, values in scores.items()}


def widths_of(scores: Mapping[str, Tensor], plan: Plan) -> str:
    """The channels that a plan leaves, as a progress bar shows them."""
    return "-".join(str(len(plan.get(name, values))) for name, values in scores.items())
