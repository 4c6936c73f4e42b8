"""Grade a whole class: judged on all cores or on a cluster, recorded by nbgrader one by one, resumable at any point.

`course/judged/<lab>/<student>.json` keeps what was judged, under a key of everything that it depends on. A
student is done when the same key has been recorded in the gradebook. Whatever is missing is done when the same
command is given again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from autograder.authoring.editions import check_files
from autograder.course import CourseError, must, nbgrader
from autograder.grading.submissions import Submission, read_submission, take_in
from autograder.grading.worker import judge_submission, start_worker
from autograder.sandbox import bubblewrap
from autograder.sandbox.bubblewrap import Isolation
from autograder.sandbox.limits import Limits
from minicifar.files import atomic


@dataclass
class Options:
    """How a class is graded. `late`: grade | skip | zero; `only`: some students; `force`: also who is done."""

    limits: Limits = field(default_factory=Limits)
    isolation: Isolation = "bubblewrap"
    only: Sequence[str] = ()
    force: bool = False
    late: str = "grade"
    scheduler: str | None = None
    workers: int | None = None


class EndTime(ProgressColumn):
    """When a task will be done, by the clock."""

    def render(self, task: Task) -> Text:
        if task.time_remaining is None:
            return Text("until …")
        return Text(f"until {datetime.now() + timedelta(seconds=task.time_remaining):%H:%M}")


def progress(console: Console | None = None) -> Progress:
    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        EndTime(),
    )
    return Progress(*columns, console=console)


# --- who


def submitted(course: Path, lab: str) -> list[str]:
    """The students who handed in a lab."""
    return sorted(path.parent.name for path in (course / "submitted").glob(f"*/{lab}") if path.is_dir())


def chosen_students(course: Path, lab: str, only: Sequence[str]) -> list[str]:
    """Those to grade. Raises CourseError for a name that handed in nothing."""
    students = submitted(course, lab)
    if missing := sorted(set(only) - set(students)):
        raise CourseError(
            f"{', '.join(missing)} handed in nothing for {lab}; there are {', '.join(students) or 'none'}."
        )
    return [student for student in students if not only or student in only]


def seconds_late(course: Path, lab: str, student: str) -> float:
    """How long after the due date (nbgrader's, of the assignment) a submission's timestamp.txt lies; 0 without either."""
    from nbgrader.api import Gradebook, MissingEntry

    from autograder.grading.nbgrader_steps import handed_in_at

    handed_in = handed_in_at(course / "submitted" / student / lab)
    try:
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
            due = book.find_assignment(lab).duedate
    except MissingEntry:
        return 0.0
    return max(0.0, (handed_in - due).total_seconds()) if handed_in and due else 0.0


# --- what has been done


def key_of(submission: Submission, released: str, lab: str, options: Options) -> str:
    """A digest of all that a verdict depends on: the files handed in, the lab, its tests, the way it is graded."""
    digest = hashlib.sha256()
    parts = [
        ("released", released.encode()),
        ("how", repr((options.limits, options.isolation, options.late == "zero", submission.remarks)).encode()),
    ]
    parts += [(path.name, path.read_bytes()) for path in check_files(lab)]
    for name, data in [*parts, *sorted(submission.files.items())]:
        digest.update(f"{name}\n{len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def judged_path(course: Path, lab: str, student: str) -> Path:
    return course / "judged" / lab / f"{student}.json"


def read_judged(course: Path, lab: str, student: str) -> dict[str, Any]:
    """What is kept of a student: key, notebook (as JSON text), recorded; an empty dict if nothing is, or is readable."""
    try:
        return json.loads(judged_path(course, lab, student).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_judged(course: Path, lab: str, student: str, kept: dict[str, Any]) -> None:
    with atomic(judged_path(course, lab, student)) as temporary:
        temporary.write_text(json.dumps(kept), encoding="utf-8")


# --- feedback pages, and where all is done


def write_feedback(course: Path, lab: str, student: str) -> None:
    """The student's feedback page. Raises CourseError."""
    must(nbgrader(course).generate_feedback(lab, student, force=True), f"feedback for {student}")


def missing_feedback(course: Path, lab: str, student: str) -> list[str]:
    """Write the feedback page of a student who is graded and has none → a sentence if that failed."""
    if not read_judged(course, lab, student).get("recorded"):
        return []
    page = course / "feedback" / student / lab / f"{lab}.html"
    if page.is_file() and page.stat().st_mtime >= judged_path(course, lab, student).stat().st_mtime:
        return []
    try:
        write_feedback(course, lab, student)
    except CourseError as error:
        return [str(error)]
    return []


@contextlib.contextmanager
def workers(options: Options) -> Iterator[Executor]:
    """Where submissions are judged: processes on this machine, or the workers of a Dask cluster."""
    if options.scheduler:
        from distributed import Client

        with Client(options.scheduler) as client:
            yield client.get_executor(pure=False)
        return
    count = options.workers or os.cpu_count()
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# --- the whole


def grade_lab(lab: str, course: Path, options: Options | None = None, console: Console | None = None) -> list[str]:
    """Grade everybody who handed in a lab and is not done → sentences about what could not be done.

    Raises CourseError, SandboxError.
    """
    options = options or Options()
    if options.isolation == "bubblewrap" and not options.scheduler:
        bubblewrap.find_bubblewrap()
    path = course / "release" / lab / f"{lab}.ipynb"
    if not path.is_file():
        raise CourseError(f"{lab} has not been released from {course}: `autograder release {lab}` first.")
    released = path.read_text(encoding="utf-8")
    students, told = chosen_students(course, lab, options.only), []
    keys: dict[str, str] = {}
    with progress(console) as bar:
        task = bar.add_task(f"grading {lab}", total=len(students))
        for student in students:
            if options.late == "skip" and (late := seconds_late(course, lab, student)):
                told.append(f"{student} handed in {lab} {late / 3600:.1f} hours late and was not graded (--late skip).")
                bar.advance(task)
                continue
            take_in(course / "submitted" / student / lab, lab)
            submission = read_submission(course / "submitted" / student / lab)
            key = key_of(submission, released, lab, options)
            kept = read_judged(course, lab, student)
            if not options.force and kept.get("key") == key:
                if not kept.get("recorded"):
                    told += record(course, lab, student, kept, options)
                told += missing_feedback(course, lab, student)
                bar.advance(task)
            else:
                keys[student] = key
        told += judge_all(lab, course, released, keys, options, bar, task)
    return told


def judge_all(
    lab: str, course: Path, released: str, keys: dict[str, str], options: Options, bar: Progress, task: TaskID
) -> list[str]:
    """Judge, record and give feedback to all students in `keys`; a worker that dies costs nobody anything but time."""
    told: list[str] = []
    rounds = [(list(keys), 2 * (options.workers or os.cpu_count() or 1))]
    while rounds:
        students, width = rounds.pop()
        waiting = list(students)
        jobs: dict[Future, str] = {}
        pages: list[Future] = []
        try:
            with workers(options) as pool:
                while waiting or jobs:
                    while waiting and len(jobs) < width:  # no more than are needed are read and held in memory
                        student = waiting.pop(0)
                        submission = read_submission(course / "submitted" / student / lab)
                        how = (asdict(options.limits), options.isolation)
                        job = pool.submit(judge_submission, lab, released, submission.files, submission.remarks, *how)
                        jobs[job] = student
                    for job in wait(jobs, return_when=FIRST_COMPLETED).done:
                        failed = judged(job, jobs[job], lab, course, keys, options)
                        told += failed
                        student = jobs.pop(job)
                        bar.update(task, advance=1, description=f"{lab}: {student}")
                        if not failed and not options.scheduler:
                            pages.append(pool.submit(write_feedback, course, lab, student))
                wait(pages)
        except BrokenProcessPool:  # whoever brought it down is among those in `jobs`: each of them again, alone
            if width == 1:
                told += [
                    f"{student} was not graded: the process that judged this submission died." for student in students
                ]
            else:
                rounds += [(waiting, width), *(([student], 1) for student in jobs.values())]
    return told + [line for student in keys for line in missing_feedback(course, lab, student)]


def judged(job: Future, student: str, lab: str, course: Path, keys: dict[str, str], options: Options) -> list[str]:
    """Keep and record what a worker found → a sentence if there is nothing. Raises BrokenProcessPool."""
    try:
        notebook = job.result()
    except BrokenProcessPool:
        raise
    except Exception as error:
        return [f"{student} was not graded: {type(error).__name__}: {error}"]
    kept = {"key": keys[student], "notebook": notebook, "recorded": False}
    write_judged(course, lab, student, kept)
    return record(course, lab, student, kept, options)


def record(course: Path, lab: str, student: str, kept: dict[str, Any], options: Options) -> list[str]:
    """Let nbgrader record what was judged → a sentence if that failed. Doing it twice is doing it once."""
    from autograder.grading import nbgrader_steps

    api = nbgrader(course, late_zero=options.late == "zero")
    nbgrader_steps.JUDGED[lab, student] = nbformat.reads(kept["notebook"], as_version=4)
    try:
        must(api.autograde(lab, student, force=True), f"recording {student}")
    except CourseError as error:
        return [str(error)]
    finally:
        del nbgrader_steps.JUDGED[lab, student]
    write_judged(course, lab, student, {**kept, "recorded": True})
    return []
