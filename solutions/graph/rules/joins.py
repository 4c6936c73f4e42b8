"""Rules of what joins channels: operators of several tensors, concatenations, reductions."""

import itertools
from collections.abc import Callable, Sequence

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
    unknown,
)


def elementwise(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Operands of one shape, after broadcasting: hands on the channels of all of them, and ties those that meet.

    Freezes channels that meet others of another arrangement, or a tensor with a size of its own along their axis, which
    would have to be cut too (unless all its numbers are equal).
    """
    shape = np.broadcast_shapes(*(value.shape for value in inputs))
    operands = [with_axes(value, len(shape)) for value in inputs]
    passing: dict[tuple[int, ...], np.ndarray] = {}
    for value in operands:
        for marks in value.marks:
            passing.setdefault(axes_of(marks), marks)
            for other in operands:
                meet(reading, node.op_type, marks, other, value.weight and other.weight)
    return [Value(shape, list(passing.values()))]


def with_axes(value: Value, rank: int) -> Value:
    """The same value with axes of size 1 in front, `rank` axes in all."""
    lead = (1,) * (rank - len(value.shape))
    marks = [along.reshape(lead + along.shape) for along in value.marks]
    return Value(lead + value.shape, marks, value.array, value.weight)


def meet(reading: Reading, op: str, marks: np.ndarray, other: Value, weights: bool) -> None:
    """Marks of one operand and those of another one that lie along the same axes: tied, or frozen.

    `weights`: both are weights, which become one.
    """
    axes = axes_of(marks)
    facing = [against for against in other.marks if set(axes_of(against)) & set(axes)]
    for against in facing:
        if axes_of(against) == axes:
            (reading.combine if weights else reading.tie)(marks, against)
        else:
            for apart in (marks, against):
                reading.freeze(apart, f"{op} joins channels that are arranged in different ways")
    uniform = other.array is not None and len(np.unique(other.array)) == 1
    if not facing and not uniform and any(other.shape[axis] > 1 for axis in axes):
        reading.freeze(marks, f"{op} joins it with a tensor of a fixed size (a constant, or the network's input)")


def joined(reading: Reading, maps: Value, parameter: Value | None, axis: int, rest: str) -> None:
    """Ties a parameter with one entry for every channel of `maps` to these; freezes it where there are none."""
    marks = parameter.on(0) if parameter is not None and len(parameter.shape) == 1 else None
    if marks is None:
        return
    channels = maps.on(axis)
    if channels is None or len(channels) != len(marks):
        reading.freeze(marks, rest)
    else:
        reading.tie(channels, marks)


def reduction(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """A mean, sum, maximum … over some axes: hands on channels along the others, and freezes those that it mixes."""
    rank, keep = len(inputs[0].shape), attribute(node, "keepdims", 1)
    axes = attribute(node, "axes", None) or constant(given(inputs, 1), [])
    if node.op_type in ("ArgMax", "ArgMin"):
        axes = [attribute(node, "axis", 0)]
    if axes is None:
        return unknown(reading, node, inputs)
    reduced = {axis % rank for axis in axes} or set(range(rank))
    others = [axis for axis in range(rank) if axis not in reduced]
    passing = reading.keep_only(inputs[0], others, f"{node.op_type} mixes the channels")
    shape = tuple(1 if axis in reduced else size for axis, size in enumerate(inputs[0].shape))
    if not keep:
        passing = [np.squeeze(marks, axis=tuple(reduced)) for marks in passing]
        shape = tuple(inputs[0].shape[axis] for axis in others)
    return [Value(shape, passing)]


def concat(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """One behind the other: the channels of every part are shifted by the widths before it.

    Ties channels along other axes, on which the parts must agree; freezes those that another part does not have.
    """
    axis = attribute(node, "axis", 0) % len(inputs[0].shape)
    shape = list(inputs[0].shape)
    shape[axis] = sum(value.shape[axis] for value in inputs)
    tie = reading.combine if all(value.weight for value in inputs) else reading.tie
    across = across_parts(reading, [[marks for marks in v.marks if axis not in axes_of(marks)] for v in inputs], tie)
    return [Value(tuple(shape), [*across, *along_parts(reading, inputs, axis)])]


def across_parts(
    reading: Reading, parts: Sequence[list[np.ndarray]], tie: Callable[[np.ndarray, np.ndarray], None]
) -> list[np.ndarray]:
    """Marks along other axes than that of a concatenation: every part must have those of the first, and no more."""
    fixed = "Concat joins it with a tensor of a fixed size"
    first, *others = parts
    for marks, part in itertools.product(first, others):
        facing = [other for other in part if axes_of(other) == axes_of(marks)]
        for other in facing:
            tie(marks, other)
        if not facing and axes_of(marks):
            reading.freeze(marks, fixed)
    axes_of_first = {axes_of(marks) for marks in first}
    for marks in itertools.chain(*others):
        if axes_of(marks) not in axes_of_first:
            reading.freeze(marks, fixed)
    return first


def along_parts(reading: Reading, inputs: Sequence[Value], axis: int) -> list[np.ndarray]:
    """Marks that lie along the axis of a concatenation, one part's behind the other's.

    A part without any (the network's input) gets new ones that stay; where channels lie along further axes too, all are
    frozen.
    """
    parts = [[marks for marks in value.marks if axis in axes_of(marks)] for value in inputs]
    present = list(itertools.chain(*parts))
    if any(axes_of(marks) != (axis,) for marks in present):
        for marks in present:
            reading.freeze(marks, "Concat joins channels that are arranged in different ways")
        return []
    if not present:
        return []
    vectors = []
    for value, part in zip(inputs, parts, strict=True):
        if not part:
            part = [reading.new_marks(value.shape[axis])]
            reading.freeze(part[0], "Concat holds a part of a fixed size")
        vectors.append(part[0].ravel())
    return [lying_along(np.concatenate(vectors), axis, len(inputs[0].shape))]
