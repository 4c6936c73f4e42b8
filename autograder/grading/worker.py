"""One process of many that judge submissions: imports little, and keeps its sandboxes from one to the next."""

import contextlib
import os
import signal
import threading
from dataclasses import asdict
from multiprocessing import util
from typing import Any

import nbformat

from autograder.grading.engine import Grader
from autograder.grading.submissions import Submission
from autograder.sandbox import confinement
from autograder.sandbox.bubblewrap import Isolation
from autograder.sandbox.limits import Limits

_here = threading.local()


def start_worker() -> None:
    """End with the process that started this one, also when that was killed."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with contextlib.suppress(AttributeError, OSError):
        confinement.libc().prctl(confinement.SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    util.Finalize(None, close_grader, exitpriority=1)


def close_grader() -> None:
    """End this worker's sandboxes, if it has any."""
    if hasattr(_here, "grader"):
        _here.grader.close()
        del _here.grader


def judge_submission(
    lab: str, released: str, files: dict[str, bytes], remarks: list[str], limits: dict[str, Any], isolation: Isolation
) -> str:
    """Judge a submission in this worker's sandbox → the graded notebook as JSON. Depends on its arguments only."""
    grader = getattr(_here, "grader", None)
    if grader is None or (asdict(grader.limits), grader.isolation) != (limits, isolation):
        close_grader()
        grader = _here.grader = Grader(Limits(**limits), isolation)
    graded = grader.grade(lab, nbformat.reads(released, as_version=4), Submission(files, remarks))
    return nbformat.writes(graded)
