"""Rules of what arranges channels anew: reshape, transpose, cut, pick, pad."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from solutions.graph.reading import (
    Reading,
    Value,
    attribute,
    axes_of,
    constant,
    given,
    lying_along,
    narrowed,
    unknown,
)


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
