"""A network as a plain chain: layers with weights, and what stands between each of them and the next.

The chain is read from PyTorch's own trace of the network (torch.fx), so that it does not matter how modules are nested.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
PASSING = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardtanh, nn.Sigmoid, nn.Tanh),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample),
    *(nn.Dropout, nn.Dropout2d, nn.Identity),
)
"""Modules that treat every channel alike and by itself, without weights."""


@dataclass(frozen=True)
class Link:
    """A layer with weights, the modules behind it (batch norm, activation, pooling), and whether a flatten is last."""

    layer: str
    behind: tuple[str, ...]
    flattens: bool = False


def chain(network: nn.Module) -> list[Link]:
    """The links of a network, in order.

    Raises ValueError, with the reason, for a network that is no plain chain: a feature map that two layers read (a
    skip), a grouped convolution, a layer that is used twice, an operation that is no module (but for flatten), or a
    module that mixes channels in its own way.
    """
    links: list[Link] = []
    behind: list[str] = []
    flattens = False
    seen: set[str] = set()
    for node in fx.Tracer().trace(network).nodes:
        _check_reader(node)
        if node.op in ("placeholder", "output"):
            continue
        if is_flatten(node, network):
            flattens = True
            continue
        name, module = _module_of(node, network)
        if name in seen and isinstance(module, (*LAYERS, *NORMS)):
            raise ValueError(f"{name} is used twice, so it cannot be merged with, or narrowed for, both of its places.")
        seen.add(name)
        if isinstance(module, LAYERS):
            _check_layer(name, module, "" if links or not behind else behind[0])
            if links:
                links[-1] = Link(links[-1].layer, tuple(behind), flattens)
            links.append(Link(name, ()))
            behind, flattens = [], False
        else:
            _check_between(name, module, flattens)
            behind.append(name)
    if not links:
        raise ValueError("there is no convolution and no linear layer in this network.")
    links[-1] = Link(links[-1].layer, tuple(behind), flattens)
    return links


def _check_reader(node: fx.Node) -> None:
    """Raises ValueError unless exactly one step reads what this one makes."""
    if node.op != "output" and len(node.users) != 1:
        raise ValueError(
            f"{node.name} is read {len(node.users)} times: the network is no plain chain. An additive skip or a "
            "concatenation needs its own channels on both sides, so no pair of layers around it can be merged."
        )


def _module_of(node: fx.Node, network: nn.Module) -> tuple[str, nn.Module]:
    """The module that a step runs, and its name. Raises ValueError for a step that is no module."""
    if node.op != "call_module":
        raise ValueError(
            f"{node.name} is computed in forward: write it as a module (nn.ReLU(), say), so that it is seen."
        )
    return str(node.target), network.get_submodule(str(node.target))


def _check_layer(name: str, layer: nn.Module, before: str) -> None:
    """Raises ValueError for a layer that nothing can be merged with; `before`: what stands before the first of all."""
    if getattr(layer, "groups", 1) != 1:
        raise ValueError(f"{name} is a grouped convolution: merged with a 1×1 convolution it would be dense.")
    if before:
        raise ValueError(f"{before} stands before the first layer with weights: there is nothing to merge with.")


def _check_between(name: str, module: nn.Module, flattened: bool) -> None:
    """Raises ValueError for a module between two layers that does not treat every channel by itself."""
    if not isinstance(module, (*NORMS, *PASSING)):
        raise ValueError(f"{name} is a {type(module).__name__}, of which nobody knows whether it mixes channels.")
    if flattened and not isinstance(module, (nn.Dropout, nn.Identity)):
        raise ValueError(f"{name} stands behind a flatten, where channels are columns: put it before the flatten.")


def is_flatten(node: fx.Node, network: nn.Module) -> bool:
    """Whether a step of the trace makes features of everything behind the batch axis."""
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        return isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1)
    return node.target in ("flatten", torch.flatten) and (*node.args[1:], *node.kwargs.values()) in ((1,), (1, -1))


def outputs(layer: Any) -> int:
    """The number of channels, or features, that a layer makes."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
