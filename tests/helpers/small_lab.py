"""A small lab as it is released and handed in, and what a notebook in its form looks like: for tests of grading."""

import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.authoring.editions import graded
from autograder.grading.notebooks import NOTES, grade_id, restored

STUB = "def {}(x):\n    raise NotImplementedError()"
RIGHT = "def {}(x):\n    return {} * x"


def released() -> NotebookNode:
    """A small lab as students get it: two exercises, a training cell, a slow cell, a question, a file to hand in."""
    cells = [new_markdown_cell("# The lab", id="intro"), new_code_cell("import math", id="imports")]
    for name in ("double", "triple"):
        cells += [new_code_cell(STUB.format(name), id=name), new_code_cell(f'check("{name}")', id=f"check-{name}")]
        cells[-2].metadata = {"nbgrader": graded(name, solution=True, cell_type="code"), "tags": ["exercise"]}
        cells[-1].metadata = {
            "nbgrader": graded(f"check-{name}", grade=True, locked=True, points=3.0, cell_type="code")
        }
    cells.append(new_code_cell('network = train(network, epochs=12, lr=0.05)\nexport(network, "net.onnx")', id="train"))
    cells.append(new_code_cell("times = [measure(network, size) for size in (1, 2, 4)]\nplot(times)", id="slow"))
    cells[-2].metadata["tags"], cells[-1].metadata["tags"] = ["train"], ["slow"]
    cells.append(new_code_cell('check("net_onnx")', id="check-net-onnx"))
    cells[-1].metadata["nbgrader"] = graded("check-net_onnx", grade=True, locked=True, points=5.0, cell_type="code")
    cells += [new_markdown_cell("**Why?**", id="why"), new_markdown_cell("YOUR ANSWER HERE", id="answer-why")]
    cells[-2].metadata["nbgrader"] = graded("why", locked=True, cell_type="markdown")
    cells[-1].metadata["nbgrader"] = graded("answer-why", grade=True, solution=True, points=2.0, cell_type="markdown")
    notebook = new_notebook(cells=cells, metadata={"kernelspec": {"display_name": "Python 3", "name": "python3"}})
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def right() -> NotebookNode:
    """The lab as a student hands it in."""
    notebook = released()
    cell_of(notebook, "double").source = RIGHT.format("double", 2)
    cell_of(notebook, "triple").source = RIGHT.format("triple", 3)
    cell_of(notebook, "answer-why").source = "Because."
    return notebook


def without_metadata() -> NotebookNode:
    """The lab from an editor that gives all cells new ids and forgets their metadata."""
    notebook = right()
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"x{number}", NotebookNode()
    return notebook


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if name in (cell.id, grade_id(cell)))


def remarks(notebook: NotebookNode) -> str:
    return " ".join(notebook.metadata[NOTES]["remarks"])


def in_form(handed_in: Any) -> NotebookNode:
    """What `restored` makes of a notebook, JSON or bytes, which is in the lab's form whatever was handed in."""
    if isinstance(handed_in, NotebookNode):
        handed_in = nbformat.writes(handed_in).encode()
    elif not isinstance(handed_in, bytes | None):
        handed_in = json.dumps(handed_in).encode()
    lab = released()
    notebook = restored(lab, handed_in)
    nbformat.validate(notebook)
    assert json.dumps(notebook).encode(), "it can be stored"
    nbformat.writes(notebook).encode()
    originals = {grade_id(cell): cell for cell in lab.cells if grade_id(cell)}
    graded_cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert sorted(map(grade_id, graded_cells)) == sorted(originals)
    for cell in graded_cells:
        original = originals[grade_id(cell)]
        assert cell.metadata.nbgrader == original.metadata.nbgrader and cell.cell_type == original.cell_type
        assert cell.source == original.source or not original.metadata.nbgrader["locked"]
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert all(set(cell.metadata) <= {"nbgrader", "tags"} for cell in notebook.cells)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert {grade_id(cell) for cell in notebook.cells if cell.get("attachments")} <= {"answer-why"}
    assert all(isinstance(line, str) for line in notebook.metadata[NOTES]["remarks"])
    return notebook


def solved(notebook: NotebookNode) -> bool:
    return cell_of(notebook, "double").source == RIGHT.format("double", 2)


def as_bytes(notebook: NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()


def written(folder: Path, **files: bytes | str) -> Path:
    """A submission's folder with files; `__` in their names stands for a dot, `_in_` for a slash."""
    for name, data in files.items():
        path = folder.joinpath(*name.replace("__", ".").split("_in_")[::-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder
