"""What a student handed in, read with care, and the notebook in it brought back into the lab's form."""

import difflib
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.cleaning import clean_markdown, readable
from autograder.course import SHIPPED
from autograder.editions import tags
from course_utils.checkpoints import atomic

LARGEST_FILE = 64_000_000  # bytes
LARGEST_IN_ALL = 160_000_000
MOST_FILES = 300
LONGEST_CELL = 200_000  # characters
MOST_CELLS = 1_000
NOTES = "pruning_labs"  # in a graded notebook's metadata: remarks on the submission, and how it was isolated


@dataclass
class Submission:
    """The files that a student handed in, and sentences about those that were left out."""

    files: dict[str, bytes] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read_file(path: Path) -> bytes:
    """A regular file's bytes. Raises OSError with a sentence for links, devices, pipes and files too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        reason = "is a link, and links are not followed" if path.is_symlink() else f"cannot be read ({error.strerror})"
        raise OSError(f"{path.name} {reason}.") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(f"{path.name} is no file, but a folder, pipe or device.")
        if about.st_size > LARGEST_FILE:
            megabytes = about.st_size / 1e6
            raise OSError(f"{path.name} has {megabytes:,.0f} MB; at most {LARGEST_FILE // 1_000_000} MB are read.")
        return file.read(LARGEST_FILE)


def read_submission(folder: Path) -> Submission:
    """All files of a submission's folder but links, special files, what is too large, and what came with the lab."""
    found = Submission()
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        found.remarks.append("The folder handed in is a link, and links are not followed.")
        return found
    total = 0
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        try:
            data = read_file(path)
        except OSError as error:
            found.remarks.append(f"{error} It was left out.")
            continue
        total += len(data)
        if total > LARGEST_IN_ALL or len(found.files) >= MOST_FILES:
            found.remarks.append(
                f"More than {MOST_FILES} files or {LARGEST_IN_ALL // 1_000_000} MB: the rest was left out."
            )
            break
        found.files[name] = data
    return found


def files_below(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder, in order; links to folders are named, not followed."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SHIPPED and not entry.name.startswith((".", "__")):
                yield from files_below(Path(entry.path))
        elif not entry.name.startswith("."):
            yield Path(entry.path)


def take_in(folder: Path, lab: str) -> None:
    """Give a submission without `<lab>.ipynb` one that says so: a notebook under another name, or in a zip, or none.

    Nothing that was handed in is changed.
    """
    path = folder / f"{lab}.ipynb"
    if os.path.lexists(path) or folder.is_symlink() or not folder.is_dir():
        return
    found = read_submission(folder)
    others = {name: data for name, data in found.files.items() if name.endswith(".ipynb")}
    zips = {name: data for name, data in found.files.items() if name.endswith(".zip")}
    note = "No notebook was handed in."
    text = b"{}"
    if len(others) == 1:
        (name, text), note = others.popitem(), ""
        note = f"The notebook was handed in as {name}."
    elif len(others) > 1:
        note = f"There is no {lab}.ipynb, and it is not clear which notebook counts: {', '.join(sorted(others)[:5])}."
    elif len(zips) == 1:
        name, data = zips.popitem()
        inside = unzipped(data, lab)
        note = f"The notebook was taken from {name}." if inside else f"There is no notebook in {name}."
        for inner, content in inside.items():
            if inner.endswith(".ipynb"):
                text = content
            elif not (folder / inner).exists():
                with atomic(folder / inner) as temporary:
                    temporary.write_bytes(content)
    try:
        about = json.loads(text)
        about.setdefault("metadata", {})[NOTES] = {"remarks": [note]}
        text = json.dumps(about).encode()
    except (ValueError, AttributeError, RecursionError):
        pass  # not readable, and that is said when it is graded
    with atomic(path) as temporary:
        temporary.write_bytes(text)


def unzipped(data: bytes, lab: str) -> dict[str, bytes]:
    """The lab's notebook and ONNX files in an archive, by their bare names, wherever in it they claim to lie."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            for entry in archive.infolist()[:MOST_FILES]:
                name = re.split(r"[/\\]", entry.filename)[-1]
                wanted = name == f"{lab}.ipynb" or (name.endswith(".onnx") and not name.startswith("."))
                if (
                    wanted
                    and name not in found
                    and entry.file_size <= LARGEST_FILE
                    and "__MACOSX" not in entry.filename
                ):
                    with archive.open(entry) as file:
                        found[name] = file.read(LARGEST_FILE)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError):
        return {}
    return found if f"{lab}.ipynb" in found else {}


# --- the notebook


@dataclass
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
    try:
        data = json.loads(text)
        remarks = notes(data)
        if not isinstance(data.get("cells"), list):
            if not data.get("worksheets"):
                return None, remarks or ["The file is no notebook: it holds no cells."]
            data = nbformat.reads(text.decode(), as_version=4)
    except RecursionError:
        return None, ["The notebook cannot be read: it is nested too deeply."]
    except Exception as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return None, [f"The notebook cannot be read: it is not JSON, or was cut short ({said})."]
    cells = [read_cell(cell) for cell in data["cells"][:MOST_CELLS] if isinstance(cell, dict)]
    if len(data["cells"]) > MOST_CELLS:
        remarks.append(f"The notebook has more than {MOST_CELLS} cells; the rest was left out.")
    return cells, remarks


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
        readable(source)[:LONGEST_CELL] if isinstance(source, str) else "",
        cell["id"] if isinstance(cell.get("id"), str) else "",
        grade_id if isinstance(grade_id, str) else "",
    )


def grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def restored(released: NotebookNode, text: bytes | None) -> NotebookNode:
    """A student's notebook in the lab's form: every graded cell once, locked cells as released, clean throughout.

    A cell is found again by its grade id, its id, or what it says. Of several with one id the last that was
    changed counts. The sentences on what was amiss are in `metadata["pruning_labs"]["remarks"]`.
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
    for find in (with_its_id, alike):
        for wanted in released:
            if not any(cell.released is wanted for cell in cells):
                for cell in find(wanted, [cell for cell in cells if cell.released is None])[:1]:
                    cell.released = wanted
    return doubled


def with_its_id(wanted: NotebookNode, free: list[Cell]) -> list[Cell]:
    return [cell for cell in free if cell.id and cell.id == wanted.get("id")]


def alike(wanted: NotebookNode, free: list[Cell]) -> list[Cell]:
    """Cells that say what a released cell says: the same function, the same text, or nearly."""
    free = [cell for cell in free if cell.kind == wanted.cell_type]
    about = wanted.metadata.get("nbgrader", {})
    if about.get("solution") and wanted.cell_type == "code":
        return [cell for cell in free[::-1] if re.search(rf"^def {re.escape(grade_id(wanted))}\(", cell.source, re.M)]
    if found := [cell for cell in free if cell.source.strip() == wanted.source.strip()]:
        return found
    if not tags(wanted):
        return []
    close = difflib.get_close_matches(wanted.source, [cell.source for cell in free], n=1, cutoff=0.6)
    return [cell for cell in free if cell.source in close]


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
    """Insert a released cell behind the nearest cell that comes before it in the lab; at the end if there is none."""
    before = [other.id for other in released.cells[: released.cells.index(cell)]]
    places = [n for n, other in enumerate(notebook.cells) if other.id in before]
    clean = rebuilt(Cell(cell.cell_type, cell.source, cell.id, grade_id(cell), cell), 0)
    notebook.cells.insert(places[-1] + 1 if places else len(notebook.cells), clean)
