"""From a lab's text source to the edition that nbgrader releases.

An author tags cells of `labs/<lab>.py` (jupytext's py:percent):

- `exercise`: imports one function of `solutions/`. It becomes the function's own source, with the body between
  BEGIN SOLUTION and END SOLUTION, and a locked check cell whose points are those of the exercise's tests.
  `composite` beside it: a function built on earlier exercises (see grading).
- `given`: imports functions of `solutions/` that call exercises of this lab. It becomes their own source, so that they
  call what the student has written.
- `artifact`: `check("<name>_onnx")` for a file that is handed in; becomes a locked check cell.
- `train`: makes files to hand in; not run again when grading.
- `slow`: draws a picture, or measures something that takes long, needed by no other cell than slow ones; not run again
  either.
- `question`, with `points` and `name`: an open question with a mark scheme, graded by hand.

A notebook without exercises, artifacts and questions (`challenge`) is released like the others, and not graded.
"""

import ast
import builtins
import copy
import functools
import importlib
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import jupytext
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.course import ROOT
from autograder.text import by_number
from course_utils.checking import graded_exercise

COMPANIONS = {"challenge": ("presentation",)}  # notebooks that are released together with a lab's own

LABS = ROOT / "labs"
CHECKS = ROOT / "autograder" / "checks"


class LabError(Exception):
    """A lab's source breaks a rule; the message says which cell, and what to do."""


@dataclass(frozen=True)
class Exercise:
    """One graded exercise of a lab: a function of `solutions/`, or (without a module) a file handed in."""

    name: str
    module: str | None
    composite: bool = False


def lab_names() -> list[str]:
    """All labs, in their order."""
    return [name for kind in ("lab*.py", "ch*.py") for name in by_number(path.stem for path in LABS.glob(kind))]


def graded_labs() -> list[str]:
    """The labs that have exercises."""
    return [lab for lab in lab_names() if exercises(lab)]


def read_lab(lab: str) -> NotebookNode:
    """The notebook of a lab's text source; LabError if there is no such lab."""
    path = LABS / f"{lab}.py"
    if not path.exists():
        raise LabError(f"There is no lab {lab!r}. Labs: {', '.join(lab_names())}")
    return copy.deepcopy(_parsed(path, path.stat().st_mtime_ns))


@functools.cache
def _parsed(path: Path, _changed: int) -> NotebookNode:
    """A text source as it stands since `_changed`, parsed once; nobody may change what this returns."""
    return jupytext.read(path)


def tags(cell: NotebookNode) -> list[str]:
    """A cell's tags."""
    return cell.metadata.get("tags", [])


def exercise_of(cell: NotebookNode) -> Exercise | None:
    """The exercise that a cell asks for, or None."""
    if "artifact" in tags(cell):
        match = re.fullmatch(r'check\("(\w+_onnx)"\)', cell.source.strip())
        if not match:
            raise LabError(f'an artifact cell reads check("<name>_onnx"), not: {cell.source}')
        return Exercise(match[1], None)
    if "exercise" not in tags(cell):
        return None
    match = re.fullmatch(r"from (solutions\.\w+) import (\w+)", cell.source.strip())
    if not match:
        raise LabError(f"an exercise cell imports one function from solutions, not: {cell.source}")
    return Exercise(match[2], match[1], "composite" in tags(cell))


def exercises(lab: str) -> list[Exercise]:
    """The exercises of a lab, in their order."""
    return [exercise for cell in read_lab(lab).cells if (exercise := exercise_of(cell))]


def reference(exercise: Exercise) -> object:
    """The reference implementation of an exercise."""
    assert exercise.module
    return getattr(importlib.import_module(exercise.module), exercise.name)


def references(lab: str) -> dict[str, object]:
    """The reference answers of a lab by name."""
    return {exercise.name: reference(exercise) for exercise in exercises(lab) if exercise.module}


def check_files(lab: str, hidden: bool = True) -> list[Path]:
    """The test files of a lab, the visible one first."""
    files = [CHECKS / f"test_{lab}.py"] + ([CHECKS / f"hidden_{lab}.py"] if hidden else [])
    return [file for file in files if file.exists()]


def load_tests(file: Path) -> ModuleType:
    """The module of a test file."""
    return importlib.import_module(f"autograder.checks.{file.stem}")


def points(lab: str, files: Sequence[Path] | None = None) -> dict[str, float]:
    """The points of every exercise of a lab: the sum over its tests, parametrised ones counted case by case.

    `files`: those tests only, visible or hidden ones say.
    """
    total = {exercise.name: 0.0 for exercise in exercises(lab)}
    for file in check_files(lab) if files is None else files:
        for test in vars(load_tests(file)).values():
            if not (inspect.isfunction(test) and test.__name__.startswith("test_")):
                continue
            name = graded_exercise(test)
            if name not in total:
                raise LabError(f"{file.name}: {test.__name__} grades {name!r}, which is no exercise of {lab}")
            marks = list(getattr(test, "pytestmark", []))
            cases = 1
            for mark in marks:
                if mark.name == "parametrize":
                    cases *= len(mark.args[1])
            total[name] += cases * sum(mark.args[0] for mark in marks if mark.name == "points")
    missing = [name for name, worth in total.items() if not worth]
    if missing and files is None:
        raise LabError(f"{lab}: no test with points for {', '.join(missing)}")
    return total


def exercise_source(function: object) -> str:
    """A function's own source, with everything after the docstring marked as the solution."""
    source = inspect.getsource(function)  # type: ignore[arg-type]
    body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
    lines = source.rstrip().splitlines()
    first = body[0].end_lineno
    if len(body) < 2 or not isinstance(body[0], ast.Expr):
        raise LabError(f"{function} needs a docstring and a body")
    return "\n".join(
        [
            *lines[:first],
            "    ### BEGIN SOLUTION",
            *[line for line in lines[first:] if line.strip()],
            "    ### END SOLUTION",
        ]
    )


def given_names(cell: NotebookNode) -> list[tuple[str, str]]:
    """The functions that a `given` cell imports: (module, name)."""
    match = re.fullmatch(r"from (solutions\.\w+) import ([\w, ]+)", cell.source.strip())
    if not match:
        raise LabError(f"a given cell imports functions from one module of solutions, not: {cell.source}")
    return [(match[1], name.strip()) for name in match[2].split(",")]


def missing_names(function_source: str, available: set[str]) -> set[str]:
    """The names that a function needs and that neither Python nor `available` brings in."""
    import symtable

    def free(table: symtable.SymbolTable) -> set[str]:
        names = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        if table.get_type() == "module":
            names |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and not s.is_assigned()}
        return names.union(*(free(child) for child in table.get_children()))

    own = {node.name for node in ast.parse(function_source).body if isinstance(node, ast.FunctionDef)}
    return free(symtable.symtable(function_source, "exercise", "exec")) - available - own - set(dir(builtins))


def names_brought_in(code: str) -> set[str]:
    """The names that a cell's top-level statements define or import."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def graded(grade_id: str, **values: object) -> dict[str, object]:
    """nbgrader's cell metadata (schema 3)."""
    base = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
    return {**base, "grade_id": grade_id, **values}


def locked_check(exercise: Exercise, worth: float) -> NotebookNode:
    """The locked cell that checks an exercise, with its points."""
    cell = new_code_cell(f'check("{exercise.name}")', id=f"check-{exercise.name}")
    cell.metadata["nbgrader"] = graded(
        f"check-{exercise.name}", grade=True, locked=True, points=worth, cell_type="code"
    )
    return cell


def question_cells(cell: NotebookNode) -> list[NotebookNode]:
    """A locked question (with its mark scheme) and a cell for the answer, graded by hand."""
    name, worth = cell.metadata["name"], cell.metadata["points"]
    question = new_markdown_cell(cell.source, id=name.replace("_", "-"))
    question.metadata["nbgrader"] = graded(name, locked=True, cell_type="markdown")
    answer = new_markdown_cell("YOUR ANSWER HERE", id=f"answer-{name}".replace("_", "-"))
    answer.metadata["nbgrader"] = graded(
        f"answer-{name}", grade=True, solution=True, points=worth, cell_type="markdown"
    )
    return [question, answer]


def source_edition(lab: str) -> NotebookNode:
    """The notebook that nbgrader releases from: reference bodies in, stubs still to be made → NotebookNode.

    Building it twice gives the same bytes: cell ids come from exercise names and positions.
    Raises LabError where the source breaks a rule of this module.
    """
    notebook, worth = read_lab(lab), points(lab)
    own = {exercise.module for exercise in exercises(lab)}
    available: set[str] = set()
    cells: list[NotebookNode] = []
    for number, cell in enumerate(notebook.cells):
        exercise = exercise_of(cell)
        if exercise and exercise.module:
            source = exercise_source(reference(exercise))
            if missing := missing_names(source, available):
                raise LabError(f"{lab}: {exercise.name} needs {sorted(missing)}, which no cell above brings in")
            answer = new_code_cell(source, id=exercise.name)
            answer.metadata["nbgrader"] = graded(exercise.name, solution=True, cell_type="code")
            answer.metadata["tags"] = [*tags(cell)]
            cells += [answer, locked_check(exercise, worth[exercise.name])]
            available.add(exercise.name)
        elif exercise:
            cells.append(locked_check(exercise, worth[exercise.name]))
        elif "given" in tags(cell):
            functions = [reference(Exercise(name, module)) for module, name in given_names(cell)]
            source = "\n\n\n".join(inspect.getsource(function).rstrip() for function in functions)  # type: ignore[arg-type]
            if missing := missing_names(source, available):
                raise LabError(f"{lab}: what is given needs {sorted(missing)}, which no cell above brings in")
            available |= names_brought_in(source)
            cells.append(new_code_cell(source, id=f"{lab.split('_')[0]}-{number:03d}"))
        elif "question" in tags(cell):
            cells += question_cells(cell)
        else:
            cell.id = f"{lab.split('_')[0]}-{number:03d}"
            if cell.cell_type == "code":
                if any(module and re.search(rf"\b{re.escape(module)}\b", cell.source) for module in own):
                    raise LabError(f"{lab}: this cell imports what the lab asks for: {cell.source[:60]}")
                available |= names_brought_in(cell.source)
            cells.append(cell)
    notebook.cells = cells
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def shorten(notebook: NotebookNode, epochs: int = 1) -> NotebookNode:
    """Make training short (for tests and demonstrations): `epochs=` becomes this number in training and slow cells."""
    for cell in notebook.cells:
        if {"train", "slow"}.intersection(tags(cell)):
            cell.source, count = re.subn(r"\bepochs\s*=\s*\d+", f"epochs={epochs}", cell.source)
            if not count and "train" in tags(cell):
                raise LabError(f"a training cell needs an `epochs=…` that tests can shorten: {cell.source[:60]}")
    return notebook
