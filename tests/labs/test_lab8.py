"""Lab 8: what its text says of merges, widths and branches holds, and its pictures show what they are given."""

import copy
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils.networks import parameter_count, vgg_mini
from course_utils.pictures import alpha_explorer as explorer
from course_utils.pictures import alpha_plots
from solutions import alpha_branch
from solutions.alpha_branch import AlphaNetwork, alpha_mix, alpha_schedule, make_branch, shrink
from solutions.alpha_training import kept_widths
from solutions.merging import merge_1x1_conv


def off_by(layer: nn.Module, pair: tuple[nn.Module, ...], maps: Tensor) -> Tensor:
    with torch.no_grad():
        expected = nn.Sequential(*pair)(maps)
        return (layer(maps) - expected).abs().amax(dim=(0, 1)) / expected.std()


def test_the_naive_merge_is_wrong_at_the_border_and_creeps_in() -> None:
    torch.manual_seed(0)
    conv_b, second = nn.Conv2d(3, 16, 1).double(), nn.Conv2d(16, 8, 3, padding=1).double()
    unpadded = copy.deepcopy(second)
    unpadded.padding = (0, 0)
    naive = merge_1x1_conv(conv_b, unpadded)
    naive.padding = second.padding
    layers: list[nn.Module] = []
    photo = torch.randn(1, 3, 16, 16, dtype=torch.double)
    for reach in (1, 2, 3):
        off = off_by(nn.Sequential(naive, *layers), (conv_b, second, *layers), photo)
        assert off[reach:-reach, reach:-reach].max() < 1e-12
        for edge in (off[reach - 1], off[:, -reach]):
            assert edge[reach:-reach].min() > 1e-6
        layers.append(nn.Conv2d(8, 8, 3, padding=1).double())


def test_the_widths_of_the_report_leave_an_eighth_of_the_parameters() -> None:
    network = AlphaNetwork(vgg_mini(), kept_widths(vgg_mini(), 0.34375))
    network.alpha = 0.0
    left = parameter_count(shrink(network)) / parameter_count(vgg_mini())
    assert 0.12 < left <= 0.13
    assert parameter_count(network) > parameter_count(vgg_mini())


def test_the_intermediate_network_calls_what_the_student_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def own_branch(channels: int, kept: int) -> nn.Sequential:
        calls.append((channels, kept))
        return make_branch(channels, kept)

    def own_mix(wide: Tensor, narrow: Tensor, alpha: float) -> Tensor:
        calls.append(alpha)
        return alpha_mix(wide, narrow, alpha)

    monkeypatch.setattr(alpha_branch, "make_branch", own_branch)
    monkeypatch.setattr(alpha_branch, "alpha_mix", own_mix)
    network = AlphaNetwork(vgg_mini(widths=(4, 6)), {"features.0": 2, "features.3": 3}).eval()
    for network.alpha in (1.0, 0.5, 0.0):
        network(torch.zeros(1, 3, 32, 32))
    assert calls == [(4, 2), (6, 3), 0.5, 0.5]


def test_a_bias_of_conv_a_changes_nothing_in_training() -> None:
    branch, maps = make_branch(5, 3).double().train(), torch.randn(4, 5, 6, 6, dtype=torch.double)
    with_bias = copy.deepcopy(branch)
    with_bias[0].bias = nn.Parameter(torch.randn(3, dtype=torch.double))
    assert torch.allclose(branch(maps), with_bias(maps), atol=1e-9)


# --- pictures


def test_the_schedules_are_drawn_with_their_zeros_open() -> None:
    drawing = alpha_plots.schedules({"multiplicative": alpha_schedule("multiplicative", 10)})
    zeros = [line for line in drawing.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert zeros[0].get_xdata().tolist() == [7, 8, 9, 10]


def test_differences_share_one_scale_and_nothing_at_all_can_be_drawn() -> None:
    drawing = alpha_plots.differences(torch.rand(3, 8, 8), {"none": torch.zeros(8, 8), "some": torch.rand(8, 8)})
    scales = {axis.images[0].get_clim() for axis in drawing.axes[1:3]}
    assert len(scales) == 1
    drawing.canvas.draw()


def test_accuracy_and_alpha_are_drawn_epoch_by_epoch() -> None:
    history = [
        {"epoch": epoch, "alpha": alpha, "accuracy": 0.8, "test_accuracy": 0.7} for epoch, alpha in ((1, 0.5), (2, 0.0))
    ]
    drawing = alpha_plots.while_alpha_falls(history, "validation", 0.9)
    behind = drawing.axes[1]
    assert [bar.get_height() for bar in behind.patches] == [0.5, 0.0]


def test_rows_of_pictures() -> None:
    drawing = alpha_plots.picture_rows({"scene": torch.rand(3, 3, 8, 8), "pruned": 2 * torch.rand(3, 3, 8, 8) - 0.5})
    assert [axis.get_title(loc="left") for axis in drawing.axes[::3]] == ["scene", "pruned"]


def test_moving_alpha_draws_the_mix_and_the_accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(explorer, "display", drawn.append)
    wide, narrow, seen = torch.rand(8, 6, 6), torch.rand(8, 6, 6), []

    def mix(wide: Tensor, narrow: Tensor, alpha: float) -> Tensor:
        seen.append(alpha)
        return alpha_mix(wide, narrow, alpha)

    widget = explorer.alpha_explorer(
        [1.0, 0.5, 0.0], {"alpha-branch, random start": [0.9, 0.4, 0.25]}, wide, narrow, mix
    )
    widget.children[0].value = 2
    assert seen == [0.5, 0.0]
    assert [text.get_text() for text in drawn[-1].axes[1].texts] == ["25%"]
