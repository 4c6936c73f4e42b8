"""AOFP's two paths through a network, as hooks on the followers (Ding et al., ICML 2019).

The base path is the training's own forward pass, with zeros in what the followers read of filters that are gone. The
scoring path computes each follower once more, without gradient, on the first images of a batch, without a random half
of the filters that are searched: by linearity only what this half gives is computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from solutions.followers import Target

SCORED = 16  # images of a batch on which damage is measured


class Paths:
    """Hooks on the followers: what is gone reads as zero (base path), and each batch's half is scored.

    `damages`: of the last forward pass in training mode, by target; `halves`: what is to be ablated in the next.
    """

    def __init__(
        self, network: nn.Module, found: Sequence[Target], damage: Callable[[Tensor, Tensor, Tensor], float]
    ) -> None:
        self.damage = damage
        self.halves: dict[str, list[int]] = {}
        self.damages: dict[str, float] = {}
        self.gone: dict[str, list[int]] = {target.name: [] for target in found}
        self.widths = {target.name: target.group.channels for target in found}
        self.maps: dict[str, Tensor] = {}
        self.hooks = []
        for target in found:
            follower = network.get_submodule(target.follower)
            norm = network.get_submodule(target.norm) if target.norm else None
            self.hooks.append(follower.register_forward_pre_hook(self.base(target)))
            self.hooks.append(follower.register_forward_hook(self.scoring(target, norm)))

    def base(self, target: Target) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]:
        """What the follower reads, with zeros for filters that are gone."""

        def mask(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            (maps,) = inputs
            gone = self.gone[target.name]
            if gone:
                places = torch.isin(torch.from_numpy(target.channel), torch.tensor(gone)).to(maps.device)
                maps = maps * along(~places, maps, module).to(maps.dtype)
            if module.training and self.halves.get(target.name):
                self.maps[target.name] = maps.detach()[:SCORED]
            return (maps,) if gone else None

        return mask

    def scoring(self, target: Target, norm: nn.Module | None) -> Callable[[nn.Module, Any, Tensor], None]:
        """The damage of this batch's half to the follower's output behind its batch norm and activation."""

        def score(module: nn.Module, _inputs: Any, output: Tensor) -> None:
            maps = self.maps.pop(target.name, None)
            if maps is None:
                return
            half = torch.isin(torch.from_numpy(target.channel), torch.tensor(self.halves[target.name]))
            places = half.nonzero().flatten().to(maps.device)
            with torch.no_grad(), torch.autocast(maps.device.type, enabled=False):
                base = output.detach().float()
                removed = contribution(module, maps.float(), places)
                seen = base[: len(maps)]
                behind = as_normalised(norm, base, seen, seen - removed) if norm is not None else (seen, seen - removed)
                own = torch.ones(base.shape[channel_axis(module)], dtype=torch.bool, device=base.device)
                own[torch.tensor(self.gone.get(target.made, []), dtype=torch.int64)] = False
                base_out, ablated_out = (channels_second(module, target.activation(maps)) for maps in behind)
                self.damages[target.name] = self.damage(base_out, ablated_out, own)

        return score

    def remove(self) -> None:
        """Take all hooks away."""
        for hook in self.hooks:
            hook.remove()


def channel_axis(module: nn.Module) -> int:
    """Where a layer's channels lie: the last axis of a linear layer's maps, the second of a convolution's."""
    return -1 if isinstance(module, nn.Linear) else 1


def along(values: Tensor, maps: Tensor, module: nn.Module) -> Tensor:
    """A value for each channel, so that it broadcasts to a layer's maps."""
    return values if isinstance(module, nn.Linear) else values.view(-1, *[1] * (maps.ndim - 2))


def channels_second(module: nn.Module, maps: Tensor) -> Tensor:
    """The same maps with the channels on axis 1."""
    return maps.movedim(channel_axis(module), 1)


def contribution(module: nn.Module, maps: Tensor, places: Tensor) -> Tensor:
    """What some of a follower's inputs give of its output: the follower is linear, but for its bias."""
    weight = module.get_parameter("weight").detach().float().index_select(1, places)
    chosen = maps.index_select(channel_axis(module), places)
    if isinstance(module, nn.Linear):
        return F.linear(chosen, weight)
    assert isinstance(module, nn.Conv2d)
    return module._conv_forward(chosen, weight, None)


def as_normalised(norm: nn.Module, whole: Tensor, *some: Tensor) -> list[Tensor]:
    """Maps behind a batch norm that normalises by the statistics of the base path, and changes nothing."""
    mean, var = norm.running_mean, norm.running_var
    if norm.training or mean is None:
        var, mean = torch.var_mean(whole, dim=[axis for axis in range(whole.ndim) if axis != 1], correction=0)
    return [F.batch_norm(maps, mean, var, norm.weight, norm.bias, False, 0.0, norm.eps) for maps in some]  # type: ignore[arg-type]
