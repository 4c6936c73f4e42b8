"""The command line: `autograder release | grade | report | leaderboard | rerun | demo` (and `source`, for authors).

Each command imports what it needs: nbgrader and PyTorch take seconds, and hardly any command needs both.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from autograder.course import COURSE, secret_of
from autograder.sandbox.limits import Limits, limits_from

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
    """What becomes of a submission that came late."""

    grade, skip, zero = "grade", "skip", "zero"


class Isolated(StrEnum):
    """What holds students' code and files."""

    bubblewrap, process = "bubblewrap", "process"


def chosen(names: list[str] | None, graded: bool = False) -> list[str]:
    """Full names of labs from names or beginnings of names. `graded`: only those that have something to grade."""
    from autograder.authoring.editions import LabError, graded_labs, lab_names

    known = graded_labs() if graded else lab_names()
    if not names:
        return known
    labs = []
    for name in names:
        if graded and name in lab_names() and name not in known:
            raise LabError(f"There is nothing to grade in {name}: for the challenge, `autograder leaderboard FOLDER`.")
        matching = [lab for lab in known if lab == name or lab.split("_")[0] == name]
        if not matching:
            raise LabError(f"There is no lab {name!r}. Labs: {', '.join(lab_names())}")
        labs += matching
    return labs


@app.command()
def source(labs: Labs = None, course: Course = COURSE) -> None:
    """Build the source editions that `nbgrader generate_assignment` starts from."""
    from autograder.authoring.release import write_source

    for lab in chosen(labs):
        console.print(write_source(lab, course))


@app.command("release")
def release_labs(labs: Labs = None, course: Course = COURSE) -> None:
    """Build the student editions: a folder and a zip a lab, proved to hold no answers."""
    from autograder.authoring.release import contents, release
    from autograder.grading.batch import progress

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
        return limits_from({name: value for name, _, value in (text.partition("=") for text in named or [])})
    except ValueError as error:
        raise typer.BadParameter(f"{error} (write --limit cell_seconds=60)") from None


@app.command()
def grade(  # noqa: PLR0913
    labs: Labs = None,
    course: Course = COURSE,
    only: Annotated[list[str] | None, typer.Option(help="This student only; may be given several times.")] = None,
    force: Annotated[bool, typer.Option(help="Grade again what has been graded.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Record nothing; show which marks grading would change, old → new.")
    ] = False,
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
    from autograder.grading.batch import Options, grade_lab
    from autograder.grading.handed_in import not_found, nothing_handed_in, submitted

    options = Options(limits_of(limit), isolation.value, only or (), force, late.value, scheduler, workers, dry_run)
    if isolation is Isolated.process:
        console.print("No sandbox: students' code runs with your own rights, and the report says so.", style="red")
    names = chosen(labs, graded=True)
    if not labs:
        names = [lab for lab in names if submitted(course, lab) or not_found(course, lab)]
    failures = [failure for lab in names for failure in grade_lab(lab, course, options, console)]
    failures += nothing_handed_in(course, names, asked_for=bool(labs))
    if not dry_run:
        report(labs, course)
    for failure in failures:
        console.print(Text(failure, style="red"))
    raise typer.Exit(1 if failures else 0)


@app.command()
def report(labs: Labs = None, course: Course = COURSE) -> None:
    """Print the table, and write the reports: a page, CSV, Gradescope, Moodle, Canvas (course/reports/<lab>/)."""
    from autograder.reports.gradebook import as_table, results
    from autograder.reports.page import write_reports
    from autograder.reports.same_files import same_files

    names = chosen(labs)
    submissions = [submission for submission in results(course) if submission.lab in names]
    console.print(as_table(submissions))
    for lab in names:
        if any(submission.lab == lab for submission in submissions):
            for file in same_files(course, lab):
                console.print(Text(file.sentence))
            console.print(f"report: {write_reports(course, lab)}")


class Dataset(StrEnum):
    """The challenge's divisions."""

    minicifar, cifar10, cifar100 = "minicifar", "cifar10", "cifar100"


@app.command()
def leaderboard(
    submissions: Annotated[Path, typer.Argument(help="The folder that holds the challenge's entries.")],
    dataset: Annotated[
        list[Dataset] | None, typer.Option(help="A division; all that have entries if not given.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Each division gets a folder in it.")] = Path("leaderboard"),
    isolation: Annotated[
        Isolated, typer.Option(help="process: no sandbox around the files that are measured.")
    ] = Isolated.bubblewrap,
    minutes: Annotated[float, typer.Option(help="The longest that one entry may run.")] = 30,
    workers: Annotated[int | None, typer.Option(help="How many at a time; all cores if not given.")] = None,
    course: Course = COURSE,
) -> None:
    """Measure the challenge's entries and write the leaderboard: a page, CSV and JSON (leaderboard/<division>/).

    What was measured once is not measured again, so it can be stopped, and given again whenever an entry comes in.
    """
    from autograder.challenge.board import as_table, make_boards, write_board
    from autograder.grading.batch import progress

    with progress(console) as bar:
        task = bar.add_task("measuring entries", total=None)
        boards = make_boards(
            submissions,
            [division.value for division in dataset or []],
            isolation=isolation.value,
            workers=workers,
            seconds=60 * minutes,
            secret=secret_of(course),
            without=output,
            advance=lambda done, of: bar.update(task, completed=done, total=of),
        )
    for board in boards:
        console.print(as_table(board))
        console.print(f"leaderboard: {write_board(board, output / board['dataset'])}")


@app.command()
def rerun(
    entry: Annotated[Path, typer.Argument(help="An entry's folder, with its train.py.")],
    hours: Annotated[float, typer.Option(help="The longest that the training with one seed may run.")] = 1.0,
    course: Course = COURSE,
) -> None:
    """Run an entry's training again, in a sandbox without network or GPU, and say whether its accuracy holds."""
    from autograder.challenge import rerun as training

    runs: list[training.Repeated] = []
    with console.status(f"Training again: at most {hours:g} h with each seed …"):
        for run in training.rerun(entry, hours, course):
            runs.append(run)
            result = run.reason if run.accuracy is None else f"{run.accuracy:.2%}"
            console.print(f"seed {run.seed}: {result} (handed in: {run.handed_in:.2%})", markup=False)
    held = sum(run.holds for run in runs)
    lost = f"no more than {training.HOLDS:.0%} lost on the test images"
    console.print(f"It holds for {held} of {len(runs)} seeds: {lost}.")
    raise typer.Exit(0 if held == len(runs) else 1)


@app.command()
def demo(
    course: Annotated[Path, typer.Option(help="Where the demo course is made.")] = Path("build/demo"),
) -> None:
    """The whole round with a small made-up class: release, hand in, grade, feedback, report."""
    with console.status("importing PyTorch and nbgrader …"):
        from autograder.demo import run

    run(course.resolve(), console)


def errors_in_words() -> tuple[type[Exception], ...]:
    """The errors whose message says what to do; imported when something did go wrong."""
    from autograder.authoring.editions import LabError
    from autograder.challenge.entries import LeaderboardError
    from autograder.course import CourseError
    from autograder.sandbox.bubblewrap import SandboxError
    from minicifar import MiniCIFARError

    return LabError, CourseError, SandboxError, LeaderboardError, MiniCIFARError, FileNotFoundError


def main() -> None:
    """Run a command; an error that says what to do is shown without its traceback."""
    try:
        app()
    except Exception as error:
        if not isinstance(error, errors_in_words()):
            raise
        console.print(Text(str(error), style="red"))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
