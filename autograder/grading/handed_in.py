"""Who handed in a lab, and what lies where nobody looks for it: the folders below submitted/."""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograder.course import CourseError
from autograder.grading.submissions import HIDDEN, NOTEBOOK_ENDINGS
from autograder.text import shown_name

SUBMITTED = "submitted"
PATTERNS = re.compile(r"[*?\[\]]")  # nbgrader takes names for patterns
HANDED_IN = (*NOTEBOOK_ENDINGS, ".onnx", ".zip")
SIMILAR = 0.85  # difflib's ratio from which on a folder's name is taken for a lab's
NOTHING = (
    "Nobody has handed in anything for {lab}: what a student hands in belongs in {place}/<student>/{lab}/, "
    "the notebook with the files that its training has made."
)


def students(course: Path) -> list[str]:
    """The names of the students' folders; not those that archivers, editors and file managers make."""
    return sorted(path.name for path in folders(course / SUBMITTED) if not HIDDEN.match(path.name))


def submitted(course: Path, lab: str) -> list[str]:
    """The students who handed in a lab under a name that can be graded (see `unusable`)."""
    names = [name for name in students(course) if (course / SUBMITTED / name / lab).is_dir()]
    return [name for name in names if not unusable(name)]


def chosen_students(course: Path, lab: str, only: Sequence[str]) -> list[str]:
    """Those to grade. Raises CourseError for a name that handed in nothing."""
    everybody = submitted(course, lab)
    if missing := sorted(set(only) - set(everybody)):
        raise CourseError(
            f"{', '.join(map(shown_name, missing))} handed in nothing for {lab}; "
            f"there are {', '.join(map(shown_name, everybody)) or 'none'}."
        )
    return [student for student in everybody if not only or student in only]


def nothing_handed_in(course: Path, labs: Sequence[str], asked_for: bool) -> list[str]:
    """Where files belong, for each lab that was asked for and that nobody handed in, or once where that is all labs."""
    empty = [lab for lab in labs if not submitted(course, lab)]
    if not asked_for:
        empty = ["<lab>"] if len(empty) == len(labs) else []
    return [NOTHING.format(lab=lab, place=course / SUBMITTED) for lab in empty]


def unusable(name: str) -> str:
    """Why a student's folder cannot have this name; empty where it can."""
    if PATTERNS.search(name):
        return "nbgrader takes *, ?, [ and ] for patterns"
    if name != name.strip() or name != shown_name(name):
        return "its name holds characters that do not show, or that are no text"
    return ""


def not_found(course: Path, lab: str) -> list[str]:
    """Sentences on what seems to have been handed in for a lab and is not graded, and how to put that right."""
    return [*wrong_names(course, lab), *wrong_places(course, lab)]


def wrong_names(course: Path, lab: str) -> Iterator[str]:
    """Students' folders whose names cannot be used."""
    for name in students(course):
        if (course / SUBMITTED / name / lab).is_dir() and (why := unusable(name)):
            yield f"The folder {shown_name(name)} in {SUBMITTED}/ was not graded: {why}. Rename it."


def wrong_places(course: Path, lab: str) -> Iterator[str]:
    """Files outside a folder of the lab, and folders that are called nearly like it."""
    right = f"{SUBMITTED}/<student>/{lab}/"
    for path in files(course / SUBMITTED):
        if belongs_to(path.name, lab):
            yield f"{SUBMITTED}/{shown_name(path.name)} belongs in the folder of a student: {right}. It was not graded."
    for student in students(course):
        folder = course / SUBMITTED / student
        if like(student, lab) and not (folder / lab).is_dir():
            yield f"{SUBMITTED}/{shown_name(student)} is called like a lab: files belong in {right}. It was not graded."
            continue
        home = f"{SUBMITTED}/{shown_name(student)}"
        for path in files(folder):
            nothing_else = path.name.endswith(NOTEBOOK_ENDINGS) and not list(folders(folder))
            if belongs_to(path.name, lab) or nothing_else:
                yield f"{home}/{shown_name(path.name)} belongs in {home}/{lab}/. It was not graded."
        for path in folders(folder):
            if path.name != lab and like(path.name, lab) and not HIDDEN.match(path.name):
                yield f"{home}/{shown_name(path.name)} would have to be called {lab}. It was not graded."


def belongs_to(name: str, lab: str) -> bool:
    """Whether a file's name is that of something to hand in for a lab."""
    number = plain(lab.split("_")[0])  # lab1, but not lab10
    return name.endswith(HANDED_IN) and re.match(rf"{number}(?!\d)", plain(name)) is not None


def like(name: str, lab: str) -> bool:
    """Whether a folder's name is a lab's, spelt otherwise: Lab0_MiniCIFAR, lab0, lab 0, lab0_minicifer."""
    spelt, right = plain(name), plain(lab)
    if spelt in (right, plain(lab.split("_")[0])):
        return True
    numbers = re.findall(r"\d+", spelt), re.findall(r"\d+", right)
    return numbers[0] == numbers[1] and difflib.SequenceMatcher(None, spelt, right).ratio() >= SIMILAR


def plain(name: str) -> str:
    """A name's letters and digits, in small letters."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def folders(place: Path) -> Iterator[Path]:
    """The folders in a folder, by name."""
    return (path for path in entries(place) if path.is_dir())


def files(place: Path) -> Iterator[Path]:
    """What is no folder in a folder, by name, without hidden files."""
    return (path for path in entries(place) if not path.is_dir() and not HIDDEN.match(path.name))


def entries(place: Path) -> list[Path]:
    """What a folder holds, by name; nothing where there is no such folder."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(place))
    except OSError:
        return []
