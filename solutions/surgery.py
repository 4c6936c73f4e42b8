"""Remove channels from any network whose graph can be read: really smaller, of the same class, by one plan.

A plan says which channels of each group stay: {group's name: indices}. What it does not name stays whole.
"""

import copy
import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.checkpoints import follow_shapes
from course_utils.files import atomic
from course_utils.timing import evaluating
from solutions.graph.groups import Group, Slot, channel_groups, export_graph, unreached

TOLERANCE = 1e-3  # of the outputs' standard deviation
ROUNDING = 1e-5  # of the largest output: float32 sums in another order

Plan = Mapping[str, Sequence[int] | Tensor]


class PlanError(ValueError):
    """A plan that cannot be carried out; the message says what stands against it."""


# --- what can be removed


def prunable_groups(network: nn.Module, example: Any) -> list[Group]:
    """The channel groups of a network, each tried out: its graph is read once, and `groups_left` follows what is removed.

    `example`: an input (or a tuple of inputs) that the network takes. Half of all channels are removed as a trial;
    where the smaller network does not run, or computes anything else than the whole one with those channels
    silenced, the group that is to blame is frozen and the reason kept: a size that is written in `forward`.
    """
    model = export_graph(network, example)
    groups = channel_groups(model, list(network.state_dict()))
    if hidden := unreached(network, model):
        reason = f"{', '.join(hidden[:3])} … may read it, and the graph does not show that"
        return [frozen_as_a_whole(group, reason) for group in groups]
    return tried_out(network, example, groups)


def frozen_as_a_whole(group: Group, reason: str) -> Group:
    return dataclasses.replace(group, frozen={**dict.fromkeys(range(group.channels), reason), **group.frozen})


def tried_out(network: nn.Module, example: Any, groups: Sequence[Group]) -> list[Group]:
    """The same groups; those that a trial shows to be wrong are frozen."""
    if not problem_with(network, example, groups):
        return list(groups)
    found = []
    for group in groups:
        problem = problem_with(network, example, [group])
        found.append(frozen_as_a_whole(group, problem) if problem else group)
    if problem := problem_with(network, example, found):
        return [frozen_as_a_whole(group, f"together with others: {problem}") for group in found]
    return found


def problem_with(network: nn.Module, example: Any, groups: Sequence[Group]) -> str:
    """What goes wrong when every second free channel of these groups is removed; "" if all is well."""
    plan = {group.name: without(group, group.free[1::2]) for group in groups if len(group.free) > 1}
    if not plan:
        return ""
    with evaluating(network):
        try:
            smaller = outputs(prune(network, groups, plan), example)
        except Exception as error:
            return f"the smaller network does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
        expected = outputs(silence(network, groups, plan), example)
    for came, wanted in zip(smaller, expected, strict=True):
        if came.shape != wanted.shape:
            return "the smaller network has other outputs"
        allowed = TOLERANCE * wanted.double().std(correction=0) + ROUNDING * wanted.double().abs().max()
        if (came.double() - wanted.double()).abs().max() > allowed:
            return "the smaller network computes something else: a size is written in its code"
    return ""


def outputs(network: nn.Module, example: Any) -> list[Tensor]:
    """All tensors that the network gives for an example, on the device and in the dtype of its parameters."""
    found = network(*(example if isinstance(example, tuple) else (example,)))
    if isinstance(found, Tensor):
        return [found]
    values: Iterable[Any] = found.values() if isinstance(found, Mapping) else found
    return [value for value in values if isinstance(value, Tensor)]


# --- plans


def without(group: Group, removed: Iterable[int]) -> list[int]:
    """The channels that stay when some are removed."""
    gone = {int(channel) for channel in removed}
    return [channel for channel in range(group.channels) if channel not in gone]


def channels_to_keep(group: Group, scores: Tensor, keep_ratio: float, multiple_of: int = 1) -> list[int]:
    """The channels with the highest `scores` (one each), and all that are frozen, in increasing order.

    Of C channels floor((1 - keep_ratio) * C + 1e-9) go; `multiple_of`: fewer, so that a multiple stays. At least
    one stays, and at least one of every layer that makes or carries them. Raises PlanError where keep_ratio is not
    between 0 and 1, or there is not one score a channel.
    """
    if not 0 <= keep_ratio <= 1:
        raise PlanError(f"keep_ratio must lie between 0 and 1, not {keep_ratio}.")
    if len(scores) != group.channels:
        raise PlanError(f"{group.name} has {group.channels} channels; there are {len(scores)} scores.")
    kept = max(1, group.channels - math.floor((1 - keep_ratio) * group.channels + 1e-9))
    kept = min(group.channels, math.ceil(kept / multiple_of) * multiple_of)
    order = sorted(range(group.channels), key=lambda channel: (-float(scores[channel]), channel))
    needed = must_stay(group, order)
    for channel in order:
        if len(needed) < kept:
            needed.add(channel)
    return sorted(needed)


def must_stay(group: Group, order: Sequence[int]) -> set[int]:
    """Frozen channels, and of every layer that makes or carries channels of this group alone the first in `order`."""
    needed = set(group.frozen)
    for slot in group.slots:
        if (slot.channel >= 0).all() and not needed.intersection(slot.channel.tolist()):
            needed.add(next(channel for channel in order if channel in slot.channel))
    return needed


def kept_without(group: Group, removed: Sequence[int]) -> list[int]:
    """The channels that stay when `removed` go, in this order, as far as they may: see `must_stay`."""
    stay = [channel for channel in range(group.channels) if channel not in removed]
    return without(group, set(removed) - must_stay(group, [*stay, *reversed(removed)]))


def l1_norms(network: nn.Module, group: Group) -> Tensor:
    """Score of every channel: sum |w| over the weights (two axes and more) that make or carry it → (channels,)."""
    tensors = dict(network.named_parameters(remove_duplicate=False))
    scores = torch.zeros(group.channels)
    for slot in group.slots:
        tensor = tensors.get(slot.parameter)
        if tensor is None or slot.consumes or tensor.ndim < 2:
            continue
        sums = tensor.detach().abs().transpose(0, slot.axis).flatten(1).sum(1).float().cpu()
        mine = torch.from_numpy(slot.channel >= 0)
        scores.index_add_(0, torch.from_numpy(slot.channel)[mine], sums[mine])
    return scores


def l1_plan(
    network: nn.Module, groups: Sequence[Group], keep_ratio: float, multiple_of: int = 1
) -> dict[str, list[int]]:
    """In every group the channels with the highest L1 norms."""
    return {
        group.name: channels_to_keep(group, l1_norms(network, group), keep_ratio, multiple_of)
        for group in groups
        if group.free
    }


def positions(groups: Sequence[Group], plan: Plan, checked: bool = True) -> dict[tuple[str, int], np.ndarray]:
    """Which positions stay, for every (parameter, axis) that the plan changes: a mask.

    Raises PlanError for a plan that names what is not there, and, `checked`, for one that cannot be carried out.
    """
    by_name = {group.name: group for group in groups}
    if unknown := set(plan) - set(by_name):
        raise PlanError(f"There is no group {sorted(unknown)[0]!r}; there are {', '.join(by_name)}.")
    masks: dict[tuple[str, int], np.ndarray] = {}
    for name, kept in plan.items():
        group, stays = by_name[name], np.zeros(by_name[name].channels + 1, dtype=bool)
        stays[-1] = True  # for positions of other groups, whose channel is -1
        chosen = np.asarray(kept.cpu() if isinstance(kept, Tensor) else kept, dtype=np.int64)
        outside = len(chosen) and (chosen.min() < 0 or chosen.max() >= group.channels)
        if len(np.unique(chosen)) != len(chosen) or outside or (checked and not len(chosen)):
            raise PlanError(
                f"{name}: channels to keep are different numbers from 0 to {group.channels - 1}, at least one."
            )
        stays[chosen] = True
        for channel in np.flatnonzero(~stays):
            if checked and int(channel) in group.frozen:
                raise PlanError(f"{name}: channel {channel} must stay: {group.frozen[int(channel)]}.")
        for slot in group.slots:
            key, whole = (slot.parameter, slot.axis), np.ones(len(slot.channel), dtype=bool)
            masks[key] = masks.get(key, whole) & stays[slot.channel]
    masks = {key: mask for key, mask in masks.items() if not mask.all()}
    for (parameter, _), mask in masks.items():
        if checked and not mask.any():
            raise PlanError(f"Nothing would be left of {parameter}: keep at least one channel of every layer.")
    return masks


def parameters_left(network: nn.Module, groups: Sequence[Group], plan: Plan) -> int:
    """The number of parameters that `prune` will leave, worked out from the plan alone."""
    masks = positions(groups, plan)
    total = 0
    names: dict[int, list[str]] = {}  # of every parameter: a shared one has several, and the graph knows one of them
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    for parameter in network.parameters():
        sizes = list(parameter.shape)
        for axis in range(parameter.ndim):
            for alias in names[id(parameter)]:
                if (alias, axis) in masks:
                    sizes[axis] = int(masks[alias, axis].sum())
        total += math.prod(sizes)
    return total


# --- carrying a plan out


def prune(network: nn.Module, groups: Sequence[Group], plan: Plan, example: Any = None) -> nn.Module:
    """A new, smaller network of the same class; the given one is left alone.

    Values, dtypes, devices, memory formats, `requires_grad`, modes and hooks are as before, and what was shared is
    shared; gradients are not copied. With an `example` the new network is run once. Raises PlanError.
    """
    masks = positions(groups, plan)

    def narrow(name: str, tensor: Tensor) -> Tensor:
        for axis in range(tensor.ndim):
            if (name, axis) in masks:
                index = torch.from_numpy(np.flatnonzero(masks[name, axis])).to(tensor.device)
                tensor = tensor.index_select(axis, index)
        return tensor

    pruned = copied(network, {name for name, _ in masks}, narrow)
    for module in pruned.modules():
        follow_shapes(module)
    if example is not None:
        with evaluating(pruned):
            try:
                outputs(pruned, example)
            except Exception as error:
                raise PlanError(f"The pruned network does not run: {error}") from error
    return pruned


def groups_left(groups: Sequence[Group], plan: Plan) -> list[Group]:
    """The groups of the network that `prune` makes, worked out from the plan: no graph is read again. Raises PlanError."""
    masks = positions(groups, plan)
    found = []
    for group in groups:
        kept = sorted(int(channel) for channel in plan.get(group.name, range(group.channels)))
        number = np.full(group.channels + 1, -1)  # the last entry is for positions of other groups
        number[kept] = np.arange(len(kept))
        slots = tuple(
            dataclasses.replace(slot, channel=number[slot.channel][masks.get((slot.parameter, slot.axis), ...)])
            for slot in group.slots
        )
        frozen = {int(number[channel]): reason for channel, reason in group.frozen.items()}
        found.append(Group(group.name, len(kept), slots, frozen))
    return found


def silence(network: nn.Module, groups: Sequence[Group], plan: Plan) -> nn.Module:
    """A copy in which every layer that reads a removed channel has zeros there: what `prune` must be equal to.

    Any channels can be silenced, frozen ones and all of a layer too.
    """
    masks = positions(groups, plan, checked=False)
    read = {(slot.parameter, slot.axis) for group in groups for slot in group.slots if slot.consumes}

    def zero(name: str, tensor: Tensor) -> Tensor:
        tensor = tensor.clone(memory_format=torch.preserve_format)
        for axis in range(tensor.ndim):
            if (name, axis) in masks and (name, axis) in read:
                index = torch.from_numpy(np.flatnonzero(~masks[name, axis])).to(tensor.device)
                tensor.index_fill_(axis, index, 0)
        return tensor

    return copied(network, {name for name, axis in masks if (name, axis) in read}, zero)


def copied(network: nn.Module, names: Iterable[str], change: Any) -> nn.Module:
    """A deep copy in which the named parameters and buffers are what `change(name, tensor)` makes of them."""
    wanted, memo = set(names), {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if name in wanted:
            changed = formatted(change(name, parameter.detach()), parameter)
            memo[id(parameter)] = type(parameter)(changed, requires_grad=parameter.requires_grad)
    for name, buffer in network.named_buffers(remove_duplicate=False):
        if name in wanted:
            memo[id(buffer)] = formatted(change(name, buffer), buffer)
    return copy.deepcopy(network, memo)


def formatted(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy in the memory format of another tensor."""
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last) and not like.is_contiguous():
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor.contiguous()


# --- kept as a file


def save_groups(groups: Sequence[Group], path: str | Path) -> Path:
    """Write groups as JSON, all or nothing: they need not be found again as long as the network is the same."""
    data = [
        {
            "name": group.name,
            "channels": group.channels,
            "slots": [[slot.parameter, slot.axis, slot.consumes, slot.channel.tolist()] for slot in group.slots],
            "frozen": [[channel, reason] for channel, reason in group.frozen.items()],
        }
        for group in groups
    ]
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")
    return Path(path)


def load_groups(path: str | Path) -> list[Group]:
    """The groups that `save_groups` wrote. Raises PlanError where the file holds none."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return [
            Group(
                one["name"],
                one["channels"],
                tuple(Slot(name, axis, np.array(channel), consumes) for name, axis, consumes, channel in one["slots"]),
                dict(one["frozen"]),
            )
            for one in data
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path} holds no channel groups ({type(error).__name__}): find them again.") from None
