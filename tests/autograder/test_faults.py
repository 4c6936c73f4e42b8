"""The fault table: what can be wrong with a submission costs what is wrong, and a sentence says what happened.

Every fault is a submission of lab 3 with right answers and one thing broken.
"""

import contextlib
import copy
import functools
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import psutil
import pytest
from helpers.inline import Inline
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from onnx import TensorProto, helper, numpy_helper

from autograder.authoring.editions import points, source_edition
from autograder.authoring.frozen import FrozenRelease, freeze
from autograder.authoring.release import release
from autograder.demo import filled_in
from autograder.grading import batch, worker
from autograder.grading.batch import Options, grade_lab
from autograder.grading.engine import Grader
from autograder.grading.judge import Judge, JudgeEnded
from autograder.grading.notebooks import NOTES, grade_id, restored
from autograder.grading.submissions import Submission, read_submission, take_in
from autograder.grading.verdicts import verdict_of
from autograder.reports.gradebook import GradedSubmission, submissions
from autograder.sandbox.channels import EXERCISE
from autograder.sandbox.limits import Limits

pytestmark = pytest.mark.slow
LAB = "lab3_l1_filters"
NOTEBOOK = f"{LAB}.ipynb"
FILE = "lab3_pruned.onnx"
LIMITS = Limits(
    call_seconds=1.5,
    exercise_seconds=5,
    cell_seconds=3,
    notebook_seconds=60,
    memory_megabytes=1000,
    disk_megabytes=100,
)
WORTH = points(LAB)
ANSWERS = {name: worth for name, worth in WORTH.items() if not name.endswith("_onnx")}
FEW_PARAMETERS = 1.0  # what a small network earns that classifies no better than by chance
NOT_WRITTEN = dict.fromkeys(ANSWERS, 0.0)


def lean() -> NotebookNode:
    """The lab's source without text, pictures and measurements: the imports, the exercises and the questions."""
    notebook = source_edition(LAB)
    imports = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [cell for cell in notebook.cells if cell is imports or grade_id(cell)]
    return notebook


@functools.cache
def texts() -> tuple[str, str]:
    """The lab as students get it, with stubs, and with right answers."""
    notebook = lean()
    for cell in notebook.cells:
        stub = "raise NotImplementedError()"
        cell.source = re.sub(r"### BEGIN SOLUTION.*### END SOLUTION", stub, cell.source, flags=re.S)
    stubs = json.dumps(notebook)
    return stubs, json.dumps(filled_in(notebook, LAB, {}))


def released_lab() -> NotebookNode:
    return nbformat.from_dict(json.loads(texts()[0]))


@functools.cache
def frozen_lab() -> FrozenRelease:
    return freeze(LAB)


@pytest.fixture(scope="module")
def grader(bubblewrap: str, images_at_hand: str) -> Iterator[Grader]:
    with Grader(LIMITS) as grader:
        yield grader


@dataclass
class Work:
    """What one student is about to hand in: the notebook, and other files."""

    notebook: NotebookNode
    files: dict[str, bytes]

    def cell(self, name: str) -> NotebookNode:
        return next(cell for cell in self.notebook.cells if grade_id(cell) == name)

    def submission(self) -> Submission:
        return Submission({NOTEBOOK: as_bytes(self.notebook), **self.files})


def as_bytes(notebook: NotebookNode) -> bytes:
    return json.dumps(notebook).encode()


def right() -> Work:
    return Work(nbformat.from_dict(json.loads(texts()[1])), {})


@dataclass
class Graded:
    """What grading made of a submission; `told`: remarks and messages, `shown`: what the cells showed as well."""

    earned: dict[str, float]
    remarks: str
    shown: str


def graded(grader: Grader, submission: Submission) -> Graded:
    notebook = restored(released_lab(), submission.files.get(NOTEBOOK))
    notebook = grader.grade(frozen_lab(), notebook, submission)
    verdicts = [verdict for cell in notebook.cells if (verdict := verdict_of(cell))]
    messages = [outcome.message for verdict in verdicts for outcome in verdict.outcomes]
    remarks = "\n".join([*notebook.metadata[NOTES]["remarks"], *filter(None, messages)])
    outputs = json.dumps([cell.get("outputs", []) for cell in notebook.cells], ensure_ascii=False)
    return Graded({verdict.exercise: verdict.earned for verdict in verdicts}, remarks, remarks + outputs)


def with_file(earned: dict[str, float], worth: float = 0.0) -> dict[str, float]:
    return {**earned, "lab3_pruned_onnx": worth}


def test_right_answers_earn_everything(grader: Grader) -> None:
    result = graded(grader, right().submission())
    assert result.earned == with_file(ANSWERS)
    assert set(result.remarks.splitlines()) == {
        f"There is no file {FILE}: run the cell that makes it, and hand the file in too."
    }


def test_neither_the_judge_nor_a_submission_runs_under_the_account_of_root(grader: Grader) -> None:
    graded(grader, right().submission())
    assert grader.judge and grader.judge.child and grader.judge.child.process and grader.warm and grader.warm.root
    judge = psutil.Process(grader.judge.child.process.pid).children()[0]
    accounts = [set(process.uids()) | set(process.gids()) for process in (judge, grader.warm.root)]
    assert all(len(found) == 1 and 0 not in found for found in accounts)
    assert accounts[0] != accounts[1] or psutil.Process().uids().real


# --- a cell of the student's own, in the middle of the lab: it costs nothing

DEAF = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
CELLS = {
    "an endless loop": ("while True:\n    pass", f"Cell 6 was stopped: it ran for more than {LIMITS.cell_seconds:g} s."),
    "an endless loop that cannot be interrupted": (
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass",
        "could not be interrupted: an endless loop?",
    ),
    "the end of the process": ("import os\nos._exit(3)", "Cell 6 was stopped: it ended the process itself (exit code 3)"),
    "a signal that kills": ("import os\nos.kill(os.getpid(), 9)", "Cell 6 was stopped: it was ended by the system"),
    "a crash": ("import ctypes\nctypes.string_at(0)", "Cell 6 was stopped: it crashed (SIGSEGV)"),
    "too much memory": (
        "kept = [bytes(50_000_000) for _ in range(1000)]",
        "1,000 MB",
    ),
    "too much memory of the system's": (
        "import mmap\nkept = [mmap.mmap(-1, 10**8) for _ in range(100)]",
        "Cell 6 was stopped: it asked for more memory than the 1,000 MB allowed.",
    ),
    "a tensor without end": (
        "torch.ones(10**10)",
        "Cell 6 was stopped: it asked for more memory than the 1,000 MB allowed.",
    ),
    "too much memory in several processes": (
        "import os, time\nfor _ in range(6):\n    if not os.fork():\n        x = b'x' * 600_000_000\n        time.sleep(60)\n"
        "time.sleep(4)",
        "Cell 6 was stopped: it used more than 1,000 MB of memory.",
    ),
    "a fork bomb": ("import os\nwhile True:\n    os.fork()", "Cell 6 was stopped: it started more than 32 processes."),
    "threads without end": (
        "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(1000,)).start()",
        "can't start new thread",
    ),
    "2 GB of output": ("for _ in range(2000):\n    print('x' * 1_000_000)", "This cell wrote more than 8 MB"),
    "500 MB of HTML": (
        "from IPython.display import HTML, display\nfor _ in range(500):\n    display(HTML('x' * 1_000_000))",
        "This cell wrote more than 8 MB",
    ),
    "files until the disk is full": (
        "for number in range(20):\n    open(f'f{number}', 'wb').write(bytes(20_000_000))",
        "Cell 6 was stopped: it wrote more than 100 MB of files.",
    ),
    "one file that is larger than the disk": (
        "open('big', 'wb').write(bytes(200_000_000))",
        "Cell 6 was stopped: it wrote more than 100 MB of files.",
    ),
    "a recursion without end": ("def f():\n    return f()\nf()", "maximum recursion depth exceeded"),
    "a module that is missing": ("import no_such_module", "No module named 'no_such_module'"),
    "other meanings of check and print": ("check = print = lambda *_: None\n1 / 0", "division by zero"),
    "standard output that is gone": ("import sys\nsys.stdout = sys.stderr = None", ""),
    "builtins that are gone": ("import builtins\nbuiltins.len = builtins.isinstance = None", "Cell 6 was stopped: "),
    "standard output that is closed": (
        "import sys\nwith open('log.txt', 'w') as sys.stdout:\n    print('to a file')\n1 / 0",
        "division by zero",
    ),
    "files that are closed": ("import os\nos.closerange(3, 1000)", "Cell 6 was stopped: "),
    "something else in the channel": (
        "import os\nfor number in range(3, 50):\n    try:\n        os.write(number, b'x' * 100)\n    except OSError:\n        pass",
        "Cell 6 was stopped: it gave back more than 256 MB at once.",
    ),
    "a question to nobody": ("name = input('Your name? ')", "EOF when reading a line"),
    "SystemExit": ("raise SystemExit('I give up')", "I give up"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt('never mind')", "never mind"),
    "exit()": ("print('before')\nexit()\n", "before"),
    "only magics": ("%timeit -n1 -r1 1 + 1\n%who\n!echo hello from the shell", "hello from the shell"),
    "only a shell": ("%%bash\necho hello from bash; ls /nowhere", "hello from bash"),
    "a window for pictures": (
        "%matplotlib qt\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
        "Failed to import any of the following Qt binding modules",
    ),
    "pictures": ("import matplotlib.pyplot as plt\nplt.figure()\nplt.plot([1, 2])\nplt.show()", "image/png"),
    "text that is none": ("print('\\ud800\\x00')\nraise ValueError('\\ud800')", "ValueError"),
    "other settings": (
        "torch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\nimport os, warnings\nos.chdir('/tmp')\n"
        "warnings.simplefilter('error')\nwarnings.warn('now an error')",
        "now an error",
    ),
    "threads and processes left running": (
        "import subprocess, threading\ndef spin():\n    while True:\n        pass\nthreading.Thread(target=spin).start()\n"
        "subprocess.Popen(['sleep', '1000'])",
        "Popen",
    ),
    "four threads left spinning": (
        "import threading\ndef spin():\n    while True:\n        pass\nfor _ in range(4):\n"
        "    threading.Thread(target=spin).start()\nprint('spinning')",
        "spinning",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", CELLS)
def test_a_cell_that_comes_to_grief_costs_nothing_and_is_named(fault: str, grader: Grader) -> None:
    source, sentence = CELLS[fault]
    work = right()
    work.notebook.cells.insert(work.notebook.cells.index(work.cell("narrow_conv")), new_code_cell(source))
    result = graded(grader, work.submission())
    assert result.earned == with_file(ANSWERS)
    assert sentence in result.shown


def test_a_name_that_answers_need_costs_those_that_need_it(grader: Grader) -> None:
    """As it does in the student's own notebook."""
    work = right()
    work.notebook.cells.insert(1, new_code_cell("torch = 'mine'"))
    result = graded(grader, work.submission())
    assert result.earned == with_file({**ANSWERS, "narrow_linear": 0.0, "prune_vgg": 0.0})
    assert "narrow_linear stopped with AttributeError: 'str' object has no attribute 'arange'" in result.remarks


# --- an exercise that comes to grief: it costs that exercise, and no other

HEAD = "def {}(*arguments):\n    "
FUNCTIONS = {
    "an endless loop": ("greedy_l1_norms", HEAD + "while True: pass", f"ran for more than {LIMITS.call_seconds:g} s: an endless loop?"),
    "an endless loop that catches everything": (
        "greedy_l1_norms",
        HEAD + DEAF.replace("\n", "\n    "),
        "an endless loop?",
    ),
    "a fork bomb": (
        "greedy_l1_norms",
        "import os\n" + HEAD + "while True: os.fork()",
        " processes",
    ),
    "a syntax error": ("narrow_linear", "def {}(linear, channels, pixels)\n    return linear", "SyntaxError"),
    "the end of the process": (
        "narrow_linear",
        "import os\n" + HEAD + "os._exit(0)",
        "it ended the process itself (exit code 0): no os._exit, please",
    ),
    "too much memory": (
        "narrow_linear",
        HEAD + "return [bytes(10**8) for _ in range(100)]",
        "memory than is allowed",
    ),
    "SystemExit": ("narrow_linear", HEAD + "raise SystemExit(1)", "narrow_linear stopped with SystemExit: 1"),
    "KeyboardInterrupt": ("narrow_linear", HEAD + "raise KeyboardInterrupt", "narrow_linear stopped with KeyboardInterrupt"),
    "a question to nobody": ("narrow_linear", HEAD + "input()", "narrow_linear stopped with EOFError: EOF when reading"),
    "a recursion without end": (
        "narrow_linear",
        HEAD + "return narrow_linear(*arguments)",
        "narrow_linear stopped with RecursionError: maximum recursion depth exceeded",
    ),
    "no function": ("narrow_linear", "{} = 3", "narrow_linear stopped with TypeError: 'int' object is not callable"),
    "an answer that is too large": ("narrow_linear", HEAD + "return torch.zeros(90_000_000)", "it gave back more than 256 MB"),
    "an answer of 5,000 lists within each other": (
        "greedy_l1_norms",
        HEAD + "x = []\n    for _ in range(5_000): x = [x]\n    return x",
        "cannot go on with what greedy_l1_norms gave back",
    ),
    "an answer that holds itself": (
        "narrow_linear",
        HEAD + "x = []\n    x.append(x)\n    return x",
        "what narrow_linear gave back or left behind: AttributeError: 'list' object has no attribute 'weight'",
    ),
    "an answer that cannot be looked at": (
        "narrow_linear",
        "class Odd:\n    def __getattr__(self, name):\n        raise RuntimeError('leave me alone')\n"
        "def {}(*arguments):\n    return Odd()",
        "leave me alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FUNCTIONS)
def test_an_exercise_that_comes_to_grief_costs_only_itself_and_is_named(fault: str, grader: Grader) -> None:
    name, source, sentence = FUNCTIONS[fault]
    work = right()
    work.cell(name).source = source.format(name)
    result = graded(grader, work.submission())
    assert result.earned == with_file({**ANSWERS, name: 0.0})
    assert sentence in result.remarks


def test_an_exercise_that_ended_its_process_is_judged_once(grader: Grader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process has run the same cells, and defined nothing anew. (prune_vgg is judged with helpers once more.)"""
    judged, judge = [], Judge.judge
    monkeypatch.setattr(
        Judge, "judge", lambda self, task, *rest: judged.append(task[EXERCISE]) or judge(self, task, *rest)
    )
    work = right()
    work.cell("narrow_linear").source = "import os\n" + HEAD.format("narrow_linear") + "os._exit(0)"
    graded(grader, work.submission())
    assert sorted(judged) == sorted([*WORTH, "prune_vgg"])


def test_what_takes_the_judge_too_long_is_judged_with_help_too(grader: Grader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault may lie in a function that it calls, and a mistake costs once."""
    judge = Judge.judge

    def too_long_alone(self: Judge, task: Any, *rest: Any) -> Any:
        if task[EXERCISE] == "prune_vgg" and not task["helped"]:
            raise JudgeEnded("takes more than 5 s to run")
        return judge(self, task, *rest)

    monkeypatch.setattr(Judge, "judge", too_long_alone)
    assert graded(grader, right().submission()).earned == with_file(ANSWERS)


# --- a notebook that is none, or nearly none


def cut_short(work: Work) -> bytes:
    return as_bytes(work.notebook)[:5_000]


def without_exercises(work: Work) -> bytes:
    work.notebook.cells = work.notebook.cells[:1]
    return as_bytes(work.notebook)


NO_NOTEBOOKS: dict[str, tuple[Callable[[Work], bytes], str]] = {
    "not JSON": (lambda work: b"<html>Log in first</html>", "The notebook cannot be read: it is not JSON"),
    "0 bytes": (lambda work: b"", "The notebook cannot be read: it is not JSON"),
    "cut short": (cut_short, "The notebook cannot be read: it is not JSON, or was cut short"),
    "without exercises": (
        without_exercises,
        "Cells that were missing and have been put back as they were released: filter_l1",
    ),
}


@pytest.mark.parametrize("fault", ["not JSON", "without exercises"])
def test_a_notebook_that_cannot_be_used_leaves_the_points_of_the_file(
    fault: str, grader: Grader, network: bytes
) -> None:
    make, sentence = NO_NOTEBOOKS[fault]
    result = graded(grader, Submission({NOTEBOOK: make(right()), FILE: network}))
    assert result.earned == with_file(NOT_WRITTEN, FEW_PARAMETERS)
    assert sentence in result.remarks


def doubled(notebook: NotebookNode) -> None:
    notebook.cells = [twin for cell in notebook.cells for twin in (cell, copy.deepcopy(cell))]


def without_checks(notebook: NotebookNode) -> None:
    notebook.cells = [cell for cell in notebook.cells if not grade_id(cell).startswith("check-")]


def forgetful(notebook: NotebookNode) -> None:
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"x{number}", NotebookNode()


def merged(notebook: NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source = "\n\n".join(cell.source for cell in code)
    notebook.cells = [code[0]]


def backwards(notebook: NotebookNode) -> None:
    notebook.cells = [notebook.cells[0], *notebook.cells[:0:-1]]


def solved_elsewhere(notebook: NotebookNode) -> None:
    """All answers stand in one extra cell behind the stubs."""
    stubs = {grade_id(cell): cell.source for cell in released_lab().cells}
    answers = [cell for cell in notebook.cells if grade_id(cell) in ANSWERS]
    notebook.cells.append(new_code_cell("\n\n".join(cell.source for cell in answers)))
    for cell in answers:
        cell.source = stubs[grade_id(cell)]


FORMS: dict[str, tuple[Callable[[NotebookNode], None], str]] = {
    "all cells doubled": (
        doubled,
        "Cells that occur more than once (the last that was changed counts): filter_l1_norms,",
    ),
    "check cells deleted": (
        without_checks,
        "put back as they were released: check-filter_l1_norms, check-filters_to_keep,",
    ),
    "other ids and no metadata": (forgetful, ""),
    "all cells merged into one": (merged, "put back as they were released: filter_l1_norms, check-filter_l1_norms,"),
    "cells in reverse order": (backwards, ""),
    "solutions in an extra cell": (solved_elsewhere, ""),
}


@pytest.mark.parametrize("fault", FORMS)
def test_a_notebook_in_another_form_costs_nothing(fault: str, grader: Grader) -> None:
    change, sentence = FORMS[fault]
    work = right()
    change(work.notebook)
    result = graded(grader, work.submission())
    assert result.earned == with_file(ANSWERS)
    assert sentence in result.remarks


def test_windows_line_ends_and_a_byte_order_mark_cost_nothing(grader: Grader) -> None:
    text = json.dumps(right().notebook, indent=1).replace("\n", "\r\n")
    result = graded(grader, Submission({NOTEBOOK: b"\xef\xbb\xbf" + text.encode()}))
    assert result.earned == with_file(ANSWERS)


# --- the file


def network_file(
    shape: tuple[str | int, ...] = ("N", 3, 32, 32), weight: float = 0.0, outside: bool = False, made_with: str = ""
) -> bytes:
    """One linear layer as an ONNX file, which knows nothing about the images."""
    from minicifar import MiniCIFAR

    images = MiniCIFAR("test")
    classes, features = len(images.classes), int(np.prod([size for size in shape[1:] if isinstance(size, int)]))
    weights = numpy_helper.from_array(np.full((features, classes), weight, np.float32), "weight")
    if outside:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="../../../etc/passwd")
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", classes))]
    graph = helper.make_graph(nodes, "by hand", inputs, outputs, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"fingerprint": made_with or images.fingerprint})
    return model.SerializeToString()


@pytest.fixture(scope="module")
def network(images_at_hand: str) -> bytes:
    """A file that earns the points for few parameters, and none for accuracy; what it is compared with is measured."""
    from course_utils.artifacts import measured_baseline

    measured_baseline()
    return network_file()


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut short": (lambda: network_file()[:-20_000], "is not an ONNX file, or was cut short: export it again."),
    "0 bytes": (lambda: b"", "holds no network: export it again."),
    "a web page": (lambda: b"<!DOCTYPE html><html></html>", "is not an ONNX file, or was cut short: export it again."),
    "data elsewhere": (lambda: network_file(outside=True), "keeps its weights in another file: export it as one file"),
    "another input": (lambda: network_file(("N", 1, 28, 28)), "must take one input of shape (N, 3, 32, 32)"),
    "one image at a time": (lambda: network_file((1, 3, 32, 32)), "takes exactly 1 images at a time"),
    "not a number": (lambda: network_file(weight=float("nan")), "The network's outputs are not all finite numbers."),
    "60 MB": (lambda: network_file() + bytes(60_000_000), "has 60 MB; at most 50 MB are measured."),
    "other images": (lambda: network_file(made_with="my own"), "was made with other images (my own)"),
}


@pytest.mark.parametrize("fault", FILES)
def test_a_file_that_cannot_be_measured_costs_only_its_own_points(fault: str, grader: Grader, network: bytes) -> None:
    make, sentence = FILES[fault]
    work = right()
    work.files[FILE] = make()
    result = graded(grader, work.submission())
    assert result.earned == with_file(ANSWERS)
    assert sentence in result.remarks


def test_a_file_that_classifies_by_chance_earns_the_points_for_its_size(grader: Grader, network: bytes) -> None:
    work = right()
    work.files[FILE] = network
    result = graded(grader, work.submission())
    assert result.earned == with_file(ANSWERS, FEW_PARAMETERS)
    assert "none below" in result.remarks


# --- the folder


def handed_in(folder: Path, work: Work) -> Path:
    folder.mkdir(parents=True)
    (folder / NOTEBOOK).write_bytes(as_bytes(work.notebook))
    for name, data in work.files.items():
        (folder / name).write_bytes(data)
    return folder


def sparse(folder: Path) -> None:
    with open(folder / "video.mp4", "wb") as file:
        file.truncate(500_000_000)


def renamed(folder: Path) -> None:
    (folder / NOTEBOOK).rename(folder / f"{LAB} (1).ipynb")


def deeper(folder: Path) -> None:
    (folder / "my work").mkdir()
    (folder / NOTEBOOK).rename(folder / "my work" / NOTEBOOK)


def special(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link.onnx").symlink_to("/etc/passwd")
    with open(os.path.join(os.fsencode(folder), b"\xdcbung.txt"), "wb") as file:
        file.write(b"x")


FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "an attachment of 500 MB": (sparse, "video.mp4 has 500 MB; at most 64 MB are read. It was left out."),
    "a renamed notebook": (renamed, f"The notebook was handed in as {LAB} (1).ipynb."),
    "a notebook in a folder": (deeper, f"The notebook was handed in as my work/{NOTEBOOK}."),
    "pipes, links and odd names": (special, "link.onnx is a link, and links are not followed. It was left out."),
}


@pytest.mark.parametrize("fault", FOLDERS)
def test_a_folder_with_something_odd_in_it_costs_nothing(fault: str, grader: Grader, tmp_path: Path) -> None:
    change, sentence = FOLDERS[fault]
    folder = handed_in(tmp_path / "s", right())
    change(folder)
    take_in(folder, LAB)
    result = graded(grader, read_submission(folder))
    assert result.earned == with_file(ANSWERS)
    assert sentence in result.remarks


# --- one class with all of it

FATAL = ["a crash", "the end of the process", "a fork bomb"]
FATAL += ["500 MB of HTML", "something else in the channel"]


def slug(fault: str) -> str:
    return re.sub(r"\W+", "-", fault)


@pytest.fixture(scope="module")
def graded_class(
    grader: Grader, network: bytes, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, GradedSubmission], list[str], Path]:
    """An honest student between others with every kind of fault → entries, what could not be done, the course."""
    course = tmp_path_factory.mktemp("course")
    release(LAB, course)
    (course / "secret.txt").write_text("")  # that of `grader`
    nbformat.write(released_lab(), course / "release" / LAB / NOTEBOOK)
    submitted = course / "submitted"
    for fault in FATAL:
        work = right()
        work.notebook.cells.insert(5, new_code_cell(CELLS[fault][0]))
        handed_in(submitted / slug(fault) / LAB, work)
    for fault, (ruined, _) in NO_NOTEBOOKS.items():
        folder = handed_in(submitted / slug(fault) / LAB, right())
        (folder / NOTEBOOK).write_bytes(ruined(right()))
    for fault, (change, _) in FOLDERS.items():
        change(handed_in(submitted / slug(fault) / LAB, right()))
    (submitted / "nothing" / LAB).mkdir(parents=True)
    painted = right()
    painted.cell("answer-question_scaling").source = "See ![plot.png](attachment:plot.png) <script>alert(1)</script>"
    painted.notebook.cells.append(new_markdown_cell("```mermaid\ngraph TD\n```\n[x](javascript\\:alert(1))"))
    handed_in(submitted / "painted" / LAB, painted)
    linked = submitted / "linked" / LAB
    linked.mkdir(parents=True)
    honest = right()
    honest.files[FILE] = network
    (linked / NOTEBOOK).symlink_to(handed_in(submitted / "honest" / LAB, honest) / NOTEBOOK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "workers", lambda options: contextlib.nullcontext(Inline()))
        patch.setattr(worker._here, "grader", grader, raising=False)
        failures = grade_lab(LAB, course, Options(limits=LIMITS))
    return {entry.student: entry for entry in submissions(course, LAB)}, failures, course


def test_everybody_in_the_class_is_graded(graded_class: tuple[dict[str, GradedSubmission], list[str], Path]) -> None:
    entries, failures, _ = graded_class
    assert failures == []
    named = {slug(fault) for fault in [*FATAL, *NO_NOTEBOOKS, *FOLDERS]}
    assert set(entries) == {"honest", "nothing", "painted", "linked", *named}
    assert all(entry.recorded and entry.graded for entry in entries.values())


def test_the_honest_student_of_the_class_has_full_marks(
    graded_class: tuple[dict[str, GradedSubmission], list[str], Path],
) -> None:
    """All points but those of the accuracy that only training earns; the questions wait for a person."""
    entry = graded_class[0]["honest"]
    assert entry.points == sum(ANSWERS.values()) + FEW_PARAMETERS
    assert {mark.name: mark.points for mark in entry.marks if mark.name in ANSWERS} == ANSWERS
    assert entry.by_hand == 4 and entry.remarks == ()


@pytest.mark.parametrize("fault", [*FATAL, *FOLDERS])
def test_faults_cost_nothing_in_the_class_either(
    fault: str, graded_class: tuple[dict[str, GradedSubmission], list[str], Path]
) -> None:
    assert graded_class[0][slug(fault)].points == sum(ANSWERS.values())


NOTHING = {"nothing": "No notebook was handed in.", "linked": f"{NOTEBOOK} is a link, and links are not followed."}


@pytest.mark.parametrize("fault", [*NO_NOTEBOOKS, *NOTHING])
def test_who_has_no_notebook_has_no_points_and_is_told_why(
    fault: str, graded_class: tuple[dict[str, GradedSubmission], list[str], Path]
) -> None:
    entry = graded_class[0][slug(fault)]
    assert entry.points == 0
    assert (NOTHING.get(fault) or NO_NOTEBOOKS[fault][1]) in "\n".join(entry.remarks)


def test_everybody_in_the_class_gets_a_feedback_page(
    graded_class: tuple[dict[str, GradedSubmission], list[str], Path],
) -> None:
    entries, _, course = graded_class
    assert [name for name in entries if not (course / "feedback" / name / LAB / f"{LAB}.html").is_file()] == []


def test_what_a_student_writes_is_not_active_on_the_feedback_page(
    graded_class: tuple[dict[str, GradedSubmission], list[str], Path],
) -> None:
    page = (graded_class[2] / "feedback" / "painted" / LAB / f"{LAB}.html").read_text(encoding="utf-8")
    assert not re.search(r"<script>alert|class=\"mermaid|href=\"javascript:", page)
