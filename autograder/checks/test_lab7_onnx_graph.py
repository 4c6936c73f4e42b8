"""Visible tests of lab 7. A test's first argument is the exercise that it grades."""

import copy

import pytest
import torch
from torch import Tensor

from course_utils import artifacts, expect
from course_utils.contracts import Contract
from solutions.graph import plain

JOINING = frozenset({"Add", "Sub", "Mul", "Div"})
PASSING = frozenset(plain.PASSING) - JOINING  # whatever an answer has added to it
LIMIT = 0.30  # of the baseline's parameters


# --- small graphs, written by hand


def op(kind, *sources, to):
    """A node; every name in a graph is a string of its own, as in one that was read from a file."""
    return {"op": kind, "inputs": ["".join(source) for source in sources], "outputs": ["".join(to)]}


def conv(source, weight, to=None, filters=8, inputs=8, groups=1):
    shape = (filters, inputs // groups, 3, 3)
    made = op("Conv", source, to=to or f"{weight} maps")
    return {**made, "weight": f"{weight}.weight", "shape": shape, "groups": groups}


def depthwise(source, weight, to=None, channels=8):
    return conv(source, weight, to, channels, channels, groups=channels)


def norm(source, weight, to):
    return {**op("BatchNormalization", source, to=to), "weight": f"{weight}.weight", "shape": (8,)}


def linear(source, weight, to, units=8):
    return {**op("Gemm", source, to=to), "weight": f"{weight}.weight", "shape": (units, 8)}


def classifier(source):
    flat = op("Flatten", source, to="features")
    return [flat, linear("features", "classifier", "logits", units=10)]


def residual_block():
    """relu(conv2(relu(conv1(x))) + x) behind a stem."""
    return [
        conv("images", "stem", inputs=3),
        op("Relu", "stem maps", to="x"),
        conv("x", "conv1"),
        norm("conv1 maps", "bn1", "normalised"),
        op("Relu", "normalised", to="inner"),
        conv("inner", "conv2"),
        op("Add", "conv2 maps", "x", to="sum"),
        op("Relu", "sum", to="out"),
        *classifier("out"),
    ]


# --- consumers


def read_by(answer):
    """What the nodes of an answer write, in their order; says what else came."""
    hint = "return a list of nodes (the dicts of the graph themselves), an empty list where nobody reads it"
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    assert isinstance(answer, (list, tuple)), f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}"
    assert all(isinstance(node, dict) and "outputs" in node for node in answer), (
        f"{hint}, not their names or positions\n  yours: {expect.show(answer)}"
    )
    return [node["outputs"][0] for node in answer]


def other_readers(graph, tensor):
    """What the nodes write that are found with mistakes that are often made."""

    def found(condition):
        return [node["outputs"][0] for node in graph if condition(node)]

    right = found(lambda node: tensor in node["inputs"])
    first = next((place for place, node in enumerate(graph) if tensor in node["inputs"]), len(graph))
    made = next((place for place, node in enumerate(graph) if tensor in node["outputs"]), len(graph))
    row = next((place for place in range(first, len(graph)) if tensor not in graph[place]["inputs"]), len(graph))
    of_weight = {node.get("weight"): node for node in graph[::-1] if tensor in node["inputs"]}
    of_op = {node["op"]: node for node in graph[::-1] if tensor in node["inputs"]}
    of_inputs = {(node["op"], *node["inputs"]): node for node in graph[::-1] if tensor in node["inputs"]}
    through, reached, also = {}, {tensor}, []
    for node in graph:
        for late in behind(graph, node) if tensor in node["inputs"] else []:
            through[late] = True
        if reached & set(node["inputs"]):
            also.append(node["outputs"][0])
            reached |= set(node["outputs"] if node["op"] in PASSING else [])
    return {
        "the node that MAKES the feature map (its name among the outputs), not those that read it": found(
            lambda node: tensor in node["outputs"]
        ),
        "the makers and the readers": found(lambda node: tensor in node["inputs"] + node["outputs"]),
        "the first input of each node only; an addition has two": found(lambda node: node["inputs"][0] == tensor),
        "the last input of each node only": found(lambda node: node["inputs"][-1] == tensor),
        "nodes that read nothing else (inputs == [tensor])": found(lambda node: node["inputs"] == [tensor]),
        "the first reader only": right[:1],
        "the last reader only": right[-1:],
        "a node once for every input that is the feature map: each node comes once": [
            node["outputs"][0] for node in graph for name in node["inputs"] if name == tensor
        ],
        "names of which the feature map's is a PART: compare whole names": found(
            lambda node: any(tensor in name for name in node["inputs"])
        ),
        "names that BEGIN as the feature map's: compare whole names": found(
            lambda node: any(name.startswith(tensor) for name in node["inputs"])
        ),
        "names that END as the feature map's: compare whole names": found(
            lambda node: any(name.endswith(tensor) for name in node["inputs"])
        ),
        "names that are a PART of the feature map's: compare whole names": found(
            lambda node: any(name in tensor for name in node["inputs"])
        ),
        "the readers sorted by the names of what they write, not in the graph's order": sorted(right),
        "the readers in reversed order": right[::-1],
        "the readers that follow one another: stopped at the first node that does not read it": found(
            lambda node: node in graph[first:row]
        ),
        "the readers BEHIND the node that makes the feature map only: an input of the network is made by none": found(
            lambda node: tensor in node["inputs"] and node in graph[made:]
        ),
        'one reader of every weight, as in a dict by `node.get("weight")`: all nodes without one share None': found(
            lambda node: node in of_weight.values()
        ),
        "one reader of every operator": found(lambda node: node in of_op.values()),
        "one reader of every operator and inputs: two convolutions that read the same are two nodes": found(
            lambda node: node in of_inputs.values()
        ),
        "the readers and, behind PASSING nodes, THEIR readers as well: only who reads it itself is asked for": also,
        "`is` in place of ==: strings with the same letters are equal, but need not be the same object": found(
            lambda node: any(name is tensor for name in node["inputs"])
        ),
        "the name taken apart into its LETTERS (`set(name)`, `for … in name`): take it as a whole": found(
            lambda node: set(tensor) & set(node["inputs"])
        ),
        "the layers behind PASSING nodes, in place of these: the node that reads it is wanted, whatever it is": list(
            through
        ),
        "only convolutions": found(lambda node: tensor in node["inputs"] and node["op"] == "Conv"),
        "only nodes with a weight": found(lambda node: tensor in node["inputs"] and "weight" in node),
    }


def behind(graph, node):
    """What is written by a node, or by those that read it if it hands its channels on."""
    if node["op"] not in PASSING:
        return node["outputs"][:1]
    further = [late for other in graph if node["outputs"][0] in other["inputs"] for late in behind(graph, other)]
    return further or node["outputs"][:1]


def forked_graph():
    """A feature map "x" that is read in many ways, among others whose names look like it."""
    return [
        conv("pixels", "stem", to="x", inputs=3),
        op("Sigmoid", "x", to="zeta"),
        op("Relu", "x", to="gate"),
        conv("zeta", "narrow", to="maps"),
        op("Relu", "maps", to="x_1"),
        conv("x", "side", to="max"),
        op("Mul", "gate", "x", to="scaled"),
        op("Add", "x_1", "scaled", to="x_10"),
        op("Mul", "x", "x", to="alpha"),
        conv("x", "other", to="late"),
        op("Concat", "x_10", "alpha", "max", "late", to="joined"),
        *classifier("joined"),
    ]


def readers(consumers, graph, tensor, expected, hint, more=None):
    """That the readers of a feature map are the right ones; of mistakes only those that other feature maps bear out."""
    found = read_by(consumers(graph, tensor))
    if found == expected:
        return
    mistakes = other_readers(graph, tensor) | (more or {})
    likely = {words: nodes for words, nodes in mistakes.items() if nodes == found}
    for other in ("maps", "gate", "x") if len(likely) > 1 else ():
        try:
            came = read_by(consumers(forked_graph(), other))
        except (AssertionError, LookupError, TypeError, ValueError, AttributeError, RuntimeError):
            continue
        others = other_readers(forked_graph(), other)
        likely = {words: nodes for words, nodes in likely.items() if others.get(words) == came} or likely
    mistakes = {words: nodes for words, nodes in mistakes.items() if words in likely or nodes != found}
    expect.equal(found, expected, hint, mistakes=mistakes)


@pytest.mark.points(2)
def test_all_nodes_that_read_a_feature_map_in_order(consumers):
    for name, graph, expected in (
        ("x", forked_graph(), ["zeta", "gate", "max", "scaled", "alpha", "late"]),
        ("x", residual_block(), ["conv1 maps", "sum"]),
        ("inner", residual_block(), ["conv2 maps"]),
    ):
        hint = f"the nodes that READ {name!r}, those with this name among their inputs: all of them, in the graph's "
        hint += "order (shown by what they write)"
        more = {}
        if earlier := [node["outputs"][0] for node in forked_graph() if name in node["inputs"]]:
            remembered = "the answer for an earlier graph in which a feature map had this name: remember nothing"
            more[remembered] = earlier
        readers(consumers, graph, name, expected, hint, more)


@pytest.mark.points(1)
def test_whole_names_and_each_node_once(consumers):
    graph = [
        op("Relu", "images", to="relu"),
        conv("relu", "narrow", to="relu_1"),
        conv("relu_1", "wide", to="prelu"),
        conv("prelu", "last", to="late"),
    ]
    for name, expected in {"relu": ["relu_1"], "prelu": ["late"]}.items():
        hint = f"'relu', 'relu_1' and 'prelu' are three feature maps; one node reads {name!r}"
        readers(consumers, graph, name, expected, hint)
    graph = [conv("images", "first", to="maps"), op("Mul", "maps", "maps", to="square"), *classifier("square")]
    hint = "Mul reads 'maps' with both inputs: it is one node all the same, so it comes once"
    readers(consumers, graph, "maps", ["square"], hint)


@pytest.mark.points(1)
def test_inputs_and_outputs_of_the_network(consumers):
    graph = forked_graph()
    hint = "'pixels', the network's input, is read by the stem, though no node makes it"
    readers(consumers, graph, "pixels", ["x"], hint)
    hint = "nobody reads 'logits', the network's output: an empty list, no error and no None"
    try:
        consumers(graph, "logits")
    except (ValueError, KeyError, IndexError, LookupError) as error:
        raise AssertionError(f"{hint}\n  yours stopped with {type(error).__name__}: {error}") from None
    readers(consumers, graph, "logits", [], hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_consumers_needs(consumers):
    def listed(graph, tensor):
        found = consumers(graph, tensor)
        assert isinstance(found, list), f"return a list; yours is of type {type(found).__name__}"
        return found

    for tensor in ("x", "logits"):
        Contract(gives=[dict]).hold(listed, lambda tensor=tensor: {"graph": forked_graph(), "tensor": tensor})
    graph = forked_graph()
    copied = [node for node in listed(graph, "x") if not any(node is own for own in graph)]
    assert not copied, "return the nodes themselves, the very dicts of the graph; yours are copies of them"


# --- features_of_channel


def other_columns(channels, pixels):
    """What comes out with mistakes that are often made with the columns behind a flatten."""
    count, places = len(channels), torch.arange(pixels)
    first, side = channels[:, None] * pixels, max(int(pixels**0.5), 1)
    square = (torch.arange(side)[:, None] * side + torch.arange(side)).flatten()
    low, high = channels.min(), channels.max()
    return {
        "one column for each channel, c alone": channels,
        "the first column of each channel only, c*pixels": channels * pixels,
        "the last column of each channel only": channels * pixels + pixels - 1,
        "the right columns ordered by pixel: those of one channel are neighbours": (first + places).T.flatten(),
        "pixels that count from 1": (first + places + 1).flatten(),
        "pixels that count from 1, without the last": (first + places[1:]).flatten() if pixels > 1 else None,
        "one pixel too many": (first + torch.arange(pixels + 1)).flatten(),
        "one pixel too few": (first + places[:-1]).flatten(),
        f"steps of {count}, the number of channels given, as if the pixels came first": (
            channels[:, None] + places * count
        ).flatten(),
        "steps of the highest channel + 1, as if the pixels came first": (
            channels[:, None] + places * (high + 1)
        ).flatten(),
        "c + pixel in place of c*pixels + pixel": (channels[:, None] + places).flatten(),
        "c*(pixels - 1) in place of c*pixels": (channels[:, None] * (pixels - 1) + places).flatten(),
        "all channels from the lowest to the highest given": torch.arange(int(low) * pixels, (int(high) + 1) * pixels),
        "the first channels, not those that are given": torch.arange(count * pixels),
        "the columns in increasing order: they come in the order of the channels given": (first + places)
        .flatten()
        .sort()
        .values,
        "the channels in reversed order": (first + places).flip(0).flatten(),
        "columns in decreasing order within each channel": (first + places).flip(1).flatten(),
        f"square feature maps of {side} x {side} pixels": (first + square).flatten(),
        "a table, one row a channel: flatten it": first + places,
        "a table, one row a pixel: one row a channel, flattened": (first + places).T,
        "channels and pixels BOTH repeated as a whole (`repeat`), which pairs them wrongly: each channel meets all "
        "pixels, so repeat every channel (`repeat_interleave`) and the pixels as a whole": (
            channels.repeat(pixels) * pixels + places.repeat(count)
        ),
        "channels and pixels BOTH with `repeat_interleave`, which pairs them wrongly: repeat the pixels as a whole": (
            channels.repeat_interleave(pixels) * pixels + places.repeat_interleave(count)
        ),
        "each channel repeated, without its pixels": channels.repeat_interleave(pixels),
        "the first columns repeated, without the pixels": (channels * pixels).repeat_interleave(pixels),
    }


def columns_of(answer, channels, pixels, hint):
    """That an answer has the right columns, as whole numbers."""
    expected = [channel * pixels + pixel for channel in channels.tolist() for pixel in range(pixels)]
    mistakes = other_columns(channels.long(), pixels) if len(channels) else {}
    expect.same(answer, torch.tensor(expected, dtype=torch.int64), hint, mistakes=mistakes)
    came = expect.tensor(answer, hint).dtype
    assert came == torch.int64, f"columns are indices, int64; yours are {str(came).removeprefix('torch.')}\n  ({hint})"


@pytest.mark.points(1)
def test_a_channel_owns_neighbouring_columns(features_of_channel):
    channels = torch.tensor([1, 2, 5])
    hint = (
        "behind flatten there are C*H*W features: of 6 pixels, channel c owns the columns 6c … 6c + 5; here c = 1, 2, 5"
    )
    columns_of(features_of_channel(channels.clone(), 6), channels, 6, hint)


@pytest.mark.points(1)
def test_the_order_of_the_channels_is_kept(features_of_channel):
    channels = torch.tensor([6, 0, 3])
    hint = "the columns of channels 6, 0, 3, in this order, with 4 pixels: those of channel 6 come first"
    columns_of(features_of_channel(channels.clone(), 4), channels, 4, hint)


@pytest.mark.points(1)
def test_one_pixel_one_channel_and_none(features_of_channel):
    for what, some, pixels in (
        ("one pixel, as behind a global pooling: a channel is one column", [4, 0, 2], 1),
        ("one channel of 3 pixels", [2], 3),
        ("one channel of one pixel: still one axis, of length 1", [5], 1),
        ("no channel: no column, a tensor of length 0, int64 as well", [], 4),
    ):
        channels = torch.tensor(some, dtype=torch.int64)
        try:
            answer = features_of_channel(channels.clone(), pixels)
        except (RuntimeError, IndexError, ValueError) as error:
            if isinstance(error, NotImplementedError):
                raise
            raise AssertionError(f"{what}\n  yours stopped with {type(error).__name__}: {error}") from None
        columns_of(answer, channels, pixels, what)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_features_of_channel_needs(features_of_channel):
    for some, pixels in (([3, 0], 4), ([2, 5], 1)):
        Contract(gives=Tensor).hold(
            features_of_channel,
            lambda some=some, pixels=pixels: {"channels": torch.tensor(some), "pixels": pixels},
        )
    came = features_of_channel(torch.tensor([3, 1], dtype=torch.int32), 4).dtype
    hint = "channels may be int32, columns are int64 all the same; yours are "
    assert came == torch.int64, hint + str(came).removeprefix("torch.")


# --- concat_offsets


def whole_numbers(answer, hint):
    """An answer as a list of whole numbers; says what else came."""
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    try:
        return [number.item() if hasattr(number, "item") else number for number in answer]
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}") from None


def other_offsets(widths):
    """What comes out with mistakes that are often made with the parts of a concatenation."""
    places = range(len(widths))
    ends = [sum(widths[: part + 1]) for part in places]
    right = [end - width for end, width in zip(ends, widths, strict=True)]
    ordered = sorted(widths)
    return {
        "where each part ENDS: the sum of the widths BEFORE it is wanted, so the first begins at 0": ends,
        "the last channel of each part": [end - 1 for end in ends],
        "one offset too many: the whole width is where the next part WOULD begin": [0, *ends],
        "one offset too few": right[:-1],
        "without the 0 of the first part": right[1:],
        "the width of the part before, without adding up": [0, *widths[:-1]],
        "the widths themselves": list(widths),
        "all parts as wide as the first": [part * widths[0] for part in places],
        "all parts as wide as the widest": [part * max(widths) for part in places],
        "each part's own width times its position": [part * width for part, width in enumerate(widths)],
        "a part looked up by its width: of equal widths all get the first one's offset": [
            sum(widths[: widths.index(width)]) for width in widths
        ],
        "the sum of the widths BEHIND each part": [sum(widths[part + 1 :]) for part in places],
        "the parts in order of their widths": [sum(ordered[:part]) for part in places],
        "the offsets in reversed order": right[::-1],
        "positions that count from 1: the first channel is 0": [offset + 1 for offset in right],
        "widths[:k - 1] in place of widths[:k], which for k = 0 is all but the last": [
            sum(widths[: part - 1]) for part in places
        ],
        "no offset for an empty part (or each offset once only): it begins where the next one does": list(
            dict.fromkeys(right)
        ),
        "one channel left free between parts": [offset + part for part, offset in enumerate(right)],
        "one channel too few for every part": [offset - part for part, offset in enumerate(right)],
    }


@pytest.mark.points(2)
def test_where_the_parts_begin(concat_offsets):
    hint = "parts of 3, 8, 3, 1 and 5 channels: each begins where the ones before it end, o_k = w_0 + … + w_(k-1)"
    widths = [3, 8, 3, 1, 5]
    answer = whole_numbers(concat_offsets(list(widths)), hint)
    expect.equal(answer, [0, 3, 11, 14, 15], hint, mistakes=other_offsets(widths))
    hint = "the same call once more: remember and draw nothing (a default argument such as `offsets=[]` is made once)"
    expect.equal(whole_numbers(concat_offsets(list(widths)), hint), answer, hint)


@pytest.mark.points(1)
def test_one_offset_a_part(concat_offsets):
    hint = "one part of 16 channels begins at 0: one offset for every part"
    expect.equal(whole_numbers(concat_offsets([16]), hint), [0], hint, mistakes=other_offsets([16]))
    hint = "two parts of 9 channels each: two offsets"
    expect.equal(whole_numbers(concat_offsets([9, 9]), hint), [0, 9], hint, mistakes=other_offsets([9, 9]))
    hint = "parts of 4, 0, 7 and 2 channels: the empty one has an offset too, and begins where the next one does"
    widths = [4, 0, 7, 2]
    expect.equal(whole_numbers(concat_offsets(list(widths)), hint), [0, 4, 4, 11], hint, mistakes=other_offsets(widths))
    hint = "no parts: no offsets, an empty list"
    try:
        answer = concat_offsets([])
    except (IndexError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, NotImplementedError):
            raise
        raise AssertionError(f"{hint}\n  yours stopped with {type(error).__name__}: {error}") from None
    expect.equal(whole_numbers(answer, hint), [], hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_concat_offsets_needs(concat_offsets):
    Contract(gives=list).hold(
        lambda widths: expect.whole_numbers(concat_offsets(widths)), lambda: {"widths": [2, 5, 4]}
    )


# --- coupled_channels


def partition(answer):
    """The lists of an answer, sorted; says what else came."""
    hint = "return a list of lists of names, the weights' of convolutions that are coupled"
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    assert isinstance(answer, (list, tuple)), f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}"
    for names in answer:
        assert isinstance(names, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in names), (
            f"{hint}; one of yours is {expect.show(names)}"
        )
    return sorted(sorted(names) for names in answer)


def is_depthwise(node):
    return node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)


def couples(node):
    """The inputs whose channels a node couples with those of its output."""
    return node["inputs"] if node["op"] in PASSING | JOINING or is_depthwise(node) else []


def labels(graph, coupled=couples, whole_sets=True):
    """Feature map → a label, which those that are coupled have in common."""
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        output, inputs = node["outputs"][0], coupled(node)
        if inputs and not whole_sets:
            label.update(dict.fromkeys([output, *inputs], label[inputs[0]]))
        for tensor in inputs if whole_sets else []:
            old, new = label[tensor], label[output]
            label = {name: new if value == old else value for name, value in label.items()}
    return label


def sets_of(graph, coupled=couples, listed=None, ends=None, whole_sets=True):
    """The right lists, sorted; or what comes out with other rules.

    `coupled(node)`: the inputs that a node couples with its output; `listed(node)`: whether its weight is in a list;
    `ends(graph)`: the feature maps whose set is left out.
    """
    label = labels(graph, coupled, whole_sets)
    listed = listed or (lambda node: node["op"] == "Conv")
    fixed = {label[tensor] for tensor in (ends or both_ends)(graph)}
    sets = {}
    for node in graph:
        if listed(node) and label[node["outputs"][0]] not in fixed:
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return sorted(map(sorted, sets.values()))


def inputs_of(graph):
    made = {tensor for node in graph for tensor in node["outputs"]}
    return {tensor for node in graph for tensor in node["inputs"]} - made


def outputs_of(graph):
    read = {tensor for node in graph for tensor in node["inputs"]}
    return {tensor for node in graph for tensor in node["outputs"]} - read


def both_ends(graph):
    return inputs_of(graph) | outputs_of(graph)


def other_sets(graph, came=None):
    """What comes out with mistakes that are often made with couplings: of several forms of one, what came."""

    def only(operators, depthwise=True):
        return lambda node: node["inputs"] if node["op"] in operators or (depthwise and is_depthwise(node)) else []

    def also(condition):
        return lambda node: node["inputs"] if node["op"] == "Conv" and condition(node) else couples(node)

    def first_input(node):
        return node["inputs"][:1] if couples(node) else []

    first_readers = {tensor: node["outputs"] for node in graph[::-1] for tensor in node["inputs"]}

    def first_reader(node):
        return [tensor for tensor in couples(node) if first_readers[tensor] is node["outputs"]]

    def two_inputs(node):
        return couples(node) if node["op"] not in JOINING or len(node["inputs"]) > 1 else []

    def itself(graph, ends=both_ends):
        lasts = {node["weight"] for node in graph if node["op"] == "Conv" and set(node["outputs"]) & ends(graph)}
        sets = sets_of(graph, ends=lambda graph: [])
        return sorted(names for some in sets if (names := [name for name in some if name not in lasts]))

    def weights(node):
        return "weight" in node

    def layers(node):
        return "weight" in node and node["op"] != "BatchNormalization"

    def ordinary(node):
        return node["op"] == "Conv" and not is_depthwise(node)

    everything = PASSING | JOINING
    at_hand = sets_at_hand(graph)
    mistakes = {
        "the joined set given to the node's own inputs and output only: ALL of its members must get it, those of "
        "earlier nodes too": came if came in at_hand else at_hand[0],
        "every convolution in a list of its own": sets_of(graph, lambda node: []),
        "only the FIRST input of a joining node coupled with its output": sets_of(graph, first_input),
        "only the FIRST reader of every feature map followed: a fork has several": sets_of(graph, first_reader),
        "one member of a set moved to the other, not the WHOLE set": sets_of(graph, whole_sets=False),
        "nothing handed on by PASSING nodes": sets_of(graph, only(JOINING)),
        "nothing coupled by JOINING nodes": sets_of(graph, only(PASSING)),
        "only Add as a joint: Sub, Mul and Div couple as well (JOINING)": sets_of(graph, only(PASSING | {"Add"})),
        "only Add and Sub as joints: Mul and Div couple as well (JOINING)": sets_of(
            graph, only(PASSING | {"Add", "Sub"})
        ),
        "only Add and Mul as joints: Sub and Div couple as well (JOINING)": sets_of(
            graph, only(PASSING | {"Add", "Mul"})
        ),
        "a joining node of one feature map (the other is a constant) as the end of a coupling": sets_of(
            graph, two_inputs
        ),
        "Flatten and Reshape as the end of a coupling: they hand channels on": sets_of(
            graph, only(everything - {"Flatten", "Reshape"})
        ),
        "pooling as the end of a coupling: it hands channels on": sets_of(
            graph, only({name for name in everything if "Pool" not in name and name != "ReduceMean"})
        ),
        "depthwise convolutions taken for ordinary ones": sets_of(graph, only(everything, depthwise=False)),
        "all convolutions with groups taken for depthwise ones": sets_of(graph, also(lambda node: node["groups"] > 1)),
        "all convolutions with one input channel a group (shape[1] == 1) and several groups taken for depthwise ones, "
        "though some make more channels than they read": sets_of(
            graph, also(lambda node: node["groups"] > 1 and node["shape"][1] == 1)
        ),
        "all convolutions with shape[1] == 1 taken for depthwise ones, also such as read one channel with groups = 1": (
            sets_of(graph, also(lambda node: node["shape"][1] == 1))
        ),
        "all convolutions with as many groups as filters taken for depthwise ones": sets_of(
            graph, also(lambda node: node["groups"] == node["shape"][0])
        ),
        "all convolutions that keep the number of channels coupled with what they read": sets_of(
            graph, also(lambda node: node["shape"][0] == node["shape"][1] * node["groups"])
        ),
        "the depthwise convolutions' own weights left out": sets_of(graph, listed=ordinary),
        "Concat as a joint: its parts lie one behind the other": sets_of(graph, only(everything | {"Concat"})),
        "all nodes as joints or passing, but convolutions and linear layers": sets_of(
            graph, lambda node: couples(node) if "weight" in node else node["inputs"]
        ),
        "the weights of linear layers listed too: convolutions are asked for": sets_of(graph, listed=layers),
        "the weights of all nodes listed, batch norms and linear layers too": sets_of(graph, listed=weights),
        "what reaches an OUTPUT of the network not left out": sets_of(graph, ends=inputs_of),
        "what is coupled with an INPUT of the network not left out": sets_of(graph, ends=outputs_of),
        "neither inputs nor outputs left out": sets_of(graph, ends=lambda graph: []),
        "only the LAST node's output taken for an output of the network: nobody reads others either": sets_of(
            graph, ends=lambda graph: inputs_of(graph) | {graph[-1]["outputs"][0]}
        ),
        "only feature maps called 'images' taken for inputs: an input is what no node makes": sets_of(
            graph, ends=lambda graph: outputs_of(graph) | ({"images"} & inputs_of(graph))
        ),
        "only the first output of each node counted as made": sets_of(
            graph, ends=lambda graph: both_ends(graph) | later_outputs(graph)
        ),
        "only the feature map of each set that is written LAST asked for readers: of those before it one may be an "
        "output as well": sets_of(graph, ends=lambda graph: inputs_of(graph) | last_outputs(graph)),
        "what a linear layer reads taken for coupled with the output: it makes new channels, its units": sets_of(
            graph,
            ends=lambda graph: (
                both_ends(graph) | {tensor for node in graph if node["op"] == "Gemm" for tensor in node["inputs"]}
            ),
        ),
        "only the convolution that writes the output itself left out, not what is coupled with it": itself(graph),
        "lists of a single convolution left out": [names for names in sets_of(graph) if len(names) > 1],
    }
    return mistakes


def sets_at_hand(graph):
    """What comes out where a joined set is given to a node's inputs and output only: a list of several forms."""
    held = {tensor: {tensor} for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        maps = [node["outputs"][0], *couples(node)]
        held.update(dict.fromkeys(maps, set().union(*(held[tensor] for tensor in maps))))
    weights = {node["outputs"][0]: node["weight"] for node in graph if node["op"] == "Conv"}
    whole, once, own, passed = [], [], [], set()
    for some in {id(some): some for some in held.values()}.values():
        if not some & both_ends(graph):
            whole.append(sorted(weights[tensor] for tensor in some & weights.keys()))
            once.append([name for name in whole[-1] if name not in {name for names in once for name in names}])
    for tensor in weights:  # the set that each convolution's own output has
        if tensor not in passed and not held[tensor] & both_ends(graph):
            own.append(sorted(weights[other] for other in held[tensor] & weights.keys()))
        passed |= held[tensor] if tensor not in passed else set()
    different = [list(names) for names in {tuple(names): None for names in whole}]
    return [sorted(filter(None, sets)) for sets in (whole, once, own, different)]


def last_outputs(graph):
    """Of each set of coupled feature maps the one that is written last, if nobody reads it."""
    label = labels(graph)
    last = {label[tensor]: tensor for node in graph for tensor in node["outputs"]}
    return outputs_of(graph) & set(last.values())


def later_outputs(graph):
    return {tensor for node in graph for tensor in node["outputs"][1:]}


def coupled(coupled_channels, graph, expected, hint):
    """That the lists of an answer are the right ones; expected without the `.weight` behind every name."""
    names = sorted(sorted(f"{name}.weight" for name in some) for some in expected)
    answer = partition(coupled_channels(copy.deepcopy(graph)))
    mistakes = (
        {words: sets for words, sets in other_sets(graph, answer).items() if sets == answer} if answer != names else {}
    )
    expect.equal(answer, names, hint, mistakes=narrowed(coupled_channels, mistakes) if len(mistakes) > 1 else mistakes)


def narrowed(coupled_channels, mistakes):
    """Those of some mistakes that give what the answer gives for other graphs as well, as far as there are any."""
    tried = (
        residual_block,
        two_pairs,
        scores,
        heads,
        corrected,
        separable,
        gated,
        quotients,
        scaled,
        multiplied,
        forked,
    )
    for graph in (make() for make in tried):
        try:
            came = partition(coupled_channels(copy.deepcopy(graph)))
        except (AssertionError, LookupError, TypeError, ValueError, AttributeError, RuntimeError):
            continue
        others = other_sets(graph, came)
        mistakes = {words: sets for words, sets in mistakes.items() if others[words] == came} or mistakes
    return mistakes


def two_pairs():
    """(a + b) + (c + d)."""
    return [
        *(conv("pixels", name, inputs=3) for name in "abcd"),
        op("Add", "a maps", "b maps", to="ab"),
        op("Add", "c maps", "d maps", to="cd"),
        op("Add", "ab", "cd", to="all"),
        *classifier("all"),
    ]


def scores():
    """The last convolution's channels are the classes."""
    return [
        conv("pixels", "first", inputs=3),
        op("Relu", "first maps", to="relu"),
        conv("relu", "scores"),
        op("GlobalAveragePool", "scores maps", to="means"),
        op("Flatten", "means", to="logits"),
    ]


def heads():
    """A network with four outputs."""
    return [
        conv("pixels", "first", inputs=3),
        conv("first maps", "main"),
        conv("first maps", "boxes"),
        conv("main maps", "early"),
        op("Add", "main maps", "early maps", to="seen"),
        conv("main maps", "inner"),
        conv("inner maps", "shown"),
        op("Sigmoid", "shown maps", to="picture"),
        op("Relu", "shown maps", to="active"),
        *classifier("active"),
    ]


def corrected():
    """Something is added to the images."""
    return [
        conv("pixels", "inner", inputs=3),
        conv("inner maps", "correction", filters=3),
        op("Add", "pixels", "correction maps", to="corrected"),
        depthwise("corrected", "blur", channels=3),
        conv("blur maps", "next", inputs=3),
        *classifier("next maps"),
    ]


def separable():
    """Two depthwise convolutions, each behind an ordinary one."""
    return [
        conv("pixels", "expand", inputs=3),
        op("Relu", "expand maps", to="wide"),
        depthwise("wide", "depthwise"),
        op("Relu", "depthwise maps", to="filtered"),
        conv("filtered", "project", filters=2),
        depthwise("project maps", "two", channels=2),
        *classifier("two maps"),
    ]


def gated():
    """Squeeze and excitation: a small branch that multiplies every channel."""
    return [
        conv("pixels", "wide", inputs=3),
        op("GlobalAveragePool", "wide maps", to="means"),
        conv("means", "squeeze", filters=2),
        op("Relu", "squeeze maps", to="few"),
        conv("few", "excite", inputs=2),
        op("Sigmoid", "excite maps", to="gate"),
        op("Mul", "gate", "wide maps", to="gated"),
        conv("gated", "next"),
        *classifier("next maps"),
    ]


def quotients():
    """(a - b) / c."""
    parts = [conv("pixels", name, inputs=3) for name in "abc"]
    return [*parts, op("Sub", "a maps", "b maps", to="ab"), op("Div", "ab", "c maps", to="abc"), *classifier("abc")]


def scaled():
    """a / 2 + b."""
    parts = [conv("pixels", "a", inputs=3), conv("pixels", "b", inputs=3), op("Div", "a maps", to="half")]
    return [*parts, op("Add", "half", "b maps", to="sum"), *classifier("sum")]


def multiplied():
    """Groups that are not depthwise."""
    return [
        conv("pixels", "first", inputs=3),
        conv("first maps", "grouped", groups=4),
        conv("grouped maps", "multiplied", filters=16, groups=8),
        conv("multiplied maps", "last", inputs=16),
        *classifier("last maps"),
    ]


def forked():
    """Two branches that are concatenated."""
    return [
        conv("pixels", "left", inputs=3),
        conv("pixels", "right", inputs=3),
        op("Concat", "left maps", "right maps", to="both"),
        conv("both", "mixed", inputs=16),
        *classifier("mixed maps"),
    ]


@pytest.mark.points(1)
def test_in_a_chain_nothing_is_coupled(coupled_channels):
    graph = [
        conv("pixels", "first", inputs=3),
        norm("first maps", "bn", "normalised"),
        op("Relu", "normalised", to="relu"),
        op("MaxPool", "relu", to="pooled"),
        conv("pooled", "second"),
        op("Flatten", "second maps", to="flat"),
        linear("flat", "hidden", "units"),
        op("Relu", "units", to="active"),
        linear("active", "classifier", "logits"),
    ]
    hint = "in a chain every convolution is alone: a Conv ends the coupling of what it reads, and makes new channels; "
    hint += "linear layers are in no list"
    coupled(coupled_channels, graph, [["first"], ["second"]], hint)


@pytest.mark.points(2)
def test_both_sides_of_a_residual_addition(coupled_channels):
    hint = "both sides of a residual addition must lose the same channels: the stem and conv2 belong together"
    coupled(coupled_channels, residual_block(), [["conv1"], ["conv2", "stem"]], hint)


@pytest.mark.points(2)
def test_couplings_go_through_a_whole_stage(coupled_channels):
    graph = [conv("pixels", "stem", to="x0", inputs=3)]
    for block in range(3):
        graph += [
            conv(f"x{block}", f"{block}.conv1"),
            op("Relu", f"{block}.conv1 maps", to=f"inner{block}"),
            conv(f"inner{block}", f"{block}.conv2"),
            op("Add", f"x{block}", f"{block}.conv2 maps", to=f"sum{block}"),
            op("Relu", f"sum{block}", to=f"x{block + 1}"),
        ]
    graph += classifier("x3")
    hint = "if a goes with b and b with c, all three go together: one addition after the other couples the whole stage"
    expected = [["0.conv1"], ["0.conv2", "1.conv2", "2.conv2", "stem"], ["1.conv1"], ["2.conv1"]]
    coupled(coupled_channels, graph, expected, hint)
    hint = "a + b and c + d are coupled, then their sums are added: the two whole sets become one"
    coupled(coupled_channels, two_pairs(), [["a", "b", "c", "d"]], hint)


@pytest.mark.points(1)
def test_the_outputs_are_never_pruned(coupled_channels):
    hint = "the channels of the last convolution are the classes: what reaches the network's output is left out, also "
    hint += "through pooling and Flatten"
    coupled(coupled_channels, scores(), [["first"]], hint)
    hint = (
        "a network with four outputs: nobody reads 'boxes maps', 'seen' and 'picture' either, so 'boxes', 'main' and "
    )
    hint += "'early' that make up 'seen', and 'shown' are left out (though 'active', of 'shown' as well, is read)"
    coupled(coupled_channels, heads(), [["first"], ["inner"]], hint)


@pytest.mark.points(1)
def test_what_is_coupled_with_an_input_must_stay(coupled_channels):
    hint = "three colours are no channels to prune: what is coupled with an input of the network, 'pixels', is left out"
    coupled(coupled_channels, corrected(), [["inner"], ["next"]], hint)


@pytest.mark.points(1)
def test_a_depthwise_convolution_follows_its_producer(coupled_channels):
    hint = (
        "a depthwise convolution, shape (C, 1, kH, kW) with groups = C > 1, works on every channel alone: it belongs "
    )
    hint += "to the set of what it reads"
    coupled(coupled_channels, separable(), [["depthwise", "expand"], ["project", "two"]], hint)


@pytest.mark.points(1)
def test_groups_that_are_not_depthwise(coupled_channels):
    grey = [conv("pixels", "stem", inputs=1), conv("stem maps", "last"), *classifier("last maps")]
    hint = "a convolution of grey images has the shape (8, 1, 3, 3), but groups = 1: it makes new channels, and is free"
    coupled(coupled_channels, grey, [["last"], ["stem"]], hint)
    hint = "groups = 4 of 8 channels mixes channels, and 16 filters on 8 channels (groups = 8) make two of each: both "
    hint += "make new channels. Only a shape (C, 1, kH, kW) with groups = C > 1 hands them on"
    coupled(coupled_channels, multiplied(), [["first"], ["grouped"], ["last"], ["multiplied"]], hint)
    graph = [
        conv("pixels", "first", filters=1, inputs=3),
        conv("first maps", "single", filters=1, inputs=1),
        conv("single maps", "last", inputs=1),
        *classifier("last maps"),
    ]
    hint = "a convolution (1, 1, 3, 3) with groups = 1 is an ordinary one"
    coupled(coupled_channels, graph, [["first"], ["last"], ["single"]], hint)


@pytest.mark.points(1)
def test_a_concatenation_couples_nothing(coupled_channels):
    hint = "Concat puts channels one behind the other, it does not couple them: each part may lose what it likes"
    coupled(coupled_channels, forked(), [["left"], ["mixed"], ["right"]], hint)


@pytest.mark.points(1)
def test_all_joining_operators_couple(coupled_channels):
    hint = "a gate has one factor for every channel that it multiplies: Mul couples 'excite' and 'wide'"
    coupled(coupled_channels, gated(), [["excite", "wide"], ["next"], ["squeeze"]], hint)
    hint = "Sub and Div couple as well: a, b and c belong together"
    coupled(coupled_channels, quotients(), [["a", "b", "c"]], hint)
    hint = "Div of one feature map and a constant, which is no input here, hands the channels on: a and b are coupled"
    coupled(coupled_channels, scaled(), [["a", "b"]], hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_coupled_channels_needs(coupled_channels):
    def lists(graph):
        answer = coupled_channels(graph)
        partition(answer)
        assert isinstance(answer, list), f"return a list; yours is of type {type(answer).__name__}"
        for names in answer:
            assert isinstance(names, list), f"return a list of lists; one of yours is a {type(names).__name__}: {names}"
            assert names == sorted(names), f"the names in each list are sorted; one of yours is {names}"
        return sorted(answer)  # in any order

    begin = [conv("!", "z", to="!z"), conv("!z", "a", to="!a")]  # names of which no other graph here has any
    end = [linear("!sum", "classifier", "!logits")]
    Contract(gives=list).hold(lists, lambda: {"graph": residual_block()})
    Contract(gives=list).hold(lists, lambda: {"graph": copy.deepcopy([*begin, op("Add", "!a", "!z", to="!sum"), *end])})
    hint = "a graph whose feature maps have the names of an earlier one's, in which a and z are not added"
    mistakes = {"the couplings of the earlier graph: remember and draw nothing": [["a.weight", "z.weight"]]}
    expect.equal(lists([*begin, op("Relu", "!a", to="!sum"), *end]), [["a.weight"], ["z.weight"]], hint, mistakes)


# --- the network that is handed in


@pytest.mark.points(2)
def test_parameters_that_are_left(lab7_pruned_onnx):
    measured, original = artifacts.measured(lab7_pruned_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= LIMIT, (
        f"at least {1 - LIMIT:.0%} of the parameters must go: "
        f"{measured.parameters:,} of {original.parameters:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab7_pruned_onnx, award):
    measured, original = artifacts.measured(lab7_pruned_onnx), artifacts.measured_baseline()
    assert measured.parameters <= LIMIT * original.parameters, f"accuracy counts once {1 - LIMIT:.0%} are gone"
    award(*artifacts.ramp("lab7_pruned", measured, original))
