"""A class of attackers, and one honest student, graded in one go: nobody gets a point, a secret or out.

Every attack is told in `bank` and the modules beside it. The sandbox is needed: without bubblewrap these tests fail.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from bleach._vendor import html5lib  # reads pages as browsers do
from nbconvert.filters import markdown2html

from attacks import files
from attacks.bank import BREACH, LAB, MARK, Attack, all_attacks
from autograder.authoring.editions import points
from autograder.authoring.frozen import freeze
from autograder.authoring.release import release
from autograder.course import ROOT
from autograder.demo import filled_in
from autograder.grading.batch import Options, grade_lab
from autograder.grading.engine import Grader
from autograder.grading.notebooks import NOTES, restored
from autograder.grading.submissions import read_submission, take_in
from autograder.grading.verdicts import VERDICT_TYPE, checked_exercise, verdict_of
from autograder.reports.gradebook import GradedSubmission, submissions
from autograder.reports.page import write_reports
from autograder.sandbox import bubblewrap
from autograder.sandbox.limits import Limits

LIMITS = Limits(
    call_seconds=1.5,
    exercise_seconds=5,
    cell_seconds=4,
    notebook_seconds=20,
    memory_megabytes=1_000,
    disk_megabytes=200,
)
ATTACKS = all_attacks()
pytestmark = pytest.mark.slow
NEIGHBOUR = "neighbour"
LARGEST_PAGE = 20_000_000
ACTIVE = {"script", "iframe", "frame", "object", "embed", "applet", "base", "meta", "link", "form", "input", "button"}
ACTIVE |= {"svg", "math", "style", "template", "noscript", "video", "audio", "img", "marquee", "textarea", "select"}
LINKS = ("href", "src", "xlink:href", "action", "formaction", "data", "poster", "background", "srcset", "cite")


@dataclass
class Graded:
    """What there is once everybody has been graded."""

    course: Path
    students: dict[str, str]  # attack → student
    failures: list[str]
    entries: dict[str, GradedSubmission]
    untouched: dict[str, Any]
    seconds: float

    def of(self, attack: Attack) -> GradedSubmission:
        return self.entries[self.students[attack.name]]

    def notebook(self, student: str) -> Any:
        path = self.course / "autograded" / student / LAB / f"{LAB}.ipynb"
        return nbformat.read(path, as_version=4)

    def page(self, student: str) -> str:
        return (self.course / "feedback" / student / LAB / f"{LAB}.html").read_text(encoding="utf-8")


def parametrized(attacks: list[Attack]) -> Any:
    """One test an attack."""
    return pytest.mark.parametrize("attack", [pytest.param(attack, id=attack.name) for attack in attacks])


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, images_at_hand: str) -> str:
    """The released notebook as JSON, cut down to what takes no time: imports, exercises, checks, questions, tags."""
    course = tmp_path_factory.mktemp("released")
    release(LAB, course)
    path = course / "release" / LAB / f"{LAB}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    imports = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [imports] + [cell for cell in notebook.cells if {"nbgrader", "tags"} & set(cell.metadata)]
    nbformat.write(notebook, path)
    return str(path)


@pytest.fixture(scope="module")
def graded(released: str, tmp_path_factory: pytest.TempPathFactory) -> Graded:
    """The whole class, graded in one go, with reports."""
    bubblewrap.find_bubblewrap()
    place = tmp_path_factory.mktemp("class")
    course = place / "course"
    release_to(course, released)
    (place / "beside").mkdir()
    (place / "beside" / "secret.txt").write_text("not yours")
    hand_in_honestly(course, released)
    students = {}
    for attack in ATTACKS:
        students[attack.name] = attack.hand_in(Path(released).read_text(encoding="utf-8"), course)
    unchanging = [place / "beside", course / "source", course / "release"]
    unchanging += [course / "submitted" / name for name in (files.HONEST, NEIGHBOUR)]
    before, start = contents(unchanging), time.monotonic()
    failures = grade_lab(LAB, course, Options(limits=LIMITS))
    seconds = time.monotonic() - start
    write_reports(course, LAB)
    after = contents(unchanging)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    entries = {entry.student: entry for entry in submissions(course, LAB)}
    return Graded(course, students, failures, entries, {"changed": changed}, seconds)


def release_to(course: Path, released: str) -> None:
    """A course of its own with the notebook that is cut down."""
    release(LAB, course)
    (course / "release" / LAB / f"{LAB}.ipynb").write_bytes(Path(released).read_bytes())


def hand_in_honestly(course: Path, released: str) -> None:
    """An honest student, and a neighbour whose network is worth stealing."""
    for student in (files.HONEST, NEIGHBOUR):
        folder = course / "submitted" / student / LAB
        folder.mkdir(parents=True)
        notebook = nbformat.read(released, as_version=4)
        nbformat.write(filled_in(notebook, LAB, {}) if student == files.HONEST else notebook, folder / f"{LAB}.ipynb")
    (course / "submitted" / NEIGHBOUR / LAB / files.ONNX).write_bytes(files.memorised())


def contents(folders: list[Path]) -> dict[str, tuple[int, str]]:
    """When every file below some folders was changed, and a digest of what is in it."""
    states = {}
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            states[str(path)] = (path.stat().st_mtime_ns, digest)
    return states


# --- everybody


def test_everybody_is_graded(graded: Graded) -> None:
    assert graded.failures == []
    assert [attack.name for attack in ATTACKS if not graded.of(attack).graded] == []


def test_the_honest_student_has_all_points_but_those_of_the_missing_file(graded: Graded) -> None:
    expected = {name: 0.0 if name.endswith("_onnx") else worth for name, worth in points(LAB).items()}
    assert {mark.name: mark.points for mark in graded.entries[files.HONEST].marks if not mark.question} == expected


def test_nothing_of_others_and_nothing_beside_the_course_has_changed(graded: Graded) -> None:
    assert graded.untouched["changed"] == set()


def test_no_process_is_left(graded: Graded) -> None:
    assert left_behind() == []


def left_behind() -> list[str]:
    """Processes that attacks have started, and sandboxes that have no grader any more."""
    processes = []
    for process in psutil.process_iter(["name", "cmdline", "ppid"]):
        command = " ".join(process.info["cmdline"] or ())
        ours = process.info["ppid"] in (1, os.getpid()) and "autograder.sandbox.kernel" in command
        if process.info["name"] == MARK or MARK in command or ours:
            processes.append(f"{process.pid} {process.info['name']} {command}")
    return processes


def test_no_file_is_left_anywhere(graded: Graded) -> None:
    """What attacks write carries a mark; it is in what they handed in, and nowhere else."""
    places = [graded.course.parent, Path("/tmp"), Path("/dev/shm"), Path("/var/tmp"), Path.home(), ROOT / "course"]
    handed_in = graded.course / "submitted"
    named = [path for place in places for path in below(place, 3) if MARK in path.name]
    assert [path for path in named if not path.is_relative_to(handed_in)] == []
    packages = [Path(torch_file()), ROOT / "course_utils" / "expect.py", ROOT / "autograder" / "sandbox" / "kernel.py"]
    assert [path for path in packages if MARK in path.read_text(encoding="utf-8")] == []


def torch_file() -> str:
    import torch

    return str(torch.__file__)


def below(folder: Path, depth: int) -> Iterator[Path]:
    """Paths below a folder, not deeper than `depth`, and not through links."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        yield Path(entry.path)
        if depth > 1 and entry.is_dir(follow_symlinks=False):
            yield from below(Path(entry.path), depth - 1)


def test_nothing_has_grown_beyond_measure(graded: Graded) -> None:
    pages = [*(graded.course / "autograded").rglob("*.ipynb"), *(graded.course / "feedback").rglob("*.html")]
    pages += [*(graded.course / "judged").rglob("*.json"), *(graded.course / "reports").rglob("*")]
    assert {str(path): path.stat().st_size for path in pages if path.stat().st_size > LARGEST_PAGE} == {}


def test_only_notebooks_are_copied(graded: Graded) -> None:
    names = {path.name for path in (graded.course / "autograded").rglob("*") if path.is_file()}
    assert names <= {f"{LAB}.ipynb", "timestamp.txt"}


def test_the_report_page_holds_nothing_active_but_its_own_script(graded: Graded) -> None:
    page = (graded.course / "reports" / LAB / "index.html").read_text(encoding="utf-8")
    scripts = [
        thing for thing in active(page) if not thing.startswith(("<style", "<meta", "<input", "<svg", "<button"))
    ]
    assert len(scripts) == 1 and scripts[0].startswith("<script")


# --- every attack


@parametrized(ATTACKS)
def test_the_attack_earns_nothing(graded: Graded, attack: Attack) -> None:
    marks = {
        mark.name: (mark.points, sum(outcome.earned for outcome in mark.outcomes)) for mark in graded.of(attack).marks
    }
    assert {name: earned for name, earned in marks.items() if any(earned)} == {}
    assert graded.of(attack).points == 0
    assert {mark.name for mark in graded.of(attack).marks if not mark.question} == set(points(LAB))


@parametrized(ATTACKS)
def test_the_attack_gets_nothing_that_it_must_not_get(graded: Graded, attack: Attack) -> None:
    notebook = graded.notebook(graded.students[attack.name])
    assert [line for line in lines_shown(notebook) if BREACH in line] == []


@parametrized([attack for attack in ATTACKS if attack.says])
def test_the_instructor_is_told(graded: Graded, attack: Attack) -> None:
    notebook = graded.notebook(graded.students[attack.name])
    assert attack.says in "\n".join(sentences(notebook))


@pytest.fixture(scope="module")
def allowed(graded: Graded) -> set[str]:
    """What is active on the honest student's page: nbconvert's own."""
    return set(active(graded.page(files.HONEST)))


@parametrized(ATTACKS)
def test_the_feedback_page_holds_nothing_active(graded: Graded, allowed: set[str], attack: Attack) -> None:
    assert [thing for thing in active(graded.page(graded.students[attack.name])) if thing not in allowed] == []


@parametrized(ATTACKS)
def test_the_graded_notebook_holds_nothing_active(graded: Graded, attack: Attack) -> None:
    notebook = graded.notebook(graded.students[attack.name])
    kinds = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/jpeg", "image/gif"}
    for cell in notebook.cells:
        assert "attachments" not in cell
        assert set(cell.metadata) <= {"nbgrader", "tags"}
        if cell.cell_type == "markdown":
            assert [thing for thing in active(markdown2html(cell.source)) if thing not in PLAIN] == []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            assert set(data) <= kinds | ({VERDICT_TYPE} if checked_exercise(cell) else set())
            for mime in ("text/html", "text/markdown", "text/latex"):
                text = data.get(mime, "")
                shown = markdown2html(text) if mime == "text/markdown" else text
                assert [thing for thing in active(shown) if thing not in PLAIN] == []


PLAIN: set[str] = set()


@parametrized([attack for attack in ATTACKS if attack.name.endswith("is-a-link")])
def test_nothing_of_the_honest_student_is_shown(graded: Graded, attack: Attack) -> None:
    telling = "weight.abs().sum(dim=(1, 2, 3))"
    assert telling in "".join(cell.source for cell in graded.notebook(files.HONEST).cells)
    assert telling not in "".join(cell.source for cell in graded.notebook(graded.students[attack.name]).cells)


@pytest.mark.parametrize("how", files.HIDING)
def test_every_weight_of_an_onnx_file_is_counted(how: str, images_at_hand: str, tmp_path: Path) -> None:
    from course_utils.onnx_files.measuring import measure_onnx
    from course_utils.onnx_files.reading import OnnxFileError

    (hide, least), path = files.HIDING[how], tmp_path / "hidden.onnx"
    path.write_bytes(files.hidden_weights(hide))
    try:
        parameters = measure_onnx(path).parameters
    except OnnxFileError:
        return
    assert parameters >= least


def lines_shown(notebook: Any) -> list[str]:
    """All text that cells have shown, and that verdicts hold."""
    lines = sentences(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts = [output.get("text"), output.get("evalue"), *output.get("data", {}).values()]
            lines += [line for text in texts if isinstance(text, str) for line in text.splitlines()]
    return lines


def sentences(notebook: Any) -> list[str]:
    """What the instructor reads: remarks on the whole, and the messages of all tests."""
    verdicts = [verdict for cell in notebook.cells if (verdict := verdict_of(cell))]
    return [
        *notebook.metadata[NOTES]["remarks"],
        *(outcome.message for verdict in verdicts for outcome in verdict.outcomes),
    ]


def active(page: str) -> list[str]:
    """Everything on a page that a browser would run, load or send, as text."""
    dangers = []
    for element in html5lib.parse(page, treebuilder="etree", namespaceHTMLElements=False).iter():
        if not isinstance(element.tag, str):
            continue
        name = element.tag.rpartition("}")[2].lower()
        attributes = {str(key).rpartition("}")[2].lower(): str(value) for key, value in element.attrib.items()}
        ticked = {"type": "checkbox", "disabled": ""}.items() <= attributes.items()  # of a Markdown list
        if (
            name in ACTIVE
            and not (name == "input" and ticked)
            and not (name == "img" and attributes.get("src", "").startswith("data:image/"))
        ):
            dangers.append(f"<{name} {sorted(attributes.items())}> {element.text or ''}")
        for key, value in attributes.items():
            scheme = re.match(r"[\x00-\x20]*([a-z][a-z0-9+.-]*):", re.sub(r"[\t\r\n]", "", value), re.IGNORECASE)
            harmless = scheme is None or scheme[1].lower() in ("http", "https", "mailto", "attachment")
            harmless = harmless or (name == "img" and value.startswith("data:image/"))
            if key.startswith("on") or (key in LINKS and not harmless) or (key == "style" and "url(" in value):
                dangers.append(f"{key}={value}")
    return dangers


# --- one after another in the same warm process


def test_what_one_submission_leaves_the_next_does_not_find(released: str, tmp_path: Path) -> None:
    with Grader(LIMITS) as grader:
        for attack in [attack for attack in ATTACKS if attack.name in ("plant-1", "plant-2-seek")]:
            notebook = graded_by(grader, attack, released, tmp_path)
            assert [line for line in lines_shown(notebook) if BREACH in line] == []


def graded_by(grader: Grader, attack: Attack, released: str, course: Path) -> Any:
    """An attack's notebook, graded in this process."""
    folder = course / "submitted" / attack.hand_in(Path(released).read_text(encoding="utf-8"), course) / LAB
    take_in(folder, LAB)
    submission = read_submission(folder)
    notebook = restored(nbformat.read(released, as_version=4), submission.files.get(f"{LAB}.ipynb"))
    return grader.grade(freeze(LAB), notebook, submission)


# --- those that try to get out, leave something or kill, each in a bubblewrap of its own


@pytest.fixture(scope="module")
def grader(released: str) -> Iterator[Grader]:
    """A grader that shares no warm process between submissions."""
    with Grader(LIMITS) as grader:
        _, warm = grader.prepare(freeze(LAB))
        warm.close()  # it was started with the rights to share: what is shared by none has a filter in place of them
        warm.shared = False
        yield grader


@parametrized([attack for attack in ATTACKS if attack.alone])
def test_alone_the_attack_earns_nothing_either(grader: Grader, released: str, tmp_path: Path, attack: Attack) -> None:
    notebook = graded_by(grader, attack, released, tmp_path)
    assert [verdict for cell in notebook.cells if (verdict := verdict_of(cell)) and verdict.earned] == []
    assert [line for line in lines_shown(notebook) if BREACH in line] == []
    assert attack.says in "\n".join(sentences(notebook))
    assert left_behind() == []
