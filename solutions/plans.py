"""Which channels go: a plan says which channels of each group stay, {group's name: indices}; others stay whole."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from solutions.graph.groups import Group, Slot
from solutions.graph.groups import PlanError as PlanError
from solutions.graph.tensors import first_names, parametrised, tensors_of
from solutions.rounding import channels_removed

Plan = Mapping[str, Sequence[int] | Tensor]


def without(group: Group, removed: Iterable[int]) -> list[int]:
    """The channels that stay when some are removed."""
    gone = {int(channel) for channel in removed}
    return [channel for channel in range(group.channels) if channel not in gone]


def channels_to_keep(group: Group, scores: Tensor, keep_ratio: float) -> list[int]:
    """The free channels with the highest `scores` (one each), and all that are frozen, in increasing order.

    Of F free channels `channels_removed(F, keep_ratio)` = floor((1 - keep_ratio) * F + 1e-9) go, as far as one of every
    layer that makes or carries them stays; `held_back` says where more stay.
    Raises PlanError where keep_ratio is not between 0 and 1, or there is not one score a channel.
    """
    if not 0 <= keep_ratio <= 1:
        raise PlanError(f"keep_ratio must lie between 0 and 1, not {keep_ratio}.")
    if len(scores) != group.channels:
        raise PlanError(f"{group.name} has {group.channels} channels; there are {len(scores)} scores.")
    return highest(group, scores, max(1, group.channels - channels_removed(len(group.free), keep_ratio)))


def highest(group: Group, scores: Tensor, count: int) -> list[int]:
    """The `count` channels with the highest `scores`, those among them that `must_stay`, in increasing order.

    Of equal scores the first; more where more must stay.
    """
    order = sorted(range(group.channels), key=lambda channel: (-float(scores[channel]), channel))
    stay = must_stay(group, order)
    for channel in order:
        if len(stay) < count:
            stay.add(channel)
    return sorted(stay)


def held_back(groups: Sequence[Group], plan: Plan, keep_ratio: float) -> dict[str, str]:
    """Where a plan keeps more than `keep_ratio` of all channels of a group: the group's name → a sentence why."""
    sentences = {}
    for group in groups:
        stay = len(plan.get(group.name, range(group.channels)))
        asked = max(1, group.channels - channels_removed(group.channels, keep_ratio))
        if stay > asked:
            why = group.reasons or ["one channel of every layer must stay"]
            sentences[group.name] = f"{stay} of {group.channels} channels stay in place of {asked}: {'; '.join(why)}"
    return sentences


def must_stay(group: Group, order: Sequence[int]) -> set[int]:
    """Frozen channels, and of every layer that makes or carries channels of this group alone the first in `order`."""
    stay = set(group.frozen)
    for slot in group.slots:
        if (slot.channel >= 0).all() and not stay.intersection(slot.channel.tolist()):
            stay.add(next(channel for channel in order if channel in slot.channel))
    return stay


def kept_without(group: Group, removed: Sequence[int]) -> list[int]:
    """The channels that stay when `removed` go, in this order, as far as they may: see `must_stay`."""
    stay = [channel for channel in range(group.channels) if channel not in removed]
    return without(group, set(removed) - must_stay(group, [*stay, *reversed(removed)]))


def l1_norms(network: nn.Module, group: Group) -> Tensor:
    """Score of every channel: sum |w| over the weights (two axes and more) that make or carry it → (channels,)."""
    scores = torch.zeros(group.channels)
    for slot, weight in makers(network, group):
        sums = weight.abs().transpose(0, slot.axis).flatten(1).sum(1).float().cpu()
        in_group = torch.from_numpy(slot.channel >= 0)
        scores.index_add_(0, torch.from_numpy(slot.channel)[in_group], sums[in_group])
    return scores


def makers(network: nn.Module, group: Group) -> list[tuple[Slot, Tensor]]:
    """The weights (two axes and more) that make or carry a group's channels, without gradients, and where they do."""
    weights = tensors_of(network)
    slots = [slot for slot in group.slots if not slot.consumes and slot.parameter in weights]
    return [(slot, weights[slot.parameter]) for slot in slots if weights[slot.parameter].ndim > 1]


def l1_plan(network: nn.Module, groups: Sequence[Group], keep_ratio: float) -> dict[str, list[int]]:
    """In every group the free channels with the highest L1 norms, and those that must stay → {group's name: channels}.

    `keep_ratio` (0 to 1) is of the channels that can go, rounded as `channels_to_keep` does, one ratio for all groups;
    groups of which nothing can go are not in the plan. Raises PlanError for a ratio out of range. Its siblings:
    `channels_to_keep` for scores of your own, `kept_without` for channels that should go, `held_back` for what a plan
    could not reach.
    """
    return {group.name: channels_to_keep(group, l1_norms(network, group), keep_ratio) for group in groups if group.free}


def positions(groups: Sequence[Group], plan: Plan, checked: bool = True) -> dict[tuple[str, int], np.ndarray]:
    """Which positions stay, for every (parameter, axis) that the plan changes: a mask.

    Raises PlanError for a plan that names what is not there, and, `checked`, for one that cannot be carried out.
    """
    by_name = {group.name: group for group in groups}
    if unknown := set(plan) - set(by_name):
        raise PlanError(f"There is no group {sorted(unknown)[0]!r}; there are {', '.join(by_name)}.")
    masks: dict[tuple[str, int], np.ndarray] = {}
    for name, channels in plan.items():
        stays = _stays(by_name[name], channels, checked)
        for slot in by_name[name].slots:
            mask = masks.setdefault((slot.parameter, slot.axis), np.ones(len(slot.channel), dtype=bool))
            mask &= stays[slot.channel]
    masks = {key: mask for key, mask in masks.items() if not mask.all()}
    for (parameter, _), mask in masks.items():
        if checked and not mask.any():
            raise PlanError(f"Nothing would be left of {parameter}: keep at least one channel of every layer.")
    return masks


def _stays(group: Group, channels: Sequence[int] | Tensor, checked: bool) -> np.ndarray:
    """Whether each channel of a group stays; and one entry more, True, for positions of other groups (channel -1)."""
    chosen = np.asarray(channels.cpu() if isinstance(channels, Tensor) else channels, dtype=np.int64)
    outside = len(chosen) and (chosen.min() < 0 or chosen.max() >= group.channels)
    if len(np.unique(chosen)) != len(chosen) or outside or (checked and not len(chosen)):
        raise PlanError(
            f"{group.name}: channels to keep are different numbers from 0 to {group.channels - 1}, at least one."
        )
    stays = np.zeros(group.channels + 1, dtype=bool)
    stays[chosen] = stays[-1] = True
    for channel in np.flatnonzero(~stays).tolist():
        if checked and channel in group.frozen:
            raise PlanError(f"{group.name}: channel {channel} must stay: {group.frozen[channel]}.")
    return stays


def parameters_left(network: nn.Module, groups: Sequence[Group], plan: Plan) -> int:
    """The number of parameters that `prune` will leave, worked out from the plan alone."""
    masks = positions(groups, plan)
    first, tensors = first_names(network), tensors_of(network)

    def left(name: str) -> int:
        sizes = enumerate(tensors[name].shape)
        return math.prod(int(masks[name, axis].sum()) if (name, axis) in masks else size for axis, size in sizes)

    total = sum(left(name) for name, _ in network.named_parameters() if first.get(name) == name)
    for name, module, tensor in parametrised(network):
        originals = module.parametrizations[tensor].parameters()  # type: ignore[index,union-attr]
        layer = name.removesuffix(tensor)
        changed = any(changing in {f"{layer}{other}" for other in module.parametrizations} for changing, _ in masks)  # type: ignore[union-attr]
        total += left(name) if changed else sum(parameter.numel() for parameter in originals)
    return total


def groups_left(groups: Sequence[Group], plan: Plan) -> list[Group]:
    """The groups of the network that `prune` makes: no graph is read again. Raises PlanError as `positions` does."""
    masks = positions(groups, plan)
    return [_narrowed(group, plan.get(group.name, range(group.channels)), masks) for group in groups]


def _narrowed(group: Group, channels: Sequence[int] | Tensor, masks: Mapping[tuple[str, int], np.ndarray]) -> Group:
    """A group with these channels only, numbered anew; `masks`: which positions of its slots are still there."""
    left = sorted(int(channel) for channel in channels)
    number = np.full(group.channels + 1, -1)  # the last entry is for positions of other groups
    number[left] = np.arange(len(left))
    slots = []
    for slot in group.slots:
        there = masks.get((slot.parameter, slot.axis), np.ones(len(slot.channel), dtype=bool))
        slots.append(dataclasses.replace(slot, channel=number[slot.channel][there]))
    frozen = {int(number[channel]): reason for channel, reason in group.frozen.items()}
    return dataclasses.replace(group, channels=len(left), slots=tuple(slots), frozen=frozen)
