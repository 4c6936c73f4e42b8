"""What an ONNX file is worth: parameters and multiply-accumulates counted, accuracy by running it."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.numpy_helper

from course_utils.onnx_files.reading import LAYERS, counted_operators, read_onnx, tensor_shapes
from course_utils.onnx_files.running import run_onnx


class Measured(NamedTuple):
    """What `measure_onnx` found.

    parameters: elements of the constants that meet the images, above all at convolutions, linear layers and
    normalisations (biases included).
    nonzero: those of them that are not zero; a constant that the file works out from others counts as a whole.
    macs: multiply-adds of convolutions and linear layers for one image, bias not counted.
    accuracy, loss: share of images classified correctly (0 to 1) and mean cross-entropy; None without images.
    fingerprint: of the images that it was trained on, as the file tells ("" when it does not).
    megabytes: size of the file, in units of 10^6 bytes.
    layer_parameters: those of the parameters at convolutions, linear layers and normalisations.
    """

    parameters: int
    nonzero: int
    macs: int
    accuracy: float | None
    loss: float | None
    fingerprint: str
    megabytes: float
    layer_parameters: int = 0


def measure_onnx(path: str | Path, images: Any = None) -> Measured:
    """Count the weights and multiply-adds in an ONNX file and, with a data set, run it on the images.

    Batch norms that an export folded away are not there to be counted; one that is left counts its scale,
    bias, mean and variance. Raises FileNotFoundError, and OnnxFileError for a file that cannot be measured.
    """
    model = read_onnx(path)
    operators = counted_operators(model)
    shapes, _ = tensor_shapes(model)
    weights = {name for operator in operators for name in operator.weights}
    in_layers = {name for operator in operators if operator.node.op_type in LAYERS for name in operator.weights}
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
        layer_parameters=sum(sizes[name] for name in in_layers),
    )


def comparable(measured: Measured, images: Any) -> bool:
    """Whether a file's network was trained on the same images as it is measured on."""
    return bool(measured.fingerprint == images.fingerprint)
