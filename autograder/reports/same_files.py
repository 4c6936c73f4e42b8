"""Files of several students that are the same to the last byte: told to who grades, as something that may well be.

Training is deterministic. Whoever runs the cells as they were given, on the same kind of machine and with the same
versions, gets the same file; who changed them, or wrote other functions that are right too, gets another one.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.authoring.editions import tags
from autograder.grading.handed_in import submitted
from autograder.grading.submissions import read_file
from autograder.text import shown_name

NAMED = 5  # students in a sentence


@dataclass(frozen=True)
class SameFile:
    """A file that several students handed in. `as_given`: how many of them left the training cells as released."""

    name: str
    students: tuple[str, ...]
    as_given: int

    @property
    def sentence(self) -> str:
        """Who they are, and what that may mean."""
        names = [shown_name(student) for student in self.students]
        more = len(names) - NAMED
        who = ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
        given = "all" if self.as_given == len(names) else f"{self.as_given} of {len(names)}"
        return (
            f"{who} have the same {shown_name(self.name)}. Whoever runs the given cells unchanged, on the same kind of "
            f"machine, has it too; {given} left the training cells as they were released."
        )


def same_files(course: Path, lab: str) -> list[SameFile]:
    """The networks that more than one student handed in, those of most students first; none that came with the lab."""
    shipped = {digest(path) for path in (course / "release" / lab).glob("*.onnx")}
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for student in submitted(course, lab):
        for path in sorted((course / "submitted" / student / lab).glob("*.onnx")):
            if (content := digest(path)) and content not in shipped:
                owners[path.name, content].append(student)
    given = {student: ran_as_given(course, lab, student) for group in owners.values() for student in group}
    found = [
        SameFile(name, tuple(group), sum(given[student] for student in group))
        for (name, _), group in owners.items()
        if len(group) > 1
    ]
    return sorted(found, key=lambda file: (-len(file.students), file.name, file.students))


def digest(path: Path) -> str:
    """A hash of a file's bytes; empty for what cannot be read."""
    try:
        return hashlib.sha256(read_file(path)).hexdigest()
    except OSError:
        return ""


def ran_as_given(course: Path, lab: str, student: str) -> bool:
    """Whether a graded notebook holds the training cells as they were released."""
    graded = training_cells(course / "autograded" / student / lab / f"{lab}.ipynb")
    return graded is not None and graded == training_cells(course / "release" / lab / f"{lab}.ipynb")


def training_cells(path: Path) -> list[str] | None:
    """The sources of a notebook's training cells; None where there is no notebook that can be read."""
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
        return [cell.source for cell in notebook.cells if "train" in tags(cell)]
    except Exception:  # whatever nbformat raises for a file that somebody has changed
        return None
