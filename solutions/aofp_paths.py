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
            own = torch.ones(output.shape[channel_axis(module)], dtype=torch.bool, device=output.device)
            own[torch.tensor(self.gone.get(target.made, []), dtype=torch.int64)] = False
            with torch.no_grad():
                removed = contribution(module, maps, places).float()
                base = output.detach()[: len(maps)].float()
                if norm is not None:
                    base, scale = normalised(norm, output.detach(), len(maps))
                    removed = removed * scale.view(-1, *[1] * (removed.ndim - 2))
                whole, ablated = (channels_second(module, target.activation(each)) for each in (base, base - removed))
                self.damages[target.name] = self.damage(whole, ablated, own)

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
    """What some of a follower's inputs give of its output: the follower is linear, but for its bias.

    In the precision in which the training computes the follower itself.
    """
    weight = module.get_parameter("weight").detach().index_select(1, places)
    chosen = maps.index_select(channel_axis(module), places)
    if isinstance(module, nn.Linear):
        return F.linear(chosen, weight)
    assert isinstance(module, nn.Conv2d)
    return module._conv_forward(chosen, weight, None)


def normalised(norm: nn.Module, output: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first maps of a batch behind its batch norm, and each channel's factor (C,) in it; nothing is changed.

    By the statistics of the whole batch, as the base path's, or by the running ones where the norm is in eval mode.
    """
    weight = torch.ones(output.shape[1], device=output.device) if norm.weight is None else norm.weight.detach()  # type: ignore[redundant-expr]
    bias, eps = norm.bias, float(norm.eps)  # type: ignore[arg-type]
    if norm.training or norm.running_mean is None:
        maps, _, inverse = torch.native_batch_norm(output, weight, bias, None, None, True, 0.0, eps)  # type: ignore[arg-type]
        return maps[:count].float(), weight * inverse
    var = norm.running_var
    maps = F.batch_norm(output[:count].float(), norm.running_mean, var, weight, bias, False, 0.0, eps)  # type: ignore[arg-type]
    return maps, weight / (var + eps).sqrt()
