"""Graded notebooks into nbgrader's gradebook, one by one.

nbgrader reads from a folder that holds nothing but the graded notebook and the time of submission, so that it meets
nothing that a student made. Recording twice is recording once.
"""

import shutil
from pathlib import Path

from nbgrader.apps.api import NbGraderAPI
from traitlets.config import Config

from autograder.course import configure, must
from autograder.grading.nbgrader_steps import handed_in_at

FOLDER = "judged/.recording"  # below the course folder, as nbgrader's directories have to be


def record(course: Path, lab: str, student: str, notebook: str, late_zero: bool = False) -> None:
    """Save the points of a graded notebook (JSON). `late_zero`: late ones earn nothing. Raises CourseError."""
    place = course / FOLDER / student / lab
    place.mkdir(parents=True, exist_ok=True)
    try:
        (place / f"{lab}.ipynb").write_text(notebook, encoding="utf-8")
        if handed_in := handed_in_at(course / "submitted" / student / lab):
            (place / "timestamp.txt").write_text(f"{handed_in:%Y-%m-%d %H:%M:%S.%f} UTC", encoding="utf-8")
        must(recorder(course, late_zero).autograde(lab, student, force=True), f"recording {student}", course)
    finally:
        shutil.rmtree(course / FOLDER, ignore_errors=True)


def recorder(course: Path, late_zero: bool) -> NbGraderAPI:
    """nbgrader, set up to save what has been judged already."""
    config = configure(Config(), course.resolve())
    config.CourseDirectory.submitted_directory = FOLDER
    config.Autograde.exporter_class = "nbconvert.exporters.NotebookExporter"
    config.Autograde.autograde_preprocessors = config.Autograde.autograde_preprocessors[1:]  # judged already
    if late_zero:
        config.LateSubmissionPlugin.penalty_method = "zero"
    return NbGraderAPI(config=config)
