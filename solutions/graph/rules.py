"""What every ONNX operator does to the channels that pass through it: one short rule each.

A rule gets the reading so far, the operator and its inputs, and gives its outputs; it ties what must go together, and
freezes what it cannot follow.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from solutions.graph.reading import (
    Reading,
    Rule,
    Value,
    attribute,
    axes_of,
    constant,
    given,
    lying_along,
    narrowed,
    unknown,
)


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


def elementwise(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Operands of one shape, after broadcasting: their channels are tied."""
    shape = np.broadcast_shapes(*(value.shape for value in inputs))
    wide = []
    for value in inputs:
        lead = (1,) * (len(shape) - len(value.shape))
        marks = [one.reshape(lead + one.shape) for one in value.marks]
        wide.append(Value(lead + value.shape, marks, value.array, value.weight))
    found: dict[tuple[int, ...], np.ndarray] = {}
    for value in wide:
        for marks in value.marks:
            axes = axes_of(marks)
            for other in wide:
                facing = [one for one in other.marks if set(axes_of(one)) & set(axes)]
                for one in facing:
                    if axes_of(one) == axes:
                        reading.tie(marks, one)
                    else:
                        reading.freeze(marks, f"{node.op_type} joins channels that are arranged in different ways")
                        reading.freeze(one, f"{node.op_type} joins channels that are arranged in different ways")
                uniform = other.array is not None and len(np.unique(other.array)) == 1
                if not facing and not uniform and any(other.shape[axis] > 1 for axis in axes):
                    reading.freeze(marks, f"{node.op_type} joins it with a tensor of a fixed size")
            found.setdefault(axes, marks)
    return [Value(shape, list(found.values()))]


def joined(reading: Reading, maps: Value, parameter: Value | None, axis: int, rest: str) -> None:
    """A parameter with one entry for every channel of `maps`."""
    marks = parameter.on(0) if parameter is not None and len(parameter.shape) == 1 else None
    if marks is None:
        return
    channels = maps.on(axis)
    if channels is None or len(channels) != len(marks):
        reading.freeze(marks, rest)
    else:
        reading.tie(channels, marks)


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


def reduction(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    rank, keep = len(inputs[0].shape), attribute(node, "keepdims", 1)
    axes = attribute(node, "axes", None) or constant(given(inputs, 1), [])
    if node.op_type in ("ArgMax", "ArgMin"):
        axes = [attribute(node, "axis", 0)]
    if axes is None:
        return unknown(reading, node, inputs)
    reduced = {axis % rank for axis in axes} or set(range(rank))
    stay = reading.keep_only(
        inputs[0], [axis for axis in range(rank) if axis not in reduced], f"{node.op_type} mixes the channels"
    )
    if not keep:
        stay = [np.squeeze(marks, axis=tuple(reduced)) for marks in stay]
    return [Value(reading.shapes.get(node.output[0], ()), stay)]


def reshape(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Another arrangement of the same numbers: every channel becomes as many features as it has pixels.

    Where the channels are put in rows (a channel shuffle), all rows must stay equally long: they lose the same columns.
    """
    value, shape = inputs[0], reading.shapes.get(node.output[0])
    if shape is None and (sizes := constant(given(inputs, 1))) and node.op_type == "Reshape":
        shape = np.broadcast_to(np.int8(0), value.shape).reshape(sizes).shape
    if shape is None or math.prod(shape) != math.prod(value.shape):
        return unknown(reading, node, inputs)
    marks = []
    for one in value.marks:
        new = narrowed(np.broadcast_to(one, value.shape).reshape(shape))
        if len(axes_of(new)) > len(axes_of(one)):
            for axis in axes_of(new)[:-1]:
                reading.tie(new, new.take([0], axis))
        marks.append(new)
    return [Value(shape, marks)]


def transpose(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    order = attribute(node, "perm", list(range(len(inputs[0].shape)))[::-1])
    shape = tuple(inputs[0].shape[axis] for axis in order)
    return [Value(shape, [marks.transpose(order) for marks in inputs[0].marks])]


def expand(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    shape = reading.shapes.get(node.output[0])
    if shape is None:
        return unknown(reading, node, inputs)
    lead = (1,) * (len(shape) - len(inputs[0].shape))
    return [Value(shape, [marks.reshape(lead + marks.shape) for marks in inputs[0].marks])]


def concat(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """One behind the other: the channels of every part are shifted by the widths before it."""
    rank = len(inputs[0].shape)
    axis = attribute(node, "axis", 0) % rank
    shape = list(inputs[0].shape)
    shape[axis] = sum(value.shape[axis] for value in inputs)
    others = [Value(value.shape, [one for one in value.marks if axis not in axes_of(one)]) for value in inputs]
    marks = []
    for one in others[0].marks:  # along other axes the parts must agree
        for value in others[1:]:
            facing = [other for other in value.marks if axes_of(other) == axes_of(one)]
            for other in facing:
                reading.tie(one, other)
            if not facing and axes_of(one):
                reading.freeze(one, "Concat joins it with a tensor of a fixed size")
        marks.append(one)
    for value in others[1:]:
        for one in value.marks:
            if not any(axes_of(one) == axes_of(first) for first in marks):
                reading.freeze(one, "Concat joins it with a tensor of a fixed size")
    along = [[one for one in value.marks if axis in axes_of(one)] for value in inputs]
    if any(along):
        kinds = {axes_of(one) for part in along for one in part}
        if kinds == {(axis,)}:
            parts = []
            for value, part in zip(inputs, along, strict=True):
                single = part[0].ravel() if part else None
                if single is None:
                    single = reading.new_marks(value.shape[axis])
                    reading.freeze(single, "Concat holds a part of a fixed size")
                parts.append(single)
            marks.append(lying_along(np.concatenate(parts), axis, rank))
        else:
            for one in (one for part in along for one in part):
                reading.freeze(one, "Concat joins channels that are arranged in different ways")
    return [Value(tuple(shape), marks)]


def taken(value: Value, axis: int, positions: np.ndarray) -> Value:
    """The positions of an axis, in this order."""
    shape = list(value.shape)
    shape[axis] = len(positions)
    marks = [one if one.shape[axis] == 1 else one.take(positions, axis) for one in value.marks]
    return Value(tuple(shape), [narrowed(one) if one.size else one for one in marks if one.size])


def held(reading: Reading, value: Value, axis: int, positions: Any, reason: str) -> None:
    """Freeze the channels at some positions of an axis."""
    for marks in value.marks:
        if marks.shape[axis] > 1:
            reading.freeze(marks.take(positions, axis), reason)


def split(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """The places at which it is cut do not move when channels go, so none may go."""
    value, axis = inputs[0], attribute(node, "axis", 0) % len(inputs[0].shape)
    size = value.shape[axis]
    sizes = constant(given(inputs, 1), [])
    if node.op_type == "SplitToSequence":
        whole = sizes[0] if sizes is not None and len(sizes) == 1 else 1
        sizes = sizes if sizes and len(sizes) > 1 else [min(whole, size - at) for at in range(0, size, whole)]
    elif not sizes:
        count = len(node.output)
        whole = -(-size // count)
        sizes = [min(whole, size - at) for at in range(0, size, whole)]
    held(reading, value, axis, np.arange(size), "it is cut in parts at a place that is written in the code")
    ends = np.cumsum(sizes)
    parts = [taken(value, axis, np.arange(end - part, end)) for part, end in zip(sizes, ends, strict=True)]
    if node.op_type == "SplitToSequence":
        if not attribute(node, "keepdims", 1):
            parts = [Value(_without(part.shape, axis)) for part in parts]
        return [Value((), parts=parts)]
    return parts


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def sequence_at(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    position = constant(inputs[1])
    if position is None or not inputs[0].parts:
        return unknown(reading, node, inputs)
    return [copy.copy(inputs[0].parts[position[0]])]


def slice_(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """What lies before the part that is taken must stay, and the part itself unless it goes on to the end."""
    value, rank = inputs[0], len(inputs[0].shape)
    starts, ends = constant(given(inputs, 1)), constant(given(inputs, 2))
    if starts is None or ends is None:
        return unknown(reading, node, inputs)
    axes, steps = constant(given(inputs, 3), list(range(len(starts)))), constant(given(inputs, 4), [1] * len(starts))
    if axes is None or steps is None:
        return unknown(reading, node, inputs)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis, size = axis % rank, value.shape[axis % rank]
        chosen = np.arange(size)[start::step] if step < 0 and end < -size else np.arange(size)[start:end:step]
        if len(chosen) < size or step != 1:
            open_end = step == 1 and len(chosen) and chosen[-1] == size - 1
            kept = (
                np.arange(int(chosen[0]))
                if open_end
                else np.arange(int(chosen[-1]) + 1 if step > 0 and len(chosen) else size)
            )
            held(reading, value, axis, kept, "a part is taken at a place that is written in the code")
        value = taken(value, axis, chosen)
    return [value]


def gather(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    value, chosen = inputs[0], inputs[1]
    axis = attribute(node, "axis", 0) % len(value.shape)
    order = None if chosen.array is None else chosen.array.ravel() % value.shape[axis]
    if order is None or not np.array_equal(order, np.arange(value.shape[axis])):  # else it takes them as they are
        held(reading, value, axis, np.arange(value.shape[axis]), "channels are picked by their numbers")
    shape = (*value.shape[:axis], *chosen.shape, *value.shape[axis + 1 :])
    marks = []
    for one in value.marks:
        if one.shape[axis] == 1:
            marks.append(one.reshape(one.shape[:axis] + (1,) * len(chosen.shape) + one.shape[axis + 1 :]))
        elif chosen.array is not None:
            marks.append(narrowed(one.take(chosen.array.astype(int), axis)))
    return [Value(shape, marks)]


def gather_nd(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Picks along the first axes; the others pass."""
    value, chosen = inputs
    picked = chosen.shape[-1]
    if attribute(node, "batch_dims", 0):
        return unknown(reading, node, inputs)
    stay = reading.keep_only(value, range(picked, len(value.shape)), "channels are picked by their numbers")
    lead = (1,) * (len(chosen.shape) - 1)
    marks = [one.reshape(lead + one.shape[picked:]) for one in stay]
    return [Value((*chosen.shape[:-1], *value.shape[picked:]), marks)]


def pad(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Padding of the channel axis puts channels before and behind that nothing has made; they must stay."""
    value, rank = inputs[0], len(inputs[0].shape)
    sizes = constant(given(inputs, 1))
    axes = constant(given(inputs, 3), list(range(rank)))
    if sizes is None or axes is None:
        return unknown(reading, node, inputs)
    shape, marks = list(value.shape), list(value.marks)
    for before, behind, axis in zip(sizes[: len(axes)], sizes[len(axes) :], axes, strict=True):
        axis %= rank
        shape[axis] += before + behind
        for index, one in enumerate(marks):
            if one.shape[axis] > 1 and (before or behind):
                if (
                    axes_of(one) != (axis,)
                    or before < 0
                    or behind < 0
                    or attribute(node, "mode", b"constant") != b"constant"
                ):
                    reading.freeze(one, "Pad changes channels that are arranged in another way")
                    continue
                new = reading.new_marks(before + behind)
                reading.freeze(new, "it is added by a padding whose size is written in the code")
                whole = np.concatenate([new[:before], one.ravel(), new[before:]])
                marks[index] = lying_along(whole, axis, rank)
    marks = [one for one in marks if all(size in (1, whole) for size, whole in zip(one.shape, shape, strict=True))]
    return [Value(tuple(shape), marks)]


_SAME = "Relu LeakyRelu Elu Selu Celu Gelu HardSwish HardSigmoid Sigmoid Tanh Softplus Softsign Mish Erf Exp Log Sqrt"
_SAME += (
    " Reciprocal Abs Neg Sign Floor Ceil Round Clip ThresholdedRelu Identity Cast CastLike Dropout Not IsNaN Sin Cos"
)
_ELEMENTWISE = (
    "Add Sub Mul Div Pow Max Min Mean Sum PRelu Where Equal Less Greater LessOrEqual GreaterOrEqual And Or Mod"
)
_SPATIAL = "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool Resize Upsample"
_REDUCTION = "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp"

RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME.split(), same_shape),
    **dict.fromkeys(_ELEMENTWISE.split(), elementwise),
    **dict.fromkeys(_SPATIAL.split(), spatial),
    **dict.fromkeys([*_REDUCTION.split(), "ArgMax", "ArgMin"], reduction),
    **dict.fromkeys(["Reshape", "Flatten", "Squeeze", "Unsqueeze"], reshape),
    **dict.fromkeys(["Conv", "ConvTranspose"], conv),
    **dict.fromkeys(["Softmax", "LogSoftmax", "Hardmax", "CumSum"], along_axis),
    **dict.fromkeys(["Split", "SplitToSequence"], split),
    "MatMul": matmul,
    "Gemm": gemm,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "LRN": over_channels,
    "Transpose": transpose,
    "Expand": expand,
    "Concat": concat,
    "SequenceAt": sequence_at,
    "Slice": slice_,
    "Gather": gather,
    "GatherND": gather_nd,
    "Pad": pad,
}
