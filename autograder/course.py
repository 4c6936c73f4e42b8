"""Where a course lies, and how nbgrader is set up for it: one place for the command line and nbgrader_config.py."""

import os
import re
import secrets
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


def put_tools_on_path() -> None:
    """nbgrader starts `alembic` by its name: find it also where the environment has not been activated."""
    tools = str(Path(sys.executable).parent)
    if tools not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([tools, os.environ.get("PATH", "")])


put_tools_on_path()  # also for who only opens the gradebook


def configure(config: "Config", course: Path) -> "Config":
    """Fill nbgrader's configuration for a course folder: source, release, submitted, autograded, feedback."""
    warnings.filterwarnings("ignore", module="nbgrader")  # SQLAlchemy's remarks on nbgrader's own queries
    config.CourseDirectory.course_id = "pruning-labs"
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", *SHIPPED]
    config.CourseDirectory.max_dir_size = 200_000
    config.ClearMarkScheme.enforce_metadata = False
    config.FileNameCollectorPlugin.valid_ext = [".ipynb", ".onnx", ".zip", ".json", ".txt"]  # of `zip_collect`
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


def nbgrader(course: Path = COURSE) -> "NbGraderAPI":
    """nbgrader's own interface on a course folder."""
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import Config

    course.mkdir(parents=True, exist_ok=True)
    return NbGraderAPI(config=configure(Config(), course.resolve()))


class CourseError(Exception):
    """An nbgrader step failed; the message holds what its log says."""


def must(result: dict, what: str, course: Path) -> dict:
    """The result of an nbgrader step. Raises CourseError, a sentence that says where the step's log lies."""
    if not result["success"]:
        messages = dict.fromkeys(text.strip() for text in (result.get("log"), result.get("error")) if text)
        log = "\n".join(messages)
        raise CourseError(f"{what} failed: {reason_in(log)} The log is {write_log(course, what, log)}.")
    return result


def reason_in(log: str) -> str:
    """The last error that a log names, in a line."""
    errors = [line for line in log.splitlines() if re.match(r"[\w.]*(Error|Exception|Warning)\b", line)]
    errors = [line for line in errors if "NbGraderException" not in line] or log.splitlines()[-1:] or ["no reason"]
    return errors[-1].rstrip(". ")[:300] + "."


def secret_of(course: Path) -> str:
    """The course's secret, drawn when it is first needed; it is never shipped, and nobody needs to know it.

    By it the judge draws what nobody may foresee: how images are changed before a network is asked again.
    """
    from minicifar.files import write_text

    path = course / "secret.txt"
    if not path.is_file():
        write_text(path, secrets.token_hex(16) + "\n")
        path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()


def write_log(course: Path, what: str, text: str) -> Path:
    """Keep a log in the course folder → its path."""
    from minicifar.files import write_text

    name = re.sub(r"[^\w.-]+", "-", what)[:100]
    return write_text(course / "logs" / f"{name}.log", text + "\n")
