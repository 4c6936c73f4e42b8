"""nbgrader's autograde step with the course's engine: how it reads a submission, judges it and saves the points."""

import atexit
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.converters import Autograde, base
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from nbgrader.utils import parse_utc
from traitlets import Dict, Enum

from autograder.grading.engine import Grader
from autograder.grading.notebooks import NOTES, restored
from autograder.grading.submissions import read_file, read_submission
from autograder.grading.verdicts import checked_exercise, verdict_of
from autograder.sandbox.limits import limits_from

JUDGED: dict[tuple[str, str], NotebookNode] = {}  # (lab, student) → what `autograder grade` has judged already

_graders: list[Grader] = []


def grader(settings: dict[str, Any], isolation: Any) -> Grader:
    """The one grader of this process, made when it is first needed."""
    limits = limits_from(settings)
    if not _graders or (_graders[0].limits, _graders[0].isolation) != (limits, isolation):
        while _graders:
            _graders.pop().close()
        _graders.append(Grader(limits, isolation))
        atexit.register(_graders[0].close)
    return _graders[0]


def released_notebook(coursedir: Any, lab: str) -> NotebookNode:
    """The lab as students got it. Raises FileNotFoundError with a sentence."""
    path = Path(coursedir.format_path(coursedir.release_directory, ".", lab)) / f"{lab}.ipynb"
    if not path.is_file():
        raise FileNotFoundError(
            f"{lab} has not been released from this course folder: `autograder release {lab}` first."
        )
    return nbformat.read(path, as_version=4)


def handed_in_at(folder: str | Path) -> datetime | None:
    """The time in a submission's timestamp.txt; None if there is none, or anything else under this name."""
    try:
        return parse_utc(read_file(Path(folder) / "timestamp.txt")[:100].decode().strip())
    except (OSError, ValueError, OverflowError, TypeError):
        return None


class SubmissionExporter(NotebookExporter):
    """Reads what a student handed in as a notebook in the lab's form, whatever it is.

    nbgrader itself would open timestamp.txt, whatever that is, and copy all other files, following links. It does
    neither here: the engine reads the submission, with care.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        converter: Any = self.parent
        if isinstance(converter, Autograde):
            prepare = converter.init_assignment

            def prepare_without_copying(*names: str) -> None:
                with patch.object(base, "find_all_files", lambda *_: []):
                    prepare(*names)

            converter.init_assignment = prepare_without_copying
            converter.coursedir.get_existing_timestamp = handed_in_at

    def from_filename(self, filename: str, resources: Any = None, **options: Any) -> Any:
        converter: Any = self.parent
        if not getattr(converter, "_sanitizing", False):
            return super().from_filename(filename, resources, **options)
        path = Path(filename)
        try:
            if path.parent.is_symlink() or path.parent.parent.is_symlink():
                raise OSError("The folder handed in is a link, and links are not followed.")
            text, problem = read_file(path), ""
        except OSError as error:
            text, problem = None, str(error)
        notebook = restored(released_notebook(converter.coursedir, resources["nbgrader"]["assignment"]), text)
        if problem:
            notebook.metadata[NOTES]["remarks"] = [problem]
        resources["metadata"] = {
            "name": path.stem,
            "path": str(path.parent),
            "modified_date": datetime.now().isoformat(),
        }
        return self.from_notebook_node(notebook, resources, **options)


class GradeExercises(NbGraderPreprocessor):
    """In place of nbgrader's Execute: cells run in a sandbox, exercises are judged outside of it."""

    isolation = Enum(
        ["bubblewrap", "process"], "bubblewrap", help="process: no sandbox at all; only for students whom you trust"
    ).tag(config=True)
    limits = Dict({}, help="What a submission may use, e.g. {'cell_seconds': 60}; see autograder.sandbox.Limits").tag(
        config=True
    )

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        lab, student = resources["nbgrader"]["assignment"], resources["nbgrader"]["student"]
        exporter: Any = self.parent
        coursedir = exporter.parent.coursedir
        graded = JUDGED.get((lab, student))
        if graded is None:
            folder = Path(coursedir.format_path(coursedir.submitted_directory, student, lab))
            engine = grader(self.limits, self.isolation)
            graded = engine.grade(lab, released_notebook(coursedir, lab), read_submission(folder))
        by_id = {cell.id: cell for cell in graded.cells}
        for cell in nb.cells:
            if cell.cell_type == "code" and cell.id in by_id:
                cell.outputs, cell.execution_count = by_id[cell.id].outputs, by_id[cell.id].execution_count
        nb.metadata[NOTES] = graded.metadata[NOTES]
        return nb, resources


class SaveGrades(SaveAutoGrades):
    """Record the points; what could not be judged here is marked for grading by hand, never as a 0."""

    def _add_score(self, cell: NotebookNode, resources: Any) -> None:
        super()._add_score(cell, resources)
        verdict = verdict_of(cell)
        if verdict and any(outcome.set_aside for outcome in verdict.outcomes):
            keys = (cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id)
            self.gradebook.find_grade(*keys).needs_manual_grade = True
            self.gradebook.db.commit()


__all__ = ["GradeExercises", "SaveGrades", "SubmissionExporter", "checked_exercise", "verdict_of"]
