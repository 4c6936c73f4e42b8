"""Carry a plan out: a really smaller network of the same class, or the same one with those channels silenced."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.checkpoints import follow_shapes
from course_utils.modes import evaluating
from solutions.graph.groups import Group
from solutions.plans import Plan, PlanError, positions


def outputs(network: nn.Module, example: Any) -> list[Tensor]:
    """All tensors that the network gives for an example, on the device and in the dtype of its parameters."""
    output = network(*(example if isinstance(example, tuple) else (example,)))
    if isinstance(output, Tensor):
        return [output]
    values: Iterable[Any] = output.values() if isinstance(output, Mapping) else output
    return [value for value in values if isinstance(value, Tensor)]


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
    """A deep copy in which the named parameters and buffers are what `change(name, tensor)` makes of them."""
    changing, memo = set(names), {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if name in changing:
            changed = formatted(change(name, parameter.detach()), parameter)
            memo[id(parameter)] = type(parameter)(changed, requires_grad=parameter.requires_grad)
    for name, buffer in network.named_buffers(remove_duplicate=False):
        if name in changing:
            memo[id(buffer)] = formatted(change(name, buffer), buffer)
    return copy.deepcopy(network, memo)


def formatted(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy in the memory format of another tensor."""
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last) and not like.is_contiguous():
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor.contiguous()
