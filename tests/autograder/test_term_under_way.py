"""A term that began with version 0.1.0 goes on: same marks, nothing that a person entered is lost, nothing in silence.

`tests/data/term-0.1.0.tar.xz` is a course folder as that version left it, without feedback and weights: two released
labs, six notebooks handed in and judged, a gradebook with points, comments and extra credit by hand, and an entry of
the challenge with its train.py. Images: synthetic.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from rich.console import Console

from autograder.authoring.frozen import frozen_release
from autograder.course import ROOT
from autograder.grading import batch
from autograder.grading.batch import Options, grade_lab
from autograder.grading.judged import judged_path, read_judged
from autograder.grading.verdicts import verdict_of

pytestmark = pytest.mark.slow
TERM = ROOT / "tests" / "data" / "term-0.1.0.tar.xz"
LABS = {"lab1_costs": ["all-right", "late"], "lab4_schedules": ["all-right", "mistaken", "unfinished"]}
Marks = dict[tuple[str, str, str], tuple[float | None, float | None, float | None, bool, str | None]]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("term")
    with tarfile.open(TERM) as archive:
        archive.extractall(folder, filter="data")
    weights = ROOT / "course_utils" / "recorded" / "baselines"
    for lab in LABS:
        shutil.copytree(weights, folder / "term" / "release" / lab / "course_utils" / "baselines", dirs_exist_ok=True)
    return folder / "term"


@pytest.fixture
def term(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that course folder, and no other images than those that it was graded on."""
    monkeypatch.setenv("MINICIFAR_SYNTHETIC", "1")
    monkeypatch.delenv("MINICIFAR_ROOT", raising=False)
    return Path(shutil.copytree(unpacked, tmp_path / "term"))


def marks(course: Path) -> Marks:
    """All that the gradebook holds of every graded cell: points by tests and by hand, extra, waiting, comment."""
    recorded: Marks = {}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for lab in LABS:
            for submission in book.find_assignment(lab).submissions:
                for notebook in submission.notebooks:
                    comments = {comment.name: comment.manual_comment for comment in notebook.comments}
                    for grade in notebook.grades:
                        recorded[submission.student.id, lab, grade.name] = (
                            grade.auto_score,
                            grade.manual_score,
                            grade.extra_credit,
                            grade.needs_manual_grade,
                            comments.get(grade.name),
                        )
    return recorded


def points_by_tests(notebook: str) -> dict[str, float]:
    cells = nbformat.reads(notebook, as_version=4).cells
    return {verdict.exercise: verdict.earned for cell in cells if (verdict := verdict_of(cell))}


@pytest.mark.parametrize("lab", LABS)
def test_grading_again_changes_nothing_and_judges_nobody(
    term: Path, bubblewrap: str, monkeypatch: pytest.MonkeyPatch, lab: str
) -> None:
    before, files = marks(term), {student: read_judged(term, lab, student) for student in LABS[lab]}
    monkeypatch.setattr(batch, "judge_submission", lambda *_: pytest.fail("judged again"))
    assert grade_lab(lab, term) == []
    assert marks(term) == before
    after = {student: read_judged(term, lab, student) for student in LABS[lab]}
    assert all(after[student]["notebook"] == files[student]["notebook"] for student in LABS[lab])
    assert all(after[student]["version"] == "0.1.0" and after[student]["recorded"] for student in LABS[lab])
    assert grade_lab(lab, term) == []  # and again, from the records in their new form
    assert marks(term) == before


@pytest.mark.parametrize("lab", LABS)
def test_judged_anew_everybody_gets_the_same_points(term: Path, judged_here: None, lab: str) -> None:
    """With the frozen files of version 0.1.0, old imports and all; and whoever gave points by hand finds them there."""
    before = marks(term)
    judged = {student: points_by_tests(read_judged(term, lab, student)["notebook"]) for student in LABS[lab]}
    shown = io.StringIO()
    assert grade_lab(lab, term, Options(force=True), Console(file=shown, width=120)) == []
    after = marks(term)
    assert {key: mark[:3] for key, mark in after.items()} == {key: mark[:3] for key, mark in before.items()}
    assert {key: mark[4] for key, mark in after.items()} == {key: mark[4] for key, mark in before.items()}
    again = {student: points_by_tests(read_judged(term, lab, student)["notebook"]) for student in LABS[lab]}
    assert again == judged
    assert "recorded anew" in shown.getvalue()
    assert all(student in shown.getvalue() for student in LABS[lab])


def test_a_dry_run_shows_old_and_new_and_records_nothing(term: Path, judged_here: None) -> None:
    lab, student = "lab1_costs", "late"
    path = term / "submitted" / student / lab / f"{lab}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    stub = next(cell for cell in notebook.cells if cell.id == "count_parameters")
    stub.source = "def count_parameters(network):\n    return sum(tensor.numel() for tensor in network.parameters())\n"
    nbformat.write(notebook, path)
    before, record = marks(term), judged_path(term, lab, student).read_bytes()
    shown = io.StringIO()
    assert grade_lab(lab, term, Options(dry_run=True), Console(file=shown, width=120)) == []
    assert marks(term) == before
    assert judged_path(term, lab, student).read_bytes() == record
    lines = [line for line in shown.getvalue().splitlines() if "changed since version 0.1.0" in line]
    assert [student in line and "28" in line for line in lines] == [True]
    assert "nothing was recorded" in shown.getvalue()


def test_a_release_made_anew_changes_no_mark_before_somebody_asks(
    term: Path, bubblewrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = "lab1_costs"
    assert grade_lab(lab, term) == []
    checks = term / "release" / lab / "checks" / f"test_{lab}.py"
    checks.write_text(checks.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    before = marks(term)
    monkeypatch.setattr(batch, "judge_submission", lambda *_: pytest.fail("judged again"))
    shown = io.StringIO()
    assert grade_lab(lab, term, console=Console(file=shown, width=200)) == []
    assert marks(term) == before
    assert "2 graded before and left as they are (released anew since)" in shown.getvalue()


def test_the_frozen_files_are_those_of_the_release(term: Path) -> None:
    release = frozen_release(term, "lab4_schedules")
    assert release.version == "0.1.0"
    assert "solutions/pruner.py" in release.student
    assert "solutions/pruner.py" in release.files
    assert "course_utils/plots.py" in release.files
    assert "checks/hidden_lab4_schedules.py" in release.files
    assert "checks/hidden_lab4_schedules.py" not in release.student


def test_an_entry_of_that_term_trains_again_with_the_files_of_that_version(term: Path, bubblewrap: str) -> None:
    """Its train.py imports `solutions.starter`, which is no more. How good it is after its few steps depends on the
    processor that rounds them, so whether it holds is not asked here.
    """
    (entry,) = (term / "challenge").iterdir()
    assert "from solutions.starter import make" in (entry / "train.py").read_text(encoding="utf-8")
    command = [sys.executable, "-m", "autograder", "rerun", str(entry)]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True)
    again = re.search(r"seed 0: ([\d.]+)% \(handed in: 60.40%\)", done.stdout)
    assert again and float(again[1]) > 50, done.stdout + done.stderr
    assert "of 1 seeds" in done.stdout
