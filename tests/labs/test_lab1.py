"""Lab 1: what students write agrees with what the course ships, with PyTorch's counter and with ONNX files."""

import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils import modes, networks, timing
from course_utils.networks import parameter_count, resnet20, resnet56, rgb_autoencoder, vgg16, vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures.cost_explorer import cost_explorer
from solutions.costs import (
    conv_macs,
    count_macs,
    count_parameters,
    design_widths,
    median_latency,
    peak_activation_bytes,
    weight_bytes,
)

IMAGE = (3, 32, 32)
BUILDERS = [vgg_mini, vgg16, resnet20, resnet56]


def tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.BatchNorm1d(6))
    network[2].weight = network[0].weight
    return network


@pytest.mark.parametrize("make", [*BUILDERS, tied])
def test_parameters_agree_with_the_shipped_count(make) -> None:
    assert count_parameters(make()) == parameter_count(make())


@pytest.mark.parametrize("make", BUILDERS)
def test_macs_are_half_of_pytorchs_flops(make) -> None:
    network = make().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *IMAGE))
    assert count_macs(network, IMAGE) == counter.get_total_flops() / 2


@pytest.mark.parametrize(
    "options", [{"groups": 4}, {"stride": 2, "padding": 1}, {"kernel_size": (1, 5)}, {"dilation": 2}, {"groups": 8}]
)
def test_macs_of_a_convolution(options) -> None:
    conv = nn.Conv2d(8, 16, **{"kernel_size": 3, **options})
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = conv(torch.zeros(1, 8, 13, 11))
    assert conv_macs(conv, output.shape[2:]) == counter.get_total_flops() / 2


def test_macs_agree_with_the_onnx_file(tmp_path: Path) -> None:
    network = vgg_mini()
    with torch.no_grad():
        network.train()(torch.randn(8, *IMAGE))
    measured = measure_onnx(export_onnx(network, tmp_path / "network.onnx"))
    assert measured.macs == count_macs(network, IMAGE)
    filters = sum(module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d))
    assert measured.parameters == count_parameters(network) - filters, "each batch norm leaves one bias a channel"


def test_macs_of_an_autoencoder_agree_with_the_onnx_file(tmp_path: Path) -> None:
    network = rgb_autoencoder(0.25).eval()
    measured = measure_onnx(export_onnx(network, tmp_path / "network.onnx"))
    assert measured.macs == count_macs(network, IMAGE)


@pytest.mark.parametrize("options", [{"groups": 2}, {"stride": 2, "padding": 1}, {"kernel_size": (1, 5)}])
def test_macs_of_a_transposed_convolution(options) -> None:
    layer = nn.ConvTranspose2d(8, 6, **{"kernel_size": 3, **options})
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(torch.zeros(1, 8, 13, 11))
    assert count_macs(layer, (8, 13, 11)) == counter.get_total_flops() / 2


@pytest.mark.parametrize(
    ("layer", "size"),
    [(nn.Conv1d(3, 4, 3), (3, 8)), (nn.Conv3d(3, 4, 1), (3, 2, 2, 2)), (nn.LSTM(3, 4, batch_first=True), (5, 3))],
)
def test_a_layer_of_unknown_cost_is_refused(layer: nn.Module, size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=type(layer).__name__):
        count_macs(layer, size)


def test_bytes() -> None:
    network = vgg_mini()
    assert weight_bytes(network, 32) == sum(tensor.nbytes for tensor in network.parameters())
    assert weight_bytes(nn.Linear(8, 1), 1) == 2
    assert peak_activation_bytes(network, IMAGE) == 2 * 32 * 32 * 32 * 4
    assert peak_activation_bytes(vgg_mini().double(), IMAGE) == 2 * 32 * 32 * 32 * 8


def test_the_design_keeps_its_limits() -> None:
    design = vgg_mini(widths=design_widths())
    assert count_macs(design, IMAGE) <= count_macs(vgg_mini(), IMAGE) / 2
    assert count_parameters(design) >= count_parameters(vgg_mini())


def test_evaluating_restores_every_mode_after_an_error() -> None:
    network = vgg_mini().train()
    network.features[1].eval()
    before = [module.training for module in network.modules()]
    with modes.evaluating(network):
        assert not any(module.training for module in network.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in network.modules()] == before
    with pytest.raises(RuntimeError), modes.evaluating(network):
        network(torch.zeros(1, 4, 32, 32))
    assert [module.training for module in network.modules()] == before
    assert torch.is_grad_enabled()


def test_in_turn_alternates_and_keeps_to_its_time() -> None:
    order = []
    rounds = timing.in_turn([lambda: order.append("a"), lambda: order.append("b")], lambda run: run() or 1.0, rounds=4)
    assert order == ["a", "b"] * 4
    assert rounds == [(1.0, 1.0)] * 4
    slow = timing.in_turn([lambda: time.sleep(0.01)], lambda run: run() or 1.0, rounds=100, seconds=0.0)
    assert len(slow) == 3


def test_ratios_within_the_rounds() -> None:
    assert timing.ratio([(2.0, 1.0), (4.0, 1.0), (1.0, 1.0)]) == (0.375, 0.5, 0.75)
    assert "0.50" in repr(timing.table({"batch 1": [(2.0, 1.0)] * 3}, ("a", "b")))


def test_both_kinds_of_run(tmp_path: Path) -> None:
    network, images = vgg_mini(widths=(4, 4)).train(), torch.randn(2, *IMAGE)
    run = timing.torch_run(network, images)
    assert network.training, "the network itself is left alone"
    assert median_latency(run, time.perf_counter, 1, 2) > 0
    run = timing.onnx_run(export_onnx(network, tmp_path / "small.onnx"), images)
    assert run()[0].shape == (2, 4)


def test_the_explorer_follows_its_sliders() -> None:
    explorer = cost_explorer(
        lambda widths: networks.vgg_mini(widths=widths), {"parameters": count_parameters}, widths=(8, 8)
    )
    (layers, *sliders), shown = explorer.children[0].children, explorer.children[1]
    assert "widths=(8, 8)" in shown.value
    assert "100%" in shown.value
    layers.value, sliders[0].value = 3, 16
    assert "widths=(16, 8, 8)" in shown.value
    assert sliders[3].layout.display == "none"
