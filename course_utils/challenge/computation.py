"""What an ONNX file computes for one image, by the challenge's rules: a row for each operator (see score.py)."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import onnx
from onnx import TensorProto

from course_utils.challenge.graph import BATCH, SAME_VALUES, Graph, type_bits
from course_utils.onnx_files.reading import LARGEST_SETTING, OnnxFileError

LINEAR = {"Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"}
NORMALISING = {"BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"}
MULTIPLYING = {"Mul", "Div", "PRelu", "Where", "QuantizeLinear", "DequantizeLinear", *NORMALISING}
COMPARING = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
SUMMING = {"Add", "Sub", "Max", "Min", "Sum"}
JOINING = {*SUMMING, *COMPARING, "Pow", "Concat", "Gather"}  # no products, but sums can be made of them
FREE_BEHIND_LINEAR = {"Add", "Sub", "BatchNormalization"}  # could be a part of the layer that they follow
SAME_BITS = {*SAME_VALUES - {"Cast"}, "MaxPool"}


class ComputedOperator(NamedTuple):
    """A row of what is computed for one image; it costs macs * max(q_w, q_a). q_w is 0 where there are no weights."""

    name: str
    op: str
    macs: int
    q_w: int
    q_a: int


def computed_operators(graph: Graph, weight_bits: Mapping[str, int]) -> list[ComputedOperator]:
    """The rows of everything computed.

    weight_bits: of the weights that are stored, by the names under which they arrive; others have those of their type.
    """
    linear_macs = {id(operator.node): operator.macs for operator in graph.counted if operator.node.op_type in LINEAR}
    rows = []
    for node in graph.nodes:
        if node.output and node.output[0] in graph.constants:
            continue
        macs = linear_macs[id(node)] // BATCH if id(node) in linear_macs else products(graph, node)
        if macs:
            factors = list(node.input[:2]) if node.op_type in LINEAR else list(filter(None, node.input))
            weights = [name for name in factors if name in graph.constants]
            activations = [name for name in factors if name not in graph.constants]
            q_w = max((weight_bits.get(name) or type_bits(graph.types[name]) for name in weights), default=0)
            q_a = max((activation_bits(graph, name) for name in activations), default=0)
            rows.append(ComputedOperator(node.name or node.output[0], node.op_type, macs, q_w, q_a))
    return rows


def products(graph: Graph, node: onnx.NodeProto) -> int:
    """Multiply-adds of an operator that is neither a convolution nor a linear layer.

    What is computed once for a whole batch counts as if it were for one image. Raises OnnxFileError.
    """
    tensors = [name for name in node.input if name and size_of(graph, name) > 1]
    if node.op_type not in MULTIPLYING | JOINING or len(tensors) < 2:
        return 0
    output = node.output[0]
    if output not in graph.shapes or output not in graph.single_shapes:
        raise OnnxFileError(f"The shape of {output} cannot be worked out from the file.")
    elements = math.prod(graph.shapes[output])
    if node.op_type in FREE_BEHIND_LINEAR:
        if any(is_behind_linear(graph, name) and math.prod(graph.shapes[name]) == elements for name in tensors):
            return 0
    elif node.op_type in JOINING and elements <= LARGEST_SETTING and not is_real(graph, output):
        return 0  # a shape
    elements = max(math.ceil(elements / BATCH), math.prod(graph.single_shapes[output]))
    return elements * (len(tensors) - 1 if node.op_type in SUMMING else 1)


def size_of(graph: Graph, name: str) -> int:
    """Elements of a tensor; more than one where its shape is not known."""
    return math.prod(graph.shapes.get(name, (2, 2)))


def is_real(graph: Graph, name: str) -> bool:
    """Whether a tensor holds floating-point numbers."""
    return "FLOAT" in TensorProto.DataType.Name(graph.types[name]) or graph.types[name] == TensorProto.DOUBLE


def is_behind_linear(graph: Graph, name: str) -> bool:
    """Whether a tensor is what a convolution or linear layer gave, at most times one number or rounded."""
    while node := graph.producers.get(name):
        if node.op_type in LINEAR:
            return name not in graph.constants
        single = [factor for factor in node.input if size_of(graph, factor) == 1]
        others = [factor for factor in node.input if factor not in single]
        scaled = node.op_type in ("Mul", "QuantizeLinear", "DequantizeLinear") and len(others) == 1 and single
        if node.op_type != "Cast" and not scaled:
            return False
        name = others[0] if others else node.input[0]
    return False


def activation_bits(graph: Graph, name: str) -> int:
    """Bits of what reaches an operator: of its quantised form, if its scale cannot carry more; else of its type."""
    full_bits = type_bits(graph.types[name])
    while (node := graph.producers.get(name)) and node.op_type in SAME_BITS:
        name = node.input[0]
    if node and node.op_type == "DequantizeLinear":
        scales = list(filter(None, node.input[1:]))
        if all(graph.shapes.get(scale) == () or scale in graph.constants for scale in scales):
            return min(full_bits, type_bits(graph.types[node.input[0]]))
    return full_bits
