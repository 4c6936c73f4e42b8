"""What came out of grading: points from nbgrader's gradebook, and in words what was missed."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment
from nbgrader.utils import is_grade
from rich.table import Table
from rich.text import Text

from autograder.course import COURSE
from autograder.grading.handed_in import students, unusable
from autograder.grading.verdicts import checked_exercise, verdict_of
from autograder.text import by_number, clipped, first_line, shown, shown_name
from course_utils.checking import Outcome, Verdict

GRADED, NOT_GRADED, NO_NOTEBOOK = "graded", "not graded yet", "no notebook was handed in"
HANDED_IN_NOTHING = "handed in nothing"
QUESTION, CHECK = "answer-", "check-"  # how the names of graded cells begin
NO_VERDICT = "no verdict"


@dataclass(frozen=True)
class Mark:
    """What one graded cell earned: an exercise that tests judge, or a `question` that a person reads.

    `waiting`: a person has still to give the points. `problem`: why there is no verdict.
    """

    name: str
    points: float
    possible: float
    waiting: bool = False
    question: bool = False
    outcomes: tuple[Outcome, ...] = ()
    problem: str = ""

    @property
    def status(self) -> str:
        """waiting, full, partial or none: how much of the possible points was earned."""
        if self.waiting:
            return "waiting"
        if self.points >= self.possible - 1e-9:
            return "full"
        return "partial" if self.points > 0 else "none"

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The tests that found a mistake; not those that could not be judged here."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed and not outcome.set_aside)

    @property
    def missed(self) -> str:
        """The first thing that did not pass, in a line; empty when all is well."""
        first = next((outcome for outcome in self.outcomes if not outcome.passed), None)
        return self.problem or (first_line(first.message) or first.title if first else "")

    @property
    def mistakes(self) -> tuple[str, ...]:
        """What was missed, one line a failed test, each line once."""
        lines = [first_line(outcome.message) or outcome.title for outcome in self.failed]
        return tuple(dict.fromkeys([self.problem] if self.problem else lines))


@dataclass(frozen=True)
class GradedSubmission:
    """What one student handed in for a lab, how far it is graded, and what came out.

    `points` are those that count: the sum of the marks less `penalty`, what a late submission costs, and never below 0.
    `recorded`: it is in the gradebook. `isolation`: what held the student's code when grading ("" if not known).
    `feedback`: the student's page, relative to the course folder. `lms_id`: the student's id in Canvas or the like.
    """

    student: str
    lab: str
    state: str
    recorded: bool = False
    points: float = 0.0
    possible: float = 0.0
    penalty: float = 0.0
    seconds_late: float = 0.0
    handed_in: str = ""
    marks: tuple[Mark, ...] = ()
    remarks: tuple[str, ...] = ()
    isolation: str = ""
    feedback: str = ""
    full_name: str = ""
    lms_id: str = ""

    @property
    def graded(self) -> bool:
        """Whether there is a graded notebook."""
        return self.state == GRADED

    @property
    def by_hand(self) -> float:
        """Points of open questions, and of files that are not comparable, still to be given by a person."""
        return sum(mark.possible for mark in self.marks if mark.waiting)

    @property
    def missed(self) -> tuple[str, ...]:
        """In a line each: what grading remarked on the whole, and of every exercise the first thing that was missed."""
        if not self.graded:
            return (self.state,)
        return *self.remarks, *(f"{mark.name}: {mark.missed}" for mark in self.marks if mark.missed)

    def mark(self, name: str) -> Mark | None:
        """The mark of an exercise or question, by its name."""
        return next((mark for mark in self.marks if mark.name == name), None)

    @property
    def unprotected(self) -> bool:
        """The student's code ran without a sandbox, so that it could have forged its grade."""
        return self.isolation not in ("", "bubblewrap")


def results(course: Path = COURSE, lab: str | None = None) -> list[GradedSubmission]:
    """Everything that is in the gradebook, of one lab or of all, by lab and student; the whole class for each lab."""
    if not (course / "gradebook.db").exists():
        return []
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        labs = by_number(assignment.name for assignment in book.assignments if lab in (None, assignment.name))
    everybody = {name: submissions(course, name) for name in labs}
    return [
        submission
        for rows in everybody.values()
        for submission in rows
        if submission.recorded or (submission.state == HANDED_IN_NOTHING and any(row.recorded for row in rows))
    ]


def submissions(course: Path, lab: str) -> list[GradedSubmission]:
    """Everybody who handed in a lab or stands in the gradebook, graded or not, by student.

    Who is in nbgrader's list of students (`nbgrader db student import`) and handed in nothing is told so.
    """
    by_student: dict[str, GradedSubmission] = {}
    roster: dict[str, GradedSubmission] = {}
    if (course / "gradebook.db").exists():
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
            try:
                assignment = book.find_assignment(lab)
            except MissingEntry:
                assignment = None
            for entry in assignment.submissions if assignment else ():
                by_student[entry.student.id] = recorded_submission(course, lab, entry)
            for person in book.students:
                absent = GradedSubmission(person.id, lab, HANDED_IN_NOTHING)
                roster[person.id] = replace(absent, full_name=full_name(person), lms_id=person.lms_user_id or "")
    for student in students(course):
        if student not in by_student and (course / "submitted" / student / lab).is_dir():
            by_student[student] = GradedSubmission(student, lab, state_of(course, lab, student))
    by_student = {**roster, **by_student}
    return [by_student[student] for student in sorted(by_student)]


def full_name(person: Any) -> str:
    """Last name, first name: what the gradebook holds of them."""
    return ", ".join(filter(None, (person.last_name, person.first_name)))


def recorded_submission(course: Path, lab: str, entry: SubmittedAssignment) -> GradedSubmission:
    """One entry of the gradebook, with the verdicts and remarks of its graded notebook."""
    student = entry.student.id
    verdicts, notes, order = read_graded(course / "autograded" / student / lab / f"{lab}.ipynb")
    grades = {grade.name: grade for notebook in entry.notebooks for grade in notebook.grades}
    names = sorted(grades, key=lambda name: (order.index(name) if name in order else len(order), name))
    penalty = finite_or_zero(entry.late_submission_penalty)
    page = Path("feedback") / student / lab / f"{lab}.html"
    return GradedSubmission(
        student,
        lab,
        state=state_of(course, lab, student),
        recorded=True,
        points=max(0.0, finite_or_zero(entry.score) - penalty),
        possible=finite_or_zero(entry.max_score),
        penalty=penalty,
        seconds_late=finite_or_zero(entry.total_seconds_late if entry.timestamp and entry.assignment.duedate else 0),
        handed_in=f"{entry.timestamp:%Y-%m-%d %H:%M} UTC" if entry.timestamp else "",
        marks=tuple(mark_of(name, grades[name], verdicts) for name in names),
        remarks=lines_of(notes.get("remarks")),
        isolation=str(notes.get("isolation") or ""),
        feedback=page.as_posix() if (course / page).is_file() else "",
        full_name=full_name(entry.student),
        lms_id=entry.student.lms_user_id or "",
    )


def mark_of(name: str, grade: Any, verdicts: dict[str, Verdict | str]) -> Mark:
    """The mark of one graded cell: points from the gradebook, words from the verdict."""
    points, possible = finite_or_zero(grade.score), finite_or_zero(grade.max_score)
    waiting = bool(grade.needs_manual_grade)
    if not name.startswith(CHECK):
        return Mark(name.removeprefix(QUESTION), points, possible, waiting, question=True)
    exercise = name.removeprefix(CHECK)
    verdict = verdicts.get(exercise, NO_VERDICT)
    if isinstance(verdict, str):
        return Mark(exercise, points, possible, waiting, problem=verdict)
    return Mark(exercise, points, possible, waiting, outcomes=verdict.outcomes)


def state_of(course: Path, lab: str, student: str) -> str:
    """How far a submission is: graded, not graded yet, or without the notebook that could be graded."""
    if (course / "autograded" / student / lab / f"{lab}.ipynb").is_file():
        return GRADED
    if why := unusable(student):
        return f"not graded: {why}; rename the folder"
    folder = course / "submitted" / student / lab
    return NO_NOTEBOOK if folder.is_dir() and not (folder / f"{lab}.ipynb").is_file() else NOT_GRADED


def read_graded(path: Path) -> tuple[dict[str, Verdict | str], dict[str, Any], list[str]]:
    """Of a graded notebook: each exercise's verdict (or why there is none), grading's notes on the whole, and
    the order of the graded cells. A file that is missing is empty; one that cannot be read says so in its notes.
    """
    verdicts: dict[str, Verdict | str] = {}
    order = []
    if not path.is_file():
        return {}, {}, []
    try:
        notebook = nbformat.from_dict(json.loads(path.read_text(encoding="utf-8")))
        for cell in notebook.cells:
            if is_grade(cell):
                order.append(cell.metadata.nbgrader.grade_id)
            if exercise := checked_exercise(cell):
                verdicts.setdefault(exercise, readable_verdict(cell))
        notes = notebook.metadata.get("pruning_labs", {})
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return {}, {"remarks": ["The graded notebook cannot be read: grade it again."]}, []
    return verdicts, notes if isinstance(notes, dict) else {}, order


def readable_verdict(cell: NotebookNode) -> Verdict | str:
    """The verdict of a check cell, or in words why there is none."""
    try:
        verdict = verdict_of(cell)
    except (KeyError, TypeError):
        return "the verdict cannot be read"
    if verdict is None:
        return next((clipped(str(output.evalue)) for output in cell.outputs if output.get("evalue")), NO_VERDICT)
    return Verdict(verdict.exercise, tuple(plain(outcome) for outcome in verdict.outcomes))


def plain(outcome: Outcome) -> Outcome:
    """The same outcome with nothing but finite numbers and text of a bearable length in it, whoever wrote it."""
    return replace(
        outcome,
        test=clipped(str(outcome.test)),
        points=finite_or_zero(outcome.points),
        earned=finite_or_zero(outcome.earned),
        message=clipped(str(outcome.message or "")),
    )


def finite_or_zero(value: Any) -> float:
    """A number for people: 0 for what is missing, infinite or no number."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def lines_of(value: Any) -> tuple[str, ...]:
    """The sentences in a notebook's metadata, whatever else stands there."""
    return tuple(clipped(str(line)) for line in value) if isinstance(value, list) else ()


def as_table(rows: Iterable[GradedSubmission]) -> Table:
    """student, lab, points, what was missed. Text is shown as it is: a message may hold brackets that Rich reads."""
    table = Table(show_lines=True)
    for header in ("student", "lab", "points", "by hand", "what was missed"):
        table.add_column(
            header,
            justify="right" if header in ("points", "by hand") else "left",
            no_wrap=header == "student",
        )
    for row in rows:
        missed = shown("\n".join(f"• {line}" for line in row.missed)) or "—"
        table.add_row(
            Text(shown_name(row.student)),
            row.lab.split("_")[0],
            f"{row.points:g} / {row.possible:g}" if row.recorded else "–",
            f"{row.by_hand:g}",
            Text(missed),
        )
    return table


def feedback_pages(course: Path, lab: str | None = None) -> list[Path]:
    """The HTML pages that were written for students."""
    return sorted((course / "feedback").glob(f"*/{lab or '*'}/*.html"))
