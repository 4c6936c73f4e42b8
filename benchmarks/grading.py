"""Submissions per second: this course's engine against stock `nbgrader autograde`, on the same answers to lab 3.

    python benchmarks/grading.py

Twice: the functions alone (import cell, exercises, check cells), and the whole notebook with its training cells, which
are shortened to `--epochs`. Stock nbgrader has its default configuration; its check cells hold the same tests as plain
code, hidden ones between its marks. The engine grades on all cores, every submission shut in, without feedback pages
in the timed runs (stock's `autograde` writes none). Both in turn, in one run; the last line is JSON.
"""

import contextlib
import json
import os
import random
import shutil
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import nbformat
import psutil
import typer
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from rich.console import Console
from rich.table import Table
from stock_checks import LAB, plain_check  # beside this file
from traitlets.config import Config

from autograder.answers import answers
from autograder.authoring.editions import exercises, shorten, source_edition, tags
from autograder.course import must, nbgrader, put_tools_on_path
from autograder.demo import QUIET, filled_in, images_available, run_until_trained
from autograder.grading import batch
from autograder.grading.batch import grade_lab
from autograder.grading.verdicts import checked_exercise
from course_utils.command_line import run_program

ROUNDS = 3
FILES = ["lab3_pruned.onnx", "lab3_pruned.safetensors"]  # what the training cells make
SAMPLE_SECONDS = 0.2
CHECK = "check-"

Mistakes = dict[str, str | None]  # as in autograder.demo
Points = dict[tuple[str, str], float]  # (student, exercise) → points

console = Console()
quiet = Console(quiet=True)


@dataclass
class Measured:
    """What was found for one kind of notebook: seconds per submission, one number a round unless said otherwise."""

    title: str
    submissions: int
    stock: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)  # a further submission in a running batch
    one_more: list[float] = field(default_factory=list)  # one new submission in a course that is graded
    each_stock: list[float] = field(default_factory=list)  # stock nbgrader, every submission by itself
    pages: float = 0.0  # with feedback pages, one run
    peak: float = 0.0  # megabytes, one run
    sentences: list[str] = field(default_factory=list)

    def ratios(self) -> list[float]:
        return [stock / engine for stock, engine in zip(self.stock, self.engine, strict=True)]

    def ratio(self) -> float:
        """All that stock nbgrader graded, against the engine's median round."""
        return statistics.mean(self.each_stock) / statistics.median(self.engine)


# --- the class


def made_up_class(count: int) -> dict[str, Mistakes]:
    """Students with their answers: most are right (not all in the same words), some wrong, few are missing."""
    chance = random.Random(3)
    bank = [answer for answer in answers(LAB) if f"{answer.exercise}(" not in answer.source().partition("\n")[2]]
    everybody: dict[str, Mistakes] = {"student-000": {}}  # without those that would call themselves in a notebook
    for number in range(1, count):
        given: Mistakes = {}
        for exercise in exercises(LAB):
            rest = chance.random()
            if not exercise.module or rest < 0.7:
                continue  # the reference answer
            fitting = [answer for answer in bank if answer.exercise == exercise.name]
            names = [answer.name for answer in fitting if bool(answer.says) == (rest > 0.82)]
            given[exercise.name] = None if rest > 0.96 else chance.choice(names)
        everybody[f"student-{number:03d}"] = given
    return everybody


def mistaken(given: Mistakes) -> set[str]:
    """The exercises that a student left open, or answered wrongly."""
    wrong = {(answer.exercise, answer.name) for answer in answers(LAB) if answer.says}
    return {exercise for exercise, name in given.items() if name is None or (exercise, name) in wrong}


def hand_in(course: Path, student: str, given: Mistakes, trained: Path | None) -> None:
    folder = course / "submitted" / student / LAB
    folder.mkdir(parents=True)
    released = nbformat.read(course / "release" / LAB / f"{LAB}.ipynb", as_version=4)
    nbformat.write(filled_in(released, LAB, given), folder / f"{LAB}.ipynb")
    for name in FILES if trained else []:
        shutil.copyfile(trained / name, folder / name)


# --- the two courses


def only_functions(notebook: NotebookNode) -> NotebookNode:
    """The import cell, the exercises and their check cells: no images, no training, no pictures."""
    asked = {exercise.name for exercise in exercises(LAB) if exercise.module}
    grade_ids = asked | {CHECK + name for name in asked}
    imports = next(cell for cell in notebook.cells if cell.cell_type == "code")
    others = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") in grade_ids]
    notebook.cells = [imports, *others]
    return notebook


def source(whole: bool, epochs: int, stock: bool) -> NotebookNode:
    """The source edition of the lab for one of the two graders."""
    notebook = shorten(source_edition(LAB), epochs)
    for cell in notebook.cells if stock else []:
        cell.source = cell.source.partition("### BEGIN MARK SCHEME")[0]  # a markdown cell must not have one in stock
        if name := checked_exercise(cell):
            cell.source = plain_check(name, artifact=name.endswith("_onnx"))
    return notebook if whole else only_functions(notebook)


def stock_nbgrader(course: Path) -> NbGraderAPI:
    """nbgrader as it comes, but for a time limit on cells that leaves training its time (and quiet kernels)."""
    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.CourseDirectory.course_id = "stock"
    config.Execute.timeout = 3600
    config.Execute.extra_arguments = QUIET
    return NbGraderAPI(config=config)


def make_course(course: Path, notebook: NotebookNode, stock: bool) -> Path:
    """A fresh course folder in which the lab has been released."""
    folder = course / "source" / LAB
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{LAB}.ipynb")
    api = stock_nbgrader(course) if stock else nbgrader(course)
    must(api.generate_assignment(LAB), f"releasing {LAB}", course)
    return course


def train_once(course: Path, folder: Path) -> Path:
    """Really run the (shortened) training cells of a student with right answers → where its files are."""
    folder.mkdir()
    released = nbformat.read(course / "release" / LAB / f"{LAB}.ipynb", as_version=4)
    run_until_trained(filled_in(released, LAB, {}), folder)
    return folder


# --- measuring


def stock_seconds(course: Path, students: list[str]) -> list[float]:
    """Stock nbgrader grades some students, one after another → seconds for each."""
    api, seconds = stock_nbgrader(course), []
    for student in students:
        start = time.perf_counter()
        must(api.autograde(LAB, student), f"stock nbgrader: {student}", course)
        seconds.append(time.perf_counter() - start)
    return seconds


def no_page(course: Path, lab: str, student: str) -> None:
    """In place of `autograder.grading.batch.write_feedback`, where both sides are to do the same work."""


def engine_seconds(course: Path, pages: bool) -> float:
    """The engine grades everybody who is not graded yet, from the start of its workers to the last record."""
    with contextlib.nullcontext() if pages else patch.object(batch, "write_feedback", no_page):
        start = time.perf_counter()
        failures = grade_lab(LAB, course, console=quiet)
        seconds = time.perf_counter() - start
    if failures:
        raise SystemExit("\n".join(failures))
    return seconds


def later_seconds(course: Path) -> float:
    """Seconds from one recorded submission to the next, once every worker has finished its first."""
    times = sorted(path.stat().st_mtime for path in (course / "judged" / LAB).glob("*.json"))
    first = min(os.cpu_count() or 1, len(times) - 1) - 1
    return (times[-1] - times[first]) / (len(times) - 1 - first) if len(times) > 1 else float("nan")


@contextlib.contextmanager
def peak_memory() -> Iterator[list[float]]:
    """The most memory (MB) that this process and all below it held together: a list that grows with every sample.

    What several share counts once (PSS). Looking costs processor time, so nothing is timed meanwhile.
    """
    samples, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            here, total = psutil.Process(), 0.0
            for process in [here, *here.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += process.memory_full_info().pss / 1e6
            samples.append(total)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield samples
    finally:
        over.set()
        watch.join()


def points_of(course: Path, course_id: str) -> Points:
    """Every check cell's points in a gradebook."""
    points = {}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", course_id) as book:
        for submission in book.assignment_submissions(LAB):
            for grade in (grade for notebook in submission.notebooks for grade in notebook.grades):
                if grade.cell.name.startswith(CHECK):
                    points[submission.student.id, grade.cell.name.removeprefix(CHECK)] = grade.auto_score
    return points


def compare(stock: Points, engine: Points, worth: dict[str, float], everybody: dict[str, Mistakes]) -> list[str]:
    """Whether the two agree on which exercises earn full points, where they should → sentences."""
    composite = {exercise.name for exercise in exercises(LAB) if exercise.composite}
    same, helped, networks, differ = 0, 0, [0, 0], []
    for (student, exercise), points in sorted(stock.items()):
        agrees = (points == worth[exercise]) == (engine[student, exercise] == worth[exercise])
        if exercise.endswith("_onnx"):
            networks[abs(points - engine[student, exercise]) > 0.005] += 1
        elif exercise in composite and not agrees and mistaken(everybody[student]) - {exercise}:
            helped += 1
        elif agrees:
            same += 1
        else:
            differ.append(f"{student}: {exercise} (stock {points:g}, engine {engine[student, exercise]:g})")
    sentences = [f"full points or not: the same in {same} of {same + len(differ)} exercises that both sides graded"]
    sentences += [f"different: {', '.join(differ)}"] if differ else []
    if helped:
        sentences.append(
            f"left out: {helped} built on a wrong helper, which the engine judges with the right helper too"
        )
    if sum(networks):
        sentences.append(
            f"networks handed in: the same points for {networks[0]} of {sum(networks)} "
            "(stock trains a network anew and measures that one)"
        )
    return sentences


def ran_through(course: Path, students: list[str]) -> str:
    """For how many students stock nbgrader's training cell ended without an error."""
    good = 0
    for student in students:
        notebook = nbformat.read(course / "autograded" / student / LAB / f"{LAB}.ipynb", as_version=4)
        outputs = [output for cell in notebook.cells if "train" in tags(cell) for output in cell.outputs]
        good += not any(output.output_type == "error" for output in outputs)
    return f"stock: the training cell ran to its end for {good} of {len(students)} students; for others it stops early"


def measure(whole: bool, everybody: dict[str, Mistakes], by_stock: list[str], epochs: int, folder: Path) -> Measured:
    """Both graders in turn on one kind of notebook; `by_stock`: the students whom stock nbgrader grades."""
    rounds = min(ROUNDS, len(by_stock))
    title = "whole lab" if whole else "functions alone"
    measured = Measured(title, len(everybody))
    console.print(f"[bold]{title}[/]: {len(everybody)} submissions, stock nbgrader on {len(by_stock)} of them")

    place = folder / ("whole_lab" if whole else "functions")
    stock = make_course(place / "stock", source(whole, epochs, stock=True), stock=True)
    ours = make_course(place / "engine", source(whole, epochs, stock=False), stock=False)
    trained = train_once(ours, place / "trained") if whole else None
    trial = shutil.copytree(ours, place / "warm_up")
    hand_in(trial, "warm-up", {}, trained)
    engine_seconds(trial, pages=False)  # what is kept between runs (decoded images, the measured baseline) is there now
    for student, given in everybody.items():
        hand_in(ours, student, given, trained)
    for student in by_stock:
        hand_in(stock, student, everybody[student], trained)

    for number in range(rounds):
        seconds = stock_seconds(stock, by_stock[number::rounds])
        measured.each_stock += seconds
        measured.stock.append(statistics.mean(seconds))
        course = shutil.copytree(ours, place / f"engine_{number + 1}")
        measured.engine.append(engine_seconds(course, pages=False) / len(everybody))
        measured.later.append(later_seconds(course))
        say(f"  round {number + 1}: stock {measured.stock[-1]:.2f} s a submission, engine {measured.engine[-1]:.2f} s")

    worth = {
        exercise: cell.metadata.nbgrader.points
        for cell in source(whole, epochs, stock=False).cells
        if (exercise := checked_exercise(cell))
    }
    measured.sentences = compare(points_of(stock, "stock"), points_of(course, "pruning-labs"), worth, everybody)
    measured.sentences += [ran_through(stock, by_stock)] if whole else []
    course = shutil.copytree(ours, place / "engine_pages")
    measured.pages = engine_seconds(course, pages=True) / len(everybody)
    for number in range(rounds):
        hand_in(course, f"one-more-{number + 1}", {}, trained)
        measured.one_more.append(engine_seconds(course, pages=True))
    course = shutil.copytree(ours, place / "engine_memory")
    with peak_memory() as samples:
        engine_seconds(course, pages=False)
    measured.peak = max(samples)
    return measured


# --- the printout


def spread(values: list[float], middle: float | None = None) -> str:
    return f"{statistics.median(values) if middle is None else middle:.3g} ({min(values):.3g} to {max(values):.3g})"


def print_all(results: list[Measured], epochs: int) -> None:
    table = Table(title="stock `nbgrader autograde` and this course's engine, on the same answers, in turn")
    for column in ("lab 3", "grader", "graded", "s each", "per s", "ratio"):
        table.add_column(column)
    for result in results:
        stock, engine = statistics.mean(result.each_stock), statistics.median(result.engine)
        many, ratio = str(len(result.each_stock)), spread(result.ratios(), result.ratio())
        table.add_row(result.title, "stock", many, spread(result.stock, stock), f"{1 / stock:.3g}", "")
        table.add_row("", "engine", str(result.submissions), spread(result.engine), f"{1 / engine:.3g}", ratio)
    console.print(table)
    rounds = ", ".join(f"{len(result.stock)} of {result.title}" for result in results)
    say(
        f"Rounds: {rounds}; in brackets the lowest and the highest. Stock: the mean of all that it graded, one "
        f"after another. Engine: the median; it grades on {os.cpu_count()} cores, every submission shut in by "
        "bubblewrap, and its time includes the start of workers, sandboxes and judges, and the records in the "
        "gradebook. Throughput is submissions by seconds, each side on its own number of submissions: stock grades "
        f"only the first {len(results[-1].each_stock)} whole labs of the class."
    )
    say(
        f"Whole lab: training cells are shortened to epochs={epochs} (students train for 12), on both sides. "
        "The files that they make were made once, by one student with right answers, and copied to everybody. Stock "
        "runs the training and slow cells again; the engine measures the file handed in."
    )
    for result in results:
        console.print(f"[bold]{result.title}[/]")
        lowest, highest = min(result.each_stock), max(result.each_stock)
        for sentence in [
            *result.sentences,
            f"stock: single submissions took {lowest:.1f} to {highest:.1f} s",
            f"engine with feedback pages: {result.pages:.2f} s a submission",
            f"engine, a further submission in a running batch: {spread(result.later)} s",
            (
                f"engine, one new submission in a graded course (everything "
                f"starts, with its page): {spread(result.one_more)} s"
            ),
            f"engine, peak memory: {result.peak:,.0f} MB (PSS of its processes together, in a run of its own)",
        ]:
            say(f"- {sentence}")


def say(text: str) -> None:
    console.print(text, highlight=False)


def main(
    submissions: Annotated[int, typer.Option(help="How many students hand in.")] = 40,
    stock_lab: Annotated[int, typer.Option(help="How many whole labs stock nbgrader grades.")] = 3,
    epochs: Annotated[int, typer.Option(help="Of the training cells.")] = 1,
    keep: Annotated[Path | None, typer.Option(help="A new folder for the course folders, which are kept.")] = None,
) -> None:
    warnings.filterwarnings("ignore", module="nbgrader")
    put_tools_on_path()
    say(images_available())
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grading-")))
        folder.mkdir(parents=True, exist_ok=True)
        everybody, place = made_up_class(submissions), folder.resolve()
        functions = measure(False, everybody, list(everybody), epochs, place)
        lab = measure(True, everybody, list(everybody)[:stock_lab], epochs, place)
    print_all([functions, lab], epochs)
    figures = {
        "throughput_ratio_functions": round(functions.ratio(), 2),
        "throughput_ratio_lab": round(lab.ratio(), 2),
        "seconds_per_submission": round(statistics.median(lab.engine), 3),
        "peak_mb": round(max(functions.peak, lab.peak)),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    run_program(main)
