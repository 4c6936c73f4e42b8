"""A network's ONNX graph, as the channel groups are read from it."""

import re
from typing import Any

import onnx
import torch
from onnxscript import opset18
from torch import nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from course_utils.onnx_files.export import OPSET, quiet
from solutions.graph.groups import PlanError
from solutions.graph.tensors import as_exported, first_names, tensors_in

DECIDES = (
    "its forward decides by the numbers that come in (an `if` on data, or .item()): write it with torch.where, or "
    "prune the parts on both sides"
)


def export_graph(network: nn.Module, example: Any) -> onnx.ModelProto:
    """The network's ONNX graph in evaluation mode, batch norms kept, initializers named as its parameters.

    `example`: an input, or a tuple of them. A parameter that is registered twice is one initializer, under its first
    name; the weight of a parametrised layer is what it computes. Where evaluation does not reach all parameters (the
    auxiliary heads of GoogLeNet and Inception), the branch that `network.training` opens is exported too. Raises
    PlanError where torch cannot follow the network.
    """
    whole = _exported(as_exported(network), example)
    if unreached(network, whole):
        opened = as_exported(network)
        opened.training = True  # of the outermost module only: dropout and batch norms inside stay as they are
        try:
            more = _exported(opened, example)
        except Exception:  # not every network can be run like this, and then there is just one graph
            return whole
        if len(unreached(network, more)) < len(unreached(network, whole)):
            return more
    return whole


def unreached(network: nn.Module, model: onnx.ModelProto) -> list[str]:
    """Parameters that the graph does not use."""
    used = {name for node in model.graph.node for name in node.input}
    return [name for name, _ in as_exported(network).named_parameters() if name not in used]


def _exported(network: nn.Module, example: Any) -> onnx.ModelProto:
    """The graph; the network's outputs are made a plain tuple before. Raises PlanError, with the cause."""
    network.register_forward_hook(lambda _module, _inputs, output: tuple(tensors_in(output)))
    arguments = example if isinstance(example, tuple) else (example,)
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                arguments,
                dynamo=True,
                optimize=False,
                opset_version=OPSET,
                external_data=False,
                verbose=False,
                custom_translation_table={torch.ops.aten.group_norm.default: group_norm},
            )
    except Exception as error:
        cause = error.__cause__ or error
        operator = re.search(r"translating node %(\w+)", str(cause))
        why = f"torch.export says {said(cause)}"
        if isinstance(cause, GuardOnDataDependentSymNode):
            why = DECIDES
        elif operator:
            why = f"torch's exporter cannot translate its {operator[1]}; write that in another way"
        raise PlanError(f"The network's graph cannot be read: {why}.") from error
    assert program is not None
    return with_first_names(program.model_proto, first_names(network))


def group_norm(
    maps: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Any:
    """A group norm as one operator (torch's own translation takes it apart), to be read and not to be run."""
    return opset18.GroupNormalization(maps, weight, bias, epsilon=eps, num_groups=num_groups)


def with_first_names(model: onnx.ModelProto, first: dict[str, str]) -> onnx.ModelProto:
    """The graph with one initializer for each tensor of the network, under its first name; changed in place."""
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, tensor in known.items():
        if (canonical := first.get(name, name)) != name:
            if canonical in known:
                model.graph.initializer.remove(tensor)
            else:
                tensor.name = canonical
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = first.get(name, name) if name in known else name
    return model


def said(error: BaseException) -> str:
    """The kind of an error and the beginning of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[0][:100]}".removesuffix(": ")
