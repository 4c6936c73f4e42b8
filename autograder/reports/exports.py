"""Points in the formats of other systems: CSV, Gradescope, Moodle, Canvas."""

import csv
import hashlib
import io
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autograder.reports.gradebook import Mark, Submission, clipped
from minicifar.files import atomic

FORGEABLE = "Graded without a sandbox: the student's code could have forged these points."


def write_grades(path: Path, found: Sequence[Submission]) -> Path:
    """One row a student, one column an exercise or question; UTF-8 with a byte order mark, so that Excel reads it.

    `points` are those that count, less `late_penalty`. Who is not graded has a remark and no points.
    """
    names = mark_names(found)
    head = ["student", "lab", "points", "possible", "percent", "by_hand", "seconds_late", "late_penalty"]
    rows: list[list[Any]] = [[*head, *names, "remarks"]]
    for one in found:
        row: list[Any] = [one.student, one.lab]
        if one.graded:
            share = 100 * one.points / one.possible if one.possible else 0.0
            row += [one.points, one.possible, round(share, 1), one.by_hand, round(one.seconds_late), one.penalty]
        else:
            row += [""] * (len(head) - len(row))
        marks = [mark_called(one, name) if one.graded else None for name in names]
        row += ["" if mark is None or mark.waiting else mark.points for mark in marks]
        rows.append([*row, " ".join(remarks(one))])
    return write(path, "\ufeff" + table(rows))


def write_gradescope(folder: Path, found: Sequence[Submission]) -> list[Path]:
    """One `results.json` a graded student, named after the student; files of earlier reports are removed.

    Gradescope's documentation, "Autograder Specifications", section "Output format". Its `score` is what nbgrader
    has, and the tests add up to it: a test each, an open question each, and what was changed by hand or for being
    late. What hidden tests found, and what waits for a person, is shown when
    the grades are published.
    """
    written = []
    for one in found:
        if one.graded:
            text = json.dumps(gradescope_results(one), ensure_ascii=False, indent=1, allow_nan=False)
            written.append(write(folder / file_name(one.student, ".json"), text + "\n"))
    for path in sorted(set(folder.glob("*.json")) - set(written)):
        path.unlink()
    return written


def write_moodle(path: Path, lab: str, found: Sequence[Submission]) -> Path:
    """A table for Moodle's grade import (Grades → Import → CSV file), of those who are graded.

    MoodleDocs, "Grade import". Map `username` (the name of the student's folder) to Username, or to ID number if
    folders are named so; map `<lab> grade` and `<lab> feedback` *both*, to the grade and to the feedback of an
    activity that exists. One user whom Moodle does not know stops the import.
    """
    rows: list[list[Any]] = [["username", f"{lab} grade", f"{lab} feedback"]]
    rows += [[one.student, one.points, feedback_text(one)] for one in found if one.graded]
    return write(path, table(rows))


def write_canvas(path: Path, lab: str, found: Sequence[Submission]) -> Path:
    """A table for Canvas's gradebook import, of those who are graded.

    Canvas Instructor Guide, "How do I import grades in the Gradebook?". Canvas finds a student by `ID` (Canvas's
    own number: `lms_user_id` in nbgrader's gradebook), else by `SIS Login ID` (the name of the student's folder),
    else by `Student`, and asks about the rest; `SIS User ID` and `Section` must be there and may be empty. The last
    column is the assignment by its title, the lab's name: without Canvas's number in brackets, which only it knows,
    an assignment of this title is used, or made. The second row holds the points possible.
    """
    rows: list[list[Any]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", lab],
        ["    Points Possible", "", "", "", "", possible_points(found)],
    ]
    rows += [[one.full_name or one.student, one.lms_id, "", one.student, "", one.points] for one in found if one.graded]
    return write(path, table(rows))


def mark_names(found: Iterable[Submission]) -> list[str]:
    """The exercises and questions of a lab, in the order that most notebooks have them."""
    orders = Counter(tuple(mark.name for mark in one.marks) for one in found if one.graded)
    ranked = sorted(orders, key=lambda order: (-orders[order], order))
    return list(dict.fromkeys(name for order in ranked for name in order))


def mark_called(submission: Submission, name: str) -> Mark | None:
    """A submission's mark by its name."""
    return next((mark for mark in submission.marks if mark.name == name), None)


def possible_points(found: Iterable[Submission]) -> float:
    """The points of a lab."""
    return max((one.possible for one in found), default=0.0)


def remarks(one: Submission) -> list[str]:
    """What there is to say about a submission as a whole."""
    if not one.graded:
        return [one.state]
    return [*([FORGEABLE] if one.unprotected else []), *one.remarks]


def feedback_text(one: Submission) -> str:
    """What a student may read about the points, as plain text."""
    lines = [*one.remarks]
    if one.penalty:
        lines.append(f"{duration(one.seconds_late)} late: {number(one.penalty)} points less.")
    for mark in one.marks:
        earned = (
            "to be read by a person" if mark.waiting else f"{number(mark.points)} of {number(mark.possible)} points"
        )
        missed = f" ({clipped(mark.missed, LINE)})" if mark.missed else ""
        lines.append(f"{mark.name}: {earned}{missed}")
    return "\n".join(lines)


def gradescope_results(one: Submission) -> dict[str, Any]:
    """A submission as Gradescope's results.json."""
    tests = [test for mark in one.marks for test in gradescope_tests(mark)]
    late = one.points - sum(mark.points for mark in one.marks)
    if abs(late) > 1e-9:
        words = f"{duration(one.seconds_late)} late" if one.penalty else "changed by hand"
        tests.append(gradescope_test("late submission" if one.penalty else "points by hand", late, 0, words))
    about = list(one.remarks)
    if one.by_hand:
        about.append(f"Up to {number(one.by_hand)} points are still to be given by a person.")
    return {
        "score": round(one.points, 6),
        "output": "\n".join(about),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"max_score": round(one.possible, 6), "lab": one.lab, "isolation": one.isolation or "unknown"},
        "tests": tests,
    }


def gradescope_tests(mark: Mark) -> list[dict[str, Any]]:
    """The tests of an exercise, or one for a question or an exercise without a verdict; they add up to its points."""
    if not mark.outcomes:
        words = "to be read by a person" if mark.waiting else mark.problem
        return [gradescope_test(mark.name, mark.points, mark.possible, words, hidden=mark.waiting)]
    tests = [
        gradescope_test(
            f"{mark.name}: {outcome.title}",
            outcome.earned,
            outcome.points,
            outcome.message,
            hidden=outcome.hidden or outcome.set_aside,
            passed=outcome.passed,
        )
        for outcome in mark.outcomes
    ]
    changed = mark.points - sum(outcome.earned for outcome in mark.outcomes)
    if abs(changed) > 1e-9:
        tests.append(gradescope_test(f"{mark.name}: changed by hand", changed, 0, ""))
    return tests


def gradescope_test(
    name: str, score: float, possible: float, output: str, hidden: bool = False, passed: bool | None = None
) -> dict[str, Any]:
    """One entry of Gradescope's `tests`; everything is plain text."""
    passed = score >= possible if passed is None else passed
    return {
        "name": clipped(name, LINE),
        "score": round(score, 6),
        "max_score": round(possible, 6),
        "status": "passed" if passed else "failed",
        "output": output,
        "visibility": "after_published" if hidden else "visible",
    }


def status(kind: str) -> str:
    """A mark's status in words."""
    return STATUSES[kind]


def number(value: float) -> str:
    """A number of points: 2, 2.5, 0.33."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def file_name(student: str, ending: str) -> str:
    """A file's name for a student that stays in its folder: what means something to a file system is written %2F."""
    name = re.sub(r'[\x00-\x1f<>:"/\\|?*%]', lambda match: f"%{ord(match[0]):02X}", student)
    if len(os.fsencode(name)) > 200:
        name = name[:40] + "-" + hashlib.sha256(os.fsencode(student)).hexdigest()[:16]
    return name + ending


def table(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV. Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """One value as the text of a CSV cell."""
    if not isinstance(value, str):
        return number(value)
    value = value.replace("\0", "")
    return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value


def write(path: Path, text: str) -> Path:
    """All or nothing, and the same text gives the same bytes; what is not Unicode is written out, as \\udcff."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="backslashreplace"))
    return path


STATUSES = {"full": "all points", "partial": "some points", "none": "no points", "waiting": "waits for a person"}


LINE = 300  # characters of a message where one line is shown


def duration(seconds: float) -> str:
    """How late: 3 min, 2 h 5 min, 1 d 3 h."""
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
