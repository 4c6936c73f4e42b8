"""Absorption of constants: what a channel still says when its batch norm's scale is 0, kept in the layer that reads it.

With γ = 0 a batch norm gives its bias β at every position, whatever the image; behind an activation and a pool this is
still a constant, and the next layer reads it. Surgery drops it. Here it joins the reader's bias before, or the running
mean of the batch norm behind it. Exact inside and without padding; where a reader pads with zeros, not at the border.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.modes import evaluating
from solutions.followers import behind
from solutions.graph.export import export_graph
from solutions.graph.groups import Group, Slot
from solutions.plans import Plan
from solutions.scales import gone, zero_scales
from solutions.surgery import outputs

GROUPED = "a convolution with groups"
NO_PLACE = "it has no bias, and no batch norm is behind it"


def absorb(
    network: nn.Module,
    groups: Sequence[Group],
    plan: Plan,
    example: Any,
    absorbed_bias: Callable[[nn.Module, Tensor], Tensor],
) -> tuple[nn.Module, dict[str, str]]:
    """A copy of the network whose layers have absorbed what the channels that `plan` removes say with scale 0.

    Of the copy, `prune` then removes these channels. Also → the readers that absorbed nothing: their names, and why.
    `example`: an input, or a tuple of them. `absorbed_bias`: that of `while_training`, or a student's.
    """
    absorbing, left = copy.deepcopy(network), {}
    model = export_graph(network, example)
    for name, constant in constants(network, groups, plan, example).items():
        reader = absorbing.get_submodule(name)
        norm, _ = behind(model, f"{name}.weight")
        if getattr(reader, "groups", 1) != 1:
            left[name] = GROUPED
        elif getattr(reader, "bias", None) is None and not norm:
            left[name] = NO_PLACE
        elif getattr(reader, "bias", None) is not None:
            reader.get_parameter("bias").data.copy_(absorbed_bias(reader, constant))
        else:
            absorbing.get_submodule(norm).get_buffer("running_mean").sub_(absorbed_bias(reader, constant))
    return absorbing, left


def constants(network: nn.Module, groups: Sequence[Group], plan: Plan, example: Any) -> dict[str, Tensor]:
    """What every reader of removed channels sees there when their scales are 0 → {its name: (its inputs,)}.

    0 for inputs that stay. Of a map that is not constant (another layer without a batch norm makes it too), 0 as well.
    """
    silent = copy.deepcopy(network)
    zero_scales(silent, groups, plan)
    removed = [(group, gone(group.channels, plan[group.name])) for group in groups if group.name in plan]
    readers: dict[str, list[tuple[Slot, list[int]]]] = {}
    for group, channels in removed:
        for slot in (slot for slot in group.slots if slot.consumes and slot.axis == 1 and channels):
            readers.setdefault(slot.parameter.rpartition(".")[0], []).append((slot, channels))
    seen: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def see(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name] = inputs[0].detach()

        return see

    hooks = [silent.get_submodule(name).register_forward_pre_hook(note(name)) for name in readers]
    with evaluating(silent):
        outputs(silent, example)
    for hook in hooks:
        hook.remove()
    return {name: constant_inputs(seen[name], slots) for name, slots in readers.items() if name in seen}


def constant_inputs(maps: Tensor, slots: Sequence[tuple[Slot, Sequence[int]]]) -> Tensor:
    """The one value of every input that is gone and constant, 0 of all others → (inputs,)."""
    axis = 1 if maps.ndim > 2 else -1
    values = maps.movedim(axis, 0).flatten(1)
    found = torch.zeros_like(values[:, 0])
    for slot, channels in slots:
        inputs = torch.isin(torch.from_numpy(slot.channel), torch.tensor(channels)).to(values.device)
        middle = values.median(dim=1).values
        level = (values - middle[:, None]).abs().amax(1) <= 1e-4 * middle.abs().clamp_min(1e-3)
        found = torch.where(inputs & level, middle, found)
    return found
