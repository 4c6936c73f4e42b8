"""The command line: `autograder release | grade | report | demo` (and `source`, for authors)."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autograder.batch import Options, grade_lab, progress
from autograder.course import COURSE, CourseError
from autograder.editions import LabError, lab_names
from autograder.engine import limits_from
from autograder.release import contents, release, write_source
from autograder.report import as_table, results
from autograder.reports import write_reports
from autograder.sandbox import Limits, SandboxError

app = typer.Typer(
    help="Release, grade and report the pruning labs; everything is recorded by nbgrader.",
    no_args_is_help=True,
)
console = Console()
Labs = Annotated[
    list[str] | None, typer.Argument(help="Labs, by name or by its beginning (lab3); all if none is given.")
]
Course = Annotated[Path, typer.Option(help="The course folder.")]


class Late(StrEnum):
    grade, skip, zero = "grade", "skip", "zero"


class Isolated(StrEnum):
    bubblewrap, process = "bubblewrap", "process"


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


@app.command()
def source(labs: Labs = None, course: Course = COURSE) -> None:
    """Build the source editions that `nbgrader generate_assignment` starts from."""
    for lab in chosen(labs):
        console.print(write_source(lab, course))


@app.command("release")
def release_labs(labs: Labs = None, course: Course = COURSE) -> None:
    """Build the student editions: a folder and a zip a lab, proved to hold no answers."""
    with progress(console) as bar:
        task = bar.add_task("releasing", total=len(chosen(labs)))
        for lab in chosen(labs):
            bar.update(task, description=f"releasing {lab}")
            archive = release(lab, course)
            bar.advance(task)
            size = sum(size for _, size in contents(archive)) / 1e6
            console.print(f"{archive}: {len(contents(archive))} files, {size:.1f} MB, no answers inside")


def limits_of(named: list[str] | None) -> Limits:
    """Limits from `name=number` on the command line."""
    try:
        return limits_from({name: float(value) for name, _, value in (text.partition("=") for text in named or [])})
    except ValueError as error:
        raise typer.BadParameter(f"{error} (write --limit cell_seconds=60)") from None


@app.command()
def grade(
    labs: Labs = None,
    course: Course = COURSE,
    only: Annotated[list[str] | None, typer.Option(help="This student only; may be given several times.")] = None,
    force: Annotated[bool, typer.Option(help="Grade again what has been graded.")] = False,
    late: Annotated[
        Late, typer.Option(help="What comes late: grade it, skip it, or grade it with zero points.")
    ] = Late.grade,
    isolation: Annotated[
        Isolated, typer.Option(help="process: no sandbox; only if you trust every student.")
    ] = Isolated.bubblewrap,
    limit: Annotated[list[str] | None, typer.Option(help="A limit, e.g. cell_seconds=60; may be repeated.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="The address of a Dask scheduler, tcp://…:8786.")] = None,
    workers: Annotated[int | None, typer.Option(help="How many at a time; all cores if not given.")] = None,
) -> None:
    """Grade what was handed in (course/submitted/<student>/<lab>/), write feedback pages and reports.

    It can be stopped at any time; given again, it goes on where it was.
    """
    options = Options(limits_of(limit), isolation.value, only or (), force, late.value, scheduler, workers)
    if isolation is Isolated.process:
        console.print("No sandbox: students' code runs with your own rights, and the report says so.", style="red")
    failures = [failure for lab in chosen(labs) for failure in grade_lab(lab, course, options, console)]
    report(labs, course)
    for failure in failures:
        console.print(failure, style="red")
    raise typer.Exit(1 if failures else 0)


@app.command()
def report(labs: Labs = None, course: Course = COURSE) -> None:
    """Print the table, and write the reports: a page, CSV, Gradescope, Moodle, Canvas (course/reports/<lab>/)."""
    wanted = chosen(labs)
    found = [result for result in results(course) if result.lab in wanted]
    console.print(as_table(found))
    for lab in wanted:
        if any(result.lab == lab for result in found):
            console.print(f"report: {write_reports(course, lab)}")


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
    except (LabError, CourseError, SandboxError, FileNotFoundError) as error:
        console.print(str(error), style="red")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
