"""A notebook that was handed in, brought back into the lab's form.

`read_cells` reads the file, `matched` finds each of the lab's cells among those handed in, `restored` builds the
notebook anew from both.
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.authoring.editions import tags
from autograder.grading.cleaning import clean_markdown, readable
from autograder.grading.pictures import Attachments, kept_pictures, with_pictures

NOTES = "pruning_labs"  # in a graded notebook's metadata: remarks on the submission, and how it was isolated

LARGEST_NOTEBOOK = 32_000_000  # bytes
LONGEST_NOTEBOOK = 1_000_000  # characters of all cells
LONGEST_CELL = 50_000  # characters; colouring code can take the square of its length
MOST_CELLS = 1_000
MOST_NOTES = 5  # remarks that a notebook may bring in its metadata
LONGEST_NOTE = 300  # characters

PICTURE_ELSEWHERE = re.compile(r"!\[[^\]]*\]\((?!attachment:)|<img\b", re.IGNORECASE)  # a file's, or an address

SIMILAR = 0.6  # difflib's ratio from which on a cell is taken for one of the lab's, changed


# --- reading the file


class NoNotebook(ValueError):
    """Why a file cannot be read as a notebook; its arguments are remarks for the student."""


@dataclass(frozen=True)
class Cell:
    """A cell as it was handed in, whatever its fields held."""

    kind: str  # "code" or "markdown"
    source: str
    id: str = ""
    grade_id: str = ""
    attachments: Any = None


def read_cells(text: bytes | None) -> tuple[list[Cell], list[str]]:
    """The cells of a notebook file, within the limits, and remarks on it. Raises NoNotebook."""
    data = parsed(text)
    remarks = notes(data)
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise NoNotebook(*remarks or ["The file is no notebook: it holds no cells."])
    cells = [read_cell(cell) for cell in data["cells"] if isinstance(cell, dict)]
    if long := [str(number) for number, cell in enumerate(cells, 1) if len(cell.source) > LONGEST_CELL]:
        remarks.append(f"Cut after {LONGEST_CELL:,} characters: cell {', '.join(long[:5])}.")
    short = [replace(cell, source=cell.source[:LONGEST_CELL]) for cell in cells]
    first = fitting(short)
    if len(first) < len(cells):
        limits = f"{MOST_CELLS:,} cells or {LONGEST_NOTEBOOK:,} characters"
        remarks.append(f"The notebook has more than {limits}; the rest was left out.")
    return first, remarks


def parsed(text: bytes | None) -> Any:
    """The JSON data of a notebook file, version 3 brought to version 4. Raises NoNotebook."""
    if text is None:
        raise NoNotebook("There is no notebook.")
    if len(text) > LARGEST_NOTEBOOK:
        megabytes = len(text) / 1e6
        raise NoNotebook(f"The notebook has {megabytes:,.0f} MB; at most {LARGEST_NOTEBOOK // 1_000_000} MB are read.")
    try:
        data = json.loads(text)
        if isinstance(data, dict) and data.get("worksheets"):
            data = nbformat.reads(json.dumps(data), as_version=4)
        return data
    except RecursionError:
        raise NoNotebook("The notebook cannot be read: it is nested too deeply.") from None
    except Exception as error:  # whatever nbformat raises for data of any form
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise NoNotebook(f"The notebook cannot be read: it is not JSON, or was cut short ({reason}).") from error


def notes(data: Any) -> list[str]:
    """The remarks that `take_in` left in a notebook's metadata."""
    try:
        remarks = data["metadata"][NOTES]["remarks"]
        return [readable(remark)[:LONGEST_NOTE] for remark in remarks if isinstance(remark, str)][:MOST_NOTES]
    except (KeyError, TypeError, AttributeError):
        return []


def read_cell(data: dict[str, Any]) -> Cell:
    """One cell of a notebook's JSON; a field of the wrong type counts as empty."""
    source = data.get("source")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    metadata = data.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else ""
    return Cell(
        kind="code" if data.get("cell_type") == "code" else "markdown",
        source=readable(source) if isinstance(source, str) else "",
        id=data["id"] if isinstance(data.get("id"), str) else "",
        grade_id=name if isinstance(name, str) else "",
        attachments=data.get("attachments"),
    )


def fitting(cells: Sequence[Cell]) -> list[Cell]:
    """The first cells, as many as a notebook may have in number and in characters."""
    lengths = accumulate(len(cell.source) for cell in cells)
    return [cell for cell, length in zip(cells, lengths, strict=True) if length <= LONGEST_NOTEBOOK][:MOST_CELLS]


# --- finding the lab's cells again

Rule = Callable[[NotebookNode, Mapping[int, Cell], int | None], int | None]
"""(a cell of the lab, the cells handed in that are still free, by position, and where the lab's cell before it was
found) → the position of the cell that is meant, or None."""


def by_grade_id(original: NotebookNode, free: Mapping[int, Cell], _before: int | None) -> int | None:
    """The last cell that carries nbgrader's id (a copy of what was released is gone by then: `without_copies`)."""
    name = grade_id(original)
    return max((position for position, cell in free.items() if name and cell.grade_id == name), default=None)


def by_cell_id(original: NotebookNode, free: Mapping[int, Cell], _before: int | None) -> int | None:
    """The first cell with the same id of the notebook format: where an editor drops metadata."""
    return next((position for position, cell in free.items() if cell.id and cell.id == original.get("id")), None)


def by_content(original: NotebookNode, free: Mapping[int, Cell], _before: int | None) -> int | None:
    """The cell that says the same: the last that defines an exercise's function, or the first with the same text.

    The lab's tagged cells (training, slow ones, files to hand in) are also known where they were changed a little. An
    answer in words is not known by what it says: of two questions only the second may have been left empty.
    """
    if is_answer(original):
        return None
    same_kind = {position: cell for position, cell in free.items() if cell.kind == original.cell_type}
    if grading(original).get("solution"):
        name = grade_id(original)
        return max((position for position, cell in same_kind.items() if defines(cell.source, name)), default=None)
    source = original.source.strip()
    equal = next((position for position, cell in same_kind.items() if cell.source.strip() == source), None)
    if equal is not None or not tags(original):
        return equal
    sources = [cell.source for cell in same_kind.values()]
    close = difflib.get_close_matches(original.source, sources, n=1, cutoff=SIMILAR)
    return next((position for position, cell in same_kind.items() if cell.source in close), None)


def by_question(original: NotebookNode, free: Mapping[int, Cell], before: int | None) -> int | None:
    """An answer in words: the text right behind its question."""
    if before is None or not is_answer(original):
        return None
    behind = before + 1
    return behind if behind in free and free[behind].kind == "markdown" else None


RULES: tuple[Rule, ...] = (by_grade_id, by_cell_id, by_content, by_question)  # the surest first


def matched(lab: Sequence[NotebookNode], cells: Sequence[Cell]) -> dict[int, int]:
    """Which cell handed in is meant by each of the lab's cells: place in the lab → position among those handed in.

    Each rule goes through the lab in order, and takes only what no rule has taken before.
    """
    positions: dict[int, int] = {}
    for rule in RULES:
        for place, original in enumerate(lab):
            if place not in positions:
                taken = set(positions.values())
                free = {position: cell for position, cell in enumerate(cells) if position not in taken}
                position = rule(original, free, positions.get(place - 1))
                if position is not None:
                    positions[place] = position
    return positions


def without_copies(lab: Sequence[NotebookNode], cells: Sequence[Cell]) -> list[Cell]:
    """The cells handed in, less graded ones that stand there again as they were released.

    Of several with one grade id the last that was changed counts, so a stub that was pasted again undoes nothing. All
    that were changed stay; of copies beside which none was changed, the last.
    """
    released = {grade_id(original): original.source.strip() for original in lab if grade_id(original)}
    changed = [cell.source.strip() != released.get(cell.grade_id) for cell in cells]
    worked_on = {cell.grade_id for cell, is_changed in zip(cells, changed, strict=True) if is_changed}
    last = {cell.grade_id: position for position, cell in enumerate(cells)}
    return [
        cell
        for position, cell in enumerate(cells)
        if changed[position] or (cell.grade_id not in worked_on and position == last[cell.grade_id])
    ]


def doubled(lab: Sequence[NotebookNode], cells: Sequence[Cell]) -> list[str]:
    """The lab's grade ids that more than one cell handed in carries."""
    counts = Counter(cell.grade_id for cell in cells)
    return [grade_id(original) for original in lab if grade_id(original) and counts[grade_id(original)] > 1]


def worked_on(released: NotebookNode, text: bytes) -> bool:
    """Whether a notebook file is one of this lab's in which a student has changed a cell that is to be filled in."""
    try:
        cells = without_copies(released.cells, read_cells(text)[0])
    except NoNotebook:
        return False
    lab = released.cells
    return any(
        grading(lab[place]).get("solution") and cells[position].source.strip() != lab[place].source.strip()
        for place, position in matched(lab, cells).items()
    )


def defines(source: str, name: str) -> bool:
    """Whether a cell's code defines or assigns a name at its top level."""
    return bool(re.search(rf"^(def\s+{re.escape(name)}\s*\(|{re.escape(name)}\s*=)", source, re.M))


# --- building the notebook anew


def restored(released: NotebookNode, text: bytes | None) -> NotebookNode:
    """A student's notebook in the lab's form: every graded cell once, locked cells as released, clean throughout.

    `text` is the file handed in, None if there is none; what is no notebook becomes the lab as it was released. The
    order of the cells is the student's. What was amiss is told in `metadata["pruning_labs"]["remarks"]`.
    """
    lab = released.cells
    try:
        handed_in, remarks = read_cells(text)
    except NoNotebook as error:
        handed_in, remarks = [untouched(original) for original in lab], list(error.args)
    if names := doubled(lab, handed_in):
        remarks.append(f"Cells that occur more than once (the last that was changed counts): {', '.join(names)}.")
    cells = without_copies(lab, handed_in)
    positions = matched(lab, cells)
    missing = [original for place, original in enumerate(lab) if grade_id(original) and place not in positions]
    if missing:
        names = [grade_id(original) for original in missing]
        remarks.append(f"Cells that were missing and have been put back as they were released: {', '.join(names)}.")

    originals = {position: lab[place] for place, position in positions.items()}
    pictures = pasted(cells, originals, remarks)

    notebook: NotebookNode = new_notebook(
        metadata={"kernelspec": released.metadata.kernelspec, "language_info": {"name": "python"}}
    )
    notebook.metadata[NOTES] = {"remarks": remarks}
    notebook.cells = [
        rebuilt(cell, originals.get(number), f"added-{number}", pictures.get(number))
        for number, cell in enumerate(cells)
    ]
    for original in missing:
        place = place_for(original, lab, notebook.cells)
        notebook.cells.insert(place, rebuilt(untouched(original), original))
    return notebook


def pasted(cells: Sequence[Cell], originals: Mapping[int, NotebookNode], remarks: list[str]) -> dict[int, Attachments]:
    """The pictures that were pasted into answers, by position; those that are left out are told in `remarks`."""
    pictures = {}
    for position, cell in enumerate(cells):
        original = originals.get(position)
        name = grade_id(original) if original is not None and is_answer(original) else ""
        elsewhere = name and PICTURE_ELSEWHERE.search(cell.source)
        kept, left_out = kept_pictures(cell.attachments)
        if name:
            pictures[position] = kept
        elif kept and cell.kind == "markdown":
            remarks.append(f"Pictures in cell {position + 1}, which is no answer, were left out.")
        if name and (left_out or elsewhere):
            remarks.append(
                f"{name} has pictures that cannot be shown (only PNG and JPEG pasted into the answer are): "
                "they were left out. Look into the notebook that was handed in."
            )
    return pictures


def grading(cell: NotebookNode) -> Mapping[str, Any]:
    """nbgrader's metadata of a cell; empty for a cell that is not graded."""
    metadata: Mapping[str, Any] = cell.metadata.get("nbgrader", {})
    return metadata


def grade_id(cell: NotebookNode) -> str:
    """nbgrader's name for a cell; empty for a cell that is not graded."""
    name: str = grading(cell).get("grade_id", "")
    return name


def is_answer(cell: NotebookNode) -> bool:
    """Whether a cell is for an answer in words, which a person grades."""
    return cell.cell_type == "markdown" and bool(grading(cell).get("solution"))


def untouched(original: NotebookNode) -> Cell:
    """A cell of the lab as a student hands it in who has not worked on it."""
    return Cell(original.cell_type, original.source, original.id, grade_id(original))


def rebuilt(
    cell: Cell, original: NotebookNode | None, name: str = "", pictures: Attachments | None = None
) -> NotebookNode:
    """A clean cell: the source from the student (of a locked cell: as released), everything else from the lab.

    `name` is the id of a cell that has no original; `pictures` those that were pasted into an answer.
    """
    source, kind = cell.source, cell.kind
    if original is None:
        return clean_cell(kind, source if kind == "code" else clean_markdown(source), name)
    if grading(original):
        kind = original.cell_type
    if grading(original).get("locked"):
        source = original.source
    if kind != "code" and source != original.source:
        source = with_pictures(clean_markdown(source), pictures or {})
    clean = clean_cell(kind, source, original.id)
    if pictures and kind != "code":
        clean.attachments = pictures
    if grading(original):
        clean.metadata["nbgrader"] = grading(original)
    if tags(original):
        clean.metadata["tags"] = list(tags(original))
    return clean


def clean_cell(kind: str, source: str, name: str) -> NotebookNode:
    """A cell without metadata and outputs."""
    cell: NotebookNode = new_code_cell(source, id=name) if kind == "code" else new_markdown_cell(source, id=name)
    return cell


def place_for(original: NotebookNode, lab: Sequence[NotebookNode], cells: Sequence[NotebookNode]) -> int:
    """Where a missing cell of the lab is put back: behind the last cell that comes before it in the lab, or at the end.

    A stub goes before the cell that defines its function, if there is one: it must not undo what a student wrote.
    """
    earlier = {other.id for other in lab[: lab.index(original)]}
    behind = [position + 1 for position, cell in enumerate(cells) if cell.id in earlier] or [len(cells)]
    written = [position for position, cell in enumerate(cells) if defines(cell.source, grade_id(original))]
    return min([behind[-1], *written])
