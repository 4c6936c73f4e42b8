"""Rules of layers: convolutions, matrix products, normalisations, and what works on each number alone."""

import numpy as np
import onnx

from solutions.graph.reading import (
    Reading,
    Value,
    attribute,
    axes_of,
    given,
    lying_along,
    unknown,
)
from solutions.graph.rules.joins import elementwise, joined

FIXED = "{} reads a fixed number of channels there (the network's input?)"
ARRANGED = "{} reads channels that are arranged in another way"


def same_shape(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """One number in, one number out: every channel passes."""
    return [Value(inputs[0].shape, list(inputs[0].marks)), *(Value(inputs[0].shape) for _ in node.output[1:])]


def spatial(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Works on every feature map by itself (pooling, resizing): hands channels on, freezes what lies in the pixels."""
    stay = reading.keep_only(inputs[0], (0, 1), f"{node.op_type} mixes pixels that belong to channels")
    shape = reading.shapes.get(node.output[0], inputs[0].shape)
    if len(shape) > 1 and shape[1] != inputs[0].shape[1]:
        reading.freeze_all(inputs, f"{node.op_type} changes the number of channels")
        stay = []
    return [Value(shape, list(stay)) for _ in node.output]


def contraction(reading: Reading, channels: np.ndarray | None, weights: np.ndarray | None, op: str) -> None:
    """The input slices of a layer's weight read these channels: tied, or both frozen where they are not as many."""
    if weights is None:
        reading.freeze(channels, f"{op} reads it with a weight that is computed")
        return
    if channels is None or len(channels) != len(weights):
        reading.freeze(weights, FIXED.format(op))
        reading.freeze(channels, ARRANGED.format(op))
    else:
        reading.tie(channels, weights)
    reading.read.append(weights)


def making(reading: Reading, filters: np.ndarray | None) -> np.ndarray | None:
    """The same marks, noted as what a layer makes."""
    if filters is not None:
        reading.made.append(filters)
    return filters


def conv(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """A convolution or transposed convolution: hands on what its filters make, with the bias tied to it.

    Freezes channels that lie along a spatial axis, and everything where the weight is computed from the input.
    """
    op, groups = node.op_type, attribute(node, "group", 1)
    maps, weight = inputs[0], inputs[1]
    passing = reading.keep_only(maps, (0, 1), f"{op} mixes pixels that belong to channels")
    channels = Value(maps.shape, passing).on(1)
    if weight.marks and not weight.weight:
        reading.freeze_all([weight, Value((), passing)], f"{op} has a weight that depends on the input")
    reader, filters = (0, 1) if op == "ConvTranspose" else (1, 0)  # axes of the weight
    if groups == 1:
        contraction(reading, channels, weight.on(reader), op)
        made = making(reading, weight.on(filters))
    elif groups == maps.shape[1] and weight.shape[1] == 1:
        made = depthwise(reading, op, channels, weight.on(0))
    elif op == "ConvTranspose":
        made = grouped_transposed(reading, groups, channels, weight.on(reader), weight.on(filters))
    else:
        made = grouped(reading, groups, channels, weight.on(reader), weight.on(filters))
    shape = reading.shapes.get(node.output[0], ())
    if made is None:
        return [Value(shape)]
    result = Value(shape, [lying_along(made, 1, len(shape))])
    joined(reading, result, given(inputs, 2), 1, f"{op} has a bias of another size")
    return [result]


def depthwise(reading: Reading, op: str, channels: np.ndarray | None, filters: np.ndarray | None) -> np.ndarray | None:
    """Every channel goes on by itself, to one filter or several, which are tied to it; without channels these stay."""
    if channels is None or filters is None:
        reading.freeze(filters, FIXED.format(op))
        return making(reading, filters)
    carried = np.repeat(channels, len(filters) // len(channels))
    reading.tie(carried, filters)
    return carried


def grouped(
    reading: Reading, groups: int, channels: np.ndarray | None, reader: np.ndarray | None, filters: np.ndarray | None
) -> np.ndarray | None:
    """A convolution's weight has input slices for the channels of *one* group, and rows for the filters of all."""
    together(reading, channels, groups)
    contraction(reading, None if channels is None else channels.reshape(groups, -1)[0], reader, "Conv")
    together(reading, filters, groups)
    return making(reading, filters)


def grouped_transposed(
    reading: Reading, groups: int, channels: np.ndarray | None, reader: np.ndarray | None, filters: np.ndarray | None
) -> np.ndarray | None:
    """A transposed convolution's weight has input slices for the channels of all groups, filters for those of *one*."""
    together(reading, channels, groups)
    together(reading, reader, groups)
    contraction(reading, channels, reader, "ConvTranspose")
    return making(reading, None if filters is None else np.tile(filters, groups))


def together(reading: Reading, marks: np.ndarray | None, groups: int) -> None:
    """Ties the same position in every group of a grouped convolution: removed together, groups stay equally large."""
    if marks is not None:
        first, *others = marks.reshape(groups, -1)
        for row in others:
            reading.tie(first, row)


def matmul(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """A linear layer on the last axis: hands on the columns of its weight, and channels along the other axes.

    Freezes both sides where the right one is no weight (attention), and what does not lie along one axis alone.
    """
    left, right = inputs[0], inputs[1]
    if len(left.shape) < 2 or len(right.shape) < 2:
        return unknown(reading, node, inputs)
    shape = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    if not right.weight:
        reading.freeze_all([left, right], "a product of two activations (attention)")
        return [Value(shape)]
    last, rows = len(left.shape) - 1, len(right.shape) - 2
    for marks in left.marks:
        if last in axes_of(marks) and axes_of(marks) != (last,):
            reading.freeze(marks, ARRANGED.format(node.op_type))
    contraction(reading, left.on(last), right.on(rows), node.op_type)
    passing = [marks for marks in left.marks if last not in axes_of(marks)]
    if len(shape) != len(left.shape):
        reading.freeze_all([Value((), passing)], f"{node.op_type} changes the number of axes")
        passing = []
    made = making(reading, right.on(rows + 1))
    for marks in right.marks:
        if axes_of(marks) not in ((), (rows,), (rows + 1,)):
            reading.freeze(marks, f"{node.op_type} has a weight that is arranged in another way")
    return [Value(shape, passing if made is None else [*passing, lying_along(made, len(shape) - 1, len(shape))])]


def gemm(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """A matrix product of which each side may be transposed, with a bias: `matmul`, then an addition."""
    sides = []
    for value, name in zip(inputs[:2], ("transA", "transB"), strict=True):
        turned = attribute(node, name, 0)
        marks = [along.T for along in value.marks] if turned else list(value.marks)
        sides.append(Value(value.shape[::-1] if turned else value.shape, marks, None, value.weight))
    (result,) = matmul(reading, node, sides)
    bias = given(inputs, 2)
    if bias is not None and bias.shape:
        (result,) = elementwise(reading, node, [result, bias])
    return [result]


def batch_norm(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Normalisation of every channel by itself: hands channels on, with its parameters tied to them."""
    maps = inputs[0]
    stay = reading.keep_only(maps, (0, 1), f"{node.op_type} treats channels that are arranged in another way")
    for parameter in inputs[1:]:
        joined(reading, Value(maps.shape, stay), parameter, 1, f"{node.op_type} works on a fixed number of channels")
    return [Value(maps.shape, stay)]


def layer_norm(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Normalisation over all axes from `axis` on: channels along these are frozen, and so are its parameters."""
    axis = attribute(node, "axis", -1) % len(inputs[0].shape)
    reason = f"{node.op_type} normalises over the channels"
    reading.keep_only(inputs[0], range(axis), reason)
    reading.freeze_all(inputs[1:], reason)
    return same_shape(reading, node, inputs)


def over_channels(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Normalisation over neighbouring channels, which are frozen."""
    reading.keep_only(inputs[0], [0], f"{node.op_type} normalises over the channels")
    return same_shape(reading, node, inputs)


def along_axis(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Softmax and its like, along one axis: channels along that are frozen."""
    axis = attribute(node, "axis", -1) % len(inputs[0].shape)
    others = [other for other in range(len(inputs[0].shape)) if other != axis]
    reading.keep_only(inputs[0], others, f"{node.op_type} mixes the channels")
    return same_shape(reading, node, inputs)
