"""Rules of layers: convolutions, matrix products, normalisations, and what works on each number alone."""

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


def grid_sample(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Pixels taken from places that the second input says: channels of the first pass, those of the second stay."""
    reading.freeze_all(inputs[1:], "GridSample reads two numbers a pixel, the places")
    return spatial(reading, node, inputs[:1])


def contraction(reading: Reading, channels: np.ndarray | None, weights: np.ndarray | None, op: str) -> None:
    """The input slices of a layer's weight read these channels: tied, or both frozen where they are not as many."""
    if weights is None:
        reading.freeze(channels, f"{op} reads it with a weight that is computed, or constant")
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
        made = depthwise(reading, op, channels, weight)
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


def depthwise(reading: Reading, op: str, channels: np.ndarray | None, weight: Value) -> np.ndarray | None:
    """Every channel goes on by itself, to one filter or several, which are tied to it; without channels these stay.

    A weight without marks is constant, or made of one kernel for as many channels as come (a blur).
    """
    filters = weight.on(0)
    if channels is None:
        reading.freeze(filters, FIXED.format(op))
        return making(reading, filters)
    carried = np.repeat(channels, weight.shape[0] // len(channels))
    if filters is not None:
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
    """A linear layer on the last axis, or on the one before (W @ x): hands on the columns or rows of its weight.

    Channels along the other axes pass. Freezes what is summed over where neither side is a weight (attention), and what
    does not lie along one axis alone.
    """
    left, right = inputs[0], inputs[1]
    if len(left.shape) < 2 or len(right.shape) < 2:
        return unknown(reading, node, inputs)
    shape = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    if any(len(side.shape) != len(shape) and not side.weight for side in (left, right)):
        reading.freeze_all(inputs, f"{node.op_type} changes the number of axes")
        return [Value(shape)]
    if left.weight == right.weight:
        return [Value(shape, product_of_maps(reading, left, right, len(shape)))]
    maps, weight = (right, left) if left.weight else (left, right)
    summed = len(maps.shape) - (2 if left.weight else 1)  # of the maps; what the weight makes takes its place
    reader, maker = len(weight.shape) - (1 if left.weight else 2), len(weight.shape) - (2 if left.weight else 1)
    for marks in maps.marks:
        if summed in axes_of(marks) and axes_of(marks) != (summed,):
            reading.freeze(marks, ARRANGED.format(node.op_type))
    contraction(reading, maps.on(summed), weight.on(reader), node.op_type)
    passing = [marks for marks in maps.marks if summed not in axes_of(marks)]
    made = making(reading, weight.on(maker))
    for marks in weight.marks:
        if axes_of(marks) not in ((), (reader,), (maker,)):
            reading.freeze(marks, f"{node.op_type} has a weight that is arranged in another way")
    if made is not None:
        passing.append(lying_along(made, summed, len(shape)))
    return [Value(shape, passing)]


def product_of_maps(reading: Reading, left: Value, right: Value, rank: int) -> list[np.ndarray]:
    """What passes a product of two activations: rows of the left, columns of the right, and what both have before.

    Frozen is what is summed over: no weight reads it, so that nothing could be zero in place of a channel that is gone.
    """
    passing: dict[tuple[int, ...], np.ndarray] = {}
    for value, summed in ((left, rank - 1), (right, rank - 2)):
        others = [axis for axis in range(rank) if axis != summed]
        for marks in reading.keep_only(value, others, "a product of two activations sums over it (as in attention)"):
            known = passing.setdefault(axes_of(marks), marks)
            if known is not marks:
                reading.tie(known, marks)
    return list(passing.values())


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


def group_norm(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """Normalisation over groups of channels: a group goes as a whole, with its entries of weight and bias.

    Without a weight nothing in the layer says how many channels it has, so all must stay.
    """
    maps, groups = inputs[0], attribute(node, "num_groups", 1)
    scale = given(inputs, 1)
    if scale is None or not scale.marks:
        reading.freeze_all(inputs, f"{node.op_type} without a weight has a fixed number of channels")
        return same_shape(reading, node, inputs)
    stay = reading.keep_only(maps, (0, 1), f"{node.op_type} treats channels that are arranged in another way")
    for marks in stay:
        if marks.shape[1] > 1:
            rows = marks.reshape(groups, -1)
            for column in rows.T[1:]:
                reading.tie(rows[:, 0], column)
    for parameter in inputs[1:]:
        joined(reading, Value(maps.shape, stay), parameter, 1, f"{node.op_type} works on a fixed number of channels")
    return [Value(maps.shape, stay)]


def recurrent(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """An LSTM, GRU or RNN reads channels by its input weights; its own state feeds itself, and stays whole."""
    op, (maps, weight) = node.op_type, inputs[:2]
    passing = reading.keep_only(maps, (2,), f"{op} treats channels that are arranged in another way")
    contraction(reading, Value(maps.shape, passing).on(2), weight.on(2), op)
    state = f"the state of {op} feeds itself"
    reading.keep_only(weight, (2,), state)
    making(reading, weight.on(1))
    reading.freeze_all(inputs[2:], state)
    return [Value(reading.shapes.get(name, ())) for name in node.output]


def einsum(reading: Reading, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
    """A linear layer written as a sum over letters: channels go along with their letter.

    A letter that is summed over is what a weight reads; without one, or in any other form, its channels are frozen.
    """
    terms, _, result = attribute(node, "equation", b"").decode().replace(" ", "").partition("->")
    letters = terms.split(",")
    plain = all(len(set(term)) == len(term) and term.isalpha() for term in letters) and (not result or result.isalpha())
    single = all(len(axes_of(marks)) == 1 for value in inputs for marks in value.marks)
    if len(letters) != 2 or not plain or not single or inputs[0].weight == inputs[1].weight:
        return unknown(reading, node, inputs)
    maps, weight = (1, 0) if inputs[0].weight else (0, 1)
    found = [{letters[side][axes_of(marks)[0]]: marks.ravel() for marks in inputs[side].marks} for side in (0, 1)]
    passing = []
    for letter in dict.fromkeys(terms.replace(",", "")):
        of_maps, of_weight = found[maps].get(letter), found[weight].get(letter)
        along = of_weight if of_maps is None else of_maps
        if letter in letters[maps] and letter in letters[weight] and letter not in result:
            contraction(reading, of_maps, of_weight, node.op_type)
        elif letter not in result:
            reading.freeze(along, f"{node.op_type} mixes the channels")
        elif of_maps is not None and of_weight is not None:
            reading.tie(of_maps, of_weight)
        elif letter in letters[maps] and letter in letters[weight]:
            reading.freeze(along, FIXED.format(node.op_type))
        elif of_weight is not None:
            making(reading, of_weight)
        if along is not None and letter in result:
            passing.append(lying_along(along, result.index(letter), len(result)))
    return [Value(reading.shapes.get(node.output[0], ()), passing)]


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
    axis = attribute(node, "axis", -1)
    if node.op_type == "CumSum":
        (axis,) = constant(inputs[1]) or [-1]
    axis %= len(inputs[0].shape)
    others = [other for other in range(len(inputs[0].shape)) if other != axis]
    reading.keep_only(inputs[0], others, f"{node.op_type} mixes the channels")
    return same_shape(reading, node, inputs)
