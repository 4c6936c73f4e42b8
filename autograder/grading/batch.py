"""Grade a whole class: judged on all cores or on a cluster, recorded by nbgrader one by one, resumable at any point.

What was judged is kept (see `judged`); whatever is missing is done when the same command is given again.
"""

import contextlib
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
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

from autograder.authoring.frozen import FrozenRelease, frozen_release, packed
from autograder.course import CourseError, must, nbgrader, secret_of, write_log
from autograder.grading import recording
from autograder.grading.changes import Change, as_table, expected_points, recorded_points
from autograder.grading.handed_in import chosen_students, not_found
from autograder.grading.judged import (
    AT_ONCE,
    CHANGED,
    DONE,
    NO_POINTS,
    Basis,
    JudgedRecord,
    Settings,
    basis_of,
    judged_path,
    read_judged,
    record_before,
    record_from,
    state_of,
    terms,
    write_judged,
)
from autograder.grading.nbgrader_steps import handed_in_at
from autograder.grading.submissions import Submission, read_submission, take_in
from autograder.grading.worker import judge_submission, start_worker
from autograder.sandbox import bubblewrap
from autograder.sandbox.bubblewrap import Isolation, SandboxError
from autograder.sandbox.limits import Limits
from autograder.text import one_line
from minicifar import ImagesNotFound, MiniCIFAR


@dataclass
class Options:
    """How a class is graded. `late`: grade | skip | zero; `only`: some students; `force`: also who is done.

    `dry_run`: judge those whose marks may change, and record nothing.
    """

    limits: Limits = field(default_factory=Limits)
    isolation: Isolation = "bubblewrap"
    only: Sequence[str] = ()
    force: bool = False
    late: str = "grade"
    scheduler: str | None = None
    workers: int | None = None
    dry_run: bool = False

    @property
    def settings(self) -> Settings:
        """What of this a verdict follows from."""
        return Settings(self.limits, self.isolation)


class EndTime(ProgressColumn):
    """When a task will be done, by the clock."""

    def render(self, task: Task) -> Text:
        """The time at which a task will be done."""
        if task.time_remaining is None:
            return Text("until …")
        return Text(f"until {datetime.now() + timedelta(seconds=task.time_remaining):%H:%M}")


def progress(console: Console | None = None) -> Progress:
    """A progress bar that says how many are done and when the rest will be."""
    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        EndTime(),
    )
    return Progress(*columns, console=console)


# --- when


def seconds_late(course: Path, lab: str, student: str) -> float:
    """Seconds from the due date to a submission's timestamp.txt; 0 without either.

    The date is nbgrader's of the assignment, later by the extension that its gradebook holds for the student.
    """
    handed_in = handed_in_at(course / "submitted" / student / lab)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        due = due_date(book, lab, student)
    return max(0.0, (handed_in - due).total_seconds()) if handed_in and due else 0.0


def due_date(book: Gradebook, lab: str, student: str) -> datetime | None:
    """Until when a student may hand in a lab, extensions included; None where nbgrader knows no date."""
    try:
        due: datetime | None = book.find_assignment(lab).duedate
    except MissingEntry:
        return None
    with contextlib.suppress(MissingEntry):
        extension = book.find_submission(lab, student).extension
        return due + extension if due and extension else due
    return due


# --- feedback pages, and where all is done


def write_feedback(course: Path, lab: str, student: str) -> None:
    """The student's feedback page. Raises CourseError."""
    must(nbgrader(course).generate_feedback(lab, student, force=True), f"feedback for {student}", course)


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


@dataclass
class LabGrading:
    """One lab of one course that is being graded.

    `released`: the notebook that students got, as text. `changes`: marks that were in the gradebook before.
    `failures`: sentences about what could not be done.
    """

    course: Path
    lab: str
    release: FrozenRelease
    released: str
    images: str
    options: Options
    changes: list[Change] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def submission(self, student: str) -> Submission:
        """What a student handed in."""
        return read_submission(self.course / "submitted" / student / self.lab)

    def looked_up(self, student: str) -> tuple[JudgedRecord | None, Basis, str]:
        """What is kept of a student, what a verdict would follow from now, and whether that is done or why not."""
        submission, settings = self.submission(student), self.options.settings
        basis = basis_of(submission, settings, self.release, self.released, self.images, secret_of(self.course))
        content = read_judged(self.course, self.lab, student)
        if "key" in content:
            record = record_before(content, basis, self.lab, submission, self.released, settings)
            if record:
                record = replace(record, terms=self.terms(student))
                if not self.options.dry_run:
                    write_judged(self.course, self.lab, student, record)
            return record, basis, DONE if record else CHANGED
        record = record_from(content)
        return record, basis, state_of(record, basis)

    def terms(self, student: str) -> str:
        """What a student's points in the gradebook would follow from beside the verdicts."""
        return terms(self.options.late == "zero", seconds_late(self.course, self.lab, student))

    def finish(self, student: str, record: JudgedRecord, why: str) -> list[str]:
        """Keep and record what was judged (with `dry_run` only note it) → sentences about what could not be done."""
        before = recorded_points(self.course, self.lab, student)
        now = self.terms(student)
        if self.options.dry_run:
            after = 0.0 if now == NO_POINTS else expected_points(self.course, self.lab, student, record.notebook)
            self.changes.append(Change(student, before, after, why))
            return []
        write_judged(self.course, self.lab, student, record)
        try:
            recording.record(self.course, self.lab, student, record.notebook, self.options.late == "zero")
        except CourseError as error:
            return [str(error)]
        write_judged(self.course, self.lab, student, replace(record, recorded=True, terms=now))
        if before is not None:
            after = recorded_points(self.course, self.lab, student) or 0.0
            self.changes.append(Change(student, before, after, why))
        return []


@dataclass(frozen=True)
class Todo:
    """A student to be judged: what the verdict will follow from, and why it is (not) the first time."""

    basis: Basis
    why: str


def grade_lab(lab: str, course: Path, options: Options | None = None, console: Console | None = None) -> list[str]:
    """Grade everybody who handed in a lab and is not done → sentences about what could not be done.

    Whose mark may have changed only because of another release or other images is named and left alone, unless `force`
    is set. Marks that are recorded anew are listed, old → new; with `dry_run` that list is all that happens.
    Raises CourseError, SandboxError.
    """
    options = options or Options()
    if not options.scheduler:
        bubblewrap.require(options.isolation)
    release = frozen_release(course, lab)
    released = (course / "release" / lab / f"{lab}.ipynb").read_text(encoding="utf-8")
    students = chosen_students(course, lab, options.only)
    grading = LabGrading(course, lab, release, released, images_at_hand(), options)
    grading.failures += not_found(course, lab)
    with progress(console) as bar:
        task = bar.add_task(f"grading {lab}", total=len(students))
        todo, stale = waiting_students(grading, students, bar, task)
        judge_all(grading, todo, bar, task)
    if console:
        tell_changes(grading, stale, console)
    return grading.failures


def images_at_hand() -> str:
    """The fingerprint of the images that networks are measured on; empty where there are none."""
    try:
        return str(MiniCIFAR("test").fingerprint)
    except ImagesNotFound:
        return ""


def waiting_students(
    grading: LabGrading, students: Sequence[str], bar: Progress, task: TaskID
) -> tuple[dict[str, Todo], dict[str, str]]:
    """Who is to be judged; and whose marks are left alone though they follow from something else → why."""
    options, todo, stale = grading.options, dict[str, Todo](), dict[str, str]()
    for student in students:
        if options.late == "skip" and (late := seconds_late(grading.course, grading.lab, student)):
            grading.failures.append(
                f"{student} handed in {grading.lab} {late / 3600:.1f} hours late and was not graded (--late skip)."
            )
            bar.advance(task)
            continue
        take_in(grading.course / "submitted" / student / grading.lab, grading.lab)
        record, basis, state = grading.looked_up(student)
        if options.force or state in AT_ONCE or (options.dry_run and state != DONE):
            todo[student] = Todo(basis, "asked for" if state == DONE else state)
            continue
        if state != DONE:
            stale[student] = state
        if record:
            why = "judged, but not recorded yet" if not record.recorded else "late or not: that has changed"
            if not record.recorded or record.terms not in ("", grading.terms(student)):
                grading.failures += grading.finish(student, record, why)
            if not options.dry_run:
                grading.failures += missing_feedback(grading.course, grading.lab, student)
        bar.advance(task)
    return todo, stale


def tell_changes(grading: LabGrading, stale: Mapping[str, str], console: Console) -> None:
    """Print which marks were (or would be) recorded anew, and whose were left alone."""
    if grading.options.dry_run:
        console.print(as_table(grading.changes, f"{grading.lab}: nothing was recorded; grading would give"))
    elif grading.changes:
        console.print(as_table(grading.changes, f"{grading.lab}: recorded anew"))
    for why in sorted(set(stale.values())):
        count = sum(reason == why for reason in stale.values())
        console.print(
            f"{grading.lab}: {count} graded before and left as they are ({why}). "
            "`--dry-run` shows what grading them again would change, `--force` does it.",
            style="yellow",
        )


def judge_all(grading: LabGrading, todo: Mapping[str, Todo], bar: Progress, task: TaskID) -> None:
    """Judge, record and give feedback to all students in `todo`; a worker that dies costs nobody anything but time."""
    width = 2 * (grading.options.workers or os.cpu_count() or 1)
    if todo:
        alone = judge_together(grading, todo, width, bar, task)
        for student in alone:  # whoever brought the workers down is among these
            if judge_together(grading, {student: todo[student]}, 1, bar, task):
                grading.failures.append(f"{student} was not graded: the process that judged this submission died.")
    if not grading.options.dry_run:
        for student in todo:
            grading.failures += missing_feedback(grading.course, grading.lab, student)


def judge_together(grading: LabGrading, todo: Mapping[str, Todo], width: int, bar: Progress, task: TaskID) -> list[str]:
    """Judge these students, so many at a time → those that are to be judged again, each alone, since a worker died."""
    waiting, suspects = list(todo), list[str]()
    while waiting:
        jobs: dict[Future[str], str] = {}
        try:
            with workers(grading.options) as pool:
                pages = list(judged_in(pool, grading, todo, waiting, jobs, width, bar, task))
                wait(pages)
        except BrokenProcessPool:
            suspects += jobs.values()
    return suspects


def judged_in(
    pool: Executor,
    grading: LabGrading,
    todo: Mapping[str, Todo],
    waiting: list[str],
    jobs: dict[Future[str], str],
    width: int,
    bar: Progress,
    task: TaskID,
) -> Iterator[Future[None]]:
    """Judge all who are waiting → the jobs that write their feedback pages. `jobs`: who is being judged right now."""
    release = packed(grading.release)
    how = (asdict(grading.options.limits), grading.options.isolation, secret_of(grading.course))
    while waiting or jobs:
        while waiting and len(jobs) < width:  # no more than are needed are read and held in memory
            student = waiting.pop(0)
            files = grading.submission(student)
            job = pool.submit(judge_submission, release, grading.released, files.files, files.remarks, *how)
            jobs[job] = student
        for job in wait(jobs, return_when=FIRST_COMPLETED).done:
            student = jobs[job]
            failures = judged(job, grading, student, todo[student])
            grading.failures += failures
            del jobs[job]
            bar.update(task, advance=1, description=f"{grading.lab}: {student}")
            if not (failures or grading.options.scheduler or grading.options.dry_run):
                yield pool.submit(write_feedback, grading.course, grading.lab, student)


def judged(job: Future[str], grading: LabGrading, student: str, todo: Todo) -> list[str]:
    """Keep and record what a worker found → a sentence if there is nothing. Raises BrokenProcessPool."""
    try:
        notebook = job.result()
    except BrokenProcessPool:
        raise
    except SandboxError as error:
        log = write_log(
            grading.course, f"{grading.lab} {student}", "\n".join([str(error), *getattr(error, "__notes__", [])])
        )
        return [f"{student} was not graded, through no fault of the submission: {error} The log is {log}."]
    except Exception as error:
        log = write_log(grading.course, f"{grading.lab} {student}", "".join(traceback.format_exception(error)))
        reason = one_line(str(error), 200) or type(error).__name__
        return [f"{student} was not graded: {reason} ({type(error).__name__}). The log is {log}."]
    return grading.finish(student, JudgedRecord(todo.basis, notebook), todo.why)
