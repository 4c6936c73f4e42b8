"""The command line: `autograder release | grade | report | demo` (and `source`, for authors)."""

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from autograder.course import COURSE, CourseError, must, nbgrader
from autograder.editions import LabError, lab_names
from autograder.release import contents, release, write_source
from autograder.report import as_table, results

app = typer.Typer(
    help="Release, grade and report the pruning labs; everything is recorded by nbgrader.",
    no_args_is_help=True,
)
console = Console()
Labs = Annotated[
    list[str] | None, typer.Argument(help="Labs, by name or by its beginning (lab3); all if none is given.")
]
Course = Annotated[Path, typer.Option(help="The course folder.")]


def chosen(names: list[str] | None) -> list[str]:
    """Full names of labs from names or beginnings of names."""
    if not names:
        return lab_names()
    found = []
    for name in names:
        matching = [lab for lab in lab_names() if lab == name or lab.split("_")[0] == name]
        if not matching:
            raise LabError(f"There is no lab {name!r}. Labs: {', '.join(lab_names())}")
        found += matching
    return found


def progress() -> Progress:
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


@app.command()
def source(labs: Labs = None, course: Course = COURSE) -> None:
    """Build the source editions that `nbgrader generate_assignment` starts from."""
    for lab in chosen(labs):
        console.print(write_source(lab, course))


@app.command("release")
def release_labs(labs: Labs = None, course: Course = COURSE) -> None:
    """Build the student editions: a folder and a zip a lab, proved to hold no answers."""
    with progress() as bar:
        task = bar.add_task("releasing", total=len(chosen(labs)))
        for lab in chosen(labs):
            bar.update(task, description=f"releasing {lab}")
            archive = release(lab, course)
            bar.advance(task)
            size = sum(size for _, size in contents(archive)) / 1e6
            console.print(f"{archive}: {len(contents(archive))} files, {size:.1f} MB, no answers inside")


def submitted(course: Path, lab: str) -> list[str]:
    """The students who handed in a lab."""
    return sorted(path.parent.name for path in (course / "submitted").glob(f"*/{lab}") if path.is_dir())


def one_thread() -> None:
    """A worker's share of the machine: with more threads than cores, PyTorch's threads wait for each other."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def grade_student(lab: str, student: str, course: Path, force: bool) -> str | None:
    """Grade one submission and write its feedback → a sentence if that failed."""
    api = nbgrader(course)
    try:
        must(api.autograde(lab, student, force=force), f"grading {student}")
        must(api.generate_feedback(lab, student, force=force), f"feedback for {student}")
    except CourseError as error:
        return str(error)
    return None


def grade_lab(lab: str, course: Path, force: bool = False) -> list[str]:
    """Grade everybody who handed in a lab, on all cores → sentences about what failed."""
    students, failures = submitted(course, lab), []
    workers = ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=one_thread)
    with workers as pool, progress() as bar:
        task = bar.add_task(f"grading {lab}", total=len(students))
        jobs = {pool.submit(grade_student, lab, student, course, force): student for student in students}
        for job in as_completed(jobs):
            bar.update(task, advance=1, description=f"{lab}: {jobs[job]}")
            if failure := job.result():
                failures.append(failure)
    return failures


@app.command()
def grade(
    labs: Labs = None,
    course: Course = COURSE,
    force: Annotated[bool, typer.Option(help="Grade again what has been graded.")] = False,
) -> None:
    """Grade what was handed in (course/submitted/<student>/<lab>/), and write the feedback pages."""
    failures = [failure for lab in chosen(labs) for failure in grade_lab(lab, course, force)]
    report(labs, course)
    for failure in failures:
        console.print(failure, style="red")
    raise typer.Exit(1 if failures else 0)


@app.command()
def report(labs: Labs = None, course: Course = COURSE) -> None:
    """Print the table: student, lab, points, what was missed."""
    wanted = chosen(labs)
    console.print(as_table([result for result in results(course) if result.lab in wanted]))


@app.command()
def demo(
    course: Annotated[Path, typer.Option(help="Where the demo course is made.")] = Path("build/demo"),
) -> None:
    """The whole round with a small made-up class: release, hand in, grade, feedback, report."""
    from autograder.demo import run

    run(course.resolve(), console)


def main() -> None:
    try:
        app()
    except (LabError, CourseError, FileNotFoundError) as error:
        console.print(str(error), style="red")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
