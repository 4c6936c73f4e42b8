"""The challenge's score: numbers worked out by hand on graphs made by hand, and tricks that must not pay."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from course_utils.challenge.graph import type_bits
from course_utils.challenge.score import RULES, score_onnx
from course_utils.networks import vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.onnx_files.reading import OnnxFileError

INPUTS, CLASSES = 3 * 32 * 32, 2
N = INPUTS * CLASSES  # weights of the linear layer in these files, and its multiply-adds
FLOATS = np.random.RandomState(0).randn(INPUTS, CLASSES).astype(np.float32)
SCALE, ZERO = np.array(0.1, np.float32), np.array(0, np.int8)


def score_of(weight_bits: float, mac_bits: float) -> float:
    """The formula, for sums of nonzero * bits and macs * max(q_w, q_a)."""
    return weight_bits / 32 / 5.6e6 + mac_bits / 32 / 2.8e8


def node(op, inputs, outputs, **settings):
    return helper.make_node(op, inputs.split(), outputs.split(), **settings)


@pytest.fixture
def graph(tmp_path):
    """Write an ONNX file → its path. Constants are numpy arrays or tensors of onnx."""

    def write(nodes, constants, opset=21, classes=CLASSES):
        tensors = []
        for name, value in constants.items():
            tensor = numpy_helper.from_array(value, name) if isinstance(value, np.ndarray) else value
            tensor.name = name
            tensors.append(tensor)
        made = helper.make_graph(
            nodes,
            "by hand",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ("N", 3, 32, 32))],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", classes))],
            tensors,
        )
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


FLAT = node("Flatten", "images", "flat")
LINEAR = node("MatMul", "flat w", "logits")


def test_a_float_matrix_costs_32_bits_a_weight(graph):
    scored = score_onnx(graph([FLAT, LINEAR], {"w": FLOATS}))
    assert scored.score == pytest.approx(N / 5.6e6 + N / 2.8e8, rel=1e-12)
    assert (scored.weights, scored.nonzero, scored.weight_bits, scored.macs) == (N, N, 32, N)
    assert scored.weight_bytes == 4 * N


def test_zeros_cost_nothing_but_their_multiply_adds(graph):
    half = np.where(np.arange(N).reshape(FLOATS.shape) % 2, FLOATS, np.float32(0))
    scored = score_onnx(graph([FLAT, LINEAR], {"w": half}))
    assert scored.score == pytest.approx(score_of(32 * N // 2, 32 * N), rel=1e-12)
    assert (scored.weights, scored.nonzero) == (N, N // 2)


def test_float16_costs_half(graph):
    nodes = [
        node("Cast", "images", "small", to=TensorProto.FLOAT16),
        node("Flatten", "small", "flat"),
        node("MatMul", "flat w", "y"),
        node("Cast", "y", "logits", to=TensorProto.FLOAT),
    ]
    scored = score_onnx(graph(nodes, {"w": FLOATS.astype(np.float16)}))
    assert scored.score == pytest.approx(score_of(16 * N, 16 * N), rel=1e-12)


def test_stored_in_float16_and_computed_in_float32(graph):
    nodes = [FLAT, node("Cast", "half", "w", to=TensorProto.FLOAT), LINEAR]
    scored = score_onnx(graph(nodes, {"half": FLOATS.astype(np.float16)}))
    assert scored.score == pytest.approx(score_of(16 * N, 32 * N), rel=1e-12)


def test_a_linear_layer_with_its_bias(graph):
    nodes = [FLAT, node("Gemm", "flat w b", "logits", transB=1)]
    scored = score_onnx(graph(nodes, {"w": FLOATS.T.copy(), "b": np.array([1, 2], np.float32)}))
    assert scored.score == pytest.approx(score_of(32 * (N + 2), 32 * N), rel=1e-12)


def test_a_depthwise_convolution(graph):
    """3 filters of 3×3 at 32×32 pixels, then the mean of each map."""
    weight = np.random.RandomState(1).randn(3, 1, 3, 3).astype(np.float32)
    nodes = [
        node("Conv", "images w", "maps", group=3, pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "maps", "means"),
        node("Flatten", "means", "logits"),
    ]
    scored = score_onnx(graph(nodes, {"w": weight}, classes=3))
    assert scored.score == pytest.approx(score_of(32 * 27, 32 * 27 * 1024), rel=1e-12)


def quantised(scale="s", activations=True):
    """MatMul between DequantizeLinear nodes, as quantize_static makes them."""
    both = [node("QuantizeLinear", "flat a za", "q8"), node("DequantizeLinear", "q8 a za", "x")]
    return [
        FLAT,
        *(both if activations else [node("Identity", "flat", "x")]),
        node("DequantizeLinear", f"q {scale} z", "w"),
        node("MatMul", "x w", "logits"),
    ]


LEVELS = np.random.RandomState(2).randint(-127, 128, FLOATS.shape).astype(np.int8)
INT8 = {"q": LEVELS, "s": SCALE, "z": ZERO, "a": SCALE, "za": ZERO}


OF_THE_IMAGES = 32  # bits: the scale with which the images are quantised, a number that is computed with


def test_int8_weights_and_activations(graph):
    """All levels occur, so that 254 of them need 8 bits; the scale is one more number."""
    nonzero = int((LEVELS != 0).sum())
    scored = score_onnx(graph(quantised(), INT8))
    assert scored.score == pytest.approx(score_of(8 * nonzero + 32 + OF_THE_IMAGES, 8 * N), rel=1e-12)
    assert (scored.nonzero, scored.weight_bits) == (nonzero, 8)


def test_int8_weights_alone_compute_with_32_bits(graph):
    constants = {name: INT8[name] for name in ("q", "s", "z")}
    scored = score_onnx(graph(quantised(activations=False), constants))
    assert scored.operators[0][2:] == (N, 8, 32)


def test_what_equals_the_zero_point_is_zero(graph):
    levels = (LEVELS.astype(int) + 128).astype(np.uint8)
    scored = score_onnx(graph(quantised(), INT8 | {"q": levels, "z": np.array(128, np.uint8)}))
    assert scored.nonzero == int((levels != 128).sum())


def test_scales_for_each_output_count_one_by_one(graph):
    scales = np.array([0.1, 0.2], np.float32)
    zeros = np.array([0, 0], np.int8)
    scored = score_onnx(graph(quantised(), INT8 | {"s": scales, "z": zeros}))
    assert scored.score == pytest.approx(
        score_of(8 * int((LEVELS != 0).sum()) + 2 * 32 + OF_THE_IMAGES, 8 * N), rel=1e-12
    )


def test_zero_points_for_each_output(graph):
    constants = INT8 | {"s": np.array([0.1, 0.2], np.float32), "z": np.array([3, 0], np.int8)}
    scored = score_onnx(graph(quantised(), constants))
    assert scored.nonzero == int((LEVELS[:, 0] != 3).sum() + (LEVELS[:, 1] != 0).sum())


def test_int4(graph):
    """All 16 levels but zero occur: 15 values need 4 bits, as their type has."""
    levels = np.resize([*range(-8, 0), *range(1, 8)], FLOATS.shape)
    tensor = helper.make_tensor("q", TensorProto.INT4, levels.shape, levels.flatten().tolist())
    zero = helper.make_tensor("z", TensorProto.INT4, (), [0])
    scored = score_onnx(graph(quantised(), INT8 | {"q": tensor, "z": zero}))
    assert scored.score == pytest.approx(score_of(4 * N + 32 + OF_THE_IMAGES, 8 * N), rel=1e-12)
    assert scored.operators[0][3:] == (4, 8)


def test_two_values_are_one_bit_and_one_value(graph):
    binary = np.where(FLOATS > 0, 0.25, -0.25).astype(np.float32)
    scored = score_onnx(graph([FLAT, LINEAR], {"w": binary}))
    assert scored.score == pytest.approx(score_of(N + 32, 32 * N), rel=1e-12)
    assert (scored.weight_bits, scored.tensors[1].kind, scored.tensors[1].nonzero) == (1, "values", 1)


def test_two_values_and_zeros_are_one_bit_too(graph):
    ternary = (np.sign(FLOATS) * (abs(FLOATS) > 0.5)).astype(np.float32)
    scored = score_onnx(graph([FLAT, LINEAR], {"w": ternary}))
    assert scored.score == pytest.approx(score_of(int((ternary != 0).sum()) + 32, 32 * N), rel=1e-12)


def test_binary_levels_in_int8(graph):
    """1 bit a weight; the level 1 in 8 bits, and its scale."""
    levels = np.where(FLOATS > 0, 1, -1).astype(np.int8)
    scored = score_onnx(graph(quantised(), INT8 | {"q": levels}))
    assert scored.score == pytest.approx(score_of(N + 8 + 32 + OF_THE_IMAGES, 8 * N), rel=1e-12)


@pytest.mark.parametrize(("count", "bits"), [(1, 1), (3, 2), (4, 2), (5, 3), (255, 8), (256, 8), (257, 32)])
def test_bits_of_few_distinct_values(count, bits, graph):
    values = np.resize(np.arange(1, count + 1) / 7, FLOATS.shape).astype(np.float32)
    scored = score_onnx(graph([FLAT, LINEAR], {"w": values}))
    table = 0 if count > 256 else 32 * count
    assert scored.score == pytest.approx(score_of(bits * N + table, 32 * N), rel=1e-12)
    assert scored.tensors[0].distinct == count


def test_zero_is_one_of_the_256_values(graph):
    values = np.resize(np.arange(257) / 7, FLOATS.shape).astype(np.float32)
    assert score_onnx(graph([FLAT, LINEAR], {"w": values})).weight_bits == 32


@pytest.mark.parametrize(
    ("name", "bits"),
    [("FLOAT", 32), ("BFLOAT16", 16), ("DOUBLE", 64), ("UINT8", 8), ("INT4", 4), ("BOOL", 1), ("FLOAT8E4M3FN", 8)],
)
def test_bits_of_a_type(name, bits):
    assert type_bits(getattr(TensorProto, name)) == bits


def test_the_score_of_an_unpruned_vgg_mini(tmp_path):
    """Widths 32, 32, 64, 64, 128, 128 with their batch norms folded away: all weights float32."""
    widths = [3, 32, 32, 64, 64, 128, 128]
    sides = [32, 32, 16, 16, 8, 8]
    convs = [9 * i * o for i, o in pairwise(widths)]
    weights = sum(convs) + sum(widths[1:]) + 512 * 4 + 4
    macs = sum(conv * side**2 for conv, side in zip(convs, sides, strict=True)) + 512 * 4
    network = vgg_mini()
    for module in network.features:
        if hasattr(module, "running_mean"):  # so that no folded bias is zero
            module.running_mean.uniform_(0.1, 1)
            module.bias.data.uniform_(2, 3)
    path = export_onnx(network, tmp_path / "vgg.onnx")
    scored = score_onnx(path)
    assert scored.score == pytest.approx(weights / 5.6e6 + macs / 2.8e8, rel=1e-9)
    measured = measure_onnx(path)
    assert (scored.weights, scored.nonzero, scored.macs) == (measured.parameters, measured.nonzero, measured.macs)


def test_a_batch_norm_counts_its_tensors_and_is_free_behind_a_convolution(graph):
    def four(names):
        return {name: np.random.RandomState(n).rand(3).astype(np.float32) for n, name in enumerate(names)}

    weight = np.random.RandomState(1).randn(3, 3, 1, 1).astype(np.float32)
    end = [node("GlobalAveragePool", "y", "means"), node("Flatten", "means", "logits")]
    behind = [node("Conv", "images w", "x"), node("BatchNormalization", "x s b m v", "y"), *end]
    scored = score_onnx(graph(behind, {"w": weight, **four("sbmv")}, classes=3))
    assert (scored.weights, scored.macs) == (9 + 12, 9 * 1024)
    before = [node("BatchNormalization", "images s b m v", "x"), node("Conv", "x w", "y"), *end]
    assert score_onnx(graph(before, {"w": weight, **four("sbmv")}, classes=3)).macs == 9 * 1024 + 3 * 1024


def test_a_constant_node_is_a_stored_tensor(graph):
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(np.sign(FLOATS)))
    scored = score_onnx(graph([constant, FLAT, LINEAR], {}))
    assert scored.score == pytest.approx(score_of(N + 32, 32 * N), rel=1e-12)


def test_a_tensor_that_is_used_twice_counts_once(graph):
    nodes = [FLAT, node("MatMul", "flat w", "a"), node("Transpose", "w", "t"), node("Transpose", "t", "u")]
    nodes += [node("MatMul", "flat u", "b"), node("Add", "a b", "logits")]
    scored = score_onnx(graph(nodes, {"w": FLOATS}))
    assert (scored.weights, scored.macs) == (N, 2 * N)


def test_dynamic_quantisation(graph):
    nodes = [
        FLAT,
        node("DynamicQuantizeLinear", "flat", "x sx zx"),
        node("MatMulInteger", "x q zx z", "sums"),
        node("Cast", "sums", "reals", to=TensorProto.FLOAT),
        node("Mul", "sx s", "scale"),
        node("Mul", "reals scale", "product"),
        node("Add", "product b", "logits"),
    ]
    bias = np.array([1, 2], np.float32)
    path = graph(nodes, {"q": LEVELS, "s": SCALE, "z": ZERO, "b": bias})
    scored = score_onnx(path)
    assert scored.score == pytest.approx(score_of(8 * int((LEVELS != 0).sum()) + 64 + 32, 8 * N), rel=1e-12)
    with pytest.raises(OnnxFileError, match="MatMulInteger"):  # the labs' own measure does not know bit widths
        measure_onnx(path)


def test_the_same_file_always_gives_the_same_numbers(graph):
    path = graph(quantised(), INT8)
    assert score_onnx(path) == score_onnx(path)


# what must not pay


def cheaper_than_honest(scored):
    return scored.score < score_of(32 * N, 32 * N) * (1 - 1e-9)


def test_weights_cut_to_pieces(graph):
    """Tensors of 16 weights each: at most 16 distinct values, but all of those would have to be known."""
    parts = {f"w{n}": FLOATS[8 * n : 8 * n + 8] for n in range(INPUTS // 8)}
    nodes = [FLAT, node("Concat", " ".join(parts), "w", axis=0), LINEAR]
    assert not cheaper_than_honest(score_onnx(graph(nodes, parts)))
    split = [FLAT, node("Split", "flat", " ".join(f"x{n}" for n in range(384)), axis=1, num_outputs=384)]
    split += [node("MatMul", f"x{n} w{n}", f"y{n}") for n in range(384)]
    split += [node("Sum", " ".join(f"y{n}" for n in range(384)), "logits")]
    assert not cheaper_than_honest(score_onnx(graph(split, parts)))


def test_real_numbers_in_the_scales(graph):
    """One level and a scale for each weight: the scales are the weights."""
    ones = np.ones(FLOATS.shape, np.int8)
    nodes = [FLAT, node("DequantizeLinear", "q s z", "w", axis=0, block_size=1), LINEAR]
    constants = {"q": ones, "s": FLOATS, "z": np.zeros(FLOATS.shape, np.int8)}
    assert not cheaper_than_honest(score_onnx(graph(nodes, constants)))


def test_weights_worked_out_by_the_file_count_in_full(graph):
    nodes = [node("Mul", "few many", "w"), FLAT, LINEAR]
    constants = {"few": np.array([[1, 2]], np.float32), "many": FLOATS[:, :1]}
    scored = score_onnx(graph(nodes, constants))
    assert (scored.weights, scored.nonzero, scored.weight_bits) == (N, N, 32)


def test_activations_whose_scale_carries_the_images(graph):
    """An int8 tensor of ones, times a scale that is worked out from the image, is no 8-bit tensor."""
    nodes = [
        FLAT,
        node("QuantizeLinear", "flat a za", "q8"),
        node("ReduceMean", "flat", "mean", keepdims=0, noop_with_empty_axes=0),
        node("Reshape", "mean one", "scale"),
        node("DequantizeLinear", "q8 scale", "x"),
        node("MatMul", "x w", "logits"),
    ]
    constants = {"w": FLOATS, "a": SCALE, "za": ZERO, "one": np.array([1])}
    assert score_onnx(graph(nodes, constants)).operators[-1].q_a == 32


def test_a_linear_layer_written_as_products_and_a_sum(graph):
    nodes = [
        node("Reshape", "images shape", "x"),
        node("Mul", "x w", "products"),
        node("ReduceSum", "products axis", "logits", keepdims=0),
    ]
    constants = {"shape": np.array([-1, INPUTS, 1]), "axis": np.array([1]), "w": FLOATS}
    assert not cheaper_than_honest(score_onnx(graph(nodes, constants)))


def test_a_linear_layer_hidden_in_a_batch_norm(graph):
    columns = {name: np.resize(value, N).astype(np.float32) for name, value in (("b", 0), ("m", 0), ("v", 1))}
    nodes = [
        node("Reshape", "images shape", "x"),
        node("Tile", "x times", "twice"),
        node("BatchNormalization", "twice w b m v", "products"),
        node("Reshape", "products back", "apart"),
        node("ReduceSum", "apart axis", "logits", keepdims=0),
    ]
    constants = {"shape": np.array([-1, INPUTS]), "times": np.array([1, 2]), "back": np.array([-1, CLASSES, INPUTS])}
    constants |= {"axis": np.array([2]), "w": FLOATS.T.flatten(), **columns}
    assert not cheaper_than_honest(score_onnx(graph(nodes, constants)))


@pytest.mark.parametrize("op", ["Log", "DFT", "RandomNormalLike", "QLinearMatMul", "TfIdfVectorizer"])
def test_an_operator_that_is_not_counted_is_named(op, graph):
    with pytest.raises(OnnxFileError, match=op):
        score_onnx(graph([FLAT, node(op, "flat", "x"), node("MatMul", "x w", "logits")], {"w": FLOATS}))


def test_sparse_initializers_are_refused(graph):
    path = graph([FLAT, LINEAR], {})
    model = onnx.load(path)
    values, places = np.ones(2, np.float32), np.array([1, 5])
    tensors = [numpy_helper.from_array(values, "w"), numpy_helper.from_array(places, "places")]
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(*tensors, FLOATS.shape))
    onnx.save(model, path)
    with pytest.raises(OnnxFileError, match="sparse"):
        score_onnx(path)


def test_two_tensors_of_one_name_are_refused(graph):
    path = graph([FLAT, LINEAR], {"w": FLOATS})
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(0 * FLOATS, "w"))
    onnx.save(model, path)
    with pytest.raises(OnnxFileError, match="same name"):
        score_onnx(path)


def test_a_tensor_whose_bytes_are_missing_is_named(graph):
    path = graph([FLAT, LINEAR], {"w": FLOATS})
    model = onnx.load(path)
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:100]
    onnx.save(model, path)
    with pytest.raises(OnnxFileError, match="cannot be read"):
        score_onnx(path)


def test_the_divisions():
    assert {name: rules.threshold for name, rules in RULES.items()} == {
        "minicifar": 0.84,
        "cifar10": 0.90,
        "cifar100": 0.80,
    }
