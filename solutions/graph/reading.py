"""Following the channels of a network through its ONNX graph: values with marks, and what has been found about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from course_utils.onnx_files.export import OPSET

LARGEST_CONSTANT = 1_000_000  # elements; larger results of constants are not worked out


@dataclass
class Value:
    """A tensor of the graph. `marks`: arrays of marks that broadcast to `shape`; `array`: what it holds, if constant.

    `weight`: it depends on parameters and constants only, not on the network's input.
    """

    shape: tuple[int, ...]
    marks: list[np.ndarray] = field(default_factory=list)
    array: np.ndarray | None = None
    weight: bool = False
    parts: list["Value"] = field(default_factory=list)  # of a sequence

    def on(self, axis: int) -> np.ndarray | None:
        """The marks along this axis and no other, as a vector; None if there are none."""
        return next((marks.ravel() for marks in self.marks if axes_of(marks) == (axis % len(self.shape),)), None)


def axes_of(marks: np.ndarray) -> tuple[int, ...]:
    """The axes along which marks lie."""
    return tuple(axis for axis, size in enumerate(marks.shape) if size > 1)


def narrowed(marks: np.ndarray) -> np.ndarray:
    """The same marks with size 1 along every axis on which they do not change."""
    for axis, size in enumerate(marks.shape):
        first = marks.take([0], axis)
        if size > 1 and (marks == first).all():
            marks = first
    return marks


def lying_along(vector: np.ndarray, axis: int, rank: int) -> np.ndarray:
    shape = [1] * rank
    shape[axis] = len(vector)
    return vector.reshape(shape)


class Reading:
    """A graph that is being read: all marks so far, what is tied, made, read and frozen."""

    def __init__(self, model: onnx.ModelProto, parameters: Sequence[str] | None) -> None:
        graph = model.graph
        self.values: dict[str, Value] = {"": Value(())}
        self.ranges: list[tuple[str, int, int, int]] = []  # (parameter, axis, first mark, size)
        self.count = 0
        self.tied: list[np.ndarray] = []
        self.made: list[np.ndarray] = []
        self.read: list[np.ndarray] = []
        self.frozen: list[tuple[np.ndarray, str]] = []
        self.shapes = {
            value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
            for value in [*graph.value_info, *graph.output, *graph.input]
        }
        for tensor in graph.initializer:
            if parameters is not None and tensor.name not in parameters:
                array = numpy_helper.to_array(tensor)
                self.values[tensor.name] = Value(array.shape, array=array, weight=True)
            else:
                self.values[tensor.name] = self.parameter(tensor.name, tuple(tensor.dims))
        for value in graph.input:
            self.values.setdefault(value.name, Value(self.shapes[value.name]))

    def new_marks(self, size: int) -> np.ndarray:
        self.count += size
        return np.arange(self.count - size, self.count)

    def parameter(self, name: str, shape: tuple[int, ...]) -> Value:
        value = Value(shape, weight=True)
        for axis, size in enumerate(shape):
            self.ranges.append((name, axis, self.count, size))
            marks = self.new_marks(size)
            if size > 1:  # a single channel can never go
                value.marks.append(lying_along(marks, axis, len(shape)))
        return value

    def tie(self, first: np.ndarray, second: np.ndarray) -> None:
        """These marks belong together, one by one."""
        self.tied.append(np.stack([array.ravel() for array in np.broadcast_arrays(first, second)]))

    def freeze(self, marks: np.ndarray | None, reason: str) -> None:
        if marks is not None:
            self.frozen.append((marks.ravel(), reason))

    def freeze_all(self, values: Sequence[Value], reason: str) -> None:
        for value in values:
            for marks in value.marks:
                self.freeze(marks, reason)
            self.freeze_all(value.parts, reason)

    def keep_only(self, value: Value, allowed: Sequence[int], reason: str) -> list[np.ndarray]:
        """The marks that lie along allowed axes only; all others are frozen."""
        stay = []
        for marks in value.marks:
            if set(axes_of(marks)) <= set(allowed):
                stay.append(marks)
            else:
                self.freeze(marks, reason)
        return stay

    def follow(self, node: onnx.NodeProto, rules: Mapping[str, "Rule"]) -> None:
        """Follow one operator, by its rule; without one it freezes all that it touches."""
        inputs = [self.values.get(name, Value(())) for name in node.input]
        inner = [name for graph in _graphs_in(node) for one in graph.node for name in one.input if name in self.values]
        results = None
        if not inner and all(
            value.array is not None or not name for name, value in zip(node.input, inputs, strict=True)
        ):
            results = _worked_out(node, [value.array for value in inputs])
        if results is None and node.op_type == "Shape":
            start, end = attribute(node, "start", 0), attribute(node, "end", None)
            results = [Value((), array=np.array(inputs[0].shape[slice(start, end)], dtype=np.int64), weight=True)]
            results[0].shape = results[0].array.shape  # type: ignore[union-attr]
        if results is None:
            rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx") and not inner else None
            if rule:
                try:
                    results = rule(self, node, inputs)
                except (IndexError, ValueError, TypeError, ArithmeticError):  # a form that the rule was not written for
                    results = unknown(self, node, inputs)
            else:
                self.freeze_all(
                    [*inputs, *(self.values[name] for name in inner)], f"operator {node.op_type} is not known"
                )
                results = [Value(self.shapes.get(name, ())) for name in node.output]
        weight = all(value.weight for name, value in zip(node.input, inputs, strict=True) if name) and not inner
        for name, value in zip(node.output, results, strict=False):
            value.weight = weight
            self.values[name] = value


def _graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [graph for one in node.attribute for graph in ([one.g] if one.HasField("g") else one.graphs)]


def _worked_out(node: onnx.NodeProto, arrays: list[np.ndarray | None]) -> list[Value] | None:
    """What an operator makes of constants; None if that is too large, or not to be known."""
    if node.op_type == "Constant" and (tensor := attribute(node, "value", None)) is not None:
        arrays = [numpy_helper.to_array(tensor)]
        return [Value(arrays[0].shape, array=arrays[0], weight=True)]
    if sum(array.size for array in arrays if array is not None) > LARGEST_CONSTANT:
        return None
    try:
        evaluator = ReferenceEvaluator(node, opsets={"": OPSET})
        found = evaluator.run(None, dict(zip(node.input, arrays, strict=True)))
    except Exception:  # an operator that the reference does not have: then it is read as any other
        return None
    if not all(isinstance(array, np.ndarray | np.generic) and array.size <= LARGEST_CONSTANT for array in found):
        return None
    return [Value(np.shape(array), array=np.asarray(array), weight=True) for array in found]


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((onnx.helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)


def constant(value: Value | None, default: Any = None) -> list[int] | None:
    """The whole numbers that a value holds; `default` if it is absent, None if it is not constant."""
    if value is None or (value.array is None and not value.shape and not value.marks):
        return default
    return None if value.array is None else [int(number) for number in value.array.ravel()]


def given(inputs: Sequence[Value], position: int) -> Value | None:
    return inputs[position] if position < len(inputs) else None


Rule = Callable[[Reading, onnx.NodeProto, list[Value]], list[Value]]


def unknown(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """What cannot be followed freezes all that comes in."""
    reading.freeze_all(inputs, f"operator {node.op_type} cannot be followed here")
    return [Value(reading.shapes.get(name, ())) for name in node.output]
