"""What a sly student tried: each of these files was cheaper, or more accurate, than what is in it."""

from typing import Any

import numpy as np
import onnx
import pytest
from helpers.challenge_files import few_images, linear_file, weights
from onnx import TensorProto, helper, numpy_helper

from course_utils.challenge import entry, errors, score
from course_utils.challenge.score import score_onnx
from course_utils.onnx_files.reading import OnnxFileError
from course_utils.onnx_files.running import run_onnx

INPUTS, CLASSES = 3 * 32 * 32, 4
N = INPUTS * CLASSES
FLOATS = np.random.RandomState(0).randn(INPUTS, CLASSES).astype(np.float32)


def node(op, inputs, outputs, **settings):
    return helper.make_node(op, inputs.split(), outputs.split(), **settings)


FLAT, LINEAR = node("Flatten", "images", "flat"), node("MatMul", "flat w", "logits")


@pytest.fixture
def graph(tmp_path):
    """Write an ONNX file, with the weights "w" if nothing else is said → its path."""

    def write(nodes: Any, constants: Any = None, change: Any = None, opset: int = 21):
        path = linear_file(tmp_path / "network.onnx", FLOATS, nodes)
        model = onnx.load(path)
        model.opset_import[0].version = opset
        if constants is not None:
            del model.graph.initializer[:]
            model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
        if change:
            change(model)
        path.write_bytes(model.SerializeToString())
        return path

    return write


def macs(path):
    run_onnx(path, few_images("minicifar", "test"))  # or it would be no trick
    return score_onnx(path).macs


# skipping work where it is measured


REST = {"w": FLOATS, "one": np.array([1]), "all": np.array([1000]), "nought": np.array([0]), "four": np.array([4])}


def test_a_file_that_only_computes_when_there_are_several_images_is_refused(graph):
    """All images but the first, which are none when the multiply-adds of one image are counted."""
    nodes = [
        node("Slice", "images one all nought", "rest"),
        node("Flatten", "rest", "flat"),
        node("MatMul", "flat w", "most"),
        node("Slice", "images nought one nought", "first"),
        node("Flatten", "first", "pixels"),
        node("Slice", "pixels nought four one", "guess"),
        node("Concat", "guess most", "logits", axis=0),
    ]
    path = graph(nodes, REST)
    assert run_onnx(path, few_images("minicifar", "test"))
    with pytest.raises(OnnxFileError, match="every image must be classified by itself"):
        score_onnx(path)


def test_what_is_computed_once_a_batch_is_not_divided_by_its_images(graph):
    """Weights put together from two tensors, by way of a number from the images."""
    nodes = [
        FLAT,
        node("ReduceMax", "flat", "largest", keepdims=0),
        node("Mul", "largest nought", "zero"),
        node("Add", "zero w", "a"),
        node("Add", "zero v", "b"),
        node("Add", "a b", "sum"),
        node("MatMul", "flat sum", "logits"),
    ]
    assert macs(graph(nodes, {"w": FLOATS, "v": 2 * FLOATS, "nought": np.float32(0)})) == 2 * N


def test_a_size_that_is_larger_than_it_looks_is_refused(graph):
    """257 in 8 bits is 1, and 258 - 1 are the rows that run; onnx works with 258 - 257."""
    nodes = [
        node("Shape", "images", "sizes"),
        node("Slice", "sizes nought one nought", "batch"),
        node("Mul", "batch nought", "zero"),
        node("Add", "zero large", "x"),
        node("Cast", "x", "wrapped", to=TensorProto.UINT8),
        node("Cast", "wrapped", "y", to=TensorProto.INT64),
        node("Sub", "larger y", "rows"),
        node("Concat", "one rows one", "shape", axis=0),
        node("Reshape", "images flat", "pixels"),
        node("Expand", "pixels shape", "many"),
        node("MatMul", "many w", "products"),
        node("ReduceSum", "products one", "logits", keepdims=0),
    ]
    constants = {"large": np.array([257]), "larger": np.array([258]), "flat": np.array([-1, 1, INPUTS])}
    path = graph(nodes, REST | constants)
    assert run_onnx(path, few_images("minicifar", "test"))
    with pytest.raises(OnnxFileError, match=r"many has the shape \(100, 257, 3072\).* and \(100, 1, 3072\)"):
        score_onnx(path)


# multiply-adds in other operators


AS_ROWS = {"shape": np.array([-1, 1, INPUTS]), "axis": np.array([2]), "zero": np.float32(0)}


@pytest.mark.parametrize("op", ["Equal", "GreaterOrEqual"])
def test_a_binary_layer_made_of_comparisons(op, graph):
    signs = FLOATS.T.reshape(1, CLASSES, INPUTS)
    nodes = [
        node("Reshape", "images shape", "x"),
        node("Greater", "x zero", "positive"),
        node("Cast", "positive", "seen", to=TensorProto.FLOAT if op != "Equal" else TensorProto.BOOL),
        node(op, "seen w", "same"),
        node("Cast", "same", "ones", to=TensorProto.FLOAT),
        node("ReduceSum", "ones axis", "logits", keepdims=0),
    ]
    assert macs(graph(nodes, AS_ROWS | {"w": signs > 0 if op == "Equal" else signs})) == N


def test_weights_that_say_what_is_added_to_what(graph):
    """A layer of ones and zeros, as sums: which channels are named is what it has learned."""
    channels = [f"c{n}" for n in range(48)]
    nodes = [
        node("Reshape", "images shape", "x"),
        node("Split", "x", " ".join(channels), axis=1, num_outputs=48),
        *(node("Sum", " ".join(channels[n : n + 40]), f"y{n}") for n in range(4)),
        node("Concat", "y0 y1 y2 y3", "y", axis=1),
        node("ReduceSum", "y axis", "logits", keepdims=0),
    ]
    assert macs(graph(nodes, {"shape": np.array([-1, 48, 64]), "axis": np.array([2])})) == 4 * 39 * 64 + 4 * 64


def test_a_layer_of_single_numbers(graph):
    channels = range(48)
    nodes = [
        node("Reshape", "images shape", "x"),
        node("Split", "x", " ".join(f"c{n}" for n in channels), axis=1, num_outputs=48),
        *(node("Mul", f"c{n} w{n}", f"m{n}") for n in channels),
        node("Sum", " ".join(f"m{n}" for n in channels), "sum"),
        node("Reshape", "sum back", "maps"),
        node("ReduceSum", "maps axis", "logits", keepdims=0),
    ]
    constants = {"shape": np.array([-1, 48, 64]), "back": np.array([-1, 4, 16]), "axis": np.array([2])}
    assert macs(graph(nodes, constants | {f"w{n}": np.float32(n) for n in channels})) == 47 * 64


def test_inputs_chosen_by_a_table(graph):
    places = np.random.RandomState(0).randint(0, INPUTS, (4, 700))
    nodes = [FLAT, node("Gather", "flat w", "chosen", axis=1), node("ReduceSum", "chosen axis", "logits", keepdims=0)]
    assert macs(graph(nodes, {"w": places, "axis": np.array([2])})) == 4 * 700


def test_a_bias_that_is_larger_than_the_layer_it_is_added_to(graph):
    """One channel becomes four: distances from weights instead of products with them."""
    nodes = [
        node("Conv", "images one", "grey"),
        node("Add", "grey w", "differences"),
        node("Abs", "differences", "distances"),
        node("ReduceSum", "distances axes", "logits", keepdims=0),
    ]
    constants = {"one": np.full((1, 3, 1, 1), 1 / 3, np.float32), "w": FLOATS[:1024].T.reshape(1, 4, 32, 32)}
    assert macs(graph(nodes, constants | {"axes": np.array([2, 3])})) == 3 * 1024 + 4 * 1024


def test_shortcuts_and_biases_stay_free(graph):
    nodes = [FLAT, node("MatMul", "flat w", "a"), node("MatMul", "flat v", "c"), node("Add", "a b", "d")]
    nodes += [node("Relu", "d", "e"), node("Add", "c e", "logits")]
    assert macs(graph(nodes, {"w": FLOATS, "v": FLOATS + 1, "b": FLOATS[0]})) == 2 * N


def test_shortcuts_stay_free_in_8_bits(graph):
    """As quantize_static writes them: rounded before they are added."""
    nodes = [FLAT, node("MatMul", "flat w", "a"), node("MatMul", "flat v", "b"), node("Add", "a8 b8", "logits")]
    rounded = [
        (node("QuantizeLinear", f"{x} s z", f"{x}q"), node("DequantizeLinear", f"{x}q s z", f"{x}8")) for x in "ab"
    ]
    nodes[3:3] = [part for pair in rounded for part in pair]
    assert macs(graph(nodes, {"w": FLOATS, "v": FLOATS + 1, "s": np.float32(0.1), "z": np.int8(0)})) == 2 * N


# bits


def test_a_scale_for_each_weight_is_what_the_operator_multiplies_by(graph):
    """Ones of 8 bits, and real numbers in their scales, put into shape afterwards."""
    nodes = [
        FLAT,
        node("QuantizeLinear", "flat a z", "q8"),
        node("DequantizeLinear", "q8 a z", "x"),
        node("DequantizeLinear", "ones s", "row", axis=0),
        node("Reshape", "row shape", "w"),
        node("MatMul", "x w", "logits"),
    ]
    constants = {"ones": np.ones(N, np.int8), "s": FLOATS.flatten(), "shape": np.array(FLOATS.shape)}
    constants |= {"a": np.float32(0.02), "z": np.int8(0)}
    (operator,) = score_onnx(graph(nodes, constants)).operators
    assert (operator.q_w, operator.q_a) == (32, 8)


def test_a_name_that_is_made_of_two_others(graph):
    """Real numbers named "q z", beside q with its zero point z, which has few values."""
    linear = helper.make_node("MatMul", ["x", "q z"], ["a"])
    nodes = [
        FLAT,
        node("QuantizeLinear", "flat s z", "q8"),
        node("DequantizeLinear", "q8 s z", "x"),
        linear,
        node("DequantizeLinear", "q s z", "few"),
        node("MatMul", "x few", "b"),
        node("Add", "a b", "logits"),
    ]
    constants = {"q z": FLOATS, "q": np.ones(FLOATS.shape, np.int8), "s": np.float32(0.02), "z": np.int8(0)}
    assert [row.q_w for row in score_onnx(graph(nodes, constants)).operators] == [32, 1]


# files that two readers understand in two ways


def test_a_setting_given_twice_is_refused(graph):
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(0 * FLOATS))
    constant.attribute.append(helper.make_attribute("value", numpy_helper.from_array(FLOATS)))
    with pytest.raises(OnnxFileError, match="a setting of Constant twice"):
        score_onnx(graph([constant, FLAT, LINEAR], {}))


def test_two_versions_of_the_operators_are_refused(graph):
    path = graph([FLAT, LINEAR], change=lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx", 11)))
    with pytest.raises(OnnxFileError, match="more than one set of operators"):
        score_onnx(path)


def test_functions_are_refused_by_name(graph):
    inside = [helper.make_node("Identity", ["x"], ["y"])]
    function = helper.make_function("", "Flatten", ["x"], ["y"], inside, [helper.make_opsetid("", 21)])
    with pytest.raises(OnnxFileError, match="defines functions of its own"):
        score_onnx(graph([FLAT, LINEAR], change=lambda model: model.functions.append(function)))


def test_a_file_of_very_many_wires_is_refused(graph, monkeypatch):
    monkeypatch.setattr(score, "MOST_WIRES", 2)
    with pytest.raises(OnnxFileError, match=r"3 inputs, in which weights could hide: at most\s+2 are measured"):
        score_onnx(graph([FLAT, LINEAR]))


# images known by heart


def test_a_table_of_the_images_is_refused(graph):
    """Each image has a number, and each number a class: all right, and no image is known that was moved by a pixel."""
    images = few_images("minicifar", "test")
    mixed = np.random.RandomState(1).randn(INPUTS, 1).astype(np.float32)
    from minicifar import Loader

    ((pixels, labels),) = Loader(images, batch_size=100)
    numbers, first = np.unique(pixels.numpy().reshape(-1, INPUTS) @ mixed, return_index=True)
    nodes = [
        FLAT,
        node("MatMul", "flat mixed", "number"),
        node("Sub", "number numbers", "off"),
        node("Abs", "off", "distance"),
        node("Less", "distance near", "known"),
        node("Cast", "known", "ones", to=TensorProto.FLOAT),
        node("MatMul", "ones classes", "logits"),
    ]
    classes = np.eye(4, dtype=np.float32)[labels.numpy()[first]]
    path = graph(nodes, {"mixed": mixed, "numbers": numbers, "near": np.float32(0.01), "classes": classes})
    assert run_onnx(path, images)[0] == 1
    with pytest.raises(OnnxFileError, match=r"100.0% of the test images, and 25.0% when they are moved"):
        entry.measure(path, images, few_images("minicifar", "val"))


def test_a_network_that_has_learned_something_is_not_refused(tmp_path):
    path = linear_file(tmp_path / "network.onnx", weights())
    measured = [entry.measure(path, *(few_images("minicifar", split) for split in ("test", "val"))) for _ in "ab"]
    assert measured[0] == measured[1] and measured[0]["accuracy"] == 1


# cards


@pytest.mark.parametrize("seeds", [None, 1.5, "12", [None], [True]])
def test_seeds_that_are_none(seeds):
    with pytest.raises(errors.ChallengeError, match="seeds= must be whole numbers"):
        entry.seeds_of(seeds)


def test_a_seed_of_numpy_is_one():
    assert entry.seeds_of(np.int64(3)) == [3]


def test_a_method_that_is_no_text_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(errors.ChallengeError, match="method="):
        entry.submit("x.onnx", name="x", team="us", method=len, folder=tmp_path / "challenge")
    assert not (tmp_path / "challenge").exists()
