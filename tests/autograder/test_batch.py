"""The batch: stopped and started again, a part of the class, what comes late, a cluster that loses a worker."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
import typer
from nbgrader.api import Gradebook
from rich.console import Console

from autograder.__main__ import limits_of
from autograder.authoring.editions import points
from autograder.authoring.release import release
from autograder.course import ROOT, CourseError, must
from autograder.demo import filled_in
from autograder.grading import batch
from autograder.grading.batch import LabGrading, Options, Todo, grade_lab, seconds_late
from autograder.grading.judged import AT_ONCE, DONE, Basis, JudgedRecord, read_judged, state_of
from autograder.reports.gradebook import results
from autograder.sandbox import account
from autograder.sandbox.bubblewrap import SandboxError
from autograder.sandbox.limits import Limits, limits_from

pytestmark = pytest.mark.slow
LAB = "lab3_l1_filters"
STUDENTS = [f"student{number}" for number in range(4)]
WRONG = "the_sign_counts"


def hand_in(course: Path, students: list[str]) -> None:
    """A notebook of imports, exercises and checks; every second student gets filter_l1_norms wrong."""
    released = course / "release" / LAB / f"{LAB}.ipynb"
    for number, student in enumerate(students):
        notebook = filled_in(
            nbformat.read(released, as_version=4), LAB, {"filter_l1_norms": WRONG} if number % 2 else {}
        )
        folder = course / "submitted" / student / LAB
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{LAB}.ipynb")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, images_at_hand: str) -> Path:
    """A course with the lab released, its notebook cut down to what takes no time."""
    course = tmp_path_factory.mktemp("released")
    release(LAB, course)
    path = course / "release" / LAB / f"{LAB}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    imports = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [imports] + [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    nbformat.write(notebook, path)
    return course


@pytest.fixture
def course(released: Path, tmp_path: Path) -> Path:
    """A copy of that course with a class that has handed in."""
    folder = tmp_path / "course"
    shutil.copytree(released, folder)
    hand_in(folder, STUDENTS)
    return folder


def grades(course: Path) -> dict[str, float]:
    return {result.student: result.points for result in results(course, LAB)}


def expected(students: list[str]) -> dict[str, float]:
    worth = points(LAB)
    full = sum(worth.values()) - worth["lab3_pruned_onnx"]
    return {student: full for number, student in enumerate(students) if number % 2 == 0}


def run_command(course: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "autograder", "grade", LAB, "--course", str(course), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_a_batch_that_is_killed_again_and_again_ends_with_the_same_gradebook(course: Path, judged_here: None) -> None:
    """`kill -9` as soon as one more student has been judged, until nothing is left to do."""
    for student in STUDENTS[2:]:
        shutil.rmtree(course / "submitted" / student)
    undisturbed = course.parent / "undisturbed"
    shutil.copytree(course, undisturbed)
    assert grade_lab(LAB, undisturbed) == []
    kills = 0
    while True:
        judged = len(list((course / "judged" / LAB).glob("*.json")))
        running = run_command(course, "--workers", "1")
        while running.poll() is None and len(list((course / "judged" / LAB).glob("*.json"))) == judged:
            time.sleep(0.02)
        if running.poll() is not None:
            break
        running.send_signal(signal.SIGKILL)
        running.wait()
        kills += 1
    assert kills >= 2
    assert grades(course) == grades(undisturbed)
    assert all(read_judged(course, LAB, student)["recorded"] for student in STUDENTS[:2])
    assert len(list((course / "feedback").glob(f"*/{LAB}/{LAB}.html"))) == 2


def test_what_is_done_is_not_done_again(course: Path, judged_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert grade_lab(LAB, course) == []

    def note(grading: LabGrading, todo: Mapping[str, Todo], *_: Any) -> None:
        grading.failures.append(f"judged again: {sorted(todo)}")

    monkeypatch.setattr(batch, "judge_all", note)
    assert grade_lab(LAB, course) == ["judged again: []"]
    assert grade_lab(LAB, course, Options(force=True)) == [f"judged again: {STUDENTS}"]
    path = course / "submitted" / STUDENTS[2] / LAB / f"{LAB}.ipynb"
    path.write_text(path.read_text() + "\n")
    assert grade_lab(LAB, course) == [f"judged again: {STUDENTS[2:3]}"]


def test_only_some_students(course: Path, judged_here: None) -> None:
    assert grade_lab(LAB, course, Options(only=[STUDENTS[1]])) == []
    assert list(grades(course)) == [STUDENTS[1]]
    with pytest.raises(CourseError, match="nobody handed in nothing"):
        grade_lab(LAB, course, Options(only=["nobody"]))


def test_a_mistake_costs_its_points_and_no_more(course: Path, judged_here: None) -> None:
    grade_lab(LAB, course, Options(only=STUDENTS[:2]))
    earned = grades(course)
    assert earned[STUDENTS[0]] == expected(STUDENTS)[STUDENTS[0]]
    assert 0 < earned[STUDENTS[1]] < earned[STUDENTS[0]]


@pytest.fixture
def late(course: Path, judged_here: None) -> Path:
    """The first student is a day late, the second in time."""
    due = datetime(2026, 1, 10, 12)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        book.update_or_create_assignment(LAB, duedate=due)
    for student, handed_in in ((STUDENTS[0], due + timedelta(days=1)), (STUDENTS[1], due - timedelta(days=1))):
        (course / "submitted" / student / LAB / "timestamp.txt").write_text(f"{handed_in:%Y-%m-%d %H:%M:%S} UTC")
    return course


def test_late_ones_are_graded_as_all_others_by_default(late: Path) -> None:
    assert grade_lab(LAB, late, Options(only=STUDENTS[:2])) == []
    assert grades(late)[STUDENTS[0]] == expected(STUDENTS)[STUDENTS[0]]


def test_an_extension_puts_the_due_date_off(late: Path) -> None:
    assert seconds_late(late, LAB, STUDENTS[0]) == 24 * 3600
    with Gradebook(f"sqlite:///{late / 'gradebook.db'}") as book:
        book.add_student(STUDENTS[0])
        book.add_submission(LAB, STUDENTS[0]).extension = timedelta(hours=20)
        book.db.commit()
    assert seconds_late(late, LAB, STUDENTS[0]) == 4 * 3600


def test_late_ones_can_be_left_out_and_are_named(late: Path) -> None:
    (failure,) = grade_lab(LAB, late, Options(only=STUDENTS[:2], late="skip"))
    assert failure.startswith("student0 handed in lab3_l1_filters 24.0 hours late")
    assert list(grades(late)) == [STUDENTS[1]]


def test_late_ones_can_be_given_nothing(late: Path) -> None:
    assert grade_lab(LAB, late, Options(only=STUDENTS[:2], late="zero")) == []
    assert grades(late)[STUDENTS[0]] == 0
    assert grades(late)[STUDENTS[1]] > 0


def test_a_new_due_date_or_penalty_is_recorded_without_judging_again(
    late: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, full = STUDENTS[0], expected(STUDENTS)[STUDENTS[0]]
    assert grade_lab(LAB, late, Options(only=[student], late="zero")) == []
    monkeypatch.setattr(batch, "judge_submission", lambda *_: pytest.fail("judged again"))
    shown = Console(file=io.StringIO(), width=200)

    def again(options: Options, points: float) -> str:
        assert grade_lab(LAB, late, options, shown) == []
        assert grades(late)[student] == points
        return str(shown.file.getvalue())  # type: ignore[attr-defined]

    with Gradebook(f"sqlite:///{late / 'gradebook.db'}") as book:
        book.find_submission(LAB, student).extension = timedelta(days=2)
        book.db.commit()
    text = again(Options(only=[student], late="zero", dry_run=True), 0)
    assert "nothing was recorded" in text and f"{full:g}" in text
    assert "late or not: that has changed" in again(Options(only=[student], late="zero"), full)
    with Gradebook(f"sqlite:///{late / 'gradebook.db'}") as book:
        book.find_submission(LAB, student).extension = timedelta(hours=1)
        book.db.commit()
    again(Options(only=[student], late="zero"), 0)
    again(Options(only=[student]), full)


@pytest.mark.parametrize(
    ("before", "now", "judged"),
    [("synthetic-v1/4 classes", "cifar10-abc/4 classes", True), ("", "cifar10-abc/4 classes", True),
     ("cifar10-abc/4 classes", "synthetic-v1/4 classes", False), ("cifar10-abc/4 classes", "", False),
     ("cifar10-abc/4 classes", "cifar10-def/4 classes", False), ("synthetic-v1/4 classes", "", False)],
)  # fmt: skip
def test_what_was_graded_without_real_images_is_judged_again_as_soon_as_there_are_some(
    before: str, now: str, judged: bool
) -> None:
    basis = Basis("files", "settings", "release", now)
    record = JudgedRecord(replace(basis, images=before), "{}", recorded=True)
    assert (state_of(record, basis) in AT_ONCE) == judged and state_of(record, basis) != DONE


def test_who_was_not_judged_because_the_sandbox_failed_is_not_blamed(
    course: Path, judged_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> str:
        error = SandboxError("The judge did not start: no room")
        error.add_note("Traceback\n  of many lines")
        raise error

    monkeypatch.setattr(batch, "judge_submission", fails)
    (failure,) = grade_lab(LAB, course, Options(only=STUDENTS[:1]))
    assert "through no fault of the submission: The judge did not start: no room" in failure and "\n" not in failure
    assert "of many lines" in (course / "logs" / f"{LAB}-{STUDENTS[0]}.log").read_text(encoding="utf-8")


def test_a_step_of_nbgrader_that_fails_is_a_sentence_with_its_log_beside_it(tmp_path: Path) -> None:
    log = "[INFO] begin\nTraceback (most recent call last):\n  File x\nsqlite3.OperationalError: database is locked\n"
    log += "nbgrader.converters.base.NbGraderException: Please see the the above traceback\n"
    with pytest.raises(CourseError, match=r"^recording ann failed: sqlite3.OperationalError: database is locked\. The"):
        must({"success": False, "log": log, "error": ""}, "recording ann", tmp_path)
    assert "File x" in (tmp_path / "logs" / "recording-ann.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "value"), [("disk_megabytes", "200"), ("memory_megabytes", "1000"), ("restarts", "0")]
)
def test_a_limit_of_the_command_line_is_a_number_of_its_kind(name: str, value: str) -> None:
    limit = getattr(limits_of([f"{name}={value}"]), name)
    assert limit == int(value) and type(limit) is int
    assert limits_from({name: int(value)}) == limits_of([f"{name}={value}"]) == limits_from({name: float(value)})


@pytest.mark.parametrize(
    "text",
    ["disk_megabytes=1.5", "disk_megabytes=0", "cell_seconds=-1", "cell_seconds=nan", "processes=inf", "restarts=x",
     "cell_seconds=", "cell_seconds", "memory_megabytes=1e300", "wheels=4"],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused_with_what_it_may_be(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"it is a (whole )?number from .* to|there are call_seconds"):
        limits_of([text])


@pytest.mark.parametrize("value", [True, None, [], "many", {}])
def test_limits_of_a_configuration_are_checked_too(value: Any) -> None:
    with pytest.raises(ValueError, match="it is a whole number from 1 to 1,000,000"):
        limits_from({"disk_megabytes": value})


def test_each_limit_can_be_set_and_holds(course: Path, judged_here: None) -> None:
    given = limits_of([f"{name}={number}" for name, number in asdict(Limits()).items()])
    assert given == Limits()
    assert (
        grade_lab(LAB, course, Options(only=STUDENTS[:1], limits=limits_of(["disk_megabytes=200", "processes=20"])))
        == []
    )


def test_a_cluster_that_loses_a_worker_grades_everybody(course: Path, bubblewrap: str) -> None:
    """Two workers in processes of their own; one is killed as soon as the first result is there."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:

        def kill_one() -> None:
            while not list((course / "judged" / LAB).glob("*.json")):
                time.sleep(0.02)
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        assert grade_lab(LAB, course, Options(scheduler=cluster.scheduler_address)) == []
        killer.join()
    earned = grades(course)
    assert sorted(earned) == STUDENTS
    assert {student: earned[student] for student in expected(STUDENTS)} == expected(STUDENTS)


def test_without_a_sandbox_only_on_request_and_with_a_warning(course: Path, judged_here: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        with pytest.raises(SandboxError, match="apt install bubblewrap"):
            grade_lab(LAB, course)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account, "is_root", lambda: False)  # root is refused: test_sandbox.py
        assert grade_lab(LAB, course, Options(only=STUDENTS[:1], isolation="process")) == []
    assert grades(course)[STUDENTS[0]] == expected(STUDENTS)[STUDENTS[0]]
    notebook = nbformat.reads(read_judged(course, LAB, STUDENTS[0])["notebook"], as_version=4)
    assert notebook.metadata["pruning_labs"]["isolation"] == "process"
