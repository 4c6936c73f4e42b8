"""What grading again changes: every mark that is in the gradebook already, old → new."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from rich.table import Table
from rich.text import Text

from autograder.grading.verdicts import verdict_of


@dataclass(frozen=True)
class Change:
    """A student's points in the gradebook before and after (None: nothing yet), and why they are graded again."""

    student: str
    before: float | None
    after: float
    why: str


def recorded_points(course: Path, lab: str, student: str) -> float | None:
    """The points that count of a student in the gradebook, less what being late costs; None where there are none."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        try:
            submission = book.find_submission(lab, student)
        except MissingEntry:
            return None
        if not any(notebook.grades for notebook in submission.notebooks):
            return None
        return max(0.0, float(submission.score) - float(submission.late_submission_penalty or 0))


def expected_points(course: Path, lab: str, student: str, graded: str) -> float:
    """The points that recording a graded notebook (JSON) would give: what a person has given stays."""
    verdicts = [verdict for cell in nbformat.reads(graded, as_version=4).cells if (verdict := verdict_of(cell))]
    by_tests = {f"check-{verdict.exercise}": verdict.earned for verdict in verdicts}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        try:
            notebooks = book.find_submission(lab, student).notebooks
        except MissingEntry:
            return sum(by_tests.values())
        total = 0.0
        for grade in (grade for notebook in notebooks for grade in notebook.grades):
            given = grade.score if grade.manual_score is not None else None
            automatic = by_tests.pop(grade.name, grade.auto_score or 0.0) + (grade.extra_credit or 0.0)
            total += automatic if given is None else given
        return total + sum(by_tests.values())


def as_table(changes: Sequence[Change], title: str) -> Table:
    """student, before → after, why; those whose points change first."""
    table = Table(title=title, title_justify="left")
    for header in ("student", "before", "after", "why"):
        table.add_column(header, justify="right" if header in ("before", "after") else "left")
    for change in sorted(changes, key=lambda change: (change.before == change.after, change.student)):
        before = "–" if change.before is None else f"{change.before:g}"
        style = None if change.before == change.after else "bold"
        table.add_row(Text(change.student), before, f"{change.after:g}", change.why, style=style)
    return table
