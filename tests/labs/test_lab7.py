"""Lab 7: what students write agrees with PyTorch and NumPy, and with the pruner on real exports."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from autograder.checks.test_lab7_onnx_graph import classifier, conv, op
from course_utils.networks import ResNet, vgg_mini
from solutions.couplings import concat_offsets, consumers, coupled_channels, features_of_channel
from solutions.graph.export import export_graph
from solutions.graph.groups import channel_groups
from solutions.graph.plain import plain_graph

IMAGE = torch.zeros(2, 3, 32, 32)


class Separable(nn.Module):
    """An inverted residual with a gate, a fire module's concatenation and a convolution as the head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.expand, self.depthwise = nn.Conv2d(8, 24, 1), nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.squeeze, self.excite, self.project = nn.Conv2d(24, 4, 1), nn.Conv2d(4, 24, 1), nn.Conv2d(24, 8, 1)
        self.left, self.right, self.head = nn.Conv2d(8, 5, 1), nn.Conv2d(8, 7, 3, padding=1), nn.Conv2d(12, 10, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        wide = self.depthwise(torch.relu(self.expand(x)))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(wide.mean((2, 3), keepdim=True)))))
        x = self.project(wide * gate) + x
        joined = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], dim=1)
        return self.head(joined).mean((2, 3))


NETWORKS = {
    "chain": lambda: vgg_mini(widths=(4, 5, 6, 7)),
    "residual": lambda: ResNet((4, 8), blocks=(3, 2), classes=3),
    "separable": Separable,
}


def couplings_of(model: onnx.ModelProto, network: nn.Module) -> set[frozenset[str]]:
    """The sets that the pruner finds: the convolutions' own filters in every group that is free."""
    convs = {node["weight"] for node in plain_graph(model) if node["op"] == "Conv"}
    groups = [group for group in channel_groups(model, list(network.state_dict())) if group.free]
    sets = [{slot.parameter for slot in group.slots if slot.axis == 0 and not slot.consumes} for group in groups]
    return {frozenset(names & convs) for names in sets}


@pytest.mark.parametrize("name", NETWORKS)
def test_couplings_are_those_of_the_pruner(name: str) -> None:
    network = NETWORKS[name]()
    model = export_graph(network, IMAGE)
    couplings = coupled_channels(plain_graph(model))
    assert {frozenset(names) for names in couplings} == couplings_of(model, network)
    assert all(names == sorted(names) for names in couplings)


def test_a_convolution_is_in_one_list_at_most() -> None:
    listed = [name for names in coupled_channels(plain_graph(export_graph(Separable(), IMAGE))) for name in names]
    assert len(listed) == len(set(listed))
    assert "head.weight" not in listed


def test_a_plain_graph_names_the_networks_weights() -> None:
    network = Separable()
    graph = plain_graph(export_graph(network, IMAGE))
    shapes = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    convs = [node for node in graph if node["op"] == "Conv"]
    assert {node["weight"] for node in convs} == {name for name, shape in shapes.items() if len(shape) == 4}
    assert all(node["shape"] == shapes[node["weight"]] for node in convs)
    assert {node["groups"] for node in convs} == {1, 24}


def test_a_plain_graph_is_what_the_images_pass_through() -> None:
    model = export_graph(Separable(), IMAGE)
    graph = plain_graph(model)
    known = {model.graph.input[0].name}
    for node in graph:
        assert set(node["inputs"]) <= known, "nodes come in the order in which they run"
        known |= set(node["outputs"])
    assert consumers(graph, model.graph.output[0].name) == []
    assert [name for name in known if not consumers(graph, name)] == [model.graph.output[0].name]
    assert not {"Constant", "Shape", "Expand"} & {node["op"] for node in graph}


def test_weights_that_are_turned_first_keep_their_name() -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["linear.weight"], ["turned"]),
            helper.make_node("MatMul", ["images", "turned"], ["product"]),
            helper.make_node("Add", ["product", "linear.bias"], ["logits"]),
        ],
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
        [
            helper.make_tensor("linear.weight", TensorProto.FLOAT, [2, 3], [0.0] * 6),
            helper.make_tensor("linear.bias", TensorProto.FLOAT, [2], [0.0] * 2),
        ],
    )
    product, addition = plain_graph(helper.make_model(graph))
    assert (product["weight"], product["shape"]) == ("linear.weight", (2, 3))
    assert addition == {"op": "Add", "inputs": ["product"], "outputs": ["logits"]}


def test_an_output_that_is_also_read_stays_an_output() -> None:
    maps = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("images", "a", "b")]
    nodes = [helper.make_node("Relu", ["images"], ["a"]), helper.make_node("Sigmoid", ["a"], ["b"])]
    plain = plain_graph(helper.make_model(helper.make_graph(nodes, "graph", maps[:1], maps[1:])))
    assert [node["op"] for node in plain] == ["Relu", "Sigmoid", "Identity"]
    assert [node["op"] for node in consumers(plain, "a")] == ["Sigmoid", "Identity"]


def test_consumers_are_the_nodes_themselves() -> None:
    graph = [conv("images", "first"), op("Add", "first maps", "first maps", to="twice"), *classifier("twice")]
    (consumer,) = consumers(graph, "first maps")
    assert consumer is graph[1]
    assert consumers(graph, "no such tensor") == []


@pytest.mark.parametrize(("channels", "height", "width"), [(5, 2, 3), (4, 1, 1), (3, 7, 7)])
def test_features_are_those_of_flatten(channels: int, height: int, width: int) -> None:
    maps, kept = torch.randn(2, channels, height, width), torch.arange(channels)[::2].flip(0)
    columns = features_of_channel(kept, height * width)
    assert torch.equal(maps.flatten(1)[:, columns], maps[:, kept].flatten(1))
    assert columns.dtype == torch.int64
    assert features_of_channel(kept[:0], height * width).shape == (0,)


@pytest.mark.parametrize("widths", [[], [7], [3, 0, 4], [4, 6, 2, 9]])
def test_offsets_are_an_exclusive_sum(widths: list[int]) -> None:
    assert concat_offsets(widths) == (np.cumsum([0, *widths])[:-1]).tolist()
    joined = torch.cat([torch.full((width,), float(part)) for part, width in enumerate(widths)] or [torch.empty(0)])
    for part, (offset, width) in enumerate(zip(concat_offsets(widths), widths, strict=True)):
        assert (joined[offset : offset + width] == part).all()
