"""`python -m solutions.graph`: the picture, the list, and networks that there are not."""

from pathlib import Path

import pytest
import torch
import typer

from course_utils.networks import resnet20
from solutions.graph.__main__ import main
from solutions.graph.export import export_graph
from solutions.graph.groups import Group, channel_groups
from solutions.graph.picture import colours_of, draw_graph


def test_the_picture_is_written_and_the_groups_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    main("vgg_mini", tmp_path / "graph.svg")
    listed = capsys.readouterr().out
    assert "7 groups, 1 of them frozen" in listed and "  features.0: 32 channels\n" in listed
    assert "<svg" in (tmp_path / "graph.svg").read_text()


def test_a_network_that_there_is_not_is_said(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"Networks of the course: vgg_mini"):
        main("nothing", tmp_path / "graph.svg")


def test_networks_of_torchvision_are_named_with_their_source(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    main("torchvision:squeezenet1_1", tmp_path / "graph.png", pixels=64)
    assert "26 groups, 1 of them frozen" in capsys.readouterr().out


def test_more_than_ten_groups_have_colours_of_their_own_and_a_legend() -> None:
    groups = [Group(f"layer {number}", 4, ()) for number in range(30)]
    assert len(set(colours_of(groups).values())) == 30
    network = resnet20(widths=(4, 4, 4)).eval()
    model = export_graph(network, torch.zeros(1, 3, 32, 32))
    figure = draw_graph(model, channel_groups(model, list(network.state_dict())))
    listed = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(listed) == 12 and listed[:2] == ["conv1", "stages.0.0.conv1"]


@pytest.mark.parametrize("name", ["elsewhere:resnet18", "torchvision:nothing", "timm:nothing"])
def test_a_source_or_name_that_there_is_not_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"not known|no classification network|not installed|no network"):
        main(name, tmp_path / "graph.svg")
