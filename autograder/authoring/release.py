"""What students get: the released notebook with what it needs beside it, as a folder and as a zip."""

import ast
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

from autograder.authoring.editions import (
    CHECKS,
    COMPANIONS,
    LabError,
    check_files,
    exercise_source,
    exercises,
    lab_names,
    points,
    reference,
    source_edition,
)
from autograder.authoring.frozen import frozen_path, write_frozen, zipped
from autograder.authoring.support import support_files
from autograder.course import COURSE, ROOT, SHIPPED, must, nbgrader
from course_utils.checking import LATER
from minicifar.files import atomic, write_text


def write_source(lab: str, course: Path = COURSE) -> Path:
    """Write the source edition of a lab and of its companions where nbgrader looks for them → the lab's path."""
    folder = course / "source" / lab
    for name in (lab, *COMPANIONS.get(lab, ())):
        write_text(folder / f"{name}.ipynb", nbformat.writes(source_edition(name)) + "\n")
    return folder / f"{lab}.ipynb"


def add_support_files(assignment: str, notebooks: list[str], **_: object) -> None:
    """nbgrader's hook after `generate_assignment`: put what the lab needs beside it, and freeze what grades it."""
    course = Path(notebooks[0]).resolve().parents[2]
    folder = course / "release" / assignment
    clear_support_files(folder)
    for name, path in support_files(assignment).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    hidden = [file for file in check_files(assignment) if file.name.startswith("hidden_")]
    write_text(folder / "checks" / LATER, json.dumps(points(assignment, hidden), indent=1) + "\n")
    write_frozen(assignment, course)


def clear_support_files(folder: Path) -> None:
    """Remove what an earlier release put beside the notebook: some of it may no longer be shipped."""
    for name in SHIPPED:
        shutil.rmtree(folder / name, ignore_errors=True)


def release(lab: str, course: Path = COURSE) -> Path:
    """Build the source edition, release it through nbgrader, and zip the student's folder → the zip.

    Raises LabError if anything in the zip would give an answer away.
    """
    write_source(lab, course)
    must(nbgrader(course).generate_assignment(lab, force=True), f"nbgrader generate_assignment {lab}", course)
    folder = course / "release" / lab
    needed = {name: folder / name for name in support_files(lab)} | {"what grades it": frozen_path(course, lab)}
    if absent := [name for name, path in needed.items() if not path.is_file()]:
        raise LabError(f"the release of {lab} lacks {', '.join(absent)}: run `autograder release` from the project")
    archive = zip_folder(folder, course / "release" / f"{lab}.zip")
    if leaks := list(answers_in(archive)):
        archive.unlink()
        raise LabError("the student zip would give answers away:\n" + "\n".join(leaks))
    return archive


def zip_folder(folder: Path, archive: Path) -> Path:
    """Zip a folder, its name on top; the same content gives the same bytes."""
    files = {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    }
    with atomic(archive) as temporary:
        temporary.write_bytes(zipped(files))
    return archive


def plain(line: str) -> str:
    """A line of code without white space and comment, to compare with others."""
    return re.sub(r"\s+", "", line.split("#")[0])


def telling_lines(source: str) -> set[str]:
    """The statements of a solution that say something (no `if …:`, no `return result`)."""
    body = source.partition("### BEGIN SOLUTION")[2].partition("### END SOLUTION")[0]
    return {text for line in body.splitlines() if len(text := plain(line)) > 20 and text[-1] != ":"}


def secrets(lab: str) -> dict[str, set[str]]:
    """What must not reach students with a lab: name of the secret → telling lines of it, this lab and later ones."""
    telling = {}
    names = lab_names()
    for other in names[names.index(lab) :]:
        for exercise in exercises(other):
            if exercise.module:
                telling[f"the solution of {exercise.name}"] = telling_lines(exercise_source(reference(exercise)))
    for path in [*CHECKS.glob("hidden_*.py"), *(ROOT / "autograder" / "answers").glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        lines = {plain(f"def {node.name}(") for node in functions if len(node.name) > 12}
        telling[path.name] = lines
    return telling


def answers_in(archive: Path) -> Iterator[str]:
    """Sentences about everything in a student zip that gives an answer away (none, if all is well)."""
    lab = archive.stem
    hidden = secrets(lab)
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            if re.search(r"(^|/)(hidden_|answers/|autograder/)", name):
                yield f"{name} must not be released"
            if not name.endswith((".py", ".ipynb", ".md")):
                continue
            text = content.read(name).decode("utf-8")
            if name.endswith(".ipynb"):
                text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
            if "MARK SCHEME" in text or "BEGIN SOLUTION" in text:
                yield f"{name} holds a marked solution or a mark scheme"
            lines = {plain(line) for line in text.splitlines()}
            for secret, telling in hidden.items():
                for line in telling:
                    if line in lines or (line.startswith("def") and any(other.startswith(line) for other in lines)):
                        yield f"{name} holds a line of {secret}: {line}"


def contents(archive: Path) -> list[tuple[str, int]]:
    """Names and sizes in bytes of a zip's files."""
    with zipfile.ZipFile(archive) as content:
        return [(entry.filename, entry.file_size) for entry in content.infolist()]
