"""Fewer bits for an ONNX file: int8 by ONNX Runtime, or weights of 1 to 8 bits."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from course_utils.challenge.errors import ChallengeError
from course_utils.onnx_files.export import quiet
from minicifar import ImageSet, Loader
from minicifar.files import atomic


def quantize_static(
    path: str | Path, images: ImageSet, output: str | Path | None = None, per_channel: bool = False, count: int = 200
) -> Path:
    """Weights and activations in int8 (QuantizeLinear and DequantizeLinear, by ONNX Runtime) → the new file.

    `images` are training images: `count` of them, from all classes, show how large the activations get. `output`: by
    default beside the file, with "-int8" in its name. Jacob et al. 2018.
    """
    from onnxruntime import quantization

    sample = copy.copy(images)
    step = max(1, len(images.labels) // count)
    sample.images, sample.labels = images.images[::step], images.labels[::step]

    class Reader(quantization.CalibrationDataReader):
        def __init__(self, name: str) -> None:
            self.name, self.batches = name, iter(Loader(sample, batch_size=50))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {self.name: np.ascontiguousarray(batch[0].numpy(), np.float32)}

    def run(model: onnx.ModelProto, temporary: str) -> None:
        reader = Reader(model.graph.input[0].name)
        quantization.quantize_static(model, temporary, reader, per_channel=per_channel)

    return _quantized(path, output, "int8", run)


def quantize_dynamic(path: str | Path, output: str | Path | None = None, per_channel: bool = False) -> Path:
    """Weights in int8, activations in 8 bits with a scale found anew for every batch (by ONNX Runtime) → the new file.

    `output`: by default beside the file, with "-dynamic" in its name.
    """
    from onnxruntime import quantization

    def run(model: onnx.ModelProto, temporary: str) -> None:
        quantization.quantize_dynamic(model, temporary, per_channel=per_channel)

    return _quantized(path, output, "dynamic", run)


def quantize_weights(
    path: str | Path, bits: int, output: str | Path | None = None, leave: Sequence[str] = (), per_channel: bool = True
) -> Path:
    """Only the weights, in at most 2^bits - 1 levels and one scale a filter (or a tensor) → the new file.

    With bits=1 there are two levels, and 0. It is BinaryConnect's form: sign(w) times the mean of |w|; zeros stay
    zeros. More bits: the multiples of max|w| / (2^(bits-1) - 1). They are stored as int8 and computed with in float32.
    `leave` names weights that stay as they are; `output`: by default beside the file, with "-w1" (the bits) in its
    name. Biases and normalisations stay float32. A network that was not trained for it loses much accuracy below 4
    bits. Courbariaux et al. 2015.
    """
    if bits not in range(1, 9):
        raise ChallengeError(f"bits= is a whole number from 1 to 8, not {bits!r}.")

    def run(model: onnx.ModelProto, temporary: str) -> None:
        stored = {tensor.name: tensor for tensor in model.graph.initializer}
        axes = {name: axis for name, axis in _weight_axes(model.graph.node) if name in stored and name not in leave}
        axes = {name: axis for name, axis in axes.items() if axis < len(stored[name].dims)}
        nodes = []
        for name, axis in axes.items():
            weight = numpy_helper.to_array(stored[name]).astype(np.float32)
            levels, scale = levels_and_scale(weight, bits, axis if per_channel else None)
            model.graph.initializer.remove(stored[name])
            parts = [(levels, f"{name}_levels"), (scale, f"{name}_scale")]
            model.graph.initializer.extend(numpy_helper.from_array(array, part) for array, part in parts)
            settings: dict[str, Any] = {"axis": axis} if scale.ndim else {}
            nodes.append(helper.make_node("DequantizeLinear", [part for _, part in parts], [name], **settings))
        rest = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *rest])
        Path(temporary).write_bytes(model.SerializeToString())

    return _quantized(path, output, f"w{bits}", run)


def levels_and_scale(weight: np.ndarray, bits: int, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers of weight's shape (int8), and the scale by which they are multiplied: (C,) along `axis`, or ()."""
    others = None if axis is None else tuple(n for n in range(weight.ndim) if n != axis)
    size = np.abs(weight)
    if bits == 1:
        scale = size.sum(others, keepdims=True) / np.maximum((size > 0).sum(others, keepdims=True), 1)
        levels = np.sign(weight)
    else:
        most = 2 ** (bits - 1) - 1
        scale = size.max(others, keepdims=True) / most
        levels = np.round(weight / np.where(scale > 0, scale, 1)).clip(-most, most)
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return levels.astype(np.int8), scale.reshape(() if axis is None else -1)


def _weight_axes(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[str, int]]:
    """Names of what convolutions and linear layers multiply by, and the axis of a weight that counts its outputs."""
    for node in nodes:
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            yield node.input[1], {"Conv": 0, "Gemm": 0 if transposed else 1}.get(node.op_type, 1)


def _quantized(
    path: str | Path, output: str | Path | None, suffix: str, run: Callable[[onnx.ModelProto, str], None]
) -> Path:
    """Load a float file, let `run(model, path)` write its quantised form, and put that in its place."""
    path = Path(path)
    if not path.is_file():
        raise ChallengeError(f"There is no file {path}: export the network first, with course_utils.onnx_files.")
    output = path.with_name(f"{path.stem}-{suffix}.onnx") if output is None else Path(output)
    model = onnx.load(path)
    if any("quantize" in node.op_type.lower() or "Integer" in node.op_type for node in model.graph.node):
        raise ChallengeError(f"{path.name} is quantised already: give the file with float32 weights.")
    about = {entry.key: entry.value for entry in model.metadata_props}
    del model.graph.value_info[:]  # shapes of weights that quantisation may turn round
    with atomic(output) as temporary, quiet():
        run(model, str(temporary))
        made = onnx.load(temporary)
        helper.set_model_props(made, about)
        temporary.write_bytes(made.SerializeToString())
    return output
