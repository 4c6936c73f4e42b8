"""Following the channels of a network through its ONNX graph: values with marks, and what is known about these."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from course_utils.onnx_files.export import OPSET

LARGEST_CONSTANT = 1_000_000  # elements; larger results of constants are not worked out


class Span(NamedTuple):
    """The marks of one axis of a parameter: `size` of them, from `start` on."""

    parameter: str
    axis: int
    start: int
    size: int

    @property
    def marks(self) -> slice:
        """Where they are among all marks of the reading."""
        return slice(self.start, self.start + self.size)


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
    """A vector of marks as an array of `rank` axes, along one of them."""
    shape = [1] * rank
    shape[axis] = len(vector)
    return vector.reshape(shape)


class Reading:
    """A graph that is being read: all marks so far, and which of them are tied, made, read and frozen.

    `values`: of every tensor's name; `spans`: the axes of all parameters; `tied`: arrays (2, n) of marks that are one
    channel, `combined` those among them that are of weights which become one; `made` and `read`: marks of what a layer
    makes and reads; `frozen`: marks with the reason why they stay.
    """

    def __init__(self, model: onnx.ModelProto, parameters: Sequence[str] | None) -> None:
        graph = model.graph
        self.values: dict[str, Value] = {"": Value(())}
        self.spans: list[Span] = []
        self.count = 0
        self.tied: list[np.ndarray] = []
        self.combined: list[np.ndarray] = []  # (2, n) of marks of weights that one weight is computed from
        self.made: list[np.ndarray] = []
        self.read: list[np.ndarray] = []
        self.frozen: list[tuple[np.ndarray, str]] = []
        self.place = ""  # where in the network the operator stands that is read now: "layer2.1.norm: GroupNorm"
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
        """Marks that nothing has yet, as many as asked for."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def parameter(self, name: str, shape: tuple[int, ...]) -> Value:
        """A parameter or buffer, with new marks along each of its axes."""
        value = Value(shape, weight=True)
        for axis, size in enumerate(shape):
            self.spans.append(Span(name, axis, self.count, size))
            marks = self.new_marks(size)
            if size > 1:  # a single channel can never go
                value.marks.append(lying_along(marks, axis, len(shape)))
        return value

    def tie(self, first: np.ndarray, second: np.ndarray) -> None:
        """These marks belong together, one by one."""
        self.tied.append(np.stack([array.ravel() for array in np.broadcast_arrays(first, second)]))

    def combine(self, first: np.ndarray, second: np.ndarray) -> None:
        """Tie marks of two weights that become one: whatever reads this reads both."""
        self.tie(first, second)
        self.combined.append(self.tied[-1])

    def freeze(self, marks: np.ndarray | None, reason: str) -> None:
        """These channels must stay, for a reason at the place that is read now; nothing happens without marks."""
        if marks is not None:
            self.frozen.append((marks.ravel(), f"{reason} ({self.place})" if self.place else reason))

    def freeze_all(self, values: Sequence[Value], reason: str) -> None:
        """All channels of these values must stay, and those of their parts."""
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
        """Follow one operator: work it out if it has constants only, else by its rule."""
        inputs = [self.values.get(name, Value(())) for name in node.input]
        inner = [self.values[name] for name in _read_inside(node) if name in self.values]
        self.place = place_of(node)
        results = None if inner else _known_beforehand(node, inputs)
        if results is None:
            results = self._by_rule(node, inputs, inner, rules)
        weight = not inner and all(value.weight for name, value in zip(node.input, inputs, strict=True) if name)
        for name, value in zip(node.output, results, strict=False):
            value.weight = weight
            self.values[name] = value
        self.place = ""

    def _by_rule(
        self, node: onnx.NodeProto, inputs: list[Value], inner: list[Value], rules: Mapping[str, "Rule"]
    ) -> list[Value]:
        """What an operator's rule says; without one all that it touches is frozen. `inner`: what graphs in it read."""
        rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx") and not inner else None
        if rule is None:
            chance = node.op_type.startswith(("Random", "Bernoulli", "Multinomial"))
            why = "random numbers are drawn there, in evaluation mode too" if chance else "is not known"
            self.freeze_all(
                [*inputs, *inner], f"operator {node.op_type}: {why}" if chance else f"operator {node.op_type} {why}"
            )
            return [Value(self.shapes.get(name, ())) for name in node.output]
        try:
            return rule(self, node, inputs)
        except (IndexError, ValueError, TypeError, ArithmeticError):  # a form that the rule was not written for
            return unknown(self, node, inputs)


def place_of(node: onnx.NodeProto) -> str:
    """The module, inside the network, in whose forward an operator stands, as the exporter notes it; or ""."""
    notes = {note.key: note.value for note in node.metadata_props}
    try:
        scopes = ast.literal_eval(notes["pkg.torch.onnx.name_scopes"])
        classes = ast.literal_eval(notes["pkg.torch.onnx.class_hierarchy"])
        name, cls = scopes[-2], classes[-2].rpartition(".")[2]
    except (KeyError, ValueError, SyntaxError, IndexError, AttributeError):
        return ""
    return f"{name}: {cls}" if name else ""


def _read_inside(node: onnx.NodeProto) -> list[str]:
    """The names of what the graphs inside an operator (the branches of an If, say) read."""
    return [name for graph in _graphs_in(node) for inner in graph.node for name in inner.input]


def _graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [graph for held in node.attribute for graph in ([held.g] if held.HasField("g") else held.graphs)]


def _known_beforehand(node: onnx.NodeProto, inputs: list[Value]) -> list[Value] | None:
    """What an operator makes of constants, or a shape, which is one; None for any other."""
    if all(value.array is not None or not name for name, value in zip(node.input, inputs, strict=True)):
        results = _worked_out(node, [value.array for value in inputs])
        if results is not None:
            return results
    if node.op_type == "Shape":
        sizes = inputs[0].shape[slice(attribute(node, "start", 0), attribute(node, "end", None))]
        return [Value((len(sizes),), array=np.array(sizes, dtype=np.int64), weight=True)]
    return None


def _worked_out(node: onnx.NodeProto, arrays: list[np.ndarray | None]) -> list[Value] | None:
    """What an operator makes of constants; None if that is too large, or not to be known."""
    if node.op_type == "Constant" and (tensor := attribute(node, "value", None)) is not None:
        array = numpy_helper.to_array(tensor)
        return [Value(array.shape, array=array, weight=True)]
    if sum(array.size for array in arrays if array is not None) > LARGEST_CONSTANT:
        return None
    try:
        evaluator = ReferenceEvaluator(node, opsets={"": OPSET})
        results = evaluator.run(None, dict(zip(node.input, arrays, strict=True)))
    except Exception:  # an operator that the reference does not have: then it is read as any other
        return None
    if not all(isinstance(array, np.ndarray | np.generic) and array.size <= LARGEST_CONSTANT for array in results):
        return None
    return [Value(np.shape(array), array=np.asarray(array), weight=True) for array in results]


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An operator's attribute of this name, `default` where it has none."""
    values = (onnx.helper.get_attribute_value(held) for held in node.attribute if held.name == name)
    return next(values, default)


def constant(value: Value | None, default: Any = None) -> list[int] | None:
    """The whole numbers that a value holds; `default` if it is absent, None if it is not constant."""
    if value is None or (value.array is None and not value.shape and not value.marks):
        return default
    return None if value.array is None else [int(number) for number in value.array.ravel()]


def given(inputs: Sequence[Value], position: int) -> Value | None:
    """An operator's input at this position; None where it has fewer."""
    return inputs[position] if position < len(inputs) else None


Rule = Callable[[Reading, onnx.NodeProto, list[Value]], list[Value]]


def unknown(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """What cannot be followed freezes all that comes in."""
    reading.freeze_all(inputs, f"operator {node.op_type} cannot be followed here")
    return [Value(reading.shapes.get(name, ())) for name in node.output]
