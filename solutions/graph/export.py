"""A network's ONNX graph, as the channel groups are read from it."""

import copy
from typing import Any

import onnx
import torch
from torch import nn

from course_utils.onnx_files.export import OPSET, quiet


def export_graph(network: nn.Module, example: Any) -> onnx.ModelProto:
    """The network's ONNX graph in evaluation mode, batch norms kept, initializers named as its parameters.

    `example`: an input, or a tuple of them. Where evaluation does not reach all parameters (the auxiliary heads of
    GoogLeNet and Inception), the branch that `network.training` opens is exported too.
    """
    whole = _exported(copy.deepcopy(network).eval(), example)
    if unreached(network, whole):
        opened = copy.deepcopy(network).eval()
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
    return [name for name, _ in network.named_parameters() if name not in used]


def _exported(network: nn.Module, example: Any) -> onnx.ModelProto:
    arguments = example if isinstance(example, tuple) else (example,)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            network, arguments, dynamo=True, optimize=False, opset_version=OPSET, external_data=False, verbose=False
        )
    assert program is not None
    return program.model_proto
