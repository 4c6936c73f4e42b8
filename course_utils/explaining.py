"""What a person reads when a test fails: the test's own message, where the answer stopped, or what it gave back."""

import inspect
import linecache
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest


class MissingAnswer(Exception):
    """The notebook has no such name, or the folder no such file (yet)."""


class NotComparable(Exception):
    """A file handed in was made with other images than those at hand: neither right nor wrong."""


def explain(
    excinfo: pytest.ExceptionInfo[BaseException], exercise: str, test_file: Path, answers: Mapping[str, Any]
) -> str:
    """What a person reads when a test fails: the test's own message, where the answer stopped, or what it returned."""
    error = excinfo.value
    if isinstance(error, (MissingAnswer, NotComparable)):
        return str(error)
    if isinstance(error, (AssertionError, pytest.fail.Exception)) and in_test(excinfo, test_file):
        return str(error)
    said = f"{type(error).__name__}: {error}"
    line = getattr(error, "cell_line", None)  # the answer lives in another process
    if line is None:
        answer = answers.get(exercise)
        line = cell_line(error.__traceback__, [answer.__code__.co_filename] if inspect.isfunction(answer) else [])
        if not line and callable(answer):
            where = f"in the test's line: {line_of_test(excinfo, test_file)}"
            return f"The test cannot go on with what {exercise} gave back or left behind: {said}\n{where}"
    if isinstance(error, NotImplementedError) and ": raise NotImplementedError" in line:
        name = line.partition("the cell of ")[2].partition(":")[0] or exercise
        uses = "" if name == exercise else f"{exercise} uses {name}, and "
        return f"{uses}{name} is not written yet: replace `raise NotImplementedError()` by your code."
    return f"{exercise} stopped with {said}{line}"


def in_test(excinfo: pytest.ExceptionInfo[BaseException], test_file: Path) -> bool:
    """Whether an assertion was raised by the tests and not by the answer's own `assert`."""
    last = Path(str(excinfo.traceback[-1].path))
    return last.parent == test_file.parent or last in OURS


OURS = [Path(__file__).with_name(name) for name in ("expect.py", "contracts.py")]


def cell_line(trace: TracebackType | None, files: Collection[str] = ()) -> str:
    """The last line of a notebook's cell on the way to an error, with the function that the cell defines; or "".

    A cell is what was typed into a notebook, or stands in one of `files`.
    """
    frames = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(trace)
        if "ipykernel" in (file := frame.f_code.co_filename) or file.startswith("<ipython") or file in files
    ]
    if not frames:
        return ""
    code, number = frames[-1]
    line = linecache.getline(code.co_filename, number).strip()
    function = next(outer.co_name for outer, _ in frames if outer.co_filename == code.co_filename)
    cell = f"the cell of {function}" if function.isidentifier() else "your cell"
    return f"\nin line {number} of {cell}: {line}"


def line_of_test(excinfo: pytest.ExceptionInfo[BaseException], test_file: Path) -> str:
    """The last line of a test on the way to an error."""
    lines = [(str(entry.path), entry.lineno + 1) for entry in excinfo.traceback if entry.path == test_file]
    return linecache.getline(*lines[-1]).strip() if lines else ""
