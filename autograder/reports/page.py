"""The reports an instructor gets after grading: a page to look at, and tables for other systems.

Whatever comes from students (names of folders, messages, remarks) is text and stays text: the page escapes it and
forbids every script but its own, and a table's cell never begins as a formula. Points are those that nbgrader has now:
what a person has still to give is not among them.
"""

import math
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from autograder.reports.exports import (
    FORGEABLE,
    LINE,
    duration,
    mark_names,
    possible_points,
    write_canvas,
    write_grades,
    write_gradescope,
    write_moodle,
)
from autograder.reports.gradebook import GradedSubmission, submissions
from autograder.reports.same_files import SameFile, same_files
from autograder.text import clipped, format_points
from course_utils.pictures.inline import csp_hash, inline
from minicifar.files import write_text

TEMPLATE = Path(__file__).with_name("page.html.j2")
POLICY = "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"
STATUSES = {"full": "all points", "partial": "some points", "none": "no points", "waiting": "waits for a person"}
COMMONEST = 5  # mistakes shown for an exercise


def write_reports(course: Path, lab: str) -> Path:
    """Write all reports of a lab into `course/reports/<lab>/` → the page, index.html."""
    folder = course / "reports" / lab
    everybody, same = submissions(course, lab), same_files(course, lab)
    write_grades(folder / "grades.csv", everybody, same)
    write_gradescope(folder / "gradescope", everybody)
    write_moodle(folder / "moodle.csv", lab, everybody)
    write_canvas(folder / "canvas.csv", lab, everybody)
    return write_text(folder / "index.html", page(lab, everybody, same))


def page(lab: str, everybody: Sequence[GradedSubmission], same: Sequence[SameFile] = ()) -> str:
    """One self-contained page about a lab: the exercises and their commonest mistakes, and every student.

    `same`: the files that several of them handed in.
    """
    template = TEMPLATE.read_text(encoding="utf-8")
    graded = [submission for submission in everybody if submission.graded]
    totals = [submission.points for submission in graded]
    possible = possible_points(everybody)
    names = mark_names(everybody)
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters |= {"points": format_points, "duration": duration, "link": link}
    return environment.from_string(template).render(
        lab=lab,
        submissions=everybody,
        graded=graded,
        possible=possible,
        mean=statistics.fmean(totals) if totals else None,
        median=statistics.median(totals) if totals else None,
        names=names,
        exercises=[exercise_summary(name, graded) for name in names],
        histogram=bars(histogram(totals, possible)),
        waiting=[submission for submission in graded if submission.by_hand],
        not_graded=[submission for submission in everybody if not submission.graded],
        unprotected=[submission for submission in graded if submission.unprotected],
        isolation_unknown=[submission for submission in graded if not submission.isolation],
        same_files=same,
        statuses=STATUSES,
        policy=POLICY.format(**{tag: csp_hash(inline(template, tag)) for tag in ("style", "script")}),
        forgeable=FORGEABLE,
    )


class Part(NamedTuple):
    """The students of one status in an exercise's bar: where they begin, and how many they are."""

    status: str
    left: int
    students: int


@dataclass(frozen=True)
class ExerciseSummary:
    """How an exercise went. counts: students of each status. mean: of the points given so far, None without any.

    mistakes: the commonest, each with the students who made it; more: how many others there are.
    """

    name: str
    question: bool
    possible: float
    counts: dict[str, int]
    mean: float | None
    mistakes: list[tuple[str, list[str]]]
    more: int

    @property
    def total(self) -> int:
        """How many students' submissions hold the exercise."""
        return sum(self.counts.values())

    @property
    def parts(self) -> list[Part]:
        """The bar of the exercise, from left to right, a student being 1 wide."""
        parts: list[Part] = []
        for status, count in self.counts.items():
            if count:
                parts.append(Part(status, parts[-1].left + parts[-1].students if parts else 0, count))
        return parts


def exercise_summary(name: str, graded: Sequence[GradedSubmission]) -> ExerciseSummary:
    """How an exercise went: how many of each status, points on average, and the commonest mistakes."""
    marks = [(submission.student, mark) for submission in graded if (mark := submission.mark(name))]
    points = [mark.points for _, mark in marks if not mark.waiting]
    mistakes: dict[str, list[str]] = {}
    for student, mark in marks:
        for line in mark.mistakes:
            mistakes.setdefault(clipped(line, LINE), []).append(student)
    common = sorted(mistakes.items(), key=lambda item: (-len(item[1]), item[0]))
    return ExerciseSummary(
        name,
        question=any(mark.question for _, mark in marks),
        possible=max((mark.possible for _, mark in marks), default=0.0),
        counts={status: sum(mark.status == status for _, mark in marks) for status in STATUSES},
        mean=statistics.fmean(points) if points else None,
        mistakes=common[:COMMONEST],
        more=len(common[COMMONEST:]),
    )


def histogram(totals: Sequence[float], possible: float) -> list[tuple[float, float, int]]:
    """Totals in at most 13 bins of whole points: the first and last whole points of each, and how many are in it."""
    if not totals or possible <= 0:
        return []
    width = max(1, math.ceil(possible / 12))
    last = int(possible // width)
    counts = Counter(min(int(total // width), last) for total in totals)
    return [(n * width, min((n + 1) * width - 1, math.floor(possible)), counts[n]) for n in range(last + 1)]


class Bar(NamedTuple):
    """A bin of the histogram as it is drawn. middle: of its text; above: where the number of students stands."""

    first: float
    last: float
    students: int
    left: float
    width: float
    top: float
    height: float
    middle: float
    above: float


def bars(bins: Sequence[tuple[float, float, int]]) -> list[Bar]:
    """The histogram's bars in a drawing of 720 by 190: from x = 10 to 710, standing on y = 145, at most 125 high."""
    highest = max((count for _, _, count in bins), default=1)
    drawn = []
    for n, (first, last, count) in enumerate(bins):
        step, height = 700 / len(bins), 125 * count / highest
        left, top = 10 + step * n, 145 - height
        places = (left + 2, step - 4, top, height, left + step / 2, top - 5)
        drawn.append(Bar(first, last, count, *(round(place, 2) for place in places)))
    return drawn


def link(path: str) -> str:
    """The address of a file of the course, from `reports/<lab>/`."""
    return "../../" + quote(os.fsencode(path))
