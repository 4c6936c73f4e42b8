"""The reports for instructors, on a tiny course made by hand: no kernel, no images."""

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook
from rich.console import Console

from autograder.course import put_tools_on_path
from autograder.reports.exports import file_name
from autograder.reports.gradebook import as_table, results, submissions
from autograder.reports.page import histogram, write_reports
from autograder.reports.same_files import same_files
from autograder.text import by_number, to_csv
from course_utils.checking import Outcome, Verdict

LAB = "lab3_l1_filters"
MIME = "application/vnd.pruning-labs.verdict+json"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'> \" & \x00 \u202e {{ 7*7 }} [/red]"
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's own queries

SIGN = "take absolute values first: −0.8 matters more than 0.2"
RIGHT = Outcome("test_sign", 2, 2)
WRONG = Outcome("test_sign", 2, 0, f"{SIGN}\nexpected 3, got −3")
HIDDEN = Outcome("test_strided[2]", 1, 0, "a strided filter counts too", hidden=True)
NOT_HERE = Outcome("test_accuracy", 3, 0, "made with other images", set_aside=True)


def check_cell(exercise: str, verdict: Verdict | None) -> NotebookNode:
    cell = new_code_cell(f'check("{exercise}")', id=f"check-{exercise}")
    cell.metadata["nbgrader"] = {"grade": True, "grade_id": f"check-{exercise}", "points": 3, "solution": False}
    if verdict:
        cell.outputs = [new_output("display_data", {MIME: verdict.as_data()})]
    return cell


def graded_notebook(norms: list[Outcome] | None, pruned: list[Outcome] | None, about: dict[str, Any]) -> NotebookNode:
    answer = new_markdown_cell("An answer.", id="answer-why")
    answer.metadata["nbgrader"] = {"grade": True, "grade_id": "answer-why", "points": 4, "solution": True}
    cells = [
        check_cell("norms", Verdict("norms", tuple(norms)) if norms else None),
        answer,
        check_cell("pruned_onnx", Verdict("pruned_onnx", tuple(pruned)) if pruned else None),
    ]
    return new_notebook(cells=cells, metadata={"pruning_labs": about} if about else {})


def gradebook(folder: Path) -> Gradebook:
    return Gradebook(f"sqlite:///{folder / 'gradebook.db'}")


class Course:
    """A course folder with a gradebook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = gradebook(folder)

    def hand_in(self, student: str, notebook: bool = True) -> Path:
        folder = self.folder / "submitted" / student / LAB
        folder.mkdir(parents=True)
        if notebook:
            nbformat.write(new_notebook(), folder / f"{LAB}.ipynb")
        return folder

    def grade(
        self,
        student: str,
        norms: list[Outcome] | None = None,
        pruned: list[Outcome] | None = None,
        why: float | None = 4.0,
        timestamp: str = "2030-01-10 11:00:00 UTC",
        penalty: float = 0.0,
        **about: Any,
    ) -> None:
        self.hand_in(student)
        target = self.folder / "autograded" / student / LAB / f"{LAB}.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(graded_notebook(norms, pruned, about), target)
        self.book.add_student(student)
        submission = self.book.add_submission(LAB, student, timestamp=timestamp)
        submission.notebooks[0].late_submission_penalty = penalty
        for name, outcomes in (("check-norms", norms), ("check-pruned_onnx", pruned)):
            grade = self.book.find_grade(name, LAB, LAB, student)
            grade.auto_score = sum(outcome.earned for outcome in outcomes or [])
            grade.needs_manual_grade = any(outcome.set_aside for outcome in outcomes or [])
        answer = self.book.find_grade("answer-why", LAB, LAB, student)
        answer.manual_score, answer.needs_manual_grade = why, why is None
        self.book.db.commit()

    def report(self) -> "Report":
        self.book.db.commit()
        return Report(write_reports(self.folder, LAB))


class Report:
    """The files that were written."""

    def __init__(self, page: Path) -> None:
        self.folder = page.parent
        self.html = page.read_text(encoding="utf-8")
        self.text = re.sub(r"\s+", " ", " ".join(Words.of(self.html))).replace(" ,", ",")

    def rows(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((self.folder / name).read_text(encoding="utf-8-sig"), newline="")))

    def gradescope(self, student: str) -> dict[str, Any]:
        return json.loads((self.folder / "gradescope" / f"{student}.json").read_text(encoding="utf-8"))


class Words(HTMLParser):
    """The text and the tags of a page, as a browser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @classmethod
    def of(cls, html: str) -> list[str]:
        parser = cls()
        parser.feed(html)
        return parser.words


@pytest.fixture(scope="module")
def empty_course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One lab in the gradebook: exercise `norms` (3 points), file `pruned_onnx` (3), question `why` (4)."""
    put_tools_on_path()
    folder = tmp_path_factory.mktemp("empty")
    with gradebook(folder) as book:
        book.add_assignment(LAB, duedate="2030-01-10 12:00:00 UTC")
        book.add_notebook(LAB, LAB)
        for name, points in (("check-pruned_onnx", 3), ("answer-why", 4), ("check-norms", 3)):
            book.add_grade_cell(name, LAB, LAB, max_score=points, cell_type="code")
    return folder


@pytest.fixture
def course(tmp_path: Path, empty_course: Path) -> Any:
    shutil.copy(empty_course / "gradebook.db", tmp_path)
    course = Course(tmp_path)
    yield course
    course.book.close()


def test_the_commonest_mistake_is_counted_over_students_and_comes_first(course: Course) -> None:
    course.grade("ann", [WRONG, Outcome("test_again", 1, 0, SIGN)])
    course.grade("ben", [WRONG])
    course.grade("cem", [RIGHT, HIDDEN])
    text = course.report().text
    assert f"2 × {SIGN} ann, ben 1 × {HIDDEN.message} cem" in text


def test_of_many_mistakes_the_five_commonest_are_shown(course: Course) -> None:
    course.grade("ann", [Outcome(f"test_{n}", 1, 0, f"mistake {n}") for n in range(7)])
    text = course.report().text
    assert "1 × mistake 4" in text and "1 × mistake 5" not in text
    assert "and 2 more that are rarer" in text


def test_what_could_not_be_judged_is_no_mistake_but_waits_for_a_person(course: Course) -> None:
    course.grade("ann", [RIGHT], [NOT_HERE])
    report = course.report()
    assert f"1 × {NOT_HERE.message}" not in report.text
    assert "1 submission, 3 points" in report.text
    assert report.rows("grades.csv")[0]["by_hand"] == "3"
    assert report.rows("grades.csv")[0]["pruned_onnx"] == ""


def test_hostile_strings_stay_text_in_the_page(course: Course) -> None:
    name = HOSTILE.replace("/", "").replace("\x00", "")
    course.grade(name, [Outcome(HOSTILE, 3, 0, HOSTILE)], remarks=[HOSTILE], isolation=HOSTILE)
    course.hand_in("<u>not graded")
    parser = Words()
    parser.feed(course.report().html)
    tags = [tag for tag, _ in parser.tags]
    assert tags.count("script") == 1 and not {"img", "u"} & set(tags)
    assert not [key for _, attributes in parser.tags for key in attributes if key.startswith("on") or key == "style"]
    assert any("{{ 7*7 }}" in words for words in parser.words), "a name is no template"


def test_the_page_forbids_everything_but_its_own_style_and_script(course: Course) -> None:
    html = course.report().html
    parser = Words()
    parser.feed(html)
    policy = next(attributes["content"] for _, attributes in parser.tags if "http-equiv" in attributes) or ""
    for tag in ("style", "script"):
        inline = re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert len(inline) == 1 and f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert html.index("Content-Security-Policy") < html.index("<style")
    assert "http://" not in html and "https://" not in html


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", "-2+3|cmd"])
def test_a_name_is_never_a_formula(course: Course, name: str) -> None:
    course.grade(name, [Outcome("test_sign", 3, 0, "=cmd|' /C calc'!A0")], remarks=["\t=1+1"])
    report = course.report()
    for table, column in (("grades.csv", "student"), ("moodle.csv", "username")):
        assert report.rows(table)[0][column] == "'" + name
    assert report.rows("canvas.csv")[1]["SIS Login ID"] == "'" + name
    assert report.rows("grades.csv")[0]["remarks"].startswith("'\t=")


def test_a_name_that_only_begins_like_a_formula_still_matches_its_user(course: Course) -> None:
    course.grade("-dash", [Outcome("test_sign", 3, 0, "")])
    report = course.report()
    assert report.rows("moodle.csv")[0]["username"] == "-dash"
    assert report.rows("canvas.csv")[1]["SIS Login ID"] == "-dash"


@pytest.mark.parametrize("text", ["a;=1+1", "a\t@SUM(A1)", "a\n-1", 'a;"=1+1"', "a; +1", "a;＝1"])
def test_where_another_separator_is_expected_no_formula_begins_either(text: str) -> None:
    assert not re.search(r'[;\t\n]\s*"?\s*[=+@＝-]', to_csv([[text]]).strip())


def test_who_is_not_graded_is_listed_without_points(course: Course) -> None:
    course.grade("ann", [RIGHT])
    course.hand_in("ben")
    report = course.report()
    assert "ben (not graded yet)" in report.text
    assert [(row["student"], row["points"]) for row in report.rows("grades.csv")] == [("ann", "6"), ("ben", "")]
    assert report.rows("grades.csv")[1]["remarks"] == "not graded yet"
    assert [row["username"] for row in report.rows("moodle.csv")] == ["ann"]


def test_all_rows_of_the_table_of_students_have_as_many_cells(course: Course) -> None:
    course.grade("ann", [RIGHT])
    course.hand_in("ben")
    table = re.search(r'<table id="students">.*?</table>', course.report().html, re.DOTALL)
    assert table
    header, *rows = table[0].split("<tr")[1:]
    assert len(rows) == 2
    assert {row.count("<td") for row in rows} == {header.count("<th ")}


def test_a_student_without_notebook_is_listed(course: Course) -> None:
    course.hand_in("ben", notebook=False)
    assert "ben (no notebook was handed in)" in course.report().text


def test_a_course_where_nothing_is_graded_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "submitted" / "ann" / LAB).mkdir(parents=True)
    assert "ann" in write_reports(tmp_path, LAB).read_text(encoding="utf-8")
    assert not (tmp_path / "gradebook.db").exists()


def test_grading_without_a_sandbox_is_a_warning_everywhere(course: Course) -> None:
    course.grade("ann", [RIGHT], isolation="process")
    course.grade("ben", [RIGHT], isolation="bubblewrap")
    report = course.report()
    assert "Graded without a sandbox: 1 of 2 submissions." in report.text
    ann, ben = report.rows("grades.csv")
    assert "forged" in ann["remarks"] and ben["remarks"] == ""
    assert report.gradescope("ann")["extra_data"]["isolation"] == "process"


def test_grading_in_a_sandbox_is_no_warning(course: Course) -> None:
    course.grade("ann", [RIGHT], isolation="bubblewrap")
    assert "sandbox" not in course.report().text


def test_remarks_on_a_submission_are_shown(course: Course) -> None:
    course.grade("ann", [RIGHT], remarks=["The kernel died in cell 7."])
    report = course.report()
    assert "The kernel died in cell 7." in report.text
    assert report.rows("grades.csv")[0]["remarks"] == "The kernel died in cell 7."
    assert report.gradescope("ann")["output"] == "The kernel died in cell 7."


def test_gradescope_adds_up_to_the_gradebook(course: Course) -> None:
    course.grade("ann", [RIGHT, HIDDEN], [Outcome("test_ramp", 3, 1.37, "accuracy 0.71")], penalty=0.5)
    course.grade("ben", None, [NOT_HERE], why=None)
    course.book.find_grade("check-norms", LAB, LAB, "ann").manual_score = 3
    report = course.report()
    for submission in submissions(course.folder, LAB):
        data = report.gradescope(submission.student)
        assert data["score"] == pytest.approx(submission.points)
        assert sum(test["score"] for test in data["tests"]) == pytest.approx(submission.points)
        assert sum(test["max_score"] for test in data["tests"]) == pytest.approx(10)
    assert report.gradescope("ann")["score"] == pytest.approx(3 + 1.37 + 4 - 0.5)


def test_gradescope_shows_what_hidden_tests_found_when_grades_are_published(course: Course) -> None:
    course.grade("ann", [RIGHT, HIDDEN])
    visible, hidden = course.report().gradescope("ann")["tests"][:2]
    assert (visible["visibility"], visible["status"]) == ("visible", "passed")
    assert hidden == {
        "name": "norms: strided (2)",
        "score": 0,
        "max_score": 1,
        "status": "failed",
        "output": HIDDEN.message,
        "visibility": "after_published",
    }


def test_infinite_and_broken_verdicts_harm_nobody_else(course: Course) -> None:
    course.grade("ann", [Outcome("test_sign", float("inf"), float("nan"), "too good")])
    course.grade("ben", [Outcome("test_sign", 3, 3, {"not": "text"})])  # type: ignore[arg-type]
    course.grade("cem", [RIGHT], remarks="not a list", isolation=["process"])
    broken = course.folder / "autograded" / "dan" / LAB / f"{LAB}.ipynb"
    course.grade("dan", [RIGHT])
    broken.write_text('{"cells": [', encoding="utf-8")
    report = course.report()
    assert {row["student"]: row["points"] for row in report.rows("grades.csv")} == {
        "ann": "4", "ben": "7", "cem": "6", "dan": "6",
    }  # fmt: skip
    assert "cannot be read: grade it again" in report.text
    for student in ("ann", "ben", "cem", "dan"):
        assert "NaN" not in json.dumps(report.gradescope(student))


def test_a_missing_verdict_is_said(course: Course) -> None:
    course.grade("ann", None, [RIGHT])
    assert "1 × no verdict ann" in course.report().text


def test_late_penalties_count(course: Course) -> None:
    course.grade("ann", [RIGHT], timestamp="2030-01-10 14:05:00 UTC", penalty=1.5)
    report = course.report()
    row = report.rows("grades.csv")[0]
    assert (row["points"], row["late_penalty"], row["seconds_late"]) == ("4.5", "1.5", "7500")
    assert "2 h 5 min −1.5 points" in report.text
    assert results(course.folder, LAB)[0].points == 4.5


def test_long_numbers_are_written_out(course: Course) -> None:
    course.grade("ann", [RIGHT], timestamp="2030-01-24 12:00:01 UTC")
    assert course.report().rows("grades.csv")[0]["seconds_late"] == "1209601"


def test_endless_messages_are_cut(course: Course) -> None:
    course.grade("ann", [Outcome("test_sign", 3, 0, "x" * 1_000_000)], remarks=["y" * 1_000_000])
    assert sum(path.stat().st_size for path in course.report().folder.rglob("*.*")) < 50_000


def test_the_columns_stand_in_the_notebooks_order_and_add_up(course: Course) -> None:
    course.grade("ann", [RIGHT, HIDDEN], [Outcome("test_ramp", 3, 1.5, "0.71")])
    row = course.report().rows("grades.csv")[0]
    assert list(row)[-5:] == ["norms", "why", "pruned_onnx", "remarks", "same_files"]
    assert [row[name] for name in ("norms", "why", "pruned_onnx", "points", "percent")] == [
        "2",
        "4",
        "1.5",
        "7.5",
        "75",
    ]


def test_the_page_links_to_feedback_where_there_is_some(course: Course) -> None:
    for student in ("änn #1", "ben"):
        course.grade(student, [RIGHT])
    page = course.folder / "feedback" / "änn #1" / LAB / f"{LAB}.html"
    page.parent.mkdir(parents=True)
    page.write_text("well done", encoding="utf-8")
    parser = Words()
    parser.feed(course.report().html)
    links = [attributes["href"] or "" for tag, attributes in parser.tags if tag == "a"]
    assert [link for link in links if "feedback" in link] == [f"../../feedback/%C3%A4nn%20%231/{LAB}/{LAB}.html"]


def test_the_same_course_gives_the_same_bytes(course: Course) -> None:
    for student, outcomes in (("cem", [WRONG]), ("ann", [RIGHT, HIDDEN]), ("ben", None)):
        course.grade(student, outcomes, why=None, isolation="process", remarks=["slow"])
    first, again = ({path: path.read_bytes() for path in course.report().folder.rglob("*.*")} for _ in range(2))
    assert first == again and len(first) == 4 + 3


def test_files_of_a_student_who_is_gone_are_removed(course: Course) -> None:
    course.grade("ann", [RIGHT])
    old = course.folder / "reports" / LAB / "gradescope" / "gone.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}", encoding="utf-8")
    assert [path.name for path in course.report().folder.glob("gradescope/*")] == ["ann.json"]
    assert not old.exists()


@pytest.mark.parametrize("name", ["../../up", "..", ".", "C:\\x", "a\nb", "%2F", "n" * 250, os.fsdecode(b"\xff\xfe")])
def test_a_name_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    path = tmp_path / file_name(name, ".json")
    path.write_text("{}", encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_different_students_have_different_files() -> None:
    names = ["a/b", "a%2Fb", "a\\b", "n" * 250, "n" * 251]
    assert len({file_name(name, ".json") for name in names}) == len(names)


def test_names_that_are_no_unicode_are_reported(course: Course) -> None:
    try:
        course.hand_in(os.fsdecode(b"caf\xe9"))
    except OSError:
        pytest.skip("this file system knows Unicode names only")
    assert "caf\\udce9" in course.report().text


def test_moodle_gets_user_names_grades_and_feedback(course: Course) -> None:
    course.grade("ann", [WRONG], why=None)
    row = course.report().rows("moodle.csv")[0]
    assert list(row) == ["username", f"{LAB} grade", f"{LAB} feedback"]
    assert (row["username"], row[f"{LAB} grade"]) == ("ann", "0")
    assert f"norms: 0 of 3 points ({SIGN})" in row[f"{LAB} feedback"]
    assert "why: to be read by a person" in row[f"{LAB} feedback"]


def test_canvas_gets_its_columns_and_the_points_possible(course: Course) -> None:
    course.grade("ann", [RIGHT])
    course.book.update_or_create_student("ann", first_name="Ann", last_name="Lee", lms_user_id="4711")
    lines = (course.report().folder / "canvas.csv").read_text(encoding="utf-8").splitlines()
    assert lines == [
        f"Student,ID,SIS User ID,SIS Login ID,Section,{LAB}",
        "    Points Possible,,,,,10",
        '"Lee, Ann",4711,,ann,,6',
    ]


def test_excel_sees_that_the_grades_are_utf_8(course: Course) -> None:
    assert (course.report().folder / "grades.csv").read_bytes().startswith(b"\xef\xbb\xbfstudent,lab,points")


def test_histogram_bins_hold_everybody_and_full_marks_stand_last() -> None:
    assert histogram([0, 9.5, 10, 12], 10)[-2:] == [(9, 9, 1), (10, 10, 2)]
    bins = histogram([0.5, 20, 41, 42], 42)
    assert len(bins) <= 13 and sum(count for _, _, count in bins) == 4 and bins[-1] == (40, 42, 2)
    assert histogram([], 10) == [] == histogram([1], 0)


def test_the_table_shows_brackets_as_they_are(course: Course) -> None:
    course.grade("ann", [Outcome("test_shape", 3, 0, "expected [1, 2], got [/red] :smile:")])
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(as_table(results(course.folder, LAB)))
    assert "expected [1, 2], got [/red] :smile:" in console.export_text()


# --- the same file


def networks(course: Course, **files: bytes) -> None:
    """Students with a network each, all graded; those of the release as it was."""
    for student, content in files.items():
        course.grade(student, [RIGHT])
        (course.folder / "submitted" / student / LAB / "net.onnx").write_bytes(content)


def test_the_same_file_of_several_students_is_told_everywhere_and_accuses_nobody(course: Course) -> None:
    networks(course, ann=b"one", ben=b"one", cem=b"other")
    report = course.report()
    rows = {row["student"]: row["same_files"] for row in report.rows("grades.csv")}
    assert rows == {"ann": "net.onnx (2)", "ben": "net.onnx (2)", "cem": ""}
    (same,) = same_files(course.folder, LAB)
    assert same.sentence.startswith("ann, ben have the same net.onnx. Whoever runs the given cells unchanged")
    assert same.sentence in re.sub(r"\s+", " ", report.text)
    assert not re.search("cheat|copied|plagiar|fraud", same.sentence)


def test_it_is_told_how_many_ran_the_training_cells_as_they_were_given(course: Course) -> None:
    networks(course, ann=b"one", ben=b"one", cem=b"one")
    train = new_code_cell("train(network, epochs=12)", metadata={"tags": ["train"]})
    changed = new_code_cell("train(network, epochs=99)", metadata={"tags": ["train"]})
    release = course.folder / "release" / LAB
    release.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[train]), release / f"{LAB}.ipynb")
    for student, cell in (("ann", train), ("ben", train), ("cem", changed)):
        nbformat.write(new_notebook(cells=[cell]), course.folder / "autograded" / student / LAB / f"{LAB}.ipynb")
    (same,) = same_files(course.folder, LAB)
    assert same.as_given == 2 and "2 of 3 left the training cells as they were released" in same.sentence


def test_what_came_with_the_lab_is_no_file_of_a_students(course: Course) -> None:
    networks(course, ann=b"one", ben=b"one")
    (course.folder / "release" / LAB).mkdir(parents=True)
    (course.folder / "release" / LAB / "given.onnx").write_bytes(b"one")
    assert same_files(course.folder, LAB) == []


# --- the whole class


def test_who_handed_in_nothing_stands_in_every_table(course: Course) -> None:
    course.grade("ann", [RIGHT])
    course.book.add_student("cara", first_name="Cara", last_name="O")
    report = course.report()
    row = next(row for row in report.rows("grades.csv") if row["student"] == "cara")
    assert (row["points"], row["remarks"]) == ("", "handed in nothing")
    assert "cara" in report.text and "handed in nothing" in report.text
    assert [row["username"] for row in report.rows("moodle.csv")] == ["ann"]
    rows = {row.student: row for row in results(course.folder)}
    assert rows["cara"].state == "handed in nothing" and not rows["cara"].recorded
    screen = io.StringIO()
    Console(file=screen, width=100).print(as_table(results(course.folder)))
    assert "handed in nothing" in screen.getvalue()


def test_what_acts_on_a_terminal_is_written_out(course: Course) -> None:
    course.grade("ann", [RIGHT], remarks=["\x1b[31mred\x07"])
    screen = io.StringIO()
    Console(file=screen, width=200).print(as_table(results(course.folder)))
    assert "\x1b" not in screen.getvalue() and "\\x1b[31mred" in screen.getvalue()
    assert course.report().rows("grades.csv")[0]["remarks"] == "\\x1b[31mred\\x07"


def test_a_folder_whose_name_cannot_be_used_is_in_the_table_with_the_reason(course: Course) -> None:
    course.grade("ann", [RIGHT])
    course.hand_in("a\nb")
    row = next(row for row in course.report().rows("grades.csv") if row["student"] == "a\\nb")
    assert row["remarks"].startswith("not graded: its name holds characters") and row["points"] == ""


def test_lab_10_stands_behind_lab_9() -> None:
    assert by_number(["lab10_b", "lab9_a", "challenge", "lab2", "10", "lab"]) == [
        "10", "challenge", "lab", "lab2", "lab9_a", "lab10_b"
    ]  # fmt: skip
