"""The challenge's score of an ONNX file, and the rules of its divisions. The lower score is the better one.

    score = sum_t nonzero(t) * bits(t) / 32 / 5.6e6  +  sum_op macs(op) * max(q_w, q_a)(op) / 32 / 2.8e8

over tensors and operators, as they are in the file, after the MicroNet challenge (2019).

Tensors: every constant that meets the images at a convolution, linear layer or normalisation, and whatever else
`onnx_files.counted_operators` finds. It is counted as it is stored, also where it arrives through DequantizeLinear,
Transpose, Cast, Identity or Reshape; what the file works out from other constants counts in full, with the bits of
its type. Bits are those of the type, or ceil(log2(distinct non-zero values)), at least 1, where that is smaller and
there are at most 256 distinct values. Then the values themselves must be known too: their magnitudes are a tensor of
their own (BinaryConnect: 1 bit a weight, and one value a tensor). So are the scales and zero points of quantised
weights. A tensor that would not get smaller keeps the bits of its type, so that it never helps to cut one to pieces.
A zero costs nothing; in a quantised tensor that is what equals the zero point.

Operators: those of `counted_operators`, with the bits of their weights and of the activations that reach them. These
are the bits of a quantised tensor where its DequantizeLinear has a constant scale, or one scale for all; else
those of the input's type. A convolution can be written as products and sums: so every product, sum, comparison or
concatenation of two tensors, and every choice by a table, counts one multiply-add for each number that it gives. Free
are only biases, shortcuts and batch norms right behind a convolution or linear layer, which could be a part of it.
Shapes are those of a batch of 100 images, as it is run; a file whose multiply-adds for it are not 100 times those for
one image is refused.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from course_utils.onnx_files.reading import (
    LARGEST_SETTING,
    OnnxFileError,
    check_shapes,
    counted_operators,
    read_onnx,
    tensor_shapes,
)

WEIGHTS_UNIT = 5.6e6  # the course's yardsticks: weights and MACs of 32 bits
MACS_UNIT = 2.8e8
MOST_VALUES = 256
BATCH = 100  # images at a time: for one image alone a file could skip what it does
LEAST_PER_SCALE = 8  # weights that share a scale; with fewer, the bits of the scales are those of the weights
MOST_WIRES = 5_000  # inputs of all operators that the images reach; weights could hide in what is wired to what

ALLOWED = {
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"),
    *("BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"),
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Clip", "Round", "Floor", "Ceil"),
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Tanh"),
    *("Softplus", "Softsign", "Mish", "Gelu", "Erf", "Softmax", "LogSoftmax"),
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sqrt", "Reciprocal", "Neg", "Abs", "Sign", "Exp", "Sum"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"),
    *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Concat", "Split", "Slice", "Pad"),
    *("Expand", "Tile", "Resize", "DepthToSpace", "SpaceToDepth", "Dropout", "Constant", "ConstantOfShape"),
    *("Shape", "Size", "Gather", "Range", "Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
}
_LINEAR = {"Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"}
_NORMALISING = {"BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"}
_MULTIPLYING = {"Mul", "Div", "PRelu", "Where", "QuantizeLinear", "DequantizeLinear", *_NORMALISING}
_COMPARING = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
_SUMMING = {"Add", "Sub", "Max", "Min", "Sum"}
_JOINING = {*_SUMMING, *_COMPARING, "Pow", "Concat", "Gather"}  # no products, but sums can be made of them
_SAME_VALUES = {"Transpose", "Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}
_SAME_BITS = {*_SAME_VALUES - {"Cast"}, "MaxPool"}


class Rules(NamedTuple):
    """What an entry must reach on the test images to count (a share), and who can take part with what."""

    threshold: float
    division: str


RULES = {
    "minicifar": Rules(0.84, "a laptop is enough: everybody takes part"),
    "cifar10": Rules(0.90, "a GPU helps; patience on a laptop does too"),
    "cifar100": Rules(0.80, "needs a GPU: MicroNet's threshold, out of reach of a laptop"),
}


class Tensor(NamedTuple):
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


class Operator(NamedTuple):
    """A row of what is computed for one image; it costs macs * max(q_w, q_a). q_w is 0 where there are no weights."""

    name: str
    op: str
    macs: int
    q_w: int
    q_a: int


class Scored(NamedTuple):
    """What `score_onnx` found; the same file always gives the same numbers.

    weights, nonzero: elements of the weight tensors, and how many of them are not zero. weight_bits: mean bits of
    one that is not. weight_bytes: of all tensors, scales and values included, zeros left out. macs: for one image.
    """

    score: float
    weights: int
    nonzero: int
    weight_bits: float
    weight_bytes: float
    macs: int
    tensors: list[Tensor]
    operators: list[Operator]


def score_onnx(path: str | Path) -> Scored:
    """The score of an ONNX file, and all that it adds up. Raises FileNotFoundError or OnnxFileError."""
    path = Path(path)
    model = read_onnx(path, whole_numbers=True)
    _check(model, path.name)
    try:
        graph = _Graph(model)
        tensors, operators = list(graph.tensors()), list(graph.operators())
        once = sum(operator.macs for operator in counted_operators(model))
    except KeyError as error:
        raise OnnxFileError(f"The shape or type of {error} cannot be worked out from the file.") from None
    if sum(operator.macs for operator in graph.counted) != BATCH * once:
        raise OnnxFileError(
            f"{path.name} does not compute {BATCH} times as much for {BATCH} images as for one: every image must be "
            "classified by itself."
        )
    if graph.wires > MOST_WIRES:
        raise OnnxFileError(
            f"The operators of {path.name} have {graph.wires:,} inputs, in which weights could hide: at most "
            f"{MOST_WIRES:,} are measured."
        )
    check_shapes(model, BATCH)
    stored_bits = sum(row.nonzero * row.bits for row in tensors)
    computed_bits = sum(row.macs * max(row.q_w, row.q_a) for row in operators)
    weights = [row for row in tensors if row.kind == "weight"]
    nonzero = sum(row.nonzero for row in weights)
    return Scored(
        score=stored_bits / 32 / WEIGHTS_UNIT + computed_bits / 32 / MACS_UNIT,
        weights=sum(row.elements for row in weights),
        nonzero=nonzero,
        weight_bits=sum(row.nonzero * row.bits for row in weights) / max(nonzero, 1),
        weight_bytes=stored_bits / 8,
        macs=sum(row.macs for row in operators),
        tensors=tensors,
        operators=operators,
    )


def weight_rows(name: str, values: np.ndarray, type_bits: int) -> list[Tensor]:
    """The row of a stored tensor, and that of its magnitudes where few distinct values make it smaller."""
    found, counts = np.unique(values, return_counts=True)
    other = found[found != 0]
    nonzero = int(counts[found != 0].sum())
    row = Tensor(name, values.size, nonzero, type_bits, len(other))
    index_bits = max(1, math.ceil(math.log2(max(len(other), 1))))
    magnitudes = len(np.unique(np.abs(other)))
    if len(found) > MOST_VALUES or nonzero * index_bits + magnitudes * type_bits >= nonzero * type_bits:
        return [row]
    table = Tensor(f"{name}: its values", magnitudes, magnitudes, type_bits, magnitudes, "values")
    return [row._replace(bits=index_bits), table]


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


def _check(model: onnx.ModelProto, name: str) -> None:
    """What the challenge asks of a file beyond `read_onnx`. Raises OnnxFileError."""
    if sum(one.domain in ("", "ai.onnx") for one in model.opset_import) != 1:
        raise OnnxFileError(f"{name} names more than one set of operators: export it again.")
    for node in model.graph.node:
        if len({attribute.name for attribute in node.attribute}) < len(node.attribute):
            raise OnnxFileError(f"{name} gives a setting of {node.name or node.op_type} twice: export it again.")
        if node.op_type not in ALLOWED:
            raise OnnxFileError(
                f"{name} uses the operator {node.op_type}, which the challenge does not count: build the network "
                "from convolutions, linear layers, normalisations, pooling and the usual activations."
            )
    if model.graph.sparse_initializer:
        raise OnnxFileError(f"{name} has sparse initializers: store those weights in full, zeros cost nothing.")
    made = [tensor.name for tensor in model.graph.initializer]
    if len(set(made)) < len(made):
        raise OnnxFileError(f"{name} gives two tensors the same name: export it again.")
    known = {"", *made, *(value.name for value in model.graph.input)}
    for node in model.graph.node:
        outputs = set(filter(None, node.output))
        if not known.issuperset(node.input) or known & outputs:
            raise OnnxFileError(f"{name} uses a tensor before it is made, or makes one twice: export it again.")
        known |= outputs


class _Graph:
    """A checked graph with all that it takes to say what its tensors and operators cost."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.shapes, self.types = tensor_shapes(model, BATCH)
        self.alone = tensor_shapes(model)[0]  # for one image
        self.producers = {output: node for node in self.nodes for output in node.output}
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.stored[node.output[0]] = node.attribute[0].t
        self.constants = set(self.stored)
        for node in self.nodes:
            if all(not name or name in self.constants for name in node.input):
                self.constants |= set(node.output)
        self.counted = counted_operators(model, BATCH)
        self.wires = sum(len(node.input) for node in self.nodes if not self.constants.issuperset(node.output))
        self.bits: dict[str, int] = {}  # of the weights that arrive somewhere, by the name that they arrive under
        self.stored_bits: dict[tuple[str, str], int] = {}  # by the name of what is stored and of its zero point

    def tensors(self) -> Iterator[Tensor]:
        """The rows of everything stored, each tensor once."""
        seen: set[tuple[str, str]] = set()
        for operator in self.counted:
            whole_numbers = operator.node.op_type in ("ConvInteger", "MatMulInteger")
            for name in operator.weights:
                zero = self.zero_point_of(operator.node, name) if whole_numbers else ""
                yield from self.rows(name, zero, seen, name)

    def zero_point_of(self, node: Any, weight: str) -> str:
        """The name of the zero point that ConvInteger or MatMulInteger take off a weight, "" if there is none."""
        position = 3 if len(node.input) > 1 and node.input[1] == weight else 2
        return node.input[position] if len(node.input) > position else ""

    def rows(self, name: str, zero: str, seen: set[tuple[str, str]], arriving: str, kind: str = "weight") -> Any:
        """The rows of a constant, followed back to where it is stored; `arriving` is what its user calls it."""
        axis, block, scale_bits = 1, 0, 0
        while name not in self.stored and (node := self.producers.get(name)):
            if node.op_type == "DequantizeLinear" and not zero:
                for scale in node.input[1:]:
                    if scale:
                        yield from self.rows(scale, "", seen, scale, "scale")
                zero = node.input[2] if len(node.input) > 2 else ""
                scales = math.prod(self.shapes[node.input[1]])
                if scales > 1 and scales * LEAST_PER_SCALE > math.prod(self.shapes[node.input[0]]):
                    scale_bits = type_bits(self.types[node.input[1]])
                settings = {attribute.name: attribute.i for attribute in node.attribute}
                axis, block = settings.get("axis", 1), settings.get("block_size", 0)
            elif node.op_type not in _SAME_VALUES or (zero and node.op_type != "Identity"):
                break
            name = node.input[0]
        if (name, zero) in seen:
            self.bits.setdefault(arriving, max(scale_bits, self.stored_bits.get((name, zero), 32)))
            return
        seen.add((name, zero))
        values = self.values(name, zero, axis, block) if name in self.stored else None
        if values is None:
            elements = math.prod(self.shapes[name])
            found = [Tensor(name, elements, elements, type_bits(self.types[name]), 0, kind)]
        else:
            found = weight_rows(name, values, type_bits(self.stored[name].data_type))
            found = [row._replace(kind=kind) if row.kind == "weight" else row for row in found]
        self.stored_bits[name, zero] = found[0].bits
        self.bits[arriving] = max(scale_bits, found[0].bits)
        yield from found
        if zero and not any(key[0] == zero for key in seen):
            yield from self.rows(zero, "", seen, zero, "scale")

    def values(self, name: str, zero: str, axis: int, block: int) -> np.ndarray | None:
        """A stored tensor with its zero point taken off; None where that is worked out by the file."""
        values = self.array(name)
        if not zero:
            return values
        if zero not in self.stored:
            return None
        point = self.array(zero)
        if block and point.ndim == values.ndim:
            point = np.repeat(point, block, axis).take(range(values.shape[axis]), axis)
        elif point.size > 1 and point.ndim == 1:
            sizes = [1] * values.ndim
            sizes[axis] = point.size
            point = point.reshape(sizes)
        return values - point

    def array(self, name: str) -> np.ndarray:
        """A stored tensor's values as numpy's own float64 or int64."""
        try:
            values = numpy_helper.to_array(self.stored[name])
            whole = np.issubdtype(values.dtype, np.integer) or "int" in values.dtype.name
            return values.astype(np.int64 if whole else np.float64)
        except Exception as error:
            raise OnnxFileError(f"The tensor {name} cannot be read: {str(error).splitlines()[0]}") from None

    def operators(self) -> Iterator[Operator]:
        """The rows of everything computed. `tensors` comes first: it finds the weights' bits."""
        linear = {id(operator.node): operator for operator in self.counted if operator.node.op_type in _LINEAR}
        for node in self.nodes:
            if node.output and node.output[0] in self.constants:
                continue
            factors = list(node.input[:2]) if node.op_type in _LINEAR else list(filter(None, node.input))
            macs = linear[id(node)].macs // BATCH if id(node) in linear else self.products(node)
            if not macs:
                continue
            weights = [name for name in factors if name in self.constants]
            q_w = max((self.bits.get(name) or type_bits(self.types[name]) for name in weights), default=0)
            q_a = max((self.activation_bits(name) for name in factors if name not in self.constants), default=0)
            yield Operator(node.name or node.output[0], node.op_type, macs, q_w, q_a)

    def products(self, node: Any) -> int:
        """Multiply-adds of an operator that is neither a convolution nor a linear layer.

        What is computed once for a whole batch counts as if it were for one image.
        """
        tensors = [name for name in node.input if name and math.prod(self.shapes.get(name, (2, 2))) > 1]
        if node.op_type not in _MULTIPLYING | _JOINING or len(tensors) < 2:
            return 0
        output = node.output[0]
        if output not in self.shapes or output not in self.alone:
            raise OnnxFileError(f"The shape of {output} cannot be worked out from the file.")
        numbers = math.prod(self.shapes[output])
        if node.op_type in ("Add", "Sub", "BatchNormalization"):
            if any(self.right_behind_linear(name) and math.prod(self.shapes[name]) == numbers for name in tensors):
                return 0
        elif node.op_type in _JOINING and numbers <= LARGEST_SETTING and not self.is_real(output):
            return 0  # a shape
        numbers = max(math.ceil(numbers / BATCH), math.prod(self.alone[output]))
        return numbers * (len(tensors) - 1 if node.op_type in _SUMMING else 1)

    def is_real(self, name: str) -> bool:
        return "FLOAT" in TensorProto.DataType.Name(self.types[name]) or self.types[name] == TensorProto.DOUBLE

    def right_behind_linear(self, name: str) -> bool:
        """Whether a tensor is what a convolution or linear layer gave, at most times one number or rounded."""
        while node := self.producers.get(name):
            if node.op_type in _LINEAR:
                return name not in self.constants
            single = [factor for factor in node.input if math.prod(self.shapes.get(factor, (2, 2))) == 1]
            others = [factor for factor in node.input if factor not in single]
            scaled = node.op_type in ("Mul", "QuantizeLinear", "DequantizeLinear") and len(others) == 1 and single
            if node.op_type != "Cast" and not scaled:
                return False
            name = others[0] if others else node.input[0]
        return False

    def activation_bits(self, name: str) -> int:
        """Bits of what reaches an operator: those of its quantised form, if its scale cannot carry more; else of its type."""
        least = type_bits(self.types[name])
        while (node := self.producers.get(name)) and node.op_type in _SAME_BITS:
            name = node.input[0]
        if node and node.op_type == "DequantizeLinear":
            one_or_constant = [self.shapes.get(s) == () or s in self.constants for s in node.input[1:] if s]
            if all(one_or_constant):
                return min(least, type_bits(self.types[node.input[0]]))
        return least
