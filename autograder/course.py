"""Where a course lies, and how nbgrader is set up for it: one place for the command line and nbgrader_config.py."""

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # nbgrader takes long to import, and most of what needs a folder's place does without it
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "course"
PACKAGES = ("minicifar", "course_utils", "solutions")  # of these students get what a lab needs
SHIPPED = (*PACKAGES, "checks")  # come with a release, never back with a submission
LIBRARIES = (*PACKAGES, "studies")  # what the training of a challenge entry may import


def configure(config: "Config", course: Path) -> "Config":
    """Fill nbgrader's configuration for a course folder: source, release, submitted, autograded, feedback."""
    put_tools_on_path()
    warnings.filterwarnings("ignore", module="nbgrader")  # SQLAlchemy's remarks on nbgrader's own queries
    config.CourseDirectory.course_id = "pruning-labs"
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", *SHIPPED]
    config.CourseDirectory.max_dir_size = 200_000
    config.ClearMarkScheme.enforce_metadata = False
    config.GenerateAssignment.post_convert_hook = "autograder.authoring.release.add_support_files"
    config.Autograde.exporter_class = "autograder.grading.nbgrader_steps.SubmissionExporter"
    config.Autograde.sanitize_preprocessors = [
        "nbgrader.preprocessors.OverwriteCells",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    config.Autograde.autograde_preprocessors = [
        "autograder.grading.nbgrader_steps.GradeExercises",
        "nbgrader.preprocessors.LimitOutput",
        "autograder.grading.nbgrader_steps.SaveGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    return config


def put_tools_on_path() -> None:
    """nbgrader starts `alembic` by its name: find it also where the environment has not been activated."""
    tools = str(Path(sys.executable).parent)
    if tools not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([tools, os.environ.get("PATH", "")])


def nbgrader(course: Path = COURSE) -> "NbGraderAPI":
    """nbgrader's own interface on a course folder."""
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import Config

    course.mkdir(parents=True, exist_ok=True)
    return NbGraderAPI(config=configure(Config(), course.resolve()))


class CourseError(Exception):
    """An nbgrader step failed; the message holds what its log says."""


def must(result: dict, what: str) -> dict:
    """The result of an nbgrader step; CourseError with its log where it failed."""
    if not result["success"]:
        messages = dict.fromkeys(text.strip() for text in (result.get("log"), result.get("error")) if text)
        raise CourseError(f"{what} failed:\n" + "\n".join(messages))
    return result
