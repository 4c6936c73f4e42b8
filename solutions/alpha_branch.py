"""Alpha-branch pruning: a narrow branch grows up beside the wide one, takes over, and is merged into a narrow network.

P. Gschossmann, "Model Pruning", TUM 2021. Between two layers with weights stands the original, wide way (batch norm,
activation, pooling) and a narrow one: 1×1 convolution ConvA, batch norm, activation, pooling, 1×1 convolution ConvB.
The next layer sees alpha · wide + (1 - alpha) · narrow. While the network trains, alpha falls from 1 to 0. Then the
wide way is dropped, and ConvA and ConvB, which have nothing between themselves and their neighbours, disappear into
these.
"""

import copy
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from solutions.graph.chains import NORMS, Link, chain, outputs
from solutions.merging import (
    merge_1x1_conv,
    merge_1x1_linear,
    merge_1x1_transposed,
    merge_conv_1x1,
    merge_linear,
    merge_transposed_1x1,
)


def alpha_schedule(kind: str, steps: int) -> list[float]:
    """The levels of alpha, from 1 to exactly 0: a new list of `steps` + 1 floats, alpha_k for k = 0 … K = `steps`.

    "step": 1 - k / K. "multiplicative": 2^-k. "exponential": exp(-c k) with c = 5 / K.
    "cosine": (1 + cos(pi k / K)) / 2. With every kind values below 0.015 are exactly 0, and so is the last one; 1 and 0
    may be ints. Raises ValueError for another kind, or without any step.
    """
    if steps < 1:
        raise ValueError(f"alpha needs at least one step from 1 to 0, not {steps}")
    formulas = {
        "step": lambda k: 1 - k / steps,
        "multiplicative": lambda k: 0.5**k,
        "exponential": lambda k: math.exp(-5 * k / steps),
        "cosine": lambda k: (1 + math.cos(math.pi * k / steps)) / 2,
    }
    if kind not in formulas:
        raise ValueError(f"kind is one of {', '.join(formulas)}, not {kind!r}")
    levels = [formulas[kind](k) for k in range(steps)]
    return [level if level >= 0.015 else 0.0 for level in levels] + [0.0]


def alpha_mix(wide: Tensor, narrow: Tensor, alpha: float) -> Tensor:
    """What the next layer sees: alpha · wide + (1 - alpha) · narrow, all of one shape and dtype.

    The shape is (N, C, H, W), or (N, C) behind a linear layer. Both ways stay as they are; gradients reach both,
    but at alpha 1 and 0, where one of the two itself may be returned.
    """
    return alpha * wide + (1 - alpha) * narrow


def make_branch(channels: int, kept: int) -> nn.Sequential:
    """The narrow way beside a batch norm and a ReLU: ConvA 1×1 (C → K), batch norm, ReLU, ConvB 1×1 (K → C).

    Four new layers in a row, with random weights, as PyTorch makes them. Nothing stands before ConvA and nothing behind
    ConvB, so that each can be merged with its neighbour. Both have no bias: ConvA's would be taken off again by the
    batch norm, and ConvB's could not be merged with a layer that pads with zeros.
    """
    return nn.Sequential(
        nn.Conv2d(channels, kept, 1, bias=False),
        nn.BatchNorm2d(kept),
        nn.ReLU(),
        nn.Conv2d(kept, channels, 1, bias=False),
    )


# --- whole networks


class AlphaNetwork(nn.Module):
    """The intermediate network: `original` with a narrow branch beside what follows each layer of `kept`.

    `kept`: {layer: channels that stay}, names as in `chain(original)`; not for the last layer. `alpha` (1 at first) may
    be set at any time; at 1 it gives the outputs of the original, at 0 the wide way is not even computed.
    `wide_learns`: False freezes the original's weights and statistics as long as alpha > 0. The network is copied.

    Raises ValueError for a network that is no plain chain (see `chain`), and for widths that do not fit.
    """

    def __init__(self, original: nn.Module, kept: Mapping[str, int]):
        super().__init__()
        self.original = copy.deepcopy(original)
        self.links = chain(self.original)
        self.alpha = 1.0
        self.wide_learns = True
        inner = {link.layer: link for link in self.links[:-1]}
        if unknown := [name for name in kept if name not in inner]:
            raise ValueError(f"{unknown[0]} is no layer in front of another one; those are {', '.join(inner)}.")
        self.branches = nn.ModuleDict()
        for name, count in kept.items():
            layer = self.original.get_submodule(name)
            if not 1 <= count <= outputs(layer):
                raise ValueError(
                    f"{name} has {outputs(layer)} channels: keep 1 to {outputs(layer)} of them, not {count}."
                )
            self.branches[key(name)] = self._new_branch(inner[name], count).to(layer.weight)

    def branch(self, layer: str) -> Any:
        """The narrow way behind a layer, None where there is none: [ConvA, …, ConvB]."""
        return dict(self.branches.items()).get(key(layer))

    def _new_branch(self, link: Link, count: int) -> nn.Sequential:
        """ConvA, narrow copies of what stands behind the layer, ConvB; behind a linear layer both are linear layers."""
        layer = self.original.get_submodule(link.layer)
        if isinstance(layer, nn.Linear):
            first: nn.Module = nn.Linear(layer.out_features, count, bias=False)
            last: nn.Module = nn.Linear(count, layer.out_features, bias=False)
        else:
            first, *_, last = make_branch(outputs(layer), count)
        middle = [narrow_copy(self.original.get_submodule(name), count) for name in link.behind]
        return nn.Sequential(first, *middle, last)

    def forward(self, images: Tensor) -> Tensor:
        """The outputs, with alpha · wide + (1 - alpha) · narrow behind every layer that has a branch."""
        maps = images
        for link in self.links:
            maps = self.original.get_submodule(link.layer)(maps)
            branch = self.branch(link.layer)
            if branch is None or self.alpha == 1:
                maps = self.wide(link, maps)
            elif self.alpha == 0:
                maps = branch(maps)
            else:
                maps = alpha_mix(self.wide(link, maps), branch(maps), self.alpha)
            if link.flattens:
                maps = maps.flatten(1)
        return maps

    def wide(self, link: Link, maps: Tensor) -> Tensor:
        """The original way from a layer to the next."""
        for name in link.behind:
            maps = self.original.get_submodule(name)(maps)
        return maps

    def train(self, mode: bool = True) -> "AlphaNetwork":
        """PyTorch's switch; while the original is frozen, its weights get no gradients and its statistics stay too."""
        super().train(mode)
        frozen = not self.wide_learns and self.alpha > 0
        self.original.requires_grad_(not frozen)
        if frozen:
            self.original.eval()
        return self


def shrink(network: AlphaNetwork) -> nn.Module:
    """The narrow network, of the original's class: the wide way dropped, every ConvA and ConvB merged by einsum.

    Its outputs are those of the intermediate network at alpha = 0, in evaluation mode, up to rounding. Raises
    ValueError while alpha > 0, and where a pair cannot be merged exactly.
    """
    if network.alpha != 0:
        raise ValueError(
            f"alpha is {network.alpha:g}: the original still counts. Train at alpha = 0 first, then shrink."
        )
    narrow = copy.deepcopy(network.original).eval()
    expand: nn.Module | None = None
    for link in network.links:
        layer = narrow.get_submodule(link.layer)
        if expand is not None:
            layer = merge_before(expand, layer)
            expand = None
        if (branch := network.branch(link.layer)) is not None:
            first, *middle, expand = branch
            layer = merge_behind(layer, first)
            for name, module in zip(link.behind, middle, strict=True):
                narrow.set_submodule(name, copy.deepcopy(module).eval())
        narrow.set_submodule(link.layer, layer)
    return narrow


def merge_before(expand: Any, layer: Any) -> nn.Module:
    """ConvB and the layer that reads it as one layer."""
    if isinstance(expand, nn.Linear):
        return merge_linear(expand, layer)
    if isinstance(layer, nn.Linear):
        return merge_1x1_linear(expand, layer)
    return (merge_1x1_transposed if isinstance(layer, nn.ConvTranspose2d) else merge_1x1_conv)(expand, layer)


def merge_behind(layer: Any, reduce: Any) -> nn.Module:
    """A layer and the ConvA behind it as one layer."""
    if isinstance(layer, nn.Linear):
        return merge_linear(layer, reduce)
    return (merge_transposed_1x1 if isinstance(layer, nn.ConvTranspose2d) else merge_conv_1x1)(layer, reduce)


# --- small things


def key(layer: str) -> str:
    """A layer's name as PyTorch allows it in a ModuleDict."""
    return layer.replace(".", "/")


def narrow_copy(module: nn.Module, channels: int) -> nn.Module:
    """A module that stands between two layers, for `channels` channels; batch norms begin afresh."""
    if not isinstance(module, NORMS):
        return copy.deepcopy(module)
    settings = (module.eps, module.momentum, module.affine, module.track_running_stats)
    return type(module)(channels, *settings)
