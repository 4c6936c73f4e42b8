"""Rules of what arranges channels anew: reshape, transpose, cut, pick, pad."""

import copy
import math
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

    Where the channels are put in rows (a channel shuffle), all rows must stay equally long: the same columns are tied.
    """
    value, shape = inputs[0], reading.shapes.get(node.output[0])
    sizes = constant(given(inputs, 1))
    if shape is None and sizes:
        shape = arranged_as(node.op_type, value.shape, sizes)
    if shape is None or math.prod(shape) != math.prod(value.shape):
        return unknown(reading, node, inputs)
    arranged: list[np.ndarray] = []
    for marks in value.marks:
        new = narrowed(np.broadcast_to(marks, value.shape).reshape(shape))
        if len(axes_of(new)) > len(axes_of(marks)):
            for axis in axes_of(new)[:-1]:
                reading.tie(new, new.take([0], axis))
        if any(axes_of(other) == axes_of(new) != () for other in arranged):  # an outer product made one axis
            reading.freeze(new, "channels that are arranged in different ways become one axis")
        else:
            arranged.append(new)
    return [Value(shape, arranged)]


def arranged_as(op: str, shape: tuple[int, ...], sizes: list[int]) -> tuple[int, ...]:
    """The shape behind a Reshape to `sizes`, or behind an Unsqueeze or Squeeze of the axes that `sizes` says."""
    if op == "Unsqueeze":
        rank = len(shape) + len(sizes)
        axes, rest = {axis % rank for axis in sizes}, iter(shape)
        return tuple(1 if axis in axes else next(rest) for axis in range(rank))
    if op == "Squeeze":
        axes = {axis % len(shape) for axis in sizes}
        return tuple(size for axis, size in enumerate(shape) if axis not in axes)
    whole = [shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return np.broadcast_to(np.int8(0), shape).reshape(whole).shape


def transpose(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """The axes in another order: channels go along."""
    order = attribute(node, "perm", list(range(len(inputs[0].shape)))[::-1])
    shape = tuple(inputs[0].shape[axis] for axis in order)
    return [Value(shape, [marks.transpose(order) for marks in inputs[0].marks])]


def expand(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Copies along axes of size 1 and along new ones in front: channels stay on their axis, counted from the last."""
    shape, sizes = reading.shapes.get(node.output[0]), constant(given(inputs, 1))
    if shape is None and sizes:
        shape = np.broadcast_shapes(inputs[0].shape, tuple(sizes))
    if shape is None:
        return unknown(reading, node, inputs)
    lead = (1,) * (len(shape) - len(inputs[0].shape))
    return [Value(shape, [marks.reshape(lead + marks.shape) for marks in inputs[0].marks])]


def tile(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Copies of the whole one behind the other: every copy has the same channels."""
    value, repeats = inputs[0], constant(inputs[1])
    if repeats is None or len(repeats) != len(value.shape):
        return unknown(reading, node, inputs)
    shape = tuple(size * copies for size, copies in zip(value.shape, repeats, strict=True))
    arranged = []
    for marks in value.marks:
        along = [copies if size > 1 else 1 for size, copies in zip(marks.shape, repeats, strict=True)]
        arranged.append(narrowed(np.tile(marks, along)))
    return [Value(shape, arranged)]


def depth_to_space(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """b² channels become one with b times as many rows and columns (a pixel shuffle): they go together.

    In the order CRD these b² lie side by side, in DCR the width of the result lies between them.
    """
    value, block = inputs[0], attribute(node, "blocksize", 1)
    parts = block**2
    passing = []
    for marks in reading.keep_only(value, (0, 1), "DepthToSpace mixes pixels that belong to channels"):
        if marks.shape[1] > 1:
            turned = attribute(node, "mode", b"DCR") == b"CRD"
            rows = marks.reshape(-1, parts) if turned else marks.reshape(parts, -1).T
            for column in rows.T[1:]:
                reading.tie(rows[:, 0], column)
            marks = lying_along(rows[:, 0], 1, marks.ndim)
        passing.append(marks)
    count, channels, height, width = value.shape
    return [Value((count, channels // parts, height * block, width * block), passing)]


def taken(value: Value, axis: int, positions: np.ndarray) -> Value:
    """The positions of an axis, in this order."""
    shape = list(value.shape)
    shape[axis] = len(positions)
    parts = [marks if marks.shape[axis] == 1 else marks.take(positions, axis) for marks in value.marks]
    return Value(tuple(shape), [narrowed(marks) for marks in parts if marks.size])


def hold(reading: Reading, value: Value, axis: int, positions: Any, reason: str) -> None:
    """Freeze the channels at some positions of an axis."""
    for marks in value.marks:
        if marks.shape[axis] > 1:
            reading.freeze(marks.take(positions, axis), reason)


def split(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """A number of equal parts must stay equal: what lies at the same place in each is one channel.

    Parts whose sizes are stated do not follow when channels go, so none may go.
    """
    value, axis = inputs[0], attribute(node, "axis", 0) % len(inputs[0].shape)
    size, to_sequence = value.shape[axis], node.op_type == "SplitToSequence"
    stated = constant(given(inputs, 1), []) or []
    sizes = _sizes_of_parts(stated, size, None if to_sequence else len(node.output))
    ends = np.cumsum(sizes)
    parts = [taken(value, axis, np.arange(end - part, end)) for part, end in zip(sizes, ends, strict=True)]
    if stated or to_sequence or len(set(sizes)) > 1:
        hold(
            reading,
            value,
            axis,
            np.arange(size),
            "it is cut in parts at a place that is written in the code",
        )
    else:
        for marks in value.marks:
            if marks.shape[axis] > 1:
                pieces = np.split(marks, len(sizes), axis)
                for piece in pieces[1:]:
                    reading.tie(pieces[0], piece)
    if not to_sequence:
        return parts
    if not attribute(node, "keepdims", 1):
        parts = [Value((*part.shape[:axis], *part.shape[axis + 1 :])) for part in parts]
    return [Value((), parts=parts)]


def _sizes_of_parts(stated: list[int], size: int, count: int | None) -> list[int]:
    """The sizes of an axis's parts: as stated, else `count` equal ones. A sequence (None): a stated size is each's."""
    if count is None:
        if len(stated) > 1:
            return stated
        whole = stated[0] if stated else 1
    elif stated:
        return stated
    else:
        whole = -(-size // count)
    return [min(whole, size - start) for start in range(0, size, whole)]


def sequence_at(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """One part of a sequence, with its channels."""
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
            from_behind = start < 0 and step == 1 and len(chosen) and chosen[-1] == size - 1  # x[:, -3:]
            fixed = chosen if from_behind else np.arange(_first_that_may_go(chosen, size, step))
            what = "a part of a weight" if value.weight else "a part"
            hold(reading, value, axis, fixed, f"{what} is taken at a place that is written in the code")
        value = taken(value, axis, chosen)
    return [value]


def _first_that_may_go(chosen: np.ndarray, size: int, step: int) -> int:
    """The position from which on channels may go when a slice takes those that are `chosen` of `size`."""
    if step == 1 and len(chosen) and chosen[-1] == size - 1:
        return int(chosen[0])
    return int(chosen[-1]) + 1 if step > 0 and len(chosen) else size


def gather(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Positions of an axis, by their numbers: freezes the channels there, unless all are taken as they are.

    Hands on channels along the other axes, and along this one those that are taken.
    """
    value, chosen = inputs[0], inputs[1]
    axis = attribute(node, "axis", 0) % len(value.shape)
    order = None if chosen.array is None else chosen.array.ravel() % value.shape[axis]
    if order is None or not np.array_equal(order, np.arange(value.shape[axis])):
        hold(reading, value, axis, np.arange(value.shape[axis]), "channels are picked by their numbers")
    shape = (*value.shape[:axis], *chosen.shape, *value.shape[axis + 1 :])
    passing = []
    for marks in value.marks:
        if marks.shape[axis] == 1:
            passing.append(marks.reshape(marks.shape[:axis] + (1,) * len(chosen.shape) + marks.shape[axis + 1 :]))
        elif chosen.array is not None:
            passing.append(narrowed(marks.take(chosen.array.astype(int), axis)))
    return [Value(shape, passing)]


def gather_nd(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Picks along the first axes, where channels are frozen; those along the others pass."""
    value, chosen = inputs
    picked = chosen.shape[-1]
    if attribute(node, "batch_dims", 0):
        return unknown(reading, node, inputs)
    passing = reading.keep_only(value, range(picked, len(value.shape)), "channels are picked by their numbers")
    lead = (1,) * (len(chosen.shape) - 1)
    marks = [along.reshape(lead + along.shape[picked:]) for along in passing]
    return [Value((*chosen.shape[:-1], *value.shape[picked:]), marks)]


def pad(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Padding of the channel axis puts channels before and behind that nothing has made; they must stay.

    Freezes channels that are padded in another way: cut, mirrored, or lying along several axes.
    """
    value, rank = inputs[0], len(inputs[0].shape)
    sizes = constant(given(inputs, 1))
    axes = constant(given(inputs, 3), list(range(rank)))
    if sizes is None or axes is None:
        return unknown(reading, node, inputs)
    zeros = attribute(node, "mode", b"constant") == b"constant"
    shape, passing = list(value.shape), list(value.marks)
    for before, behind, axis in zip(sizes[: len(axes)], sizes[len(axes) :], axes, strict=True):
        axis %= rank
        shape[axis] += before + behind
        if before or behind:
            passing = [
                padded(reading, marks, axis, before, behind, zeros) if marks.shape[axis] > 1 else marks
                for marks in passing
            ]
    fitting = [
        marks for marks in passing if all(size in (1, whole) for size, whole in zip(marks.shape, shape, strict=True))
    ]
    return [Value(tuple(shape), fitting)]


def padded(reading: Reading, marks: np.ndarray, axis: int, before: int, behind: int, zeros: bool) -> np.ndarray:
    """Marks along an axis with new, frozen ones at both ends; the same ones, frozen, where that cannot be."""
    if not zeros or axes_of(marks) != (axis,) or min(before, behind) < 0:
        reading.freeze(marks, "Pad changes channels that are arranged in another way")
        return marks
    new = reading.new_marks(before + behind)
    reading.freeze(new, "it is added by a padding whose size is written in the code")
    return lying_along(np.concatenate([new[:before], marks.ravel(), new[before:]]), axis, marks.ndim)
