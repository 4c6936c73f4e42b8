"""A small made-up class that hands in its labs: the whole round on one machine in a few minutes."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from autograder.answers import answers
from autograder.authoring.editions import exercise_source, exercises, reference, shorten, tags
from autograder.authoring.release import release
from autograder.grading.batch import Options, grade_lab
from autograder.reports.gradebook import as_table, feedback_pages, results
from autograder.sandbox import bubblewrap
from course_utils.notebook_client import notebook_client

QUIET = ["--IPKernelApp.log_level=40"]  # a kernel on this machine need not warn that it is not encrypted

# student → lab → exercise → the wrong answer (by its name in the bank) that this student gives;
# None: the stub is left as it is. Every other exercise gets the reference answer.
LABS = ("lab1_costs", "lab3_l1_filters")
CLASS: Mapping[str, Mapping[str, Mapping[str, str | None]]] = {
    "all-right": {"lab3_l1_filters": {}, "lab1_costs": {}},
    "one-epoch": {"lab3_l1_filters": {}},
    "unfinished": {"lab3_l1_filters": {"narrow_linear": None, "prune_vgg": None, "greedy_l1_norms": None}},
    "sign-counts": {
        "lab3_l1_filters": {"filter_l1_norms": "the_sign_counts", "greedy_l1_norms": "the_sign_counts_again"}
    },
    "keeps-the-lowest": {"lab3_l1_filters": {"filters_to_keep": "keeps_the_lowest"}},
    "fresh-statistics": {"lab3_l1_filters": {"narrow_batchnorm": "forgets_the_running_statistics"}},
}


def images_available() -> str:
    """A sentence on the images that the demo runs on; without any it switches to synthetic ones, and says so."""
    from minicifar import ImagesNotFound, MiniCIFAR

    try:
        return str(MiniCIFAR("test").source.description)
    except ImagesNotFound as error:
        os.environ["MINICIFAR_SYNTHETIC"] = "1"
        first = str(error).splitlines()[0]
        return (
            f"{first}\nSo this demo runs on SYNTHETIC images, not on CIFAR-10. {MiniCIFAR('test').source.description}"
        )


def isolation() -> bubblewrap.Isolation:
    """A sandbox if there is one; this class is made up and can be trusted."""
    try:
        bubblewrap.find_bubblewrap()
    except bubblewrap.SandboxError:
        return "process"
    return "bubblewrap"


def filled_in(released: NotebookNode, lab: str, mistakes: Mapping[str, str | None]) -> NotebookNode:
    """A released notebook with answers typed into its stubs; who makes no mistakes also answers the questions."""
    bank = {(answer.exercise, answer.name): answer for answer in answers(lab)}
    functions = {exercise.name: exercise for exercise in exercises(lab) if exercise.module}
    for cell in released.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name.startswith("answer-") and not mistakes:
            cell.source = "An answer in the student's own words, which waits for a person to read it."
        if name not in functions or (name in mistakes and mistakes[name] is None):
            continue
        mistake = mistakes.get(name)
        if mistake:
            cell.source = bank[name, mistake].source()
        else:
            text = exercise_source(reference(functions[name]))
            cell.source = "\n".join(line for line in text.splitlines() if "### " not in line)
    return released


def hand_in(student: str, lab: str, mistakes: Mapping[str, str | None], course: Path, bar: Progress) -> str:
    """Make a student's submission: the filled-in notebook, and the files that its training cells make.

    Only "all-right" trains to the end, everybody else stops after one epoch. A line of `bar` shows how far the student
    is. Returns what was done.
    """
    short = student != "all-right"
    folder = course / "submitted" / student / lab
    folder.mkdir(parents=True)
    notebook = filled_in(nbformat.read(course / "release" / lab / f"{lab}.ipynb", as_version=4), lab, mistakes)
    nbformat.write(notebook, folder / f"{lab}.ipynb")
    task = bar.add_task(f"{student}: {lab}", total=None)

    def show(done: int, total: int, cell: NotebookNode) -> None:
        doing = "trains" if "train" in tags(cell) else f"cell {done + 1} of {total}"
        bar.update(task, description=f"{student}: {lab}, {doing}", completed=done, total=total)

    run_until_trained(shorten(notebook) if short else notebook, folder, show)
    bar.remove_task(task)
    return f"{student} has handed in {lab}" + (" (trained for one epoch only)" if short else "")


def run_until_trained(
    notebook: NotebookNode, folder: Path, show: Callable[[int, int, NotebookNode], None] | None = None
) -> None:
    """Run a notebook's code in a folder up to its last training or exporting cell, as its student did.

    `show(done, total, cell)` is called before each cell.
    """
    last = max((n for n, cell in enumerate(notebook.cells) if makes_files(cell)), default=-1)
    needed = [cell for cell in notebook.cells[: last + 1] if cell.cell_type == "code" and not decorative(cell)]
    trial = new_notebook(cells=needed, metadata=notebook.metadata)
    client = notebook_client(trial, folder, None, allow_errors=True, extra_arguments=QUIET)
    if show is not None:
        client.on_cell_start = lambda cell, cell_index: show(cell_index, len(needed), cell)
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1"})


def decorative(cell: NotebookNode) -> bool:
    """Checks, pictures and slow measurements, which leave nothing behind that is handed in."""
    shows = ("check(", "plots.", "explorer(")
    return not makes_files(cell) and ("slow" in tags(cell) or any(word in cell.source for word in shows))


def makes_files(cell: NotebookNode) -> bool:
    """Cells that write what is handed in beside the notebook."""
    return cell.cell_type == "code" and ("train" in tags(cell) or "export_onnx(" in cell.source)


def moving(console: Console) -> Progress:
    """Lines that move while something is done: what, how far, and for how long already."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<44}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Show that something is done while it goes on, and leave a line with the seconds that it took."""
    if not console.is_terminal:  # nothing moves in a log
        console.print(f"{what} …", highlight=False)
    start = time.monotonic()
    with moving(console) as bar:
        bar.add_task(what, total=None)
        yield
    console.print(f"{what}: {time.monotonic() - start:.0f} s", highlight=False)


def run(course: Path, console: Console) -> None:
    """Release, hand in, grade, write feedback, print the table, and say where everything lies."""
    start = time.monotonic()
    shutil.rmtree(course, ignore_errors=True)
    console.print("reading the images …")
    console.print(images_available())
    for lab in LABS:
        with step(console, f"releasing {lab}"):
            release(lab, course)
    the_class_works(course, console)
    options = Options(isolation=isolation())
    if options.isolation == "process":
        console.print("bubblewrap is not installed: this made-up class is graded without a sandbox.", style="red")
    failures = []
    for lab in LABS:
        with step(console, f"grading {lab}, once its sandbox has started"):
            failures += grade_lab(lab, course, options, console)
    with step(console, "reading the gradebook"):
        table = as_table(results(course))
    console.print(table)
    for failure in failures:
        console.print(Text(failure, style="red"))
    console.print(f"gradebook:       {course / 'gradebook.db'}")
    console.print(f"feedback pages:  {course / 'feedback'} ({len(feedback_pages(course))} pages)")
    console.print(f"student release: {course / 'release'} (one folder and one zip a lab)")
    console.print(f"all of it took {time.monotonic() - start:.0f} s", highlight=False)
    if failures:
        raise SystemExit(1)


def the_class_works(course: Path, console: Console) -> None:
    """Everybody fills in the notebooks and trains, as many at once as there are cores; who trains longest begins."""
    work = [(student, lab, mistakes) for student, labs in CLASS.items() for lab, mistakes in labs.items()]
    console.print(f"a class of {len(CLASS)} works on {len(work)} notebooks", highlight=False)
    with ThreadPoolExecutor(os.cpu_count()) as pool, moving(console) as bar:
        for done in as_completed([pool.submit(hand_in, *submission, course, bar) for submission in work]):
            console.print(done.result(), highlight=False)
