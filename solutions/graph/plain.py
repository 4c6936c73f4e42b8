"""An ONNX graph as plain Python: a list of dicts, small enough to read and to write by hand.

    {"op": "Conv", "inputs": ["relu"], "outputs": ["conv2d_1"],
     "weight": "features.3.weight", "shape": (32, 32, 3, 3), "groups": 1}

`inputs` and `outputs` are names of feature maps: tensors that depend on the images. Parameters are no inputs; what a
layer has learned stands beside them, as the name and shape of its weight (only of nodes that have one; `groups` only
of convolutions). What is computed from parameters and constants alone, such as a bias of zeros, is left out.
"""

from typing import Any

import onnx

PASSING = frozenset({
    *("BatchNormalization", "Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Dropout", "Identity"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "Flatten", "Reshape"),
})  # fmt: skip
"""Operators that hand every channel on by itself (behind Flatten and Reshape, as H*W features)."""

JOINING = frozenset({"Add", "Sub", "Mul", "Div"})
"""Operators that combine channel j of one feature map with channel j of the other."""

LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization"}


def plain_graph(model: onnx.ModelProto) -> list[dict[str, Any]]:
    """The nodes of a graph that the images pass through, in the order in which they run; names stay as they are.

    A tensor that no node makes is an input of the network, one that no node reads an output. (Where the network
    gives out a tensor that it also reads, an Identity at the end stands for that output.)
    """
    graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    origin = {name: name for name in shapes}  # of what is made from one parameter only, such as its transpose
    maps = {value.name for value in graph.input} - set(shapes)
    nodes: list[dict[str, Any]] = []
    for node in graph.node:
        asks_type_or_shape = node.op_type in ("Shape", "CastLike", "ConstantOfShape")
        values = node.input[:1] if node.op_type == "CastLike" else [] if asks_type_or_shape else node.input
        inputs = [name for name in values if name in maps]
        weights = [origin[name] for name in node.input if name in origin]
        if not inputs:
            origin.update(dict.fromkeys(node.output, weights[0]) if weights else {})
            continue
        plain = {"op": node.op_type, "inputs": inputs, "outputs": [name for name in node.output if name]}
        if node.op_type in LAYERS and weights:
            plain.update(weight=weights[0], shape=shapes[weights[0]])
        if node.op_type.startswith("Conv"):
            plain["groups"] = next((held.i for held in node.attribute if held.name == "group"), 1)
        maps.update(plain["outputs"])
        nodes.append(plain)
    read = {name for node in nodes for name in node["inputs"]}
    for value in graph.output:
        if value.name in read:
            nodes.append({"op": "Identity", "inputs": [value.name], "outputs": [f"{value.name} (output)"]})
    return nodes
