"""ONNX files: how a network is handed in and measured. Nothing that a file says of itself is believed."""

import contextlib
import copy
import hashlib
import io
import json
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto

from course_utils.files import atomic

OPSET = 18
LARGEST_MEGABYTES = 50
LARGEST_TENSOR = 20_000_000
INPUT_SHAPE = (3, 32, 32)
MEMORISED = 0.15  # of accuracy lost on moved images: the baseline loses 0.01, a table of the test images nearly all
LARGEST_SETTING = 16  # whole numbers in one constant, such as a shape, axes or padding: no weight
MOST_SETTINGS = 2_000  # of those and single numbers in a whole file; with more of them all count as weights

# Operators whose multiply-adds and weights are counted, and which of their inputs are weights.
_COUNTED = {
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
# Operators that multiply by weights, or could hide some, and are not counted: a file with them is refused.
_REFUSED = {
    *("If", "Loop", "Scan", "SequenceMap", "Einsum", "RNN", "GRU", "LSTM", "DeformConv", "Attention"),
    *("QLinearConv", "QLinearMatMul"),
}
_WHOLE_NUMBERS = {"ConvInteger", "MatMulInteger"}  # counted in the challenge, where bit widths are; refused in labs


class OnnxFileError(Exception):
    """A file that cannot be measured; the message says why in one sentence."""


class Measured(NamedTuple):
    """What `measure_onnx` found.

    parameters: elements of the constants that meet the images, above all at convolutions, linear layers and
    normalisations (biases included).
    nonzero: those of them that are not zero; a constant that the file works out from others counts as a whole.
    macs: multiply-adds of convolutions and linear layers for one image, bias not counted.
    accuracy, loss: share of images classified correctly (0 to 1) and mean cross-entropy; None without images.
    fingerprint: of the images that it was trained on, as the file tells ("" when it does not).
    megabytes: size of the file, in units of 10^6 bytes.
    """

    parameters: int
    nonzero: int
    macs: int
    accuracy: float | None
    loss: float | None
    fingerprint: str
    megabytes: float


class Operator(NamedTuple):
    """One node of a graph, its multiply-adds for one image, and the names of the weights there."""

    node: Any
    macs: int
    weights: tuple[str, ...]


def export_onnx(network: Any, path: str | Path, images: Any = None, image_size: Sequence[int] = INPUT_SHAPE) -> Path:
    """Write `network` as one ONNX file with input "images" (N, 3, 32, 32) and output "logits" (N, classes).

    Any batch size N; float32, normalised as the loaders do; batch norms are folded into the convolutions
    before them. `image_size` (C, H, W): other images than 32×32. `images` is the data set that the network was trained on: the file carries its fingerprint.
    The network itself is left alone. Returns the path.
    """
    import torch

    network = copy.deepcopy(network).cpu().float().eval()
    network.to(memory_format=torch.contiguous_format)  # in the one that training uses, pooling is exported as indexing
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *image_size),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
    entries = {"made_by": "pruning-labs", "recipe": json.dumps(getattr(network, "recipe", None))}
    if images is not None:
        entries |= {"fingerprint": images.fingerprint, "images": images.source.description}
    onnx.helper.set_model_props(model, entries)
    with atomic(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
    return Path(path)


def measure_onnx(path: str | Path, images: Any = None) -> Measured:
    """Count the weights and multiply-adds in an ONNX file and, with a data set, run it on the images.

    Batch norms that an export folded away are not there to be counted; one that is left counts its scale,
    bias, mean and variance. Raises FileNotFoundError, and OnnxFileError for a file that cannot be measured.
    """
    model = read_onnx(path)
    operators = counted_operators(model)
    shapes, _ = tensor_shapes(model)
    weights = {name for operator in operators for name in operator.weights}
    accuracy, loss = run_onnx(path, images) if images is not None else (None, None)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    sizes = {name: math.prod(shapes[name]) for name in weights}
    return Measured(
        parameters=sum(sizes.values()),
        nonzero=sum(int(np.count_nonzero(stored[name])) if name in stored else sizes[name] for name in weights),
        macs=sum(operator.macs for operator in operators),
        accuracy=accuracy,
        loss=loss,
        fingerprint={entry.key: entry.value for entry in model.metadata_props}.get("fingerprint", ""),
        megabytes=Path(path).stat().st_size / 1e6,
    )


def comparable(measured: Measured, images: Any) -> bool:
    """Whether a file's network was trained on the same images as it is measured on."""
    return measured.fingerprint == images.fingerprint


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
        model = onnx.ModelProto.FromString(path.read_bytes())
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
    for node in model.graph.node:
        refused = node.op_type in _REFUSED or (node.op_type in _WHOLE_NUMBERS and not whole_numbers)
        if node.domain not in ("", "ai.onnx") or refused:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise OnnxFileError(f"{path.name} uses the operator {name}, which the course does not count.")
    names = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in names]
    shape = _declared(inputs[0]) if len(inputs) == 1 else None
    if shape is None or len(shape) != 4 or tuple(shape[1:]) != INPUT_SHAPE:
        raise OnnxFileError(f"{path.name} must take one input of shape (N, 3, 32, 32); it takes {_say(inputs)}.")
    if isinstance(shape[0], int):
        raise OnnxFileError(
            f"{path.name} takes exactly {shape[0]} images at a time: export it with a dynamic batch size."
        )
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise OnnxFileError(f"{path.name} must take float32 images.")
    if len(model.graph.output) != 1:
        raise OnnxFileError(f"{path.name} must have one output, the logits; it has {len(model.graph.output)}.")
    return model


def counted_operators(model: onnx.ModelProto, batch: int = 1) -> list[Operator]:
    """Every operator at which weights meet the images, with its weights and its multiply-adds for a batch of images.

    A weight is a constant tensor as it arrives, also where it comes through Transpose, Cast or
    DequantizeLinear. At other operators than convolutions, linear layers and normalisations a constant is a
    weight if it has more than one floating-point number, or more than 16 whole ones (PRelu's slopes, say, but no
    axes and no clipping limits); a file with thousands of smaller ones hides weights in them, so they count too.
    Raises OnnxFileError where sizes are not known or weights depend on the images.
    """
    shapes, types = tensor_shapes(model, batch)
    constants = {tensor.name for tensor in model.graph.initializer}
    operators: list[Operator] = []
    settings: list[Operator] = []
    for node in model.graph.node:
        if all(not name or name in constants for name in node.input):
            constants |= set(node.output)
            continue
        arriving = [name for name in node.input if name in constants]
        try:
            if node.op_type not in _COUNTED:
                for name in arriving:
                    most = 1 if types.get(name) in _FLOATING else LARGEST_SETTING
                    place = operators if math.prod(shapes[name]) > most else settings
                    place.append(Operator(node, 0, (name,)))
                continue
            weights = [node.input[p] for p in _COUNTED[node.op_type] if p < len(node.input) and node.input[p]]
            if node.op_type in ("MatMul", "MatMulInteger"):
                weights = [name for name in weights if name in constants]
            elif not set(weights) <= constants:
                raise OnnxFileError(f"The weights of {node.name or node.op_type} depend on the images.")
            for name in weights:
                math.prod(shapes[name])
            operators.append(Operator(node, _macs(node, shapes), tuple(weights)))
        except KeyError as error:
            raise OnnxFileError(f"The shape of {error} cannot be worked out from the file.") from None
    small = {name for operator in settings for name in operator.weights}
    return operators + (settings if sum(math.prod(shapes[name]) for name in small) > MOST_SETTINGS else [])


def moved_accuracy(path: str | Path, images: Any) -> float:
    """On every eighth image, mirrored and moved by up to 4 pixels at random, as in training.

    By how much follows from the file's own bytes: nobody can know it before the file is written. Raises OnnxFileError.
    """
    sample = copy.copy(images)
    sample.images, sample.labels = images.images[::8], images.labels[::8]
    seed = int(hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8], 16)
    return run_onnx(path, sample, augment=True, seed=seed)[0]


def run_onnx(path: str | Path, images: Any, augment: bool = False, seed: int = 0) -> tuple[float, float]:
    """Accuracy (0 to 1) and mean cross-entropy of an ONNX file on a data set, by ONNX Runtime on the CPU.

    The images come mixed, in an order drawn from a seed, so that a batch's other images say nothing about an image's class.
    `augment`: on the images moved and mirrored at random, as in training; `seed`: of this and the order. Raises OnnxFileError.
    """
    import onnxruntime
    import torch

    from minicifar import Loader

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others may need the processor
    correct, loss, count = 0, 0.0, 0
    try:
        session = onnxruntime.InferenceSession(Path(path).read_bytes(), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for batch, labels in Loader(images, batch_size=100, shuffle=True, augment=augment, seed=seed):
            (logits,) = session.run(None, {name: np.ascontiguousarray(batch.numpy(), dtype=np.float32)})
            wanted = (len(labels), len(images.classes))
            if getattr(logits, "shape", None) != wanted:
                raise OnnxFileError(
                    f"For {wanted[0]} images of {wanted[1]} classes the output must have the shape {wanted}; "
                    f"it has {getattr(logits, 'shape', None)}."
                )
            logits = logits.astype(np.float64)
            if not np.isfinite(logits).all():
                raise OnnxFileError("The network's outputs are not all finite numbers.")
            truth = labels.numpy()
            correct += int((logits.argmax(1) == truth).sum())
            logits -= logits.max(1, keepdims=True)
            log_sums = np.log(np.exp(logits).sum(1))
            loss += float((log_sums - logits[np.arange(len(truth)), truth]).sum())
            count += len(truth)
    except OnnxFileError:
        raise
    except Exception as error:
        raise OnnxFileError(f"ONNX Runtime cannot run the file: {str(error).splitlines()[0]}") from None
    return correct / count, loss / count


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
        found = session.run(None, {session.get_inputs()[0].name: black})
    except Exception as error:
        raise OnnxFileError(f"ONNX Runtime cannot run the file: {str(error).splitlines()[0]}") from None
    for (name, shape), actual in zip(expected.items(), found, strict=True):
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's warnings, log lines and prints away from a student's notebook."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(before)
