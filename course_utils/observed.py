"""What there is to see of a value: of tensors, layers and networks, optimizers, and what holds them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def state_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All that can be seen of some values: "name part" → a fact that can be compared; parts as in `CHANGED`."""
    return {place: fact for name, value in arguments.items() for place, fact in facts(name, value)}


def facts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What can be seen of a value and of all inside it."""
    if isinstance(value, Tensor):
        yield f"{name} shape", (value.dtype, tuple(value.shape))
        yield f"{name} trained", value.requires_grad
        yield f"{name} inference", value.is_inference()
        yield f"{name} value", Numbers(value.detach())
        yield f"{name} hooks", value.is_leaf and len(value._backward_hooks or ())
        if value.is_leaf and value.grad is not None:
            yield f"{name} gradient", Numbers(value.grad.detach())
    elif isinstance(value, nn.Module):
        yield from facts_of_layers(name, value)
    elif isinstance(value, torch.optim.Optimizer):
        yield (
            f"{name}.param_groups settings",
            repr([{**group, "params": len(group.get("params", ()))} for group in value.param_groups]),
        )
        yield f"{name} object", [id(tensor) for group in value.param_groups for tensor in group.get("params", ())]
        for number, memory in enumerate(value.state.values()):
            yield from facts(f"{name}.state[{number}]", dict(memory))
    elif isinstance(value, Mapping):
        yield f"{name} keys", list(value)
        for key, item in value.items():
            yield from facts(f"{name}[{key!r}]".replace(" ", ""), item)
    elif isinstance(value, (list, tuple)):
        yield f"{name} value", len(value)
        for number, item in enumerate(value):
            yield from facts(f"{name}[{number}]", item)
    elif not callable(value):
        yield f"{name} value", value


def facts_of_layers(name: str, network: nn.Module) -> Iterator[tuple[str, Any]]:
    """What can be seen of a network: its layers by name, with their modes, hooks and settings, and their tensors."""
    for path, layer in network.named_modules():
        place = f"{name}.{path}" if path else name
        yield f"{place} mode", layer.training
        yield f"{place} hooks", tuple(len(getattr(layer, hooks)) for hooks in HOOKS)
        plain = {
            key: setting for key, setting in vars(layer).items() if isinstance(setting, SIMPLE) and key != "training"
        }
        yield f"{place} settings", (sorted(layer._parameters), sorted(layer._buffers), sorted(layer._modules), plain)
        for key, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
            if tensor is not None:
                yield f"{place}.{key} object", isinstance(tensor, nn.Parameter) and id(tensor)
                yield from facts(f"{place}.{key}", tensor)


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
SIMPLE = (int, float, str, tuple)


class Numbers:
    """A copy of a tensor's numbers, equal to another where all numbers are, nan too."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.clone()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Numbers) or self.tensor.shape != other.tensor.shape:
            return False
        ours, theirs = self.tensor, other.tensor
        return torch.equal(ours, theirs) or bool(((ours == theirs) | (ours.isnan() & theirs.isnan())).all())

    __hash__ = None  # type: ignore[assignment]


def inside(value: Any) -> Iterator[Any]:
    """A value, and those inside it if it is a list, tuple or dict."""
    yield value
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    for item in items:
        yield from inside(item)


def layers_of(value: Any) -> list[nn.Module]:
    """The layers and networks in a value, without those inside them."""
    return [item for item in inside(value) if isinstance(item, nn.Module)]


def tensors_of(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, those of layers too."""
    for item in inside(value):
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, nn.Module):
            yield from item.parameters()
            yield from item.buffers()


def floats_of(value: Any) -> list[Tensor]:
    """The tensors of floats in a value."""
    return [tensor for tensor in tensors_of(value) if tensor.is_floating_point()]


def memory_of(value: Any) -> set[int]:
    """Where the tensors in a value lie in memory."""
    return {
        tensor.untyped_storage().data_ptr() for tensor in tensors_of(value) if tensor.numel() and not tensor.is_meta
    }


# --- what is wrong with layers


def faults_of(network: nn.Module, given: list[nn.Module]) -> Iterator[str]:
    """Sentences on layers that are returned: whether each is new, can be trained, and says of itself what it is."""
    known = {id(layer) for source in given for layer in source.modules()}
    hooks = sum(len(getattr(layer, name)) for layer in network.modules() for name in HOOKS)
    hooks += sum(len(parameter._backward_hooks or ()) for parameter in network.parameters())
    if any(id(layer) in known for layer in network.modules()):
        yield "you return a layer that was given: return a new one"
    if hooks:
        yield "your layer works by hooks, which copies and files lose: change its weights"
    for layer in network.modules():
        if turned := [name for name in ("running_mean", "running_var") if name in layer._parameters]:
            yield f"your layer's {turned[0]} is a Parameter, which an optimizer would train: it must stay a buffer"
        for name, parameter in layer.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter.is_inference():
                why = "was made in inference mode" if parameter.is_inference() else "has requires_grad=False"
                yield f"your layer can no longer be trained: its {name} {why}"
                return
    for layer in network.modules():
        for attribute, size, actual in sizes_of(layer):
            if size != actual:
                yield f"your {type(layer).__name__} says {attribute}={size}, but its tensors are for {actual}"
                return


def sizes_of(layer: nn.Module) -> Iterator[tuple[str, Any, Any]]:
    """For a layer's attributes that its weights' shapes determine: name, value, and what the shapes say."""
    weight = getattr(layer, "weight", None)
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        turned = isinstance(layer, nn.ConvTranspose2d)
        first, second = layer.weight.shape[:2]
        yield "out_channels", layer.out_channels, second * layer.groups if turned else first
        yield "in_channels", layer.in_channels, first if turned else second * layer.groups
        yield "kernel_size", tuple(layer.kernel_size), tuple(layer.weight.shape[2:])
    elif isinstance(layer, nn.Linear):
        yield "out_features", layer.out_features, layer.weight.shape[0]
        yield "in_features", layer.in_features, layer.weight.shape[1]
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
        for tensor in (weight, layer.running_mean, layer.running_var):
            if isinstance(tensor, Tensor):
                yield "num_features", layer.num_features, len(tensor)
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and layer.bias is not None:
        outputs = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        yield "a bias for its outputs", outputs, len(layer.bias)
