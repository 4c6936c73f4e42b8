"""What an ONNX file stores, by the challenge's rules: a row for each tensor, in the bits it takes (see score.py)."""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from course_utils.challenge.graph import SAME_VALUES, Graph, type_bits
from course_utils.onnx_files.reading import OnnxFileError

MOST_VALUES = 256  # distinct values of a tensor that is counted by them
LEAST_PER_SCALE = 8  # weights that share a scale; with fewer, the bits of the scales are those of the weights

Array = npt.NDArray[Any]  # float64 or int64


class StoredTensor(NamedTuple):
    """A row of what is stored; it costs nonzero * bits.

    kind: "weight"; "values", the magnitudes that a weight tensor with few distinct values takes; "scale", the scale
    or zero point of a quantised one. distinct: how many different values other than zero; 0 where they are not known.
    """

    name: str
    elements: int
    nonzero: int
    bits: int
    distinct: int
    kind: str = "weight"


class Storage:
    """The rows of all that a graph stores, each tensor once; and the bits of its weights where they arrive."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.rows: list[StoredTensor] = []
        self.weight_bits: dict[str, int] = {}  # by the name under which a weight arrives at its operator
        self.counted: dict[tuple[str, str], int] = {}  # bits, by the names of a stored tensor and its zero point
        for operator in graph.counted:
            whole_numbers = operator.node.op_type in ("ConvInteger", "MatMulInteger")
            for name in operator.weights:
                self.add(name, zero_point_of(operator.node, name) if whole_numbers else "")

        counted = {row.name for row in self.rows}
        self.rows += [setting_row(graph, name) for name in graph.settings if name not in counted]

    def add(self, arriving: str, zero: str = "", kind: str = "weight") -> None:
        """The rows of a constant: of the scales on its way, of what is stored at its beginning, of its zero point."""
        route = route_to(self.graph, arriving, zero)
        for scale in route.scales:
            self.add(scale, kind="scale")
        key = route.source, route.zero
        if key in self.counted:
            self.weight_bits.setdefault(arriving, max(route.scale_bits, self.counted[key]))
            return
        rows = source_rows(self.graph, route, kind)
        self.counted[key] = rows[0].bits
        self.weight_bits[arriving] = max(route.scale_bits, rows[0].bits)
        self.rows += rows
        if route.zero and not any(source == route.zero for source, _ in self.counted):
            self.add(route.zero, kind="scale")


def setting_row(graph: Graph, name: str) -> StoredTensor:
    """The row of a constant that is no weight: 0, 1 and -1 cost nothing, whole numbers the bits of the largest."""
    elements, bits = math.prod(graph.shapes[name]), type_bits(graph.types[name])
    if name not in graph.stored:
        return StoredTensor(name, elements, elements, bits, 0, "setting")
    values = array_of(graph.stored[name], name)
    if values.dtype == np.int64 and values.size:
        bits = min(bits, max(int(value).bit_length() + 1 for value in values.flat))
    return StoredTensor(name, elements, int((~np.isin(values, (-1, 0, 1))).sum()), bits, 0, "setting")


class Route(NamedTuple):
    """How a constant comes from where it is stored, or from where the file works it out.

    zero: the zero point that is taken off it ("" if none). scales: scales and zero points that it meets. axis, block:
    how a zero point of several numbers lies along it. scale_bits: of scales that few weights share, else 0.
    """

    source: str
    zero: str
    scales: tuple[str, ...]
    axis: int
    block: int
    scale_bits: int


def route_to(graph: Graph, name: str, zero: str) -> Route:
    """Follow a constant back, through DequantizeLinear and what leaves values as they are.

    With a zero point that its user takes off (`zero`) only through Identity.
    """
    axis, block, scale_bits = 1, 0, 0
    scales: tuple[str, ...] = ()
    while name not in graph.stored and (node := graph.producers.get(name)):
        if node.op_type == "DequantizeLinear" and not zero:
            scales += tuple(filter(None, node.input[1:]))
            zero = node.input[2] if len(node.input) > 2 else ""
            count = math.prod(graph.shapes[node.input[1]])
            if count > 1 and count * LEAST_PER_SCALE > math.prod(graph.shapes[node.input[0]]):
                scale_bits = type_bits(graph.types[node.input[1]])
            settings = {attribute.name: attribute.i for attribute in node.attribute}
            axis, block = settings.get("axis", 1), settings.get("block_size", 0)
        elif node.op_type not in SAME_VALUES or (zero and node.op_type != "Identity"):
            break
        name = node.input[0]
    return Route(name, zero, scales, axis, block, scale_bits)


def source_rows(graph: Graph, route: Route, kind: str) -> list[StoredTensor]:
    """The rows of what a route begins with; what the file works out counts in full, with the bits of its type."""
    name = route.source
    values = source_values(graph, route)
    if values is None:
        elements = math.prod(graph.shapes[name])
        return [StoredTensor(name, elements, elements, type_bits(graph.types[name]), 0, kind)]
    rows = weight_rows(name, values, type_bits(graph.stored[name].data_type))
    return [row._replace(kind=kind) if row.kind == "weight" else row for row in rows]


def weight_rows(name: str, values: Array, full_bits: int) -> list[StoredTensor]:
    """The row of a stored tensor, and that of its magnitudes where few distinct values make it smaller.

    full_bits: of an element of its type. Few values: each is ceil(log2(distinct non-zero values)) bits, at least 1.
    """
    distinct, counts = np.unique(values, return_counts=True)
    others = distinct[distinct != 0]
    nonzero = int(counts[distinct != 0].sum())
    row = StoredTensor(name, values.size, nonzero, full_bits, len(others))
    index_bits = max(1, math.ceil(math.log2(max(len(others), 1))))
    magnitudes = len(np.unique(np.abs(others)))
    if len(distinct) > MOST_VALUES or nonzero * index_bits + magnitudes * full_bits >= nonzero * full_bits:
        return [row]
    table = StoredTensor(f"{name}: its values", magnitudes, magnitudes, full_bits, magnitudes, "values")
    return [row._replace(bits=index_bits), table]


def source_values(graph: Graph, route: Route) -> Array | None:
    """A stored tensor with its zero point taken off; None where either is worked out by the file."""
    if route.source not in graph.stored:
        return None
    values = array_of(graph.stored[route.source], route.source)
    if not route.zero:
        return values
    if route.zero not in graph.stored:
        return None
    point, axis = array_of(graph.stored[route.zero], route.zero), route.axis
    if route.block and point.ndim == values.ndim:
        point = np.repeat(point, route.block, axis).take(range(values.shape[axis]), axis)
    elif point.size > 1 and point.ndim == 1:
        sizes = [1] * values.ndim
        sizes[axis] = point.size
        point = point.reshape(sizes)
    return values - point


def array_of(tensor: onnx.TensorProto, name: str) -> Array:
    """A stored tensor's values as numpy's own float64 or int64. Raises OnnxFileError."""
    try:
        values = numpy_helper.to_array(tensor)
        whole = np.issubdtype(values.dtype, np.integer) or "int" in values.dtype.name
        return values.astype(np.int64 if whole else np.float64)
    except Exception as error:
        raise OnnxFileError(f"The tensor {name} cannot be read: {str(error).splitlines()[0]}") from None


def zero_point_of(node: onnx.NodeProto, weight: str) -> str:
    """The name of the zero point that ConvInteger or MatMulInteger take off a weight, "" if there is none."""
    position = 3 if len(node.input) > 1 and node.input[1] == weight else 2
    return node.input[position] if len(node.input) > position else ""
