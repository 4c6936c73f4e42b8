"""Carry a plan out: a really smaller network of the same class, or the same one with those channels silenced."""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.checkpoints import follow_shapes
from course_utils.modes import evaluating
from solutions.graph.export import said
from solutions.graph.groups import Group
from solutions.graph.tensors import digest, every_name, parametrised, tensors_in, tensors_of, without_parametrisations
from solutions.plans import Plan, PlanError, positions

NOT_COPIED = (
    "The network cannot be copied: it may hold on to a tensor of an earlier run, or to something that is no part of "
    "it; take that out"
)


def outputs(network: nn.Module, example: Any) -> list[Tensor]:
    """All tensors that the network gives for an example, on the device and in the dtype of its parameters."""
    return list(tensors_in(network(*(example if isinstance(example, tuple) else (example,)))))


def prune(network: nn.Module, groups: Sequence[Group], plan: Plan, example: Any = None) -> nn.Module:
    """A new, smaller network of the same class; the given one is left alone.

    Values, dtypes, devices, memory formats, `requires_grad`, modes and hooks are as before, and what was shared is
    shared; gradients are not copied. A parametrised layer that changes keeps the weight that it computes, as an
    ordinary parameter. With an `example` the new network is run once. Raises PlanError, also for groups of another
    network.
    """
    masks = positions(groups, plan)
    check_belonging(network, groups)

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


def check_belonging(network: nn.Module, groups: Sequence[Group]) -> None:
    """Raise PlanError unless the groups are those of this network: the same tensors, of the sizes that they say."""
    tensors = tensors_of(network)
    for group in groups:
        for slot in group.slots:
            sizes = tensors[slot.parameter].shape if slot.parameter in tensors else ()
            size = sizes[slot.axis] if slot.axis < len(sizes) else 0
            if size != len(slot.channel):
                has = f"{size} along axis {slot.axis}" if size else "none"
                raise PlanError(
                    f"These groups belong to another network: {slot.parameter} has {len(slot.channel)} channels along "
                    f"axis {slot.axis} in them, and {has} here. Find this network's own by prunable_groups."
                )
        if group.network and group.network != digest(tensors):
            raise PlanError(
                "These groups belong to another network, whose layers have other names. Find this network's own by "
                "prunable_groups."
            )


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


def copied(network: nn.Module, names: Iterable[str], change: Callable[[str, Tensor], Tensor]) -> nn.Module:
    """A deep copy in which the named parameters and buffers are what `change(name, tensor)` makes of them.

    A weight that a parametrisation computes is an ordinary parameter there, if it is among them. Raises PlanError for a
    network that cannot be copied.
    """
    changing, memo = set(names), {}
    for name, tensor in every_name(network):
        if name in changing:
            changed = formatted(change(name, tensor.detach()), tensor)
            kind = type(tensor) if isinstance(tensor, nn.Parameter) else None
            memo[id(tensor)] = kind(changed, requires_grad=tensor.requires_grad) if kind else changed
    try:
        other = without_parametrisations(copy.deepcopy(network, memo), changing)
    except RuntimeError as error:
        raise PlanError(f"{NOT_COPIED} ({said(error)}).") from error
    for name, _, _ in parametrised(network):
        if name in changing:
            parameter = other.get_parameter(name)
            parameter.data = formatted(change(name, parameter.detach()), parameter)
    return other


def formatted(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy in the memory format of another tensor."""
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last) and not like.is_contiguous():
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor.contiguous()
