"""The bank of attacks against nbgrader as it comes, and against this project's grading: who earns unearned points?

    python benchmarks/attacks_on_stock.py [NAME ...]

Stock nbgrader gets the same lab with the same tests, written as plain code into the locked check cells (all or
nothing for each function); for every attack it runs inside a bubblewrap of its own without network, where nothing but
a throw-away copy of the course can be written to. Attacks that would harm the machine are left out. The right
answers and the untouched stubs are graded too, so that the table shows that the tests are fair. The last line is JSON.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps.api import NbGraderAPI
from rich.console import Console
from rich.table import Table
from traitlets.config import Config

from autograder.authoring.editions import source_edition
from autograder.authoring.frozen import freeze
from autograder.authoring.support import support_files
from autograder.course import ROOT, must, put_tools_on_path
from autograder.demo import filled_in
from autograder.grading.engine import Grader
from autograder.grading.notebooks import restored
from autograder.grading.submissions import read_submission, take_in
from autograder.grading.verdicts import verdict_of
from autograder.sandbox import bubblewrap
from autograder.sandbox.limits import Limits

sys.path.insert(0, str(ROOT / "tests"))

from attacks.bank import BREACH, LAB, Attack, all_attacks
from stock_checks import plain_check  # beside this file

LIMITS = Limits(call_seconds=5, exercise_seconds=30, cell_seconds=10, notebook_seconds=120, memory_megabytes=2_000)
NEXT = "zz-next"  # hands in the stubs after the attack: what was planted must not help
WAIT = 25  # seconds, for what attacks have left behind to act

# Run inside bubblewrap by a plain interpreter: nbgrader as it comes, for one course folder.
INSIDE = f"""
import os, sys, time
from pathlib import Path
from nbgrader.apps.api import NbGraderAPI
from traitlets.config import Config
folder, wait = Path(sys.argv[1]), float(sys.argv[2])
os.environ["HOME"] = str(folder / "home")
(folder / "home").mkdir(exist_ok=True)
config = Config()
config.CourseDirectory.root = str(folder)
config.CourseDirectory.db_url = f"sqlite:///{{folder / 'gradebook.db'}}"
config.CourseDirectory.max_dir_size = 1_000_000
for student in sorted(path.name for path in (folder / "submitted").iterdir()):
    done = NbGraderAPI(config=config).autograde({LAB!r}, student, force=True)
    print(folder.name, student, "graded" if done["success"] else "not graded", flush=True)
time.sleep(wait)
"""


def is_light(cell: NotebookNode) -> bool:
    """Exercises, checks and the imports: pictures, trainings and open questions do not matter here."""
    return cell.cell_type == "code" and ("nbgrader" in cell.metadata or cell.source.startswith("import "))


def stock_course(course: Path) -> str:
    """A course of plain nbgrader with the lab, released → the released notebook as JSON."""
    notebook = source_edition(LAB)
    notebook.cells = [cell for cell in notebook.cells if is_light(cell)]
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name.startswith("check-"):
            cell.source = plain_check(name.removeprefix("check-"), artifact=name.endswith("_onnx"))
    folder = course / "source" / LAB
    for name, path in support_files(LAB).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    nbformat.write(notebook, folder / f"{LAB}.ipynb")
    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.CourseDirectory.max_dir_size = 1_000_000
    must(NbGraderAPI(config=config).generate_assignment(LAB, force=True), "generate_assignment", course)
    return (course / "release" / LAB / f"{LAB}.ipynb").read_text(encoding="utf-8")


def engine_notebook() -> str:
    """The lab as this project releases it, as light as the stock one."""
    from autograder.authoring.release import release

    with tempfile.TemporaryDirectory() as folder:
        release(LAB, Path(folder))
        notebook = nbformat.read(Path(folder) / "release" / LAB / f"{LAB}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if is_light(cell)]
    return nbformat.writes(notebook)


def right_answers(folder: Path, _course: Path) -> None:
    path = folder / f"{LAB}.ipynb"
    nbformat.write(filled_in(nbformat.read(path, as_version=4), LAB, {}), path)


def by_stock(attacks: list[Attack], place: Path) -> dict[str, tuple[float, bool]]:
    """Points that plain nbgrader gives to each attack or to the next student; and whether something was breached."""
    (place / "template").mkdir()
    released = stock_course(place / "template")
    binds = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", str(ROOT)]
    for folder in bubblewrap.interpreter_folders():
        if folder.is_relative_to(ROOT) or folder.is_relative_to("/tmp"):
            binds += ["--ro-bind", str(folder), str(folder)]
    command = [bubblewrap.find_bubblewrap(), "--unshare-all", "--die-with-parent", "--new-session", *binds]
    for attack in attacks:
        course = place / attack.name
        shutil.copytree(place / "template", course)
        attack.hand_in(released, course)
        if attack.family == "touching":
            Attack(NEXT, "", "").hand_in(released, course)
        own = ["--bind", str(course), str(course), "--chdir", str(course)]
        wait = WAIT if attack.name.endswith("later") else 0
        subprocess.run([*command, *own, "--", sys.executable, "-c", INSIDE, str(course), str(wait)], stdout=sys.stderr)
    return {attack.name: stock_result(place / attack.name, attack) for attack in attacks}


def stock_result(course: Path, attack: Attack) -> tuple[float, bool]:
    points = 0.0
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for student in {attack.student or attack.name, NEXT}:
            try:
                points = max(points, book.find_submission(LAB, student).score)
            except MissingEntry:
                continue
    shown = ""
    for path in (course / "autograded").rglob("*.ipynb"):
        try:
            cells = nbformat.read(path, as_version=4).cells
            shown += shown_by(cells)
        except nbformat.reader.NotJSONError:  # an attack has written into it
            shown += BREACH
    return points, BREACH in shown


def shown_by(cells: list[NotebookNode]) -> str:
    """What cells have printed and found, without the lines of code that stand in tracebacks."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return json.dumps([[output.get("text"), output.get("evalue"), output.get("data")] for output in outputs])


def by_engine(attacks: list[Attack], place: Path) -> dict[str, tuple[float, bool]]:
    """The same through this project's grading."""
    text, results = engine_notebook(), {}
    with Grader(LIMITS) as grader:
        for attack in attacks:
            folder = place / "engine" / "submitted" / attack.hand_in(text, place / "engine") / LAB
            take_in(folder, LAB)
            submission = read_submission(folder)
            notebook = restored(nbformat.reads(text, as_version=4), submission.files.get(f"{LAB}.ipynb"))
            notebook = grader.grade(freeze(LAB), notebook, submission)
            verdicts = [verdict for cell in notebook.cells if (verdict := verdict_of(cell))]
            results[attack.name] = sum(verdict.earned for verdict in verdicts), BREACH in shown_by(notebook.cells)
    return results


def main() -> None:
    put_tools_on_path()
    names = sys.argv[1:]
    attacks = [attack for attack in all_attacks() if attack.stock and (not names or attack.name in names)]
    controls = [Attack("right answers", "(control)", "", prepare=right_answers), Attack("stubs", "(control)", "")]
    with tempfile.TemporaryDirectory() as folder:
        stock = by_stock([*attacks, *controls], Path(folder))
        engine = by_engine([*attacks, *controls], Path(folder))
    table = Table(title="Points from attacks (breach: something was read, changed or left that must not be)")
    for column in ("family", "attack", "stock nbgrader", "this project"):
        table.add_column(column, justify="left" if column in ("family", "attack") else "right")
    for attack in [*attacks, *controls]:
        cells = [
            f"{'breach  ' if breached else ''}{points:g}"
            for points, breached in (stock[attack.name], engine[attack.name])
        ]
        table.add_row(attack.family, attack.name, *cells)
    Console(width=100).print(table)
    earned = [sum(results[attack.name][0] > 0 for attack in attacks) for results in (stock, engine)]
    breached = [sum(results[attack.name][1] for attack in attacks) for results in (stock, engine)]
    figures = {"attacks": len(attacks), "stock_earned": earned[0], "engine_earned": earned[1]}
    print(json.dumps({**figures, "stock_breached": breached[0], "engine_breached": breached[1]}))


if __name__ == "__main__":
    main()
