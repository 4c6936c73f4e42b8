"""One process of many that judge submissions: imports little, and keeps its sandboxes from one to the next."""

import contextlib
import functools
import os
import signal
import threading
from dataclasses import asdict
from multiprocessing import util
from typing import Any

import nbformat

from autograder.authoring.frozen import FrozenRelease, read_frozen
from autograder.grading.engine import Grader
from autograder.grading.notebooks import restored
from autograder.grading.submissions import Submission, counted
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
    release: bytes,
    released: str,
    files: dict[str, bytes],
    remarks: list[str],
    limits: dict[str, Any],
    isolation: Isolation,
    secret: str = "",
) -> str:
    """Judge a submission in this worker's sandbox → the graded notebook as JSON. Depends on its arguments only.

    `release`: the lab's frozen release, as `packed` makes it; `released`: the notebook that students got;
    `secret`: the course's.
    """
    frozen = frozen_of(release)
    grader = getattr(_here, "grader", None)
    if grader is None or (asdict(grader.limits), grader.isolation, grader.secret) != (limits, isolation, secret):
        close_grader()
        grader = _here.grader = Grader(Limits(**limits), isolation, secret)
    as_released = nbformat.reads(released, as_version=4)
    handed_in, more = counted(files, frozen.lab, as_released)
    notebook = restored(as_released, handed_in)
    return str(nbformat.writes(grader.grade(frozen, notebook, Submission(files, [*remarks, *more]))))


@functools.lru_cache(maxsize=1)
def frozen_of(data: bytes) -> FrozenRelease:
    """The frozen release in a zip; the same one is read once."""
    return read_frozen(data)
