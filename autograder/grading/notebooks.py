"""A notebook that was handed in, brought back into the lab's form."""

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.authoring.editions import tags
from autograder.grading.cleaning import clean_markdown, readable

LARGEST_NOTEBOOK = 32_000_000
LONGEST_CELL = 50_000  # characters; colouring code can take the square of its length
LONGEST_NOTEBOOK = 1_000_000  # characters
MOST_CELLS = 1_000
NOTES = "pruning_labs"  # in a graded notebook's metadata: remarks on the submission, and how it was isolated


# --- the notebook


@dataclass(eq=False)
class Cell:
    """A cell as it was handed in, whatever its fields held."""

    kind: str
    source: str
    id: str
    grade_id: str
    released: NotebookNode | None = None


def read_cells(text: bytes | None) -> tuple[list[Cell] | None, list[str]]:
    """The cells of a notebook file (None if it is no notebook) and sentences about it."""
    if text is None:
        return None, ["There is no notebook."]
    if len(text) > LARGEST_NOTEBOOK:
        megabytes = len(text) / 1e6
        return None, [f"The notebook has {megabytes:,.0f} MB; at most {LARGEST_NOTEBOOK // 1_000_000} MB are read."]
    try:
        data = json.loads(text)
        remarks = notes(data)
        if isinstance(data, dict) and data.get("worksheets"):
            data = nbformat.reads(json.dumps(data), as_version=4)
        if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
            return None, remarks or ["The file is no notebook: it holds no cells."]
    except RecursionError:
        return None, ["The notebook cannot be read: it is nested too deeply."]
    except Exception as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return None, [f"The notebook cannot be read: it is not JSON, or was cut short ({said})."]
    cells = [read_cell(cell) for cell in data["cells"] if isinstance(cell, dict)]
    if long := [str(number) for number, cell in enumerate(cells, 1) if len(cell.source) > LONGEST_CELL]:
        remarks.append(f"Cut after {LONGEST_CELL:,} characters: cell {', '.join(long[:5])}.")
    for cell in cells:
        cell.source = cell.source[:LONGEST_CELL]
    sizes = accumulate(len(cell.source) for cell in cells)
    fitting = [cell for cell, size in zip(cells, sizes, strict=True) if size <= LONGEST_NOTEBOOK][:MOST_CELLS]
    if len(fitting) < len(cells):
        most = f"{MOST_CELLS:,} cells or {LONGEST_NOTEBOOK:,} characters"
        remarks.append(f"The notebook has more than {most}; the rest was left out.")
    return fitting, remarks


def notes(data: Any) -> list[str]:
    """The remarks that `take_in` left in a notebook's metadata."""
    try:
        said = data["metadata"][NOTES]["remarks"]
        return [readable(line)[:300] for line in said if isinstance(line, str)][:5]
    except (KeyError, TypeError, AttributeError):
        return []


def read_cell(cell: dict[str, Any]) -> Cell:
    source = cell.get("source")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    metadata = cell.get("metadata")
    graded = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = graded.get("grade_id") if isinstance(graded, dict) else ""
    return Cell(
        "code" if cell.get("cell_type") == "code" else "markdown",
        readable(source) if isinstance(source, str) else "",
        cell["id"] if isinstance(cell.get("id"), str) else "",
        grade_id if isinstance(grade_id, str) else "",
    )


def grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def restored(released: NotebookNode, text: bytes | None) -> NotebookNode:
    """A student's notebook in the lab's form: every graded cell once, locked cells as released, clean throughout.

    A cell is found again by its grade id, its id, or what it says; an answer also by the question before it. Of
    several with one id the last that was changed counts. The sentences on what was amiss are in `metadata["pruning_labs"]["remarks"]`.
    """
    cells, remarks = read_cells(text)
    if cells is None:
        cells = [Cell(cell.cell_type, cell.source, cell.id, grade_id(cell)) for cell in released.cells]
    doubled = assign(released.cells, cells)
    if doubled:
        remarks.append(f"Cells that occur more than once (the last that was changed counts): {', '.join(doubled)}.")
    there = {id(cell.released) for cell in cells if cell.released is not None}
    missing = [cell for cell in released.cells if grade_id(cell) and id(cell) not in there]
    if missing:
        names = ", ".join(grade_id(cell) for cell in missing)
        remarks.append(f"Cells that were missing and have been put back as they were released: {names}.")
    notebook = new_notebook(metadata={"kernelspec": released.metadata.kernelspec, "language_info": {"name": "python"}})
    notebook.metadata[NOTES] = {"remarks": remarks}
    notebook.cells = [rebuilt(cell, number) for number, cell in enumerate(cells)]
    for cell in missing:
        put_back(notebook, released, cell)
    return notebook


def assign(released: Sequence[NotebookNode], cells: list[Cell]) -> list[str]:
    """Tell for every released cell which cell handed in is meant by it → grade ids that occurred more than once."""
    doubled = []
    graded = [cell for cell in released if grade_id(cell)]
    for wanted in graded:
        same = [cell for cell in cells if cell.released is None and cell.grade_id == grade_id(wanted)]
        if len(same) > 1:
            doubled.append(grade_id(wanted))
        changed = [cell for cell in same if cell.source.strip() != wanted.source.strip()]
        for cell in changed[-1:] or same[-1:]:
            cell.released = wanted
        cells[:] = [cell for cell in cells if cell not in same or cell in changed or cell.released is wanted]
    for find in (with_its_id, alike):
        for wanted in released:
            if not any(cell.released is wanted for cell in cells):
                for cell in find(wanted, [cell for cell in cells if cell.released is None])[:1]:
                    cell.released = wanted
    for question, wanted in pairwise(released):
        if wanted.cell_type == "markdown" and grade_id(wanted) and not any(cell.released is wanted for cell in cells):
            for cell, behind in pairwise(cells):
                if cell.released is question and behind.released is None and behind.kind == "markdown":
                    behind.released = wanted
    return doubled


def with_its_id(wanted: NotebookNode, free: list[Cell]) -> list[Cell]:
    return [cell for cell in free if cell.id and cell.id == wanted.get("id")]


def alike(wanted: NotebookNode, free: list[Cell]) -> list[Cell]:
    """Cells that say what a released cell says: the same function, the same text, or nearly."""
    free = [cell for cell in free if cell.kind == wanted.cell_type]
    about = wanted.metadata.get("nbgrader", {})
    if about.get("solution") and wanted.cell_type == "code":
        return [cell for cell in free[::-1] if defines(cell.source, grade_id(wanted))]
    if found := [cell for cell in free if cell.source.strip() == wanted.source.strip()]:
        return found
    if not tags(wanted):
        return []
    close = difflib.get_close_matches(wanted.source, [cell.source for cell in free], n=1, cutoff=0.6)
    return [cell for cell in free if cell.source in close]


def defines(source: str, name: str) -> bool:
    """Whether a cell gives a name its meaning."""
    return bool(re.search(rf"^(def\s+{re.escape(name)}\s*\(|{re.escape(name)}\s*=)", source, re.M))


def rebuilt(cell: Cell, number: int) -> NotebookNode:
    """A clean cell: the source from the student (of a locked cell: as released), everything else as released."""
    wanted = cell.released
    about = wanted.metadata.get("nbgrader", {}) if wanted is not None else {}
    source = wanted.source if wanted is not None and about.get("locked") else cell.source
    kind = wanted.cell_type if wanted is not None and about else cell.kind
    name = wanted.id if wanted is not None else f"added-{number}"
    if kind != "code" and (wanted is None or source != wanted.source):
        source = clean_markdown(source)
    clean = new_code_cell(source, id=name) if kind == "code" else new_markdown_cell(source, id=name)
    if about:
        clean.metadata["nbgrader"] = about
    if wanted is not None and tags(wanted):
        clean.metadata["tags"] = list(tags(wanted))
    return clean


def put_back(notebook: NotebookNode, released: NotebookNode, cell: NotebookNode) -> None:
    """Insert a released cell behind the nearest cell that comes before it in the lab; at the end if there is none.

    A stub goes before the cell that defines its function, if there is one: it must not undo what a student wrote.
    """
    before = [other.id for other in released.cells[: released.cells.index(cell)]]
    places = [n + 1 for n, other in enumerate(notebook.cells) if other.id in before] or [len(notebook.cells)]
    written = [n for n, other in enumerate(notebook.cells) if defines(other.source, grade_id(cell))]
    clean = rebuilt(Cell(cell.cell_type, cell.source, cell.id, grade_id(cell), cell), 0)
    notebook.cells.insert(min([places[-1], *written]), clean)
