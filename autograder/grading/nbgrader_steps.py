"""nbgrader's autograde step with the course's engine: how it reads a submission, judges it and saves the points.

Only public names of nbgrader 0.9 are used: its course directory, exporter and preprocessor classes, and its gradebook.
"""

import atexit
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Dict, Enum

from autograder.authoring.frozen import frozen_release
from autograder.course import secret_of
from autograder.grading.engine import Grader
from autograder.grading.notebooks import NOTES, restored
from autograder.grading.submissions import counted, read_file, read_submission
from autograder.grading.times import time_in
from autograder.grading.verdicts import verdict_of
from autograder.sandbox.bubblewrap import Isolation
from autograder.sandbox.limits import limits_from

_graders: list[Grader] = []


def grader(settings: dict[str, Any], isolation: Isolation, course: Path) -> Grader:
    """The one grader of this process, made when it is first needed."""
    how = limits_from(settings), isolation, secret_of(course)
    if not _graders or (_graders[0].limits, _graders[0].isolation, _graders[0].secret) != how:
        while _graders:
            _graders.pop().close()
        _graders.append(Grader(*how))
        atexit.register(_graders[0].close)
    return _graders[0]


def handed_in_at(folder: str | Path) -> datetime | None:
    """The time in a submission's timestamp.txt; None if there is none, or anything else under this name."""
    try:
        return time_in(read_file(Path(folder) / "timestamp.txt"))
    except OSError:
        return None


class CarefulCourseDirectory(CourseDirectory):
    """A course folder of which nbgrader copies no file but notebooks, and reads times of submission with care.

    nbgrader itself would open timestamp.txt, whatever that is, and copy all other files, following links.
    """

    def get_existing_timestamp(self, dest_path: str) -> datetime | None:
        """The time of submission; None where there is none that can be read."""
        return handed_in_at(dest_path)


def careful(coursedir: CourseDirectory) -> CarefulCourseDirectory:
    """The same course folder, careful with what was handed in."""
    settings = {name: getattr(coursedir, name) for name in coursedir.trait_names(config=True)}
    return CarefulCourseDirectory(parent=coursedir.parent, **{**settings, "ignore": ["*"]})


class SubmissionExporter(NotebookExporter):
    """Reads what a student handed in as a notebook in the lab's form, whatever it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        converter: Any = self.parent
        if isinstance(converter, Autograde) and not isinstance(converter.coursedir, CarefulCourseDirectory):
            converter.coursedir = careful(converter.coursedir)

    def from_filename(self, filename: str, resources: Any = None, **options: Any) -> Any:
        """The first pass reads what was handed in, the second what the first has written."""
        converter: Any = self.parent
        coursedir: CourseDirectory = converter.coursedir
        lab, student = (resources["nbgrader"][name] for name in ("assignment", "student"))
        path, submitted = Path(filename), coursedir.format_path(coursedir.submitted_directory, student, lab)
        if path.parent != Path(submitted):  # the second pass, over what the first has written
            return super().from_filename(filename, resources, **options)
        released = Path(coursedir.format_path(coursedir.release_directory, ".", lab)) / f"{lab}.ipynb"
        if not released.is_file():
            raise FileNotFoundError(
                f"{lab} has not been released from this course folder: `autograder release {lab}` first."
            )
        as_released = nbformat.read(released, as_version=4)
        try:
            if path.parent.is_symlink() or path.parent.parent.is_symlink():
                raise OSError("The folder handed in is a link, and links are not followed.")
            files = {**read_submission(path.parent).files, f"{lab}.ipynb": read_file(path)}
            text, about = counted(files, lab, as_released)
            notebook = restored(as_released, text)
            notebook.metadata[NOTES]["remarks"] += about
        except OSError as error:
            notebook = restored(as_released, None)
            notebook.metadata[NOTES]["remarks"] = [str(error)]
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
    limits = Dict(
        {}, help="What a submission may use, e.g. {'cell_seconds': 60}; see autograder.sandbox.limits.Limits"
    ).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        """Grade a notebook that `SubmissionExporter` has brought into the lab's form."""
        lab, student = resources["nbgrader"]["assignment"], resources["nbgrader"]["student"]
        exporter: Any = self.parent
        coursedir: CourseDirectory = exporter.parent.coursedir
        folder = Path(coursedir.format_path(coursedir.submitted_directory, student, lab))
        course, isolation = Path(coursedir.root), cast(Isolation, self.isolation)
        release = frozen_release(course, lab)
        return grader(self.limits, isolation, course).grade(release, nb, read_submission(folder)), resources


class SaveGrades(SaveAutoGrades):
    """Record the points; what could not be judged here is marked for grading by hand, never as a 0."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        """Save the points, and mark what waits for a person."""
        nb, resources = super().preprocess(nb, resources)
        about = resources["nbgrader"]
        with Gradebook(about["db_url"]) as gradebook:
            for cell in nb.cells:
                verdict = verdict_of(cell)
                if verdict and any(outcome.set_aside for outcome in verdict.outcomes):
                    keys = (about["notebook"], about["assignment"], about["student"])
                    gradebook.find_grade(cell.metadata.nbgrader.grade_id, *keys).needs_manual_grade = True
            gradebook.db.commit()
        return nb, resources
