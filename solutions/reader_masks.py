"""Masks on feature maps: what every reader of a channel group sees of the channels that are masked is 0.

So the masked network equals the narrow one, in eval mode to rounding. The gradient passes as if there were no mask:
filters that are masked go on learning what they would have to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from solutions.graph.groups import Group
from solutions.plans import positions


class _Masked(torch.autograd.Function):
    """maps · mask, whose gradient is that of the identity."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, mask: Tensor) -> Tensor:
        return maps * mask

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient, None


class ReaderMasks:
    """Hooks on all layers that read channels of the groups. `set` says which channels are seen; at first all are."""

    def __init__(self, network: nn.Module, groups: Sequence[Group]) -> None:
        self.groups = groups
        self.masks: dict[str, np.ndarray] = {}
        readers = {slot.parameter for group in groups for slot in group.slots if slot.consumes and slot.axis == 1}
        self.hooks = [
            network.get_submodule(name.rpartition(".")[0]).register_forward_pre_hook(self.masking(name))
            for name in sorted(readers)
        ]

    def set(self, plan: Mapping[str, Sequence[int]]) -> None:
        """Show the channels that a plan keeps, and nothing of the others."""
        self.masks = {name: mask for (name, axis), mask in positions(self.groups, plan).items() if axis == 1}

    def masking(self, name: str) -> Any:
        """The hook of one reader."""

        def mask(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            if name not in self.masks:
                return None
            maps = inputs[0]
            seen = torch.from_numpy(self.masks[name]).to(maps)
            shaped = seen if isinstance(module, nn.Linear) else seen.view(-1, *[1] * (maps.ndim - 2))
            return (_Masked.apply(maps, shaped), *inputs[1:])

        return mask

    def remove(self) -> None:
        """Take all hooks away."""
        for hook in self.hooks:
            hook.remove()
