"""Rules of what joins channels: operators of several tensors, concatenations, reductions."""

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
