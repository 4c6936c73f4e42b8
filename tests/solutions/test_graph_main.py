"""`python -m solutions.graph`: the picture, the list, and networks that there are not."""

from pathlib import Path

import pytest
import typer

from solutions.graph.__main__ import main


def test_the_picture_is_written_and_the_groups_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    main("vgg_mini", tmp_path / "graph.svg")
    listed = capsys.readouterr().out
    assert "7 groups, 1 of them frozen" in listed and "  features.0: 32 channels\n" in listed
    assert "<svg" in (tmp_path / "graph.svg").read_text()


def test_a_network_that_there_is_not_is_said(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"Networks of the course: vgg_mini"):
        main("nothing", tmp_path / "graph.svg")
