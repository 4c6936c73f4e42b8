"""What is in an ONNX file: its graph, checked, and the operators at which weights meet the images."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto

from course_utils.onnx_files.export import INPUT_SHAPE
from course_utils.onnx_files.operators import refused_because, shaping

LARGEST_MEGABYTES = 50
LARGEST_TENSOR = 20_000_000
LARGEST_SETTING = 16  # whole numbers in one constant, such as a shape, axes or padding: no weight
MOST_SETTINGS = 300  # of those and single numbers that are computed with; with more of them all count as weights
MOST_SHAPES = 2_000  # numbers that only say where and of what size

# Operators whose multiply-adds and weights are counted, and which of their inputs are weights.
LAYERS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (0, 1),
    "ConvInteger": (1,),
    "MatMulInteger": (0, 1),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
}
_FLOATING = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
_WHOLE_NUMBERS = {"ConvInteger", "MatMulInteger"}  # counted in the challenge, where bit widths are; refused in labs


class OnnxFileError(Exception):
    """A file that cannot be measured; the message says why in one sentence."""


class Operator(NamedTuple):
    """One node of a graph, its multiply-adds for one image, and the names of the weights there."""

    node: Any
    macs: int
    weights: tuple[str, ...]


def read_onnx(path: str | Path, whole_numbers: bool = False) -> onnx.ModelProto:
    """The graph of an ONNX file, checked. Raises FileNotFoundError or OnnxFileError.

    `whole_numbers`: it may use ConvInteger and MatMulInteger, which dynamic quantisation makes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: run the cell above that exports it first.")
    megabytes = path.stat().st_size / 1e6
    if megabytes > LARGEST_MEGABYTES:
        raise OnnxFileError(f"{path.name} has {megabytes:.0f} MB; at most {LARGEST_MEGABYTES} MB are measured.")
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(path.read_bytes())
    except Exception:
        raise OnnxFileError(f"{path.name} is not an ONNX file, or was cut short: export it again.") from None
    if not model.graph.node or not model.graph.output:
        raise OnnxFileError(f"{path.name} holds no network: export it again.")
    if any(_outside(tensor) for tensor in _all_tensors(model.graph)):
        raise OnnxFileError(
            f"{path.name} keeps its weights in another file: export it as one file (external_data=False)."
        )
    if model.functions:
        raise OnnxFileError(f"{path.name} defines functions of its own: export it with the operators written out.")
    if why := refused_because(model.graph.node):
        raise OnnxFileError(f"{path.name} {why}: build it from layers, normalisations, pooling and activations.")
    for node in model.graph.node:
        if node.op_type in _WHOLE_NUMBERS and not whole_numbers:
            raise OnnxFileError(f"{path.name} uses the operator {node.op_type}, which the course does not count.")
    if any(tensor.data_type == TensorProto.STRING for tensor in model.graph.initializer):
        raise OnnxFileError(f"{path.name} holds text among its weights.")
    check_ends(model, path.name)
    return model


def check_ends(model: onnx.ModelProto, file: str) -> None:
    """Raise OnnxFileError unless a graph takes float32 images of any number, and has one output."""
    names = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in names]
    shape = _declared(inputs[0]) if len(inputs) == 1 else None
    if shape is None or len(shape) != 4 or tuple(shape[1:]) != INPUT_SHAPE:
        raise OnnxFileError(f"{file} must take one input of shape (N, 3, 32, 32); it takes {_say(inputs)}.")
    if isinstance(shape[0], int):
        raise OnnxFileError(f"{file} takes exactly {shape[0]} images at a time: export it with a dynamic batch size.")
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise OnnxFileError(f"{file} must take float32 images.")
    if len(model.graph.output) != 1:
        raise OnnxFileError(f"{file} must have one output, the logits; it has {len(model.graph.output)}.")


class Met(NamedTuple):
    """Where constants meet the images: at operators that are counted, in settings, and in what only gives shapes."""

    counted: list[Operator]
    settings: list[Operator]
    shapes: list[Operator]


def counted_operators(model: onnx.ModelProto, batch: int = 1) -> list[Operator]:
    """Every operator at which weights meet the images, with its weights and its multiply-adds for a batch of images.

    A weight is a constant tensor as it arrives, also where it comes through Transpose, Cast or
    DequantizeLinear. At other operators than convolutions, linear layers and normalisations a constant is a
    weight if it has more than one floating-point number, or more than 16 whole ones (PRelu's slopes, say, but no
    axes and no clipping limits); a file with hundreds of smaller ones hides weights in them, so they count too.
    Raises OnnxFileError where sizes are not known or weights depend on the images.
    """
    met = meetings(model, batch)
    shapes, _ = tensor_shapes(model, batch)

    def numbers(operators: list[Operator]) -> int:
        return sum(math.prod(shapes[name]) for name in {name for operator in operators for name in operator.weights})

    many = numbers(met.settings) > MOST_SETTINGS or numbers(met.shapes) > MOST_SHAPES
    return [*met.counted, *(met.settings + met.shapes if many else [])]


def meetings(model: onnx.ModelProto, batch: int = 1) -> Met:
    """Where the constants of a graph meet the images. Raises OnnxFileError; see `counted_operators`."""
    shapes, types = tensor_shapes(model, batch)
    constants = {tensor.name for tensor in model.graph.initializer}
    met = Met([], [], [])
    for node in model.graph.node:
        if all(not name or name in constants for name in node.input):
            constants |= set(node.output)
            continue
        try:
            if node.op_type in LAYERS:
                met.counted.append(_layer(node, constants, shapes))
                continue
            for name in (name for name in node.input if name in constants):
                most = 1 if types.get(name) in _FLOATING else LARGEST_SETTING
                small = met.shapes if name in shaping(node) else met.settings
                place = met.counted if math.prod(shapes[name]) > most else small
                place.append(Operator(node, 0, (name,)))
        except KeyError as error:
            raise OnnxFileError(f"The shape of {error} cannot be worked out from the file.") from None
    return met


def _layer(node: Any, constants: set[str], shapes: dict[str, tuple[int, ...]]) -> Operator:
    """A convolution, linear layer or normalisation with its weights. Raises OnnxFileError, and KeyError."""
    weights = [node.input[p] for p in LAYERS[node.op_type] if p < len(node.input) and node.input[p]]
    if node.op_type in ("MatMul", "MatMulInteger"):
        weights = [name for name in weights if name in constants]
    elif not set(weights) <= constants:
        raise OnnxFileError(f"The weights of {node.name or node.op_type} depend on the images.")
    for name in weights:
        math.prod(shapes[name])
    return Operator(node, _macs(node, shapes), tuple(weights))


def tensor_shapes(model: onnx.ModelProto, batch: int = 1) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Shapes of all tensors for a batch of images, and the types of their elements (`TensorProto.FLOAT`, …).

    Both are worked out anew: what the file says about them is thrown away.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    names = {tensor.name for tensor in bare.graph.initializer}
    for value in bare.graph.input:
        if value.name not in names:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        raise OnnxFileError(f"The graph's shapes do not fit together: {str(error).splitlines()[0]}") from None
    shapes = {tensor.name: tuple(tensor.dims) for tensor in bare.graph.initializer}
    types = {tensor.name: tensor.data_type for tensor in bare.graph.initializer}
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        shape = _declared(value)
        types.setdefault(value.name, value.type.tensor_type.elem_type)
        if shape is not None and all(isinstance(size, int) for size in shape):
            shapes.setdefault(value.name, tuple(int(size) for size in shape))
    if max(map(math.prod, shapes.values())) > LARGEST_TENSOR * batch:
        raise OnnxFileError(f"A tensor of the graph has more than {LARGEST_TENSOR:,} elements for one image.")
    return shapes, types


def check_shapes(model: onnx.ModelProto, batch: int = 1) -> None:
    """Run a batch of black images, and see that all tensors have the shapes that were worked out. Raises OnnxFileError.

    What is worked out can be led astray: a whole number that is cast to 8 bits and back is taken for the same number.
    """
    import onnxruntime

    made = {name for node in model.graph.node for name in node.output}
    expected = {name: shape for name, shape in tensor_shapes(model, batch)[0].items() if name in made}
    looking = onnx.ModelProto()
    looking.CopyFrom(model)
    del looking.graph.output[:]
    for n, name in enumerate(expected):
        looking.graph.node.append(onnx.helper.make_node("Shape", [name], [f"the shape {n} of {name}"]))
        output = onnx.helper.make_tensor_value_info(f"the shape {n} of {name}", TensorProto.INT64, None)
        looking.graph.output.append(output)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # or it trusts them as well
    black = np.zeros((batch, *INPUT_SHAPE), np.float32)
    try:
        session = onnxruntime.InferenceSession(looking.SerializeToString(), options, providers=["CPUExecutionProvider"])
        actual_shapes = session.run(None, {session.get_inputs()[0].name: black})
    except Exception as error:
        raise OnnxFileError(f"ONNX Runtime cannot run the file: {str(error).splitlines()[0]}") from None
    for (name, shape), actual in zip(expected.items(), actual_shapes, strict=True):
        if tuple(actual) != shape:
            raise OnnxFileError(
                f"The tensor {name} has the shape {tuple(map(int, actual))} when the file is run, and {shape} by its "
                "operators' rules: export it without computing with shapes."
            )


def _macs(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """Multiply-adds of one node; 0 for a normalisation."""
    output, first = shapes[node.output[0]], shapes[node.input[0]]
    if node.op_type in ("Conv", "ConvInteger"):
        return math.prod(output) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(shapes[node.input[1]][1:])
    if node.op_type in ("MatMul", "MatMulInteger"):
        return math.prod(output) * first[-1]
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return math.prod(output) * first[0 if transposed else 1]
    return 0


def _declared(value: Any) -> list[int | str] | None:
    """Shape that a graph declares for a value, a name or "?" where it is open; None when it says nothing."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in value.type.tensor_type.shape.dim
    ]


def _say(values: Any) -> str:
    return ", ".join(f"{value.name} {tuple(_declared(value) or '?')}" for value in values) or "none"


def _outside(tensor: Any) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL or len(tensor.external_data) > 0


def _all_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _all_tensors(inner)
