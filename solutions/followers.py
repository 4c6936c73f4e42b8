"""Channel groups that one layer makes and one reads, the follower; and what stands behind the follower."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch.nn.functional as F
from torch import Tensor, nn

from solutions.graph.groups import Group, Slot
from solutions.graph.reading import attribute

Activation = Callable[[Tensor], Tensor]
LAYERS = ("Conv", "Gemm", "MatMul", "Transpose")  # what a weight stands in: others only ask for its dtype
ACTIVATIONS: dict[str, Activation] = {
    "Relu": F.relu,
    "HardSwish": F.hardswish,
    "HardSigmoid": F.hardsigmoid,
    "Sigmoid": F.sigmoid,
    "Tanh": F.tanh,
    "Gelu": F.gelu,
    "Softplus": F.softplus,
}


@dataclass(frozen=True)
class Target:
    """A channel group that one layer makes and one layer reads, the `follower`.

    `channel[i]`: the group's channel that the follower's input (a channel, or a feature behind flatten) i belongs to,
    -1 for another group's. `norm`: the batch norm that takes the follower's output, "" without one; `activation`: what
    comes behind; where an addition stands before it, nothing. `made`: the group that the follower makes.
    """

    group: Group
    follower: str
    channel: np.ndarray
    norm: str
    activation: Activation
    made: str

    @property
    def name(self) -> str:
        """The group's name."""
        return self.group.name


def targets(network: nn.Module, groups: Sequence[Group], model: onnx.ModelProto) -> tuple[list[Target], dict[str, str]]:
    """The groups that qualify, in the order of the network, and for each other one the reason why not.

    `model`: the network's graph, of `export_graph`. A depthwise convolution carries channels and makes none.
    """
    found, reasons = [], {}
    makes = {maker: group.name for group in groups for maker in makers_of(network, group)}
    for group in groups:
        readers = [slot for slot in group.slots if slot.consumes]
        why = reason_against(network, group, readers)
        if why:
            reasons[group.name] = why
            continue
        weight = readers[0].parameter
        norm, activation = behind(model, weight)
        made = makes.get(weight, "")
        found.append(Target(group, weight.rpartition(".")[0], readers[0].channel, norm, activation, made))
    return found, reasons


def makers_of(network: nn.Module, group: Group) -> list[str]:
    """The weights that make a group's channels, without depthwise convolutions, which carry them."""
    slots = [slot for slot in group.slots if not slot.consumes and slot.parameter.endswith(".weight")]
    layers = {slot.parameter: network.get_submodule(slot.parameter.rpartition(".")[0]) for slot in slots}
    return [
        name
        for name, layer in layers.items()
        if getattr(layer, "weight", None) is not None and layer.weight.ndim > 1 and not is_depthwise(layer)
    ]


def is_depthwise(layer: nn.Module) -> bool:
    """Whether a convolution treats every channel by itself."""
    return isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and layer.groups == layer.in_channels > 1


def reason_against(network: nn.Module, group: Group, readers: Sequence[Slot]) -> str:
    """Why a group is no target; "" if it is one."""
    if not group.free:
        return "; ".join(group.reasons)
    makers = makers_of(network, group)
    if len(makers) != 1:
        return f"{len(makers)} layers make it ({', '.join(makers[:3])} …): an addition ties them"
    if len(readers) != 1:
        names = ", ".join(slot.parameter for slot in readers[:3])
        return f"{len(readers)} layers read it ({names} …), so there is no one follower"
    layer = network.get_submodule(readers[0].parameter.rpartition(".")[0])
    if not isinstance(layer, (nn.Conv2d, nn.Linear)) or getattr(layer, "groups", 1) != 1:
        return f"{readers[0].parameter} reads it: a follower is a Conv2d without groups, or a Linear"
    return ""


def behind(model: onnx.ModelProto, weight: str) -> tuple[str, Activation]:
    """The batch norm that takes the output of the layer with this weight ("" without one), and the activation behind.

    Nothing is behind where two read it, or where anything else comes, such as an addition.
    """
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    parameters = {tensor.name for tensor in model.graph.initializer}
    node = next(node for node in readers[weight] if node.op_type in LAYERS)
    while node.op_type == "Transpose":
        (node,) = readers[node.output[0]]
    norm = ""
    for following in single_readers(node, readers):
        if following.op_type == "Add" and parameters & set(following.input):  # a bias that stands apart
            continue
        if following.op_type == "BatchNormalization" and not norm:
            norm = following.input[3].rpartition(".")[0]  # the name of its running mean
            continue
        return norm, activation_of(following)
    return norm, F.silu if is_silu(model, node, readers) else identity


def single_readers(node: onnx.NodeProto, readers: Mapping[str, list[onnx.NodeProto]]) -> Iterator[onnx.NodeProto]:
    """The node that reads this one's output, if there is just one, and the one that reads that one's, and so on."""
    while len(following := readers.get(node.output[0], [])) == 1:
        node = following[0]
        yield node


def activation_of(node: onnx.NodeProto) -> Activation:
    """A node as an activation; the identity if it is none."""
    if node.op_type == "LeakyRelu":
        slope = attribute(node, "alpha", 0.01)
        return lambda x: F.leaky_relu(x, slope)
    if node.op_type == "Clip":  # ReLU6
        return F.relu6
    return ACTIVATIONS.get(node.op_type, identity)


def is_silu(model: onnx.ModelProto, node: onnx.NodeProto, readers: Mapping[str, list[onnx.NodeProto]]) -> bool:
    """Whether what comes last behind a node is x · sigmoid(x)."""
    *_, last = [node, *single_readers(node, readers)]
    both = {reader.op_type for reader in readers.get(last.output[0], [])}
    return both == {"Sigmoid", "Mul"}


def identity(x: Tensor) -> Tensor:
    """The same."""
    return x
