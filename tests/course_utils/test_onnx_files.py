import copy
import json
import logging
import math
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils.networks import builder, resnet20, vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import comparable, measure_onnx
from course_utils.onnx_files.reading import OnnxFileError, counted_operators, read_onnx
from solutions.masks import apply_masks, local_masks, prunable_weights


@pytest.fixture(autouse=True)
def every_export_is_made(monkeypatch):
    """Here the exporter itself is looked at: nothing comes from `quick_exports`."""
    monkeypatch.setattr(torch.onnx, "export", torch.onnx.export.__wrapped__)


class FakeImages:
    """Eight images of two classes, as `minicifar.MiniCIFAR` keeps them."""

    classes = ("dark", "bright")
    fingerprint = "eight images"
    source = SimpleNamespace(kind="synthetic", description="eight images made here", synthetic=True)
    labels = torch.arange(8) % 2
    images = (60 + 100 * labels.view(-1, 1, 1, 1)).expand(-1, 3, 32, 32).to(torch.uint8)


@pytest.fixture(autouse=True)
def fake_loader(monkeypatch):
    def loader(images, batch_size, shuffle=False, augment=False, seed=0):
        for start in range(0, len(images.labels), batch_size):
            part = slice(start, start + batch_size)
            yield images.images[part].float() / 255 - 0.5, images.labels[part]

    monkeypatch.setitem(sys.modules, "minicifar", SimpleNamespace(Loader=loader))


@builder
def everything(seed: int = 0) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 6, 1, dilation=1),
        nn.ConvTranspose2d(6, 4, 2, stride=2),
        nn.Sigmoid(),
        nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 2),
    )


@pytest.fixture(scope="module")
def trained():
    """A vgg_mini whose batch norms have statistics of their own."""
    network = vgg_mini(widths=(6, 7, 9, 5), seed=1)
    for _ in range(3):
        network(torch.randn(8, 3, 32, 32) + 1)
    return network.eval()


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return export_onnx(trained, tmp_path_factory.mktemp("onnx") / "vgg.onnx", FakeImages)


@pytest.fixture(scope="module")
def everything_exported(tmp_path_factory):
    """A network in float64 and mixed modes, as it was before, and the file made from it."""
    network = everything().double().train()
    network[1].eval()
    before = copy.deepcopy(network)
    return network, before, export_onnx(network, tmp_path_factory.mktemp("onnx") / "everything.onnx")


def run(path, images):
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {"images": images.numpy()})[0]


def graph_file(path, nodes, constants=(), shape=("N", 3, 32, 32), output=("N", 2), **settings):
    """A small ONNX file made by hand."""
    graph = helper.make_graph(
        nodes,
        "hand made",
        [helper.make_tensor_value_info("images", settings.get("type", TensorProto.FLOAT), shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(array, name) for name, array in dict(constants).items()],
        value_info=settings.get("value_info", []),
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    return path


def linear_nodes(weight="weight"):
    return [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", weight], ["logits"]),
    ]


WEIGHT = np.repeat(np.array([[-1.0, 1.0]], np.float32), 3072, axis=0)


@pytest.mark.parametrize("count", [1, 5])
def test_the_file_computes_what_the_network_computes(count, trained, exported):
    images = torch.randn(count, 3, 32, 32)
    with torch.no_grad():
        expected = trained(images).numpy()
    assert np.abs(run(exported, images) - expected).max() < 1e-5


def test_macs_and_parameters_by_hand(exported):
    """Widths 6, 7, 9, 5 with biases from the folded batch norms, at 32, 32, 16 and 16 pixels; 20 features."""
    layers = [(3, 6, 32), (6, 7, 32), (7, 9, 16), (9, 5, 16)]
    measured = measure_onnx(exported)
    assert measured.macs == sum(9 * i * o * side**2 for i, o, side in layers) + 20 * 4
    assert measured.parameters == sum(9 * i * o + o for i, o, _ in layers) + 20 * 4 + 4


def test_macs_agree_with_torchs_own_counter(everything_exported):
    network, _, path = everything_exported
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(network).float().eval()(torch.randn(1, 3, 32, 32))
    assert measure_onnx(path).macs == counter.get_total_flops() // 2


def test_accuracy_and_loss_are_found_by_running_the_file(tmp_path):
    path = graph_file(tmp_path / "linear.onnx", linear_nodes(), {"weight": WEIGHT})
    measured = measure_onnx(path, FakeImages)
    assert measured.accuracy == 1.0
    assert measured.loss == pytest.approx(0.0, abs=1e-6)
    path = graph_file(tmp_path / "wrong.onnx", linear_nodes(), {"weight": -WEIGHT})
    assert measure_onnx(path, FakeImages).accuracy == 0.0


def test_uniform_outputs_lose_the_logarithm_of_the_classes(tmp_path):
    path = graph_file(tmp_path / "zero.onnx", linear_nodes(), {"weight": 0 * WEIGHT})
    assert measure_onnx(path, FakeImages).loss == pytest.approx(math.log(2))


def test_without_images_nothing_is_run(exported):
    measured = measure_onnx(exported)
    assert (measured.accuracy, measured.loss) == (None, None)
    assert measured.megabytes == exported.stat().st_size / 1e6


def test_the_file_says_which_images_it_learned_from(exported):
    measured = measure_onnx(exported)
    assert measured.fingerprint == "eight images"
    assert comparable(measured, FakeImages)
    assert not comparable(measured._replace(fingerprint=""), FakeImages)


def test_the_file_carries_the_recipe(trained, exported):
    entries = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    assert json.loads(entries["recipe"]) == trained.recipe


def test_no_path_of_the_machine_is_in_the_file(exported):
    assert b"/home" not in exported.read_bytes()
    assert b".py" not in exported.read_bytes()


def test_exporting_leaves_the_network_as_it_was(everything_exported):
    network, before, _ = everything_exported
    assert [module.training for module in network.modules()] == [m.training for m in before.modules()]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[name])
        assert tensor.dtype == before.state_dict()[name].dtype


@pytest.mark.slow
def test_the_memory_layout_of_training_leaves_no_trace_in_the_file(tmp_path):
    network = resnet20(widths=(3, 4, 5), classes=4).eval()
    files = [tmp_path / "plain.onnx", tmp_path / "trained.onnx"]
    for path, layout in zip(files, (torch.contiguous_format, torch.channels_last), strict=True):
        measure_onnx(export_onnx(network.to(memory_format=layout), path))
    assert files[0].read_bytes() == files[1].read_bytes()


def test_exporting_is_quiet(tmp_path, capfd, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.INFO):
        warnings.simplefilter("error")
        export_onnx(everything(), tmp_path / "x.onnx")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_network_in_another_number_format_is_exported_in_float32(everything_exported):
    _, before, path = everything_exported
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert np.abs(run(path, images) - before.float().eval()(images).numpy()).max() < 1e-5


def test_weights_are_counted_where_they_arrive(tmp_path):
    """int8 weights through DequantizeLinear, transposed on the way, used twice: counted once."""
    constants = {
        "q": np.ones((2, 3072), np.int8),
        "scale": np.array(0.1, np.float32),
        "zero": np.array(0, np.int8),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"]),
        helper.make_node("Transpose", ["w"], ["weight"], perm=[1, 0]),
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["a"]),
        helper.make_node("MatMul", ["flat", "weight"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["logits"]),
    ]
    measured = measure_onnx(graph_file(tmp_path / "q.onnx", nodes, constants))
    assert (measured.parameters, measured.nonzero, measured.macs) == (6144, 6144, 2 * 6144)


def test_a_false_shape_in_the_file_is_not_believed(tmp_path):
    lie = [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ("N", 2, 1, 1))]
    nodes = [
        helper.make_node("Conv", ["images", "weight"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["maps", "axes"], ["logits"], keepdims=0),
    ]
    constants = {"weight": np.ones((2, 3, 3, 3), np.float32), "axes": np.array([2, 3])}
    path = graph_file(tmp_path / "lie.onnx", nodes, constants, value_info=lie)
    assert measure_onnx(path).macs == 2 * 27 * 1024


def test_weights_that_are_zero_cost_as_many_macs(exported, tmp_path):
    model = onnx.load(exported)
    for tensor in model.graph.initializer:
        if tensor.dims and tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(0 * numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, tmp_path / "x.onnx")
    zeroed, whole = measure_onnx(tmp_path / "x.onnx"), measure_onnx(exported)
    assert (zeroed.macs, zeroed.parameters, zeroed.nonzero) == (whole.macs, whole.parameters, 0)


def test_masked_weights_are_zero_in_the_file(trained, tmp_path):
    """Also where a batch norm is folded into the convolution: its biases are all that comes in addition."""
    network = copy.deepcopy(trained)
    apply_masks(network, local_masks(network, 0.75))
    nonzero = sum((weight != 0).sum().item() for weight in prunable_weights(network).values())
    biases = (6 + 7 + 9 + 5) + 4
    assert measure_onnx(export_onnx(network, tmp_path / "masked.onnx")).nonzero == nonzero + biases


def test_the_counted_operators_can_be_listed(exported):
    operators = counted_operators(read_onnx(exported))
    assert [operator.node.op_type for operator in operators] == ["Conv"] * 4 + ["Gemm"]


def refused(path, images=None):
    with pytest.raises(OnnxFileError) as error:
        measure_onnx(path, images)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("content", [b"", b"not onnx", b"PK\x03\x04" * 30])
def test_another_kind_of_file_is_named(content, tmp_path):
    (tmp_path / "x.onnx").write_bytes(content)
    message = refused(tmp_path / "x.onnx")
    assert "not an ONNX file" in message or "holds no network" in message


@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_a_file_that_was_cut_short_is_named(share, exported, tmp_path):
    content = exported.read_bytes()
    (tmp_path / "x.onnx").write_bytes(content[: int(share * len(content))])
    assert "cut short" in refused(tmp_path / "x.onnx")


def test_a_missing_file_says_what_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the cell above"):
        measure_onnx(tmp_path / "none.onnx")


def test_weights_in_another_file_are_refused(exported, tmp_path):
    model = onnx.load(exported)
    onnx.save(model, tmp_path / "x.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert "in another file" in refused(tmp_path / "x.onnx")


def test_a_file_that_is_too_large_is_refused(tmp_path):
    with open(tmp_path / "x.onnx", "wb") as file:
        file.truncate(51_000_000)
    assert "51 MB" in refused(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (("N", 3072), "one input of shape (N, 3, 32, 32)"),
        (("N", 1, 32, 32), "one input of shape (N, 3, 32, 32)"),
        ((1, 3, 32, 32), "exactly 1 images"),
    ],
)
def test_another_input_is_named(shape, said, tmp_path):
    assert said in refused(graph_file(tmp_path / "x.onnx", linear_nodes(), {"weight": WEIGHT}, shape=shape))


def test_the_wrong_number_of_classes_is_named(tmp_path):
    three = np.ones((3072, 3), np.float32)
    path = graph_file(tmp_path / "x.onnx", linear_nodes(), {"weight": three}, output=("N", 3))
    assert "shape (8, 2); it has (8, 3)" in refused(path, FakeImages)


def test_outputs_that_are_no_numbers_are_named(tmp_path):
    path = graph_file(tmp_path / "x.onnx", linear_nodes(), {"weight": np.nan * WEIGHT})
    assert "not all finite" in refused(path, FakeImages)


def test_weights_hidden_behind_the_images_are_counted(tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nought"], ["nothing"]),
        helper.make_node("Add", ["weight", "nothing"], ["hidden"]),
        *linear_nodes("hidden"),
    ]
    path = graph_file(tmp_path / "x.onnx", nodes, {"weight": WEIGHT, "nought": np.array(0, np.float32)})
    assert measure_onnx(path).parameters == 6144


def test_a_convolution_whose_weights_depend_on_the_images_is_refused(tmp_path):
    nodes = [
        helper.make_node("Mul", ["images", "nought"], ["weight"]),
        helper.make_node("Conv", ["images", "weight"], ["maps"]),
        helper.make_node("Flatten", ["maps"], ["logits"]),
    ]
    path = graph_file(tmp_path / "x.onnx", nodes, {"nought": np.array(0, np.float32)})
    assert "depend on the images" in refused(path)


def test_operators_that_are_not_counted_are_refused(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Einsum", ["flat", "weight"], ["logits"], equation="ni,io->no"),
    ]
    assert "Einsum" in refused(graph_file(tmp_path / "x.onnx", nodes, {"weight": WEIGHT}))


STRINGS = np.array(["a b c"], dtype=object)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (helper.make_node("TfIdfVectorizer", ["flat"], ["logits"], mode="TF", weights=[0.5] * 6144), "TfIdfVectorizer"),
        (helper.make_node("StringSplit", ["words"], ["logits", "n"], delimiter=" "), "StringSplit"),
        (helper.make_node("LabelEncoder", ["flat"], ["logits"], domain="ai.onnx.ml"), "ai.onnx.ml.LabelEncoder"),
        (helper.make_node("Constant", [], ["w"], value_floats=[0.5] * 17), "more in the setting value_floats"),
        (helper.make_node("Constant", [], ["w"], value_string="0.5 " * 100), "more in the setting value_string"),
        (helper.make_node("Constant", [], ["w"], value_strings=["0.5"]), "more in the setting value_strings"),
        (helper.make_node("Conv", ["images", "weight"], ["m"], pads=[1] * 17), "more in the setting pads"),
        (helper.make_node("Resize", ["images"], ["m"], mode="x" * 33), "more in the setting mode"),
        (helper.make_node("Relu", ["images"], ["m"], note=numpy_helper.from_array(WEIGHT)), "more in the setting note"),
        (
            helper.make_node("ConstantOfShape", ["n"], ["m"], value=numpy_helper.from_array(WEIGHT)),
            "more in the setting value of ConstantOfShape",
        ),
        (helper.make_node("Constant", [], ["m"], value=numpy_helper.from_array(STRINGS)), "more in the setting value"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.op_type,
)
def test_what_could_hold_weights_elsewhere_is_refused(node, said, tmp_path):
    assert said in refused(graph_file(tmp_path / "x.onnx", [node, *linear_nodes()], {"weight": WEIGHT}))


def test_text_among_the_weights_is_refused(tmp_path):
    path = graph_file(tmp_path / "x.onnx", linear_nodes(), {"weight": WEIGHT, "words": STRINGS})
    assert "holds text among its weights" in refused(path)


def test_hundreds_of_numbers_in_settings_are_refused(tmp_path):
    slopes = [helper.make_node("LeakyRelu", [f"r{n}"], [f"r{n + 1}"], alpha=0.1 + n / 1000) for n in range(301)]
    slopes[0].input[0] = "images"
    nodes = [*slopes, helper.make_node("Flatten", ["r301"], ["flat"]), linear_nodes()[1]]
    assert "301 numbers in its operators' settings" in refused(
        graph_file(tmp_path / "x.onnx", nodes, {"weight": WEIGHT})
    )


@pytest.mark.parametrize(("count", "counted"), [(300, 0), (301, 301)])
def test_hundreds_of_single_numbers_count_as_weights(count, counted, tmp_path):
    nodes = [helper.make_node("Add", [f"s{n}", f"c{n}"], [f"s{n + 1}"]) for n in range(count)]
    nodes[0].input[0] = "images"
    nodes += [helper.make_node("Flatten", [f"s{count}"], ["flat"]), linear_nodes()[1]]
    numbers = {f"c{n}": np.array(0.1 + n, np.float32) for n in range(count)}
    measured = measure_onnx(graph_file(tmp_path / "x.onnx", nodes, {"weight": WEIGHT, **numbers}))
    assert (measured.parameters, measured.layer_parameters) == (6144 + counted, 6144)


def test_zeros_that_are_added_are_no_parameters_of_a_layer(tmp_path):
    nodes = [
        helper.make_node("Add", ["images", "zeros"], ["same"]),
        helper.make_node("Flatten", ["same"], ["flat"]),
        linear_nodes()[1],
    ]
    zeros = np.zeros((1, 3, 32, 32), np.float32)
    measured = measure_onnx(graph_file(tmp_path / "x.onnx", nodes, {"weight": WEIGHT, "zeros": zeros}))
    assert (measured.parameters, measured.layer_parameters) == (6144 + 3072, 6144)


def test_operators_of_other_makers_are_refused(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("FusedMatMul", ["flat", "weight"], ["logits"], domain="com.microsoft"),
    ]
    path = graph_file(tmp_path / "x.onnx", nodes, {"weight": WEIGHT})
    assert "com.microsoft.FusedMatMul" in refused(path)


def test_a_tensor_that_would_fill_the_memory_is_refused(tmp_path):
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["weight"]),
        *linear_nodes(),
    ]
    path = graph_file(tmp_path / "x.onnx", nodes, {"sizes": np.array([3072, 10**9])})
    assert "more than 20,000,000 elements" in refused(path, FakeImages)


def test_shapes_that_do_not_fit_are_named(tmp_path):
    path = graph_file(tmp_path / "x.onnx", linear_nodes(), {"weight": WEIGHT[:7]})
    assert "do not fit together" in refused(path)
