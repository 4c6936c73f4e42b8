"""The command line of studies: options that are repeated, names that are refused, and what a stop says."""

import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from course_utils.command_line import run_program
from course_utils.records import MomentResult, MomentStudy, Study
from studies import cli

calls: list[Any] = []
Methods = Annotated[list[str], typer.Option(parser=cli.one_of(["L1", "L1, four steps"]))]


def main(results: cli.Results, methods: Methods, seeds: cli.Seeds = cli.SEEDS, device: cli.Device = "cpu") -> None:
    calls.append((results, methods, seeds, device))
    cli.opened(results, MomentStudy(images="these"))
    with cli.stoppable():
        if device == "stopped":
            raise KeyboardInterrupt


def program(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """The exit code (or what is said) of a program with these arguments."""
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    calls.clear()
    with pytest.raises(SystemExit) as end:
        run_program(main)
    return end.value.code


def test_an_option_is_repeated_and_names_may_hold_commas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    options = ["--methods", "L1, four steps", "--methods", "L1", "--seeds", "0", "--seeds", "2"]
    assert program(monkeypatch, str(path), *options) == 0
    assert calls == [(path, ["L1, four steps", "L1"], [0, 2], "cpu")]


def test_an_unknown_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert program(monkeypatch, str(tmp_path / "r.jsonl"), "--methods", "L2") == 2
    assert "'L2' is none of L1; L1, four steps." in capsys.readouterr().err and not calls


def test_a_file_about_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "r.jsonl"
    Study(MomentStudy(images="those"), path=path).add(MomentResult("a", "good", 0, "unpruned", 0, 1.0, 0.9, 1.0))
    assert program(monkeypatch, str(path), "--methods", "L1") == 2
    assert "another images (those, not these)" in capsys.readouterr().err


def test_a_stop_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "r.jsonl"), "--methods", "L1", "--device", "stopped"]
    assert program(monkeypatch, *arguments) == "Stopped; the same call goes on from here."


def test_the_help_is_the_modules_docstring_with_its_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "__doc__", "What it does.\n\n    python -m one\n    python -m two\n")
    assert program(monkeypatch, "--help") == 0
    assert "    python -m one\n" in capsys.readouterr().out
