"""What students hand in is read with care, and any notebook comes back in the lab's form."""

import copy
import io
import json
import os
import random
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.authoring.editions import graded, tags
from autograder.grading import notebooks, submissions
from autograder.grading.notebooks import NOTES, grade_id, restored
from autograder.grading.submissions import read_file, read_submission, take_in, unzipped

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


def place_of(notebook: NotebookNode, source: str) -> int:
    return next(number for number, cell in enumerate(notebook.cells) if cell.source == source)


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
    wanted = {grade_id(cell): cell for cell in lab.cells if grade_id(cell)}
    found = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert sorted(map(grade_id, found)) == sorted(wanted)
    for cell in found:
        original = wanted[grade_id(cell)]
        assert cell.metadata.nbgrader == original.metadata.nbgrader and cell.cell_type == original.cell_type
        assert cell.source == original.source or not original.metadata.nbgrader["locked"]
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert all(set(cell.metadata) <= {"nbgrader", "tags"} for cell in notebook.cells)
    assert not any(cell.get("outputs") or cell.get("attachments") for cell in notebook.cells)
    assert all(isinstance(line, str) for line in notebook.metadata[NOTES]["remarks"])
    return notebook


# --- read_file


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00data")
    assert read_file(tmp_path / "a") == b"\x00data"


def make_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def make_broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_socket(path: Path) -> None:
    place = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may be 108 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(place)


def make_huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(500_000_000)  # a sparse file: it takes no room


SPECIAL: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a link": (make_link, "is a link, and links are not followed."),
    "a link to nothing": (make_broken_link, "is a link, and links are not followed."),
    "a pipe": (os.mkfifo, "is no file, but a pipe or device."),
    "a folder": (os.mkdir, "cannot be read (Is a directory)."),
    "a socket": (make_socket, "cannot be read ("),
    "500 MB": (make_huge, "has 500 MB; at most 64 MB are read."),
}


@pytest.mark.parametrize("what", SPECIAL)
def test_what_is_no_ordinary_file_is_refused_with_a_sentence(what: str, tmp_path: Path) -> None:
    make, sentence = SPECIAL[what]
    make(tmp_path / "thing")
    with pytest.raises(OSError, match=r"^thing ") as refused:
        read_file(tmp_path / "thing")
    assert sentence in str(refused.value)


def test_a_device_is_refused_with_a_sentence() -> None:
    with pytest.raises(OSError, match=r"^zero is no file, but a pipe or device\.$"):
        read_file(Path("/dev/zero"))


def test_a_file_that_is_missing_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^thing cannot be read \(No such file or directory\)\.$"):
        read_file(tmp_path / "thing")


# --- read_submission


def written(folder: Path, **files: bytes | str) -> Path:
    """A submission's folder with files; `__` in their names stands for a dot, `_in_` for a slash."""
    for name, data in files.items():
        path = folder.joinpath(*name.replace("__", ".").split("_in_")[::-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def test_files_are_read_by_their_names_in_the_folder(tmp_path: Path) -> None:
    found = read_submission(written(tmp_path / "s", lab__ipynb="{}", net__onnx_in_models="x"))
    assert found.files == {"lab.ipynb": b"{}", "models/net.onnx": b"x"}
    assert found.remarks == []


@pytest.mark.parametrize("what", [what for what in SPECIAL if what != "a folder"])
def test_what_is_no_ordinary_file_is_left_out_with_a_sentence(what: str, tmp_path: Path) -> None:
    make, sentence = SPECIAL[what]
    written(tmp_path / "s", lab__ipynb="{}")
    make(tmp_path / "s" / "thing")
    found = read_submission(tmp_path / "s")
    assert set(found.files) == {"lab.ipynb"}
    assert len(found.remarks) == 1 and sentence in found.remarks[0] and found.remarks[0].endswith(" It was left out.")


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    written(tmp_path / "other", lab__ipynb="another student's")
    written(tmp_path / "s", notes__txt="x")
    (tmp_path / "s" / "models").symlink_to(tmp_path / "other")
    found = read_submission(tmp_path / "s")
    assert set(found.files) == {"notes.txt"}
    assert found.remarks == ["models is a link, and links are not followed. It was left out."]


@pytest.mark.parametrize("linked", ["student", "student/lab"])
def test_a_submission_that_is_a_link_is_not_read(linked: str, tmp_path: Path) -> None:
    written(tmp_path / "other" / "lab", lab__ipynb="another student's")
    (tmp_path / "student").parent.mkdir(exist_ok=True)
    if linked == "student":
        (tmp_path / "student").symlink_to(tmp_path / "other")
    else:
        (tmp_path / "student").mkdir()
        (tmp_path / "student" / "lab").symlink_to(tmp_path / "other" / "lab")
    found = read_submission(tmp_path / "student" / "lab")
    assert found.files == {} and "is a link" in found.remarks[0]


@pytest.mark.parametrize("folder", ["minicifar", "course_utils", "solutions", "checks", "__pycache__", ".git"])
def test_folders_that_came_with_the_lab_are_skipped(folder: str, tmp_path: Path) -> None:
    written(tmp_path / "s" / folder, x__py="x")
    written(tmp_path / "s" / "own" / folder, x__py="x")
    found = read_submission(written(tmp_path / "s", lab__ipynb="{}"))
    assert set(found.files) == {"lab.ipynb"} and found.remarks == []


def test_hidden_files_are_skipped(tmp_path: Path) -> None:
    found = read_submission(written(tmp_path / "s", __DS_Store="x", lab__ipynb="{}"))
    assert set(found.files) == {"lab.ipynb"} and found.remarks == []


def test_more_megabytes_than_are_read_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "LARGEST_IN_ALL", 25)
    found = read_submission(written(tmp_path / "s", a="x" * 10, b="x" * 10, c="x" * 10, d="x"))
    assert set(found.files) == {"a", "b"} and "the rest was left out" in found.remarks[0]


def test_more_files_than_are_read_are_left_out(tmp_path: Path) -> None:
    found = read_submission(written(tmp_path / "s", **{f"f{number}": "x" for number in range(310)}))
    assert len(found.files) == 300 and "More than 300 files" in found.remarks[0]


def test_of_many_files_left_out_some_are_named(tmp_path: Path) -> None:
    written(tmp_path / "s", lab__ipynb="{}")
    for number in range(50):
        (tmp_path / "s" / f"link{number}").symlink_to("/etc/hostname")
    found = read_submission(tmp_path / "s")
    assert len(found.remarks) == submissions.MOST_REMARKS + 1 and found.remarks[-1] == "So were 30 more."


def test_folders_too_deep_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "s" / "/".join("d" * 100)).mkdir(parents=True)
    found = read_submission(written(tmp_path / "s", lab__ipynb="{}"))
    assert set(found.files) == {"lab.ipynb"}
    assert found.remarks == ["d cannot be read (Is a directory). It was left out."]


def test_names_that_are_no_text_become_readable(tmp_path: Path) -> None:
    """From an archive of an old Windows: bytes that are not UTF-8. They would stop whoever stores them later."""
    folder = os.fsencode(written(tmp_path / "s", lab__ipynb="{}"))
    with open(os.path.join(folder, b"\xdcbung\x07.txt"), "wb") as file:
        file.write(b"x")
    os.symlink("/etc/hostname", os.path.join(folder, b"\xdc.txt"))
    found = read_submission(tmp_path / "s")
    assert found.files["?bung .txt"] == b"x"
    assert json.dumps(found.remarks, ensure_ascii=False).encode()


# --- take_in


def taken_in(folder: Path) -> NotebookNode:
    """What is graded of a folder."""
    take_in(folder, "lab")
    return in_form(read_submission(folder).files.get("lab.ipynb"))


def solved(notebook: NotebookNode) -> bool:
    return cell_of(notebook, "double").source == RIGHT.format("double", 2)


def as_bytes(notebook: NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()


def archive(**files: bytes) -> bytes:
    """A zip; in the names `__` stands for a dot, `_in_` for a slash."""
    return archive_of({"/".join(name.replace("__", ".").split("_in_")[::-1]): data for name, data in files.items()})


def archive_of(files: dict[str, bytes]) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return kept.getvalue()


def test_a_notebook_of_the_right_name_is_left_as_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lab__ipynb=as_bytes(right()), other__ipynb="{}")
    take_in(folder, "lab")
    assert (folder / "lab.ipynb").read_bytes() == as_bytes(right())


@pytest.mark.parametrize(
    "name", ["lab (1).ipynb", "Copy of lab.ipynb", "lab.ipynb.txt", "Übung 3.ipynb", "lab_ann.ipynb"]
)
def test_a_notebook_under_another_name_counts(name: str, tmp_path: Path) -> None:
    (written(tmp_path / "s", notes__txt="x") / name).write_bytes(as_bytes(right()))
    found = taken_in(tmp_path / "s")
    assert solved(found)
    assert remarks(found) == f"The notebook was handed in as {name}."


def test_a_notebook_in_a_folder_counts_with_its_files(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lab__ipynb_in_work=as_bytes(right()), net__onnx_in_work="network")
    assert solved(taken_in(folder))
    assert (folder / "net.onnx").read_bytes() == b"network"


def test_the_notebook_that_is_called_like_the_lab_counts(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", notes__ipynb=as_bytes(released()))
    (folder / "lab (2).ipynb").write_bytes(as_bytes(right()))
    assert solved(taken_in(folder))


def test_two_notebooks_that_could_be_meant_are_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", a__ipynb=as_bytes(right()), b__ipynb=as_bytes(right()))
    found = taken_in(folder)
    assert not solved(found)
    assert "it is not clear which notebook counts: a.ipynb, b.ipynb." in remarks(found)


def test_without_a_notebook_that_is_said(tmp_path: Path) -> None:
    assert "No notebook was handed in." in remarks(taken_in(written(tmp_path / "s", notes__txt="x")))


def test_a_notebook_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    written(tmp_path / "other", lab__ipynb=as_bytes(right()))
    folder = written(tmp_path / "s", notes__txt="x")
    (folder / "lab.ipynb").symlink_to(tmp_path / "other" / "lab.ipynb")
    assert not solved(taken_in(folder))
    assert (folder / "lab.ipynb").is_symlink()


@pytest.mark.parametrize("handed_in", [b"", b"[]", b'"x"', b"{", b'{"metadata": []}', b'{"metadata": "x", "cells": 3}'])
def test_a_file_under_another_name_that_is_no_notebook_does_no_harm(handed_in: bytes, tmp_path: Path) -> None:
    assert remarks(taken_in(written(tmp_path / "s", other__ipynb=handed_in)))


def test_nothing_that_was_handed_in_is_changed(tmp_path: Path) -> None:
    inside = archive(lab__ipynb=as_bytes(right()), net__onnx=b"from the zip")
    folder = written(tmp_path / "s", lab__zip=inside, net__onnx="beside the zip")
    (folder / "out.onnx").symlink_to(tmp_path / "nowhere")
    take_in(folder, "lab")
    assert (folder / "net.onnx").read_bytes() == b"beside the zip"
    assert (folder / "lab.zip").read_bytes() == inside
    assert (folder / "out.onnx").is_symlink()


def test_taking_in_twice_is_taking_in_once(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lab__zip=archive(lab__ipynb=as_bytes(right()), net__onnx=b"network"))
    take_in(folder, "lab")
    once = read_submission(folder)
    take_in(folder, "lab")
    assert read_submission(folder) == once


def test_a_submission_that_is_a_link_is_not_written_to(tmp_path: Path) -> None:
    written(tmp_path / "other", notes__txt="x")
    (tmp_path / "s").symlink_to(tmp_path / "other")
    take_in(tmp_path / "s", "lab")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]


# --- zips


def test_a_notebook_in_a_zip_counts_with_its_files(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lab__zip=archive(lab__ipynb=as_bytes(right()), net__onnx=b"network"))
    found = taken_in(folder)
    assert solved(found)
    assert remarks(found) == "The notebook was handed in as lab.ipynb in lab.zip."
    assert (folder / "net.onnx").read_bytes() == b"network"


@pytest.mark.parametrize("name", ["a/b/lab.ipynb", "a\\lab.ipynb", "./lab.ipynb", "../lab.ipynb", "work/lab (1).ipynb"])
def test_a_notebook_deep_in_a_zip_counts(name: str, tmp_path: Path) -> None:
    inside = archive_of({name: as_bytes(right()), "__MACOSX/._lab.ipynb": b"x", ".ipynb_checkpoints/lab.ipynb": b"x"})
    assert solved(taken_in(written(tmp_path / "s", anything__zip=inside)))


def test_a_zip_without_a_notebook_is_named(tmp_path: Path) -> None:
    found = taken_in(written(tmp_path / "s", lab__zip=archive(notes__txt=b"x")))
    assert "There is no notebook in lab.zip." in remarks(found)


@pytest.mark.parametrize(
    "name", ["../net.onnx", "../../net.onnx", "/net.onnx", "..\\net.onnx", "C:\\net.onnx", "a/../../net.onnx"]
)
def test_a_zip_writes_nothing_outside_of_the_folder(name: str, tmp_path: Path) -> None:
    inside = archive_of({"lab.ipynb": as_bytes(right()), name: b"network"})
    take_in(written(tmp_path / "in" / "s", lab__zip=inside), "lab")
    assert {path.name for path in tmp_path.rglob("*")} == {"in", "s", "lab.zip", "lab.ipynb", "net.onnx"}
    assert (tmp_path / "in" / "s" / "net.onnx").is_file()


@pytest.mark.parametrize("name", ["x" * 300 + ".onnx", "a\nb.onnx", "a\x00b.onnx", "/.onnx", "...onnx", "net.onnx/"])
def test_odd_names_in_a_zip_do_no_harm(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lab__zip=archive_of({"lab.ipynb": as_bytes(right()), name: b"network"}))
    assert solved(taken_in(folder))


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file may have 64 MB, but not all together: here with smaller numbers."""
    monkeypatch.setattr(submissions, "LARGEST_FILE", 1_000)
    monkeypatch.setattr(submissions, "LARGEST_IN_ALL", 3_000)
    files = {f"net{number}.onnx": bytes(1_000) for number in range(100)} | {"huge.onnx": bytes(10_000_000)}
    found = unzipped(archive_of({"lab.ipynb": b"{}", **files}))
    assert "huge.onnx" not in found and sum(map(len, found.values())) <= 3_000


def test_a_zip_that_lies_about_its_sizes_is_not_unpacked() -> None:
    data = bytearray(archive_of({"lab.ipynb": bytes(100_000)}))
    for start in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        data[start : start + 4] = (10).to_bytes(4, "little")
    assert sum(map(len, unzipped(bytes(data)).values())) <= 10


def test_a_zip_in_a_zip_is_left_alone(tmp_path: Path) -> None:
    inside = archive(lab__zip=archive(lab__ipynb=as_bytes(right())))
    assert not solved(taken_in(written(tmp_path / "s", lab__zip=inside)))


@pytest.mark.parametrize("seed", range(30))
def test_a_zip_with_errors_in_it_does_no_harm(seed: int) -> None:
    dice = random.Random(seed)
    data = bytearray(archive(lab__ipynb=as_bytes(right()), net__onnx=dice.randbytes(1_000)))
    for _ in range(dice.randint(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    assert isinstance(unzipped(bytes(data[: dice.randrange(len(data) // 2, 2 * len(data))])), dict)


# --- restored: what is no notebook

CUT_SHORT = as_bytes(right())[:700]
NO_NOTEBOOKS = {
    "nothing": (None, "There is no notebook."),
    "0 bytes": (b"", "cannot be read"),
    "text": (b"hello", "it is not JSON, or was cut short"),
    "pictures": (b"\x89PNG\r\n\x1a\n\x00\x00", "cannot be read"),
    "half of a notebook": (CUT_SHORT, "it is not JSON, or was cut short"),
    "a list": (b"[1, 2]", "it holds no cells"),
    "a number": (b"3", "it holds no cells"),
    "null": (b"null", "it holds no cells"),
    "a text in quotes": (b'"cells"', "it holds no cells"),
    "an empty dictionary": (b"{}", "it holds no cells"),
    "something else in JSON": (b'{"cells": {"a": 1}, "metadata": 4}', "it holds no cells"),
    "no cells but worksheets": (b'{"worksheets": [1], "nbformat": 3}', "cannot be read"),
    "nested without end": (b"[" * 100_000, "nested too deeply"),
    "cells nested without end": (b'{"cells": ' + b"[" * 100_000, "nested too deeply"),
    "a long number": (b'{"cells": ' + b"1" * 10_000, "cannot be read"),
    "64 MB": (b" " * 64_000_000, "The notebook has 64 MB; at most 32 MB are read."),
}


@pytest.mark.parametrize("what", NO_NOTEBOOKS)
def test_what_is_no_notebook_becomes_the_lab_as_it_was_released(what: str) -> None:
    handed_in, sentence = NO_NOTEBOOKS[what]
    notebook = in_form(handed_in)
    assert sentence in remarks(notebook)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in released().cells]


def test_a_notebook_without_cells_gets_the_graded_ones() -> None:
    notebook = in_form({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    assert len(notebook.cells) == 7
    assert "Cells that were missing and have been put back as they were released: double" in remarks(notebook)


# --- restored: what is nearly one


def test_a_right_notebook_stays_as_it_is() -> None:
    notebook = in_form(right())
    assert [(cell.id, cell.source) for cell in notebook.cells] == [(cell.id, cell.source) for cell in right().cells]
    assert [tags(cell) for cell in notebook.cells] == [tags(cell) for cell in right().cells]
    assert remarks(notebook) == ""


@pytest.mark.parametrize(
    "rewritten",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.decode().encode("utf-16"),
        lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") + b"\r\n",
    ],
    ids=["byte order mark", "Windows line ends", "UTF-16", "both"],
)
def test_what_editors_do_to_files_does_not_matter(rewritten: Callable[[bytes], bytes]) -> None:
    notebook = in_form(rewritten(as_bytes(right())))
    assert solved(notebook) and remarks(notebook) == ""


def test_windows_line_ends_within_cells_do_not_matter() -> None:
    handed_in = right()
    for cell in handed_in.cells:
        cell.source = cell.source.replace("\n", "\r\n")
    notebook = in_form(handed_in)
    assert cell_of(notebook, "double").source.replace("\r", "") == RIGHT.format("double", 2)
    assert remarks(notebook) == ""


def test_notebooks_of_version_3_are_read() -> None:
    old = nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet()])
    for cell in right().cells:
        make = nbformat.v3.new_code_cell if cell.cell_type == "code" else nbformat.v3.new_text_cell
        old.worksheets[0].cells.append(make(input=cell.source, metadata=cell.metadata) if cell.cell_type == "code"
                                       else make("markdown", source=cell.source, metadata=cell.metadata))  # fmt: skip
    for text in (nbformat.v3.writes_json(old).encode(), b"\xef\xbb\xbf" + nbformat.v3.writes_json(old).encode()):
        notebook = in_form(text)
        assert solved(notebook) and remarks(notebook) == ""


def test_sources_in_lines_are_joined() -> None:
    handed_in = json.loads(as_bytes(right()))
    assert isinstance(handed_in["cells"][2]["source"], list)
    assert solved(in_form(handed_in))


JUNK = [
    None,
    True,
    -1,
    1e300,
    "",
    "x",
    "\ud800\x00\x07",
    [],
    [[]],
    {},
    {"a": 1},
    ["x", 1],
    {"nbgrader": {"grade": True}},
]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize(
    "field", ["cell_type", "id", "source", "metadata", "outputs", "execution_count", "attachments"]
)
def test_fields_of_wrong_types_do_no_harm(field: str, junk: Any) -> None:
    handed_in = json.loads(as_bytes(right()))
    for cell in handed_in["cells"]:
        cell[field] = junk
    in_form(handed_in)


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize(
    "field", ["grade_id", "locked", "points", "solution", "grade", "schema_version", "cell_type", ""]
)
def test_grading_fields_of_wrong_types_do_no_harm(field: str, junk: Any) -> None:
    handed_in = json.loads(as_bytes(right()))
    for cell in handed_in["cells"]:
        if field:
            cell["metadata"].setdefault("nbgrader", {})[field] = junk
        else:
            cell["metadata"]["nbgrader"] = junk
    in_form(handed_in)


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("field", ["cells", "metadata", "nbformat", "nbformat_minor", "worksheets"])
def test_top_fields_of_wrong_types_do_no_harm(field: str, junk: Any) -> None:
    in_form(json.loads(as_bytes(right())) | {field: junk})


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_cells_of_wrong_types_are_left_out(junk: Any) -> None:
    handed_in = json.loads(as_bytes(right()))
    handed_in["cells"] = [junk, *handed_in["cells"], junk]
    assert solved(in_form(handed_in))


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every place in JSON data: what holds it, and under which key."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    return [(tree, key) for key in keys] + [place for key in keys for place in places(tree[key])]


def mutated(dice: random.Random) -> Any:
    """The right notebook with a few random changes: values replaced, removed, doubled, exchanged."""
    tree = json.loads(as_bytes(dice.choice([right, without_metadata, released])()))
    for _ in range(dice.choice([1, 1, 2, 3, 5, 10, 30])):
        found = places(tree)
        if not found:
            break
        (holder, key), (other, other_key) = dice.choice(found), dice.choice(found)
        match dice.randrange(5):
            case 0:
                holder[key] = copy.deepcopy(dice.choice(JUNK))
            case 1:
                del holder[key]
            case 2 if isinstance(holder, list):
                holder.insert(dice.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
            case 3:
                holder[key] = copy.deepcopy(other[other_key])
            case 4:
                holder[key], other[other_key] = copy.deepcopy(other[other_key]), copy.deepcopy(holder[key])
    return tree


@pytest.mark.parametrize("seed", range(25))
def test_random_changes_do_no_harm(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(20):
        in_form(mutated(dice))


@pytest.mark.parametrize("seed", range(10))
def test_random_bytes_do_no_harm(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(20):
        data = bytearray(as_bytes(right()))
        for _ in range(dice.randint(1, 5)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        in_form(bytes(data[: dice.choice([len(data), dice.randrange(len(data))])]))


# --- restored: cells doubled, missing, moved


def test_of_doubled_cells_the_last_that_was_changed_counts() -> None:
    handed_in = right()
    for source in ("def double(x):\n    return 0", RIGHT.format("double", 2)):
        cell = copy.deepcopy(cell_of(released(), "double"))
        cell.id, cell.source = f"copy-{len(handed_in.cells)}", source
        handed_in.cells.insert(3, cell) if "0" in source else handed_in.cells.insert(4, cell)
    notebook = in_form(handed_in)
    assert solved(notebook)
    assert place_of(notebook, RIGHT.format("double", 2)) < place_of(notebook, "def double(x):\n    return 0")
    assert remarks(notebook) == "Cells that occur more than once (the last that was changed counts): double."


def test_a_copy_of_the_stub_does_not_undo_the_solution() -> None:
    handed_in = right()
    stub = copy.deepcopy(cell_of(released(), "double"))
    stub.id = "copy"
    handed_in.cells.insert(3, stub)
    notebook = in_form(handed_in)
    assert solved(notebook)
    assert STUB.format("double") not in [cell.source for cell in notebook.cells]


def test_a_notebook_twice_in_one_file_is_a_notebook_once() -> None:
    handed_in = json.loads(as_bytes(right()))
    handed_in["cells"] += handed_in["cells"]
    notebook = in_form(handed_in)
    assert solved(notebook)
    assert "more than once" in remarks(notebook)


@pytest.mark.parametrize("name", ["double", "triple"])
def test_a_deleted_check_cell_is_put_back_behind_its_solution(name: str) -> None:
    handed_in = right()
    handed_in.cells.remove(cell_of(handed_in, f"check-{name}"))
    notebook = in_form(handed_in)
    number = notebook.cells.index(cell_of(notebook, name))
    assert grade_id(notebook.cells[number + 1]) == f"check-{name}"
    assert remarks(notebook) == (f"Cells that were missing and have been put back as they were released: check-{name}.")


def test_deleted_questions_are_put_back() -> None:
    handed_in = right()
    handed_in.cells = handed_in.cells[:6]
    notebook = in_form(handed_in)
    assert [grade_id(cell) for cell in notebook.cells[-3:]] == ["check-net_onnx", "why", "answer-why"]


def test_a_stub_is_not_put_back_behind_the_solution() -> None:
    """Two cells merged into one: the second exercise has no cell of its own, but it is written."""
    handed_in = right()
    merged = f"{RIGHT.format('double', 2)}\n\n{RIGHT.format('triple', 3)}"
    cell_of(handed_in, "double").source = merged
    handed_in.cells.remove(cell_of(handed_in, "triple"))
    notebook = in_form(handed_in)
    assert place_of(notebook, STUB.format("triple")) < place_of(notebook, merged)


@pytest.mark.parametrize("shown", ["stub", "imports", "check-double"])
def test_a_solution_in_an_extra_cell_stays_where_it_was(shown: str) -> None:
    """Whether it counts is a matter of the order of the cells, as it is for the student."""
    handed_in = right()
    cell_of(handed_in, "double").source = STUB.format("double")
    extra = new_code_cell(RIGHT.format("double", 2))
    number = {"stub": 3, "imports": 2, "check-double": 4}[shown]
    handed_in.cells.insert(number, extra)
    assert place_of(in_form(handed_in), extra.source) == number


def test_cells_of_the_student_stay_in_order() -> None:
    handed_in = right()
    for number in (11, 7, 3, 2, 0):
        handed_in.cells.insert(number, new_code_cell(f"mine = {number}"))
    notebook = in_form(handed_in)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in handed_in.cells]


def test_cells_in_another_order_stay_in_that_order() -> None:
    handed_in = right()
    handed_in.cells.reverse()
    assert [cell.id for cell in in_form(handed_in).cells] == [cell.id for cell in right().cells][::-1]


def test_a_locked_cell_that_was_changed_is_as_it_was_released() -> None:
    handed_in = right()
    cell_of(handed_in, "check-double").source = "check = print"
    cell_of(handed_in, "why").source = "**Why not?**"
    notebook = in_form(handed_in)
    assert cell_of(notebook, "check-double").source == 'check("double")'
    assert cell_of(notebook, "why").source == "**Why?**"


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_a_solution_that_became_text_is_code_again(kind: str) -> None:
    handed_in = json.loads(as_bytes(right()))
    handed_in["cells"][2]["cell_type"] = kind
    notebook = in_form(handed_in)
    assert cell_of(notebook, "double").cell_type == "code" and solved(notebook)


# --- restored: without grade ids


def test_exercises_are_found_by_the_function_that_they_define() -> None:
    notebook = in_form(without_metadata())
    assert solved(notebook)
    assert cell_of(notebook, "triple").source == RIGHT.format("triple", 3)


def test_of_several_cells_with_a_function_the_last_counts() -> None:
    handed_in = without_metadata()
    handed_in.cells.insert(2, new_code_cell("def double(x):\n    return x"))
    assert solved(in_form(handed_in))


def test_check_cells_and_questions_are_found_by_what_they_say() -> None:
    notebook = in_form(without_metadata())
    ids = [grade_id(cell) for cell in notebook.cells if grade_id(cell)]
    assert ids == ["double", "check-double", "triple", "check-triple", "check-net_onnx", "why", "answer-why"]
    assert remarks(notebook) == ""


@pytest.mark.parametrize("handed_in", [right, without_metadata])
def test_an_answer_is_found_behind_its_question(handed_in: Callable[[], NotebookNode]) -> None:
    """Otherwise the question would seem to have been left empty, and nobody would read the answer."""
    notebook = handed_in()
    notebook.cells[-1] = new_markdown_cell("Because.")
    assert cell_of(in_form(notebook), "answer-why").source == "Because."


def test_a_text_elsewhere_is_no_answer() -> None:
    handed_in = right()
    handed_in.cells.pop()
    handed_in.cells.insert(1, new_markdown_cell("A note."))
    notebook = in_form(handed_in)
    assert cell_of(notebook, "answer-why").source == "YOUR ANSWER HERE"
    assert notebook.cells[1].source == "A note."


@pytest.mark.parametrize("handed_in", [right, without_metadata])
def test_training_cells_that_were_changed_keep_their_tags(handed_in: Callable[[], NotebookNode]) -> None:
    notebook = handed_in()
    for cell in notebook.cells:
        cell.source = cell.source.replace("epochs=12, lr=0.05", "epochs=30, lr=0.02").replace("(1, 2, 4)", "(1, 8)")
    found = {tags(cell)[0]: cell.source for cell in in_form(notebook).cells if tags(cell)}
    assert "epochs=30" in found["train"] and "(1, 8)" in found["slow"]


def test_a_training_cell_that_became_another_is_run() -> None:
    handed_in = without_metadata()
    handed_in.cells[6].source = "print('I have not trained')"
    notebook = in_form(handed_in)
    assert [tags(cell) for cell in notebook.cells if "not trained" in cell.source] == [[]]


def test_ids_are_enough_where_the_metadata_are_gone() -> None:
    handed_in = right()
    for cell in handed_in.cells:
        cell.metadata = NotebookNode()
    notebook = in_form(handed_in)
    assert solved(notebook)
    assert cell_of(notebook, "answer-why").source == "Because."
    assert remarks(notebook) == ""


def test_tags_are_those_of_the_lab_not_of_the_student() -> None:
    handed_in = right()
    for cell in handed_in.cells:
        cell.metadata["tags"] = ["train", "slow"]
    assert [tags(cell) for cell in in_form(handed_in).cells] == [tags(cell) for cell in released().cells]


# --- restored: what does not come through


def test_grading_metadata_on_other_cells_are_dropped() -> None:
    handed_in = right()
    cell = new_code_cell("4.0", metadata={"nbgrader": graded("bonus", grade=True, points=100.0, cell_type="code")})
    handed_in.cells.append(cell)
    assert cell_of(in_form(handed_in), "added-11").metadata == {}


def test_points_are_those_of_the_lab() -> None:
    handed_in = right()
    for cell in handed_in.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader |= {"points": 1000, "locked": False, "grade": True, "solution": True}
    cells = in_form(handed_in).cells
    assert sum(cell.metadata.nbgrader["points"] for cell in cells if grade_id(cell).startswith("check-")) == 11


def test_a_raw_cell_is_shown_as_text() -> None:
    handed_in = right()
    handed_in.cells.append(
        nbformat.v4.new_raw_cell("<script>alert(1)</script>", metadata={"raw_mimetype": "text/html"})
    )
    cell = in_form(handed_in).cells[-1]
    assert cell.cell_type == "markdown" and "<script" not in cell.source


def test_text_cells_are_cleaned() -> None:
    handed_in = right()
    cell_of(handed_in, "answer-why").source = "<script>alert(1)</script> [x](javascript:alert(1))"
    cell_of(handed_in, "intro").source += '<img src=x onerror="alert(1)">'
    notebook = in_form(handed_in)
    for name in ("answer-why", "intro"):
        assert not any(word in cell_of(notebook, name).source for word in ("<script", "<img", "javascript:"))


def test_attachments_are_dropped() -> None:
    handed_in = right()
    cell_of(handed_in, "answer-why")["attachments"] = {"a.svg": {"image/svg+xml": "PHN2Zy8+"}}
    assert "attachments" not in cell_of(in_form(handed_in), "answer-why")


def test_outputs_of_the_student_are_dropped() -> None:
    handed_in = right()
    data = {"text/html": "<script>alert(1)</script>", "application/vnd.pruning-labs.verdict+json": {"points": 100}}
    for cell in handed_in.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                nbformat.v4.new_output("execute_result", data),
                nbformat.v4.new_output("stream", text="4.0"),
            ]
            cell.execution_count = 7
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in in_form(handed_in).cells)


def test_metadata_of_the_notebook_are_those_of_the_lab() -> None:
    handed_in = right()
    handed_in.metadata = {"kernelspec": {"name": "bash", "display_name": "x"}, "title": "<script>", "widgets": {"x": 1}}
    metadata = in_form(handed_in).metadata
    assert set(metadata) == {"kernelspec", "language_info", NOTES} and metadata.kernelspec.name == "python3"


def test_control_characters_in_code_become_blanks() -> None:
    handed_in = json.loads(as_bytes(right()))
    handed_in["cells"][2]["source"] = "x = 1\x00\x08\ud800\t# \x1b[31m"
    assert cell_of(in_form(handed_in), "double").source == "x = 1  ?\t# \x1b[31m"


def test_a_long_cell_is_cut_and_that_is_said() -> None:
    handed_in = right()
    handed_in.cells.insert(0, new_code_cell("#" + "x" * notebooks.LONGEST_CELL))
    notebook = in_form(handed_in)
    assert len(notebook.cells[0].source) == notebooks.LONGEST_CELL and solved(notebook)
    assert remarks(notebook) == "Cut after 50,000 characters: cell 1."


@pytest.mark.parametrize("extra", [["x"] * 2_000, ["#" + "x" * 40_000] * 100], ids=["cells", "characters"])
def test_a_long_notebook_is_cut_and_that_is_said(extra: list[str]) -> None:
    handed_in = json.loads(as_bytes(right()))
    handed_in["cells"] += [{"cell_type": "code", "source": source} for source in extra]
    notebook = in_form(handed_in)
    assert solved(notebook) and len(notebook.cells) <= notebooks.MOST_CELLS + 7
    assert sum(len(cell.source) for cell in notebook.cells) <= notebooks.LONGEST_NOTEBOOK
    assert "The notebook has more than 1,000 cells or 1,000,000 characters; the rest was left out." in remarks(notebook)


def test_a_student_cannot_speak_at_length_in_the_remarks() -> None:
    handed_in = right()
    handed_in.metadata[NOTES] = {"remarks": ["x" * 10_000] * 100, "isolation": "bubblewrap"}
    notebook = in_form(handed_in)
    assert len(remarks(notebook)) < 2_000
    assert set(notebook.metadata[NOTES]) == {"remarks"}
