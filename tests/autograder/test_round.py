"""The whole round with nbgrader: release, hand in, grade, feedback, on a course folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from autograder.authoring.editions import points
from autograder.authoring.release import answers_in, contents, release
from autograder.authoring.support import support_files
from autograder.course import ROOT, must, nbgrader
from autograder.demo import filled_in
from autograder.grading.verdicts import checked_exercise, verdict_of
from autograder.reports.gradebook import GradedSubmission, feedback_pages, results

pytestmark = pytest.mark.slow
LAB = "lab3_l1_filters"
MISTAKES: dict[str, dict[str, str | None]] = {
    "all-right": {},
    "mistaken": {"filter_l1_norms": "the_sign_counts", "narrow_linear": None},
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, images_at_hand: str) -> Path:
    """A graded course: one student with right answers and without the network to hand in, one with mistakes."""
    folder = tmp_path_factory.mktemp("course")
    release(LAB, folder)
    released = folder / "release" / LAB / f"{LAB}.ipynb"
    for student, mistakes in MISTAKES.items():
        target = folder / "submitted" / student / LAB
        target.mkdir(parents=True)
        notebook = filled_in(nbformat.read(released, as_version=4), LAB, mistakes)
        if student == "mistaken":
            first = next(n for n, cell in enumerate(notebook.cells) if checked_exercise(cell) == "narrow_conv")
            notebook.cells[first].source = "check = lambda name: 'all is well'  # a locked cell that was changed"
        nbformat.write(notebook, target / f"{LAB}.ipynb")
    for student in MISTAKES:
        must(nbgrader(folder).autograde(LAB, student), student, folder)
        must(nbgrader(folder).generate_feedback(LAB, student), student, folder)
    return folder


def result(course: Path, student: str) -> GradedSubmission:
    return next(entry for entry in results(course) if entry.student == student)


def exercise_points(course: Path, student: str) -> dict[str, float]:
    notebook = nbformat.read(course / "autograded" / student / LAB / f"{LAB}.ipynb", as_version=4)
    verdicts = [verdict for cell in notebook.cells if (verdict := verdict_of(cell))]
    return {verdict.exercise: verdict.earned for verdict in verdicts}


def test_right_answers_earn_all_points_but_those_of_the_missing_file(course: Path) -> None:
    expected = {name: 0.0 if name.endswith("_onnx") else worth for name, worth in points(LAB).items()}
    assert exercise_points(course, "all-right") == expected
    assert result(course, "all-right").points == sum(expected.values())


def test_a_file_that_was_not_handed_in_is_named(course: Path) -> None:
    assert any("lab3_pruned.onnx" in line for line in result(course, "all-right").missed)


def test_a_mistake_costs_once(course: Path) -> None:
    """filter_l1_norms is wrong, and prune_vgg calls it: judged with the reference's helpers, it is right."""
    earned = exercise_points(course, "mistaken")
    assert earned["filter_l1_norms"] < points(LAB)["filter_l1_norms"]
    assert earned["narrow_linear"] == 0
    assert earned["prune_vgg"] == points(LAB)["prune_vgg"]


def test_a_locked_check_cell_that_was_changed_is_judged_all_the_same(course: Path) -> None:
    assert exercise_points(course, "mistaken")["narrow_conv"] == points(LAB)["narrow_conv"]


def test_open_questions_wait_for_a_person(course: Path) -> None:
    assert result(course, "all-right").by_hand == 4
    assert result(course, "mistaken").by_hand == 0, "an answer that was left empty needs no reading"


def test_the_gradebook_and_the_verdicts_agree(course: Path) -> None:
    for student in MISTAKES:
        assert result(course, student).points == pytest.approx(sum(exercise_points(course, student).values()))


def test_feedback_names_the_mistake_and_shows_no_hidden_test(course: Path) -> None:
    pages = {path.parent.parent.name: path.read_text(encoding="utf-8") for path in feedback_pages(course)}
    assert set(pages) == set(MISTAKES)
    assert "that is what comes out with sums without absolute values" in pages["mistaken"]
    assert "a mistake there costs only there" in pages["mistaken"]
    assert "def test_" not in pages["mistaken"]


def test_the_student_zip_holds_what_is_needed_and_no_answer(course: Path) -> None:
    archive = course / "release" / f"{LAB}.zip"
    names = {name.removeprefix(f"{LAB}/") for name, _ in contents(archive)}
    assert names == {*support_files(LAB), "checks/points_later.json", f"{LAB}.ipynb"}
    assert list(answers_in(archive)) == []


def test_an_answer_in_the_zip_is_found(course: Path, tmp_path: Path) -> None:
    import zipfile

    archive = tmp_path / f"{LAB}.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.write(ROOT / "solutions" / "l1.py", f"{LAB}/solutions/l1.py")
        target.write(ROOT / "autograder" / "checks" / f"hidden_{LAB}.py", f"{LAB}/checks/hidden_{LAB}.py")
    leaks = "\n".join(answers_in(archive))
    assert "the solution of prune_vgg" in leaks
    assert "must not be released" in leaks


def test_a_student_can_check_from_the_released_folder(course: Path) -> None:
    """A fresh process in the unzipped folder, without the project on its path: a stub is named as a stub."""
    folder = course / "release" / LAB
    code = "from course_utils.checking import check; print(check('narrow_conv', {'narrow_conv': lambda *a: None}))"
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert "narrow_conv: 0 of 4 checks pass, 0 of 6 points; 2 more are tested when graded." in done.stdout, done.stderr


def test_plain_nbgrader_reads_the_same_configuration(course: Path) -> None:
    command = [sys.executable, "-m", "nbgrader", "autograde", LAB, "--student=mistaken", "--force"]
    command += [
        f"--CourseDirectory.root={course}",
        f"--CourseDirectory.db_url=sqlite:///{course / 'gradebook.db'}",
    ]
    before = exercise_points(course, "mistaken")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert exercise_points(course, "mistaken") == before
