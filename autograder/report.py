"""What came out of grading: points from nbgrader's gradebook, and in words what was missed."""

from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from rich.table import Table

from autograder.course import COURSE
from autograder.grading import checked_exercise, verdict_of


@dataclass(frozen=True)
class Result:
    """One student's graded lab. `by_hand`: points of open questions, and of files not comparable, still to give."""

    student: str
    lab: str
    points: float
    possible: float
    by_hand: float
    missed: tuple[str, ...]


def results(course: Path = COURSE, lab: str | None = None) -> list[Result]:
    """Everything that is in the gradebook, by lab and student."""
    found = []
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for assignment in sorted(book.assignments, key=lambda one: one.name):
            if lab in (None, assignment.name):
                for submission in book.assignment_submissions(assignment.name):
                    student = submission.student.id
                    by_hand = sum(
                        grade.max_score
                        for notebook in submission.notebooks
                        for grade in notebook.grades
                        if grade.needs_manual_grade
                    )
                    path = course / "autograded" / student / assignment.name / f"{assignment.name}.ipynb"
                    missed = missed_exercises(path)
                    found.append(
                        Result(student, assignment.name, submission.score, submission.max_score, by_hand, missed)
                    )
    return sorted(found, key=lambda result: (result.lab, result.student))


def missed_exercises(path: Path) -> tuple[str, ...]:
    """Of a graded notebook: each exercise with a failed test, and what the first of them says."""
    if not path.is_file():
        return ("not graded yet",)
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        exercise = checked_exercise(cell)
        if not exercise:
            continue
        verdict = verdict_of(cell)
        if verdict is None:
            found.append(f"{exercise}: {cell.outputs[0].get('evalue', 'no verdict') if cell.outputs else 'no verdict'}")
        elif not verdict.passed:
            failed = next(outcome for outcome in verdict.outcomes if not outcome.passed)
            words = failed.message.splitlines()[0] if failed.message else failed.title
            found.append(f"{exercise}: {words}")
    return tuple(found)


def as_table(rows: list[Result]) -> Table:
    """student, lab, points, what was missed."""
    table = Table(show_lines=True)
    for header in ("student", "lab", "points", "by hand", "what was missed"):
        table.add_column(
            header,
            justify="right" if header in ("points", "by hand") else "left",
            no_wrap=header == "student",
        )
    for row in rows:
        missed = "\n".join(f"• {line}" for line in row.missed) or "—"
        table.add_row(
            row.student,
            row.lab.split("_")[0],
            f"{row.points:g} / {row.possible:g}",
            f"{row.by_hand:g}",
            missed,
        )
    return table


def feedback_pages(course: Path, lab: str | None = None) -> list[Path]:
    """The HTML pages that were written for students."""
    return sorted((course / "feedback").glob(f"*/{lab or '*'}/*.html"))
