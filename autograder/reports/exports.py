"""Points in the formats of other systems: CSV, Gradescope, Moodle, Canvas."""

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autograder.reports.gradebook import GradedSubmission, Mark
from autograder.reports.same_files import SameFile
from autograder.text import clipped, format_points, shown_name, to_csv
from minicifar.files import write_text

FORGEABLE = "Graded without a sandbox: the student's code could have forged these points."
LINE = 300  # characters of a message where one line is shown

Row = list[str | float]


def write_grades(path: Path, everybody: Sequence[GradedSubmission], same: Sequence[SameFile] = ()) -> Path:
    """One row a student, one column an exercise or question; UTF-8 with a byte order mark, so that Excel reads it.

    `points` are those that count, less `late_penalty`. Who is not graded has a remark and no points. `same_files`: the
    files that others handed in too, with how many have each.
    """
    names = mark_names(everybody)
    head = ["student", "lab", "points", "possible", "percent", "by_hand", "seconds_late", "late_penalty"]
    rows: list[Row] = [[*head, *names, "remarks", "same_files"]]
    for submission in everybody:
        row: Row = [shown_name(submission.student), submission.lab]
        if submission.graded:
            share = 100 * submission.points / submission.possible if submission.possible else 0.0
            row += [
                submission.points,
                submission.possible,
                round(share, 1),
                submission.by_hand,
                round(submission.seconds_late),
                submission.penalty,
            ]
        else:
            row += [""] * (len(head) - len(row))
        marks = [submission.mark(name) if submission.graded else None for name in names]
        row += ["" if mark is None or mark.waiting else mark.points for mark in marks]
        shared = [f"{file.name} ({len(file.students)})" for file in same if submission.student in file.students]
        rows.append([*row, " ".join(remarks(submission)), " ".join(shared)])
    return write_text(path, "\ufeff" + to_csv(rows))


def write_gradescope(folder: Path, everybody: Sequence[GradedSubmission]) -> list[Path]:
    """One `results.json` a graded student, named after the student; files of earlier reports are removed.

    Gradescope's documentation, "Autograder Specifications", section "Output format". Its `score` is what nbgrader
    has, and the tests add up to it: a test each, an open question each, and what was changed by hand or for being
    late. What hidden tests found, and what waits for a person, is shown when
    the grades are published.
    """
    written = []
    for submission in everybody:
        if submission.graded:
            text = json.dumps(gradescope_results(submission), ensure_ascii=False, indent=1, allow_nan=False)
            written.append(write_text(folder / file_name(submission.student, ".json"), text + "\n"))
    for path in sorted(set(folder.glob("*.json")) - set(written)):
        path.unlink()
    return written


def write_moodle(path: Path, lab: str, everybody: Sequence[GradedSubmission]) -> Path:
    """A table for Moodle's grade import (Grades → Import → CSV file), of those who are graded.

    MoodleDocs, "Grade import". Map `username` (the name of the student's folder) to Username, or to ID number if
    folders are named so; map `<lab> grade` and `<lab> feedback` *both*, to the grade and to the feedback of an
    activity that exists. One user whom Moodle does not know stops the import.
    """
    rows: list[Row] = [["username", f"{lab} grade", f"{lab} feedback"]]
    rows += [
        [submission.student, submission.points, feedback_text(submission)]
        for submission in everybody
        if submission.graded
    ]
    return write_text(path, to_csv(rows))


def write_canvas(path: Path, lab: str, everybody: Sequence[GradedSubmission]) -> Path:
    """A table for Canvas's gradebook import, of those who are graded.

    Canvas Instructor Guide, "How do I import grades in the Gradebook?". Canvas finds a student by `ID` (Canvas's
    own number: `lms_user_id` in nbgrader's gradebook), else by `SIS Login ID` (the name of the student's folder),
    else by `Student`, and asks about the rest; `SIS User ID` and `Section` must be there and may be empty. The last
    column is the assignment by its title, the lab's name: without Canvas's number in brackets, which only it knows,
    an assignment of this title is used, or made. The second row holds the points possible.
    """
    rows: list[Row] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", lab],
        ["    Points Possible", "", "", "", "", possible_points(everybody)],
    ]
    rows += [
        [submission.full_name or submission.student, submission.lms_id, "", submission.student, "", submission.points]
        for submission in everybody
        if submission.graded
    ]
    return write_text(path, to_csv(rows))


def mark_names(everybody: Iterable[GradedSubmission]) -> list[str]:
    """The exercises and questions of a lab, in the order that most notebooks have them."""
    orders = Counter(tuple(mark.name for mark in submission.marks) for submission in everybody if submission.graded)
    ranked = sorted(orders, key=lambda order: (-orders[order], order))
    return list(dict.fromkeys(name for order in ranked for name in order))


def possible_points(everybody: Iterable[GradedSubmission]) -> float:
    """The points of a lab."""
    return max((submission.possible for submission in everybody), default=0.0)


def remarks(submission: GradedSubmission) -> list[str]:
    """What there is to say about a submission as a whole."""
    if not submission.graded:
        return [submission.state]
    return [*([FORGEABLE] if submission.unprotected else []), *submission.remarks]


def feedback_text(submission: GradedSubmission) -> str:
    """What a student may read about the points, as plain text."""
    lines = [*submission.remarks]
    if submission.penalty:
        lines.append(f"{duration(submission.seconds_late)} late: {format_points(submission.penalty)} points less.")
    for mark in submission.marks:
        points = f"{format_points(mark.points)} of {format_points(mark.possible)} points"
        earned = "to be read by a person" if mark.waiting else points
        missed = f" ({clipped(mark.missed, LINE)})" if mark.missed else ""
        lines.append(f"{mark.name}: {earned}{missed}")
    return "\n".join(lines)


def gradescope_results(submission: GradedSubmission) -> dict[str, Any]:
    """A submission as Gradescope's results.json."""
    tests = [test for mark in submission.marks for test in gradescope_tests(mark)]
    late = submission.points - sum(mark.points for mark in submission.marks)
    if abs(late) > 1e-9:
        words = f"{duration(submission.seconds_late)} late" if submission.penalty else "changed by hand"
        tests.append(gradescope_test("late submission" if submission.penalty else "points by hand", late, 0, words))
    about = list(submission.remarks)
    if submission.by_hand:
        about.append(f"Up to {format_points(submission.by_hand)} points are still to be given by a person.")
    return {
        "score": round(submission.points, 6),
        "output": "\n".join(about),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {
            "max_score": round(submission.possible, 6),
            "lab": submission.lab,
            "isolation": submission.isolation or "unknown",
        },
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


def file_name(student: str, ending: str) -> str:
    """A file's name for a student that stays in its folder: what means something to a file system is written %2F."""
    name = re.sub(r'[\x00-\x1f<>:"/\\|?*%]', lambda match: f"%{ord(match[0]):02X}", student)
    if len(os.fsencode(name)) > 200:
        name = name[:40] + "-" + hashlib.sha256(os.fsencode(student)).hexdigest()[:16]
    return name + ending


def duration(seconds: float) -> str:
    """How late: 3 min, 2 h 5 min, 1 d 3 h."""
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
