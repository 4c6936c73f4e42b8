"""The graph of an entry's ONNX file: what the challenge allows in it, and what it takes to say what its parts cost."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from course_utils.onnx_files.operators import ALLOWED
from course_utils.onnx_files.reading import OnnxFileError, Operator, counted_operators, meetings, tensor_shapes

BATCH = 100  # images at a time: for one image alone a file could skip what it does

SAME_VALUES = {"Transpose", "Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}


@dataclass(frozen=True)
class Graph:
    """A checked graph, its tensors by name.

    shapes: for a batch of BATCH images; single_shapes: for one image; types: of a tensor's elements (TensorProto.FLOAT,
    …). producers: the node that gives a tensor. stored: the tensors in the file; constants: those, and what is worked
    out from them alone. counted: the operators at which weights meet the images, with multiply-adds of a whole batch.
    settings: other constants that are computed with, of single numbers or a few whole ones.
    """

    nodes: list[onnx.NodeProto]
    shapes: dict[str, tuple[int, ...]]
    single_shapes: dict[str, tuple[int, ...]]
    types: dict[str, int]
    producers: dict[str, onnx.NodeProto]
    stored: dict[str, onnx.TensorProto]
    constants: set[str]
    counted: list[Operator]
    settings: tuple[str, ...] = ()

    @property
    def wires(self) -> int:
        """Inputs of all operators that the images reach."""
        return sum(len(node.input) for node in self.nodes if not self.constants.issuperset(node.output))


def graph_of(model: onnx.ModelProto) -> Graph:
    """The graph of a checked model. Raises OnnxFileError, and KeyError for a tensor whose shape is not known."""
    nodes = list(model.graph.node)
    shapes, types = tensor_shapes(model, BATCH)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in nodes:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    constants = set(stored)
    for node in nodes:
        if all(not name or name in constants for name in node.input):
            constants |= set(node.output)
    return Graph(
        nodes,
        shapes,
        single_shapes=tensor_shapes(model)[0],
        types=types,
        producers={output: node for node in nodes for output in node.output},
        stored=stored,
        constants=constants,
        counted=counted_operators(model, BATCH),
        settings=tuple(dict.fromkeys(name for met in meetings(model, BATCH).settings for name in met.weights)),
    )


def type_bits(element: int) -> int:
    """Bits of one element of an ONNX type (`TensorProto.FLOAT16` → 16). Raises OnnxFileError for text."""
    name = TensorProto.DataType.Name(element)
    plain = {"FLOAT": 32, "DOUBLE": 64, "BOOL": 1}
    if name in plain:
        return plain[name]
    digits = re.match(r"[A-Z]+(\d+)", name)
    if not digits:
        raise OnnxFileError(f"The file computes with elements of type {name.lower()}, which have no bit width.")
    return int(digits[1])


def check(model: onnx.ModelProto, name: str) -> None:
    """What the challenge asks of a file (called `name`) beyond `read_onnx`. Raises OnnxFileError."""
    if sum(operators.domain in ("", "ai.onnx") for operators in model.opset_import) != 1:
        raise OnnxFileError(f"{name} names more than one set of operators: export it again.")
    _check_operators(model.graph.node, name)
    if model.graph.sparse_initializer:
        raise OnnxFileError(f"{name} has sparse initializers: store those weights in full, zeros cost nothing.")
    _check_names(model.graph, name)


def _check_operators(nodes: Iterable[onnx.NodeProto], name: str) -> None:
    """All operators are the challenge's, and say each of their settings once."""
    for node in nodes:
        if len({attribute.name for attribute in node.attribute}) < len(node.attribute):
            raise OnnxFileError(f"{name} gives a setting of {node.name or node.op_type} twice: export it again.")
        if node.op_type not in ALLOWED:
            raise OnnxFileError(f"{name} uses the operator {node.op_type}, which the challenge does not count.")


def _check_names(graph: onnx.GraphProto, name: str) -> None:
    """A tensor's name stands for one tensor, which is made before it is used."""
    stored = [tensor.name for tensor in graph.initializer]
    if len(set(stored)) < len(stored):
        raise OnnxFileError(f"{name} gives two tensors the same name: export it again.")
    known = {"", *stored, *(value.name for value in graph.input)}
    for node in graph.node:
        outputs = set(filter(None, node.output))
        if not known.issuperset(node.input) or known & outputs:
            raise OnnxFileError(f"{name} uses a tensor before it is made, or makes one twice: export it again.")
        known |= outputs
