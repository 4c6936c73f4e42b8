"""What a student handed in, read with care."""

import bz2
import contextlib
import gzip
import itertools
import json
import lzma
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from autograder.course import SHIPPED
from autograder.grading.cleaning import readable
from autograder.grading.notebooks import LARGEST_NOTEBOOK, NOTES, worked_on
from autograder.grading.times import time_in
from minicifar.files import atomic

LARGEST_FILE = 64_000_000  # bytes
LARGEST_IN_ALL = 160_000_000  # bytes
MOST_FILES = 300
DEEPEST = 20  # folders within each other
MOST_REMARKS = 20  # on files that were left out
MOST_NAMES = 5  # of notebooks, in a remark

NOTEBOOK_ENDINGS = (".ipynb", ".ipynb.json", ".ipynb.txt")  # browsers add the last part
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
UNREAD = (".7z", ".rar", ".gz", ".bz2", ".xz")  # other archives, which are not opened
SEPARATOR = r"[/\\]"  # of folders in names, also in those of archives from Windows
HIDDEN = re.compile(rf"(^|{SEPARATOR})(\.[^./\\]|__)")  # .ipynb_checkpoints, __MACOSX and the like


# --- reading a folder


@dataclass
class Submission:
    """The files that a student handed in, and sentences about those that were left out."""

    files: dict[str, bytes] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read_file(path: Path) -> bytes:
    """A regular file's bytes. Raises OSError with a sentence for links, devices, pipes and files too large."""
    try:
        with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                problem = "is no file, but a pipe or device"
            elif about.st_size > LARGEST_FILE:
                problem = f"has {about.st_size / 1e6:,.0f} MB; at most {LARGEST_FILE // 1_000_000} MB are read"
            else:
                return file.read(LARGEST_FILE)
    except OSError as error:
        problem = "is a link, and links are not followed" if path.is_symlink() else f"cannot be read ({error.strerror})"
    raise OSError(f"{readable(path.name)} {problem}.")


def read_submission(folder: Path) -> Submission:
    """All files of a submission's folder but links, special files, what is too large, and what came with the lab."""
    submission = Submission()
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        submission.remarks.append("The folder handed in is a link, and links are not followed.")
        return submission
    total = 0
    for path in files_below(folder):
        name = readable(path.relative_to(folder).as_posix())
        try:
            data = read_file(path)
        except OSError as error:
            submission.remarks.append(f"{error} It was left out.")
            continue
        total += len(data)
        if total > LARGEST_IN_ALL or len(submission.files) >= MOST_FILES:
            limits = f"{MOST_FILES} files or {LARGEST_IN_ALL // 1_000_000} MB"
            submission.remarks.append(f"More than {limits}: the rest was left out.")
            break
        submission.files[name] = data
    if "timestamp.txt" in submission.files and time_in(submission.files["timestamp.txt"]) is None:
        remark = "timestamp.txt holds no time that can be read without doubt: this counts as handed in on time."
        submission.remarks.insert(0, remark)
    if more := len(submission.remarks[MOST_REMARKS:]):
        submission.remarks[MOST_REMARKS:] = [f"So were {more} more."]
    return submission


def files_below(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Everything below a folder that is no folder, in order; folders that are links, or too deep, are only named."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir(follow_symlinks=False) or depth == DEEPEST:
            yield Path(entry.path)
        elif entry.name not in SHIPPED and not entry.name.startswith("__"):
            yield from files_below(Path(entry.path), depth + 1)


# --- finding the notebook


@dataclass(frozen=True)
class Finding:
    """What counts as a submission's notebook, what is to be said about that, and the ONNX files that belong to it."""

    notebook: bytes
    remark: str
    networks: dict[str, bytes] = field(default_factory=dict)  # by their names without folders


def take_in(folder: Path, lab: str) -> None:
    """Give a submission without `<lab>.ipynb` one: a notebook under another name, in a folder or zip, or an empty one.

    The ONNX files that lie deeper come to the top with it. Nothing that was handed in is changed.
    """
    path = folder / f"{lab}.ipynb"
    if os.path.lexists(path) or folder.is_symlink() or not folder.is_dir():
        return
    finding = find_notebook(read_submission(folder).files, lab)
    for name, data in finding.networks.items():
        if not os.path.lexists(folder / name):
            with contextlib.suppress(OSError), atomic(folder / name) as temporary:
                temporary.write_bytes(data)
    with atomic(path) as temporary:
        temporary.write_bytes(with_remark(finding.notebook, finding.remark))


def find_notebook(files: Mapping[str, bytes], lab: str) -> Finding:
    """The one notebook that can be meant: among the files, or in the only archive if there is no notebook beside it.

    A notebook whose name begins with the lab's goes before others. An empty one where none, or more than one, is left.
    """
    archives = [name for name in files if name.lower().endswith(ARCHIVES)]
    unread = [name for name in files if name.lower().endswith(UNREAD) and name not in archives]
    where = ""
    if len(archives) == 1 and not notebook_names(files):
        files, where = unpacked(archives[0], files[archives[0]]), f" in {archives[0]}"
    names = notebook_names(files)
    likely = [name for name in names if bare(name).startswith(lab)] or names
    if not likely:
        remark = f"There is no notebook{where}." if where else "No notebook was handed in."
        if unread:
            remark += f" {', '.join(unread[:MOST_NAMES])} was not opened: hand in the notebook itself, or a zip."
        return Finding(b"{}", remark)
    if len(likely) > 1:
        candidates = ", ".join(sorted(likely)[:MOST_NAMES])
        return Finding(b"{}", f"There is no {lab}.ipynb, and it is not clear which notebook counts: {candidates}.")
    networks: dict[str, bytes] = {}
    for name, data in files.items():
        if name.endswith(".onnx"):
            networks.setdefault(bare(name), data)
    return Finding(files[likely[0]], f"The notebook was handed in as {likely[0]}{where}.", networks)


def counted(files: Mapping[str, bytes], lab: str, released: NotebookNode) -> tuple[bytes | None, list[str]]:
    """The notebook that counts of a submission, and sentences about others that lie beside it.

    That is `<lab>.ipynb`; but where it is as it was released, and one other was worked on, the other.
    """
    name = f"{lab}.ipynb"
    own = files.get(name)
    if own is None:
        return None, []
    others = [other for other in notebook_names(files) if files[other] != own and worked_on(released, files[other])]
    if not others:
        return own, []
    if worked_on(released, own):
        return own, [f"{name} counts; there is also {', '.join(others[:MOST_NAMES])}."]
    if len(others) == 1:
        return files[others[0]], [f"{name} is as it was released, so {others[0]} counts."]
    several = ", ".join(others[:MOST_NAMES])
    return own, [f"{name} is as it was released, and it is not clear which of these counts: {several}."]


def notebook_names(files: Mapping[str, bytes]) -> list[str]:
    """The names that are those of notebooks."""
    return [name for name in files if name.endswith(NOTEBOOK_ENDINGS)]


def with_remark(notebook: bytes, remark: str) -> bytes:
    """A notebook file with a remark in place of its metadata. What is no notebook stays as it is, for `read_cells`."""
    try:
        data: Any = json.loads(notebook) if len(notebook) <= LARGEST_NOTEBOOK else None
        data["metadata"] = {NOTES: {"remarks": [remark]}}
        return json.dumps(data).encode()
    except (ValueError, TypeError, RecursionError):
        return notebook


def bare(name: str) -> str:
    """The name of a file without the folders that it lies in."""
    return re.split(SEPARATOR, name)[-1]


def unpacked(name: str, data: bytes) -> dict[str, bytes]:
    """The notebooks and ONNX files in an archive, by the names that they have in it; empty if it cannot be read."""
    members = zipped if name.lower().endswith(".zip") else tarred
    files: dict[str, bytes] = {}
    room = LARGEST_IN_ALL
    try:
        for name, size, read in itertools.islice(members(data), MOST_FILES):
            name = readable(name)
            wanted = name.endswith((*NOTEBOOK_ENDINGS, ".onnx")) and not HIDDEN.search(name)
            if wanted and size <= min(room, LARGEST_FILE):
                files.setdefault(name, read())
                room -= size
    except Exception:  # whatever a broken archive makes its readers raise
        return {}
    return files


Member = tuple[str, int, Callable[[], bytes]]  # a file's name, its size, and what reads no more than that


def zipped(data: bytes) -> Iterator[Member]:
    """The files in a zip."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        for entry in archive.infolist():
            yield entry.filename, entry.file_size, partial(member_of, archive, entry)


def member_of(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """A zip's file, no more of it than the zip says there is."""
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def tarred(data: bytes) -> Iterator[Member]:
    """The files in a tar archive, compressed or not, of its first bytes; none of its links and devices."""
    for module in (gzip, bz2, lzma):
        with contextlib.suppress(OSError, lzma.LZMAError), module.open(BytesIO(data)) as file:
            data = file.read(LARGEST_IN_ALL)
            break
    with tarfile.open(fileobj=BytesIO(data), mode="r:") as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isreg() else None
            if file:
                yield entry.name, entry.size, partial(file.read, entry.size)
