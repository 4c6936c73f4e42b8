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


def same_shape(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """One number in, one number out: every channel passes."""
    return [Value(inputs[0].shape, list(inputs[0].marks)), *(Value(inputs[0].shape) for _ in node.output[1:])]


def spatial(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Works on every feature map by itself: pooling, resizing."""
    stay = reading.keep_only(inputs[0], (0, 1), f"{node.op_type} mixes pixels that belong to channels")
    shape = reading.shapes.get(node.output[0], inputs[0].shape)
    if len(shape) > 1 and shape[1] != inputs[0].shape[1]:
        reading.freeze_all(inputs, f"{node.op_type} changes the number of channels")
        stay = []
    return [Value(shape, list(stay)) for _ in node.output]


def contraction(reading: Reading, channels: np.ndarray | None, weights: np.ndarray | None, op: str) -> None:
    """The input slices of a layer's weight read these channels."""
    if weights is None:
        reading.freeze(channels, f"{op} reads it with a weight that is computed")
        return
    if channels is None or len(channels) != len(weights):
        reading.freeze(weights, f"{op} reads a fixed number of channels there (the network's input?)")
        reading.freeze(channels, f"{op} reads channels that are arranged in another way")
    else:
        reading.tie(channels, weights)
    reading.read.append(weights)


def together(reading: Reading, marks: np.ndarray | None, groups: int) -> None:
    """The same position in every group of a grouped convolution: removed together, so that groups stay equal."""
    if marks is not None:
        rows = marks.reshape(groups, -1)
        for row in rows[1:]:
            reading.tie(rows[0], row)


def conv(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    maps, weight = inputs[0], inputs[1]
    groups, transposed = attribute(node, "group", 1), node.op_type == "ConvTranspose"
    stay = reading.keep_only(maps, (0, 1), f"{node.op_type} mixes pixels that belong to channels")
    maps = Value(maps.shape, stay)
    channels = maps.on(1)
    if weight.marks and not weight.weight:
        reading.freeze_all([weight, maps], f"{node.op_type} has a weight that depends on the input")
    first, second = weight.on(0), weight.on(1)
    shape = reading.shapes.get(node.output[0], ())
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    made: np.ndarray | None
    if groups == 1:
        contraction(reading, channels, first if transposed else second, node.op_type)
        made = second if transposed else first
    elif groups == maps.shape[1] and weight.shape[1] == 1:  # depthwise: every channel goes on by itself
        made = first
        if made is not None and channels is not None:
            reading.tie(np.repeat(channels, outputs // groups), made)
            if outputs > groups:
                made = np.repeat(channels, outputs // groups)
        else:
            reading.freeze(made, f"{node.op_type} reads a fixed number of channels there (the network's input?)")
    else:
        together(reading, channels, groups)
        reader, made = (first, second) if transposed else (second, first)
        if transposed:
            together(reading, reader, groups)
            contraction(reading, channels, reader, node.op_type)
            made = None if made is None else np.tile(made, groups)
        else:
            contraction(reading, None if channels is None else channels.reshape(groups, -1)[0], reader, node.op_type)
            together(reading, made, groups)
    if made is None:
        return [Value(shape)]
    if not (groups == maps.shape[1] and weight.shape[1] == 1 and channels is not None and groups > 1):
        reading.made.append(made)
    result = Value(shape, [lying_along(made, 1, len(shape))])
    joined(reading, result, given(inputs, 2), 1, f"{node.op_type} has a bias of another size")
    return [result]


def matmul(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    left, right = inputs[0], inputs[1]
    if len(left.shape) < 2 or len(right.shape) < 2:
        return unknown(reading, node, inputs)
    shape = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    if not right.weight:
        reading.freeze_all([left, right], "a product of two activations (attention)")
        return [Value(shape)]
    last = len(left.shape) - 1
    for marks in left.marks:
        if last in axes_of(marks) and axes_of(marks) != (last,):
            reading.freeze(marks, f"{node.op_type} reads channels that are arranged in another way")
    contraction(reading, left.on(last), right.on(len(right.shape) - 2), node.op_type)
    made = right.on(len(right.shape) - 1)
    result = [marks for marks in left.marks if last not in axes_of(marks)]
    if len(shape) != len(left.shape):
        reading.freeze_all([Value((), result)], f"{node.op_type} changes the number of axes")
        result = []
    if made is not None:
        reading.made.append(made)
        result.append(lying_along(made, len(shape) - 1, len(shape)))
    for marks in right.marks:
        if len(axes_of(marks)) > 1 or (axes_of(marks) and axes_of(marks)[0] < len(right.shape) - 2):
            reading.freeze(marks, f"{node.op_type} has a weight that is arranged in another way")
    return [Value(shape, result)]


def gemm(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    sides = []
    for value, name in zip(inputs[:2], ("transA", "transB"), strict=True):
        turned = attribute(node, name, 0)
        marks = [one.T for one in value.marks] if turned else list(value.marks)
        sides.append(Value(value.shape[::-1] if turned else value.shape, marks, None, value.weight))
    (result,) = matmul(reading, node, sides)
    bias = given(inputs, 2)
    if bias is not None and bias.shape:
        (result,) = elementwise(reading, node, [result, bias])
    return [result]


def batch_norm(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Normalisation of every channel by itself."""
    maps = inputs[0]
    stay = reading.keep_only(maps, (0, 1), f"{node.op_type} treats channels that are arranged in another way")
    for parameter in inputs[1:]:
        joined(reading, Value(maps.shape, stay), parameter, 1, f"{node.op_type} works on a fixed number of channels")
    return [Value(maps.shape, stay)]


def layer_norm(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Every number depends on all channels of its position."""
    axis = attribute(node, "axis", -1) % len(inputs[0].shape)
    reason = f"{node.op_type} normalises over the channels"
    reading.keep_only(inputs[0], range(axis), reason)
    reading.freeze_all(inputs[1:], reason)
    return same_shape(reading, node, inputs)


def over_channels(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Normalisation over neighbouring channels."""
    reading.keep_only(inputs[0], [0], f"{node.op_type} normalises over the channels")
    return same_shape(reading, node, inputs)


def along_axis(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Softmax and its like."""
    axis = attribute(node, "axis", -1) % len(inputs[0].shape)
    others = [other for other in range(len(inputs[0].shape)) if other != axis]
    reading.keep_only(inputs[0], others, f"{node.op_type} mixes the channels")
    return same_shape(reading, node, inputs)
