"""What a plan leaves of a network's multiply-accumulates, worked out from the plan alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from course_utils.modes import evaluating
from solutions.graph.groups import Group
from solutions.graph.tensors import tensors_of
from solutions.plans import Plan, positions
from solutions.surgery import outputs

COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)


def uses_of(network: nn.Module, example: Any) -> dict[str, int]:
    """How often each value of a weight is used for one input, by the weight's name.

    Of a convolution the positions of its output (of a transposed one, of its input), of a linear layer the rows that it
    is applied to: its MACs are this number times those of its weight. A layer that runs twice counts twice. `example`:
    an input, or a tuple of them, of which the first counts the images.
    """
    names = {id(module): f"{name}.weight".lstrip(".") for name, module in network.named_modules()}
    uses: dict[str, int] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        maps = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        places = math.prod(maps.shape[:-1] if isinstance(module, nn.Linear) else maps.shape[2:])
        count = len(inputs[0]) if isinstance(module, nn.Linear) else 1
        uses[names[id(module)]] = uses.get(names[id(module)], 0) + max(1, places // count)

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, COUNTED)]
    try:
        with evaluating(network):
            outputs(network, example)
    finally:
        for hook in hooks:
            hook.remove()
    return uses


def macs_left(network: nn.Module, groups: Sequence[Group], plan: Plan, uses: Mapping[str, int]) -> int:
    """The MACs of one input that `prune` will leave: for every weight its `uses` times the size that is left of it."""
    masks = positions(groups, plan)
    shapes = {name: tensor.shape for name, tensor in tensors_of(network).items()}
    return sum(count * math.prod(sizes_left(name, shapes[name], masks)) for name, count in uses.items())


def sizes_left(name: str, shape: Sequence[int], masks: Mapping[tuple[str, int], np.ndarray]) -> list[int]:
    """The sizes of a tensor's axes when only those positions stay that the masks say."""
    return [int(masks[name, axis].sum()) if (name, axis) in masks else size for axis, size in enumerate(shape)]
