"""A network's parameters and buffers, by the names under which its graph has them.

A tensor that is registered twice has one name, the first. The weight of a parametrised layer
(`torch.nn.utils.parametrize`) is what the layer computes, under the name that its owner knows: "conv.weight".
"""

import copy
import dataclasses
import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from course_utils.modes import evaluating


def parametrised(network: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """The tensors that parametrisations compute: a name, the layer, and the tensor's name in it."""
    for path, module in network.named_modules():
        if parametrize.is_parametrized(module):
            held: nn.ModuleDict = module.parametrizations  # type: ignore[assignment]
            yield from ((f"{path}.{tensor}".lstrip("."), module, tensor) for tensor in held)


def every_name(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers with all names that they have, but those inside parametrisations."""
    for members in (network.named_parameters, network.named_buffers):
        for name, tensor in members(remove_duplicate=False):
            if "parametrizations" not in name.split("."):
                yield name, tensor


def first_names(network: nn.Module) -> dict[str, str]:
    """Every name of a parameter or buffer → the first name of the same tensor."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in every_name(network)}


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by their first names, and what parametrisations compute; without gradients."""
    first = first_names(network)
    with evaluating(network):
        computed = {name: getattr(module, tensor) for name, module, tensor in parametrised(network)}
        return {**{name: tensor.detach() for name, tensor in every_name(network) if first[name] == name}, **computed}


def without_parametrisations(network: nn.Module, names: Container[str] | None = None) -> nn.Module:
    """Make ordinary parameters, in place, of what parametrisations compute → the network.

    Of all layers, or of those that one of the `names` belongs to. (torch's own `remove_parametrizations` would break
    the layers that this network is a copy of: they are of the same class.)
    """
    found = list(parametrised(network))
    layers = {id(module): module for name, module, _ in found if names is None or name in names}
    with evaluating(network):
        computed = {name: getattr(module, tensor).detach().clone() for name, module, tensor in found}
    for module in layers.values():
        held = module.parametrizations
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
        for name, layer, tensor in found:
            if layer is module:
                trained = any(parameter.requires_grad for parameter in held[tensor].parameters())  # type: ignore[index,union-attr]
                module.register_parameter(tensor, nn.Parameter(computed[name], requires_grad=trained))
    return network


def as_exported(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, without parametrisations."""
    return without_parametrisations(copy.deepcopy(network)).eval()


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, also inside lists, tuples, dicts and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif dataclasses.is_dataclass(value):
        yield from tensors_in(vars(value))
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from tensors_in(item)


def digest(names: Iterable[str]) -> str:
    """A short fingerprint of a network's tensors' names, which pruning leaves as they are."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:12]
