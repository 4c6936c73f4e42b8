"""A submission whose notebook lies elsewhere gets one that can be graded: under another name, in a folder, in a zip."""

import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest
from helpers.small_lab import as_bytes, in_form, released, remarks, right, solved, written
from nbformat import NotebookNode

from autograder.grading import submissions
from autograder.grading.submissions import read_submission, take_in, unpacked


def taken_in(folder: Path) -> NotebookNode:
    """What is graded of a folder."""
    take_in(folder, "lab")
    return in_form(read_submission(folder).files.get("lab.ipynb"))


def archive(**files: bytes) -> bytes:
    """A zip; in the names `__` stands for a dot, `_in_` for a slash."""
    return archive_of({"/".join(name.replace("__", ".").split("_in_")[::-1]): data for name, data in files.items()})


def archive_of(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def test_a_notebook_of_the_right_name_is_left_as_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lab__ipynb=as_bytes(right()), other__ipynb="{}")
    take_in(folder, "lab")
    assert (folder / "lab.ipynb").read_bytes() == as_bytes(right())


@pytest.mark.parametrize(
    "name", ["lab (1).ipynb", "Copy of lab.ipynb", "lab.ipynb.txt", "Übung 3.ipynb", "lab_ann.ipynb"]
)
def test_a_notebook_under_another_name_counts(name: str, tmp_path: Path) -> None:
    (written(tmp_path / "s", notes__txt="x") / name).write_bytes(as_bytes(right()))
    notebook = taken_in(tmp_path / "s")
    assert solved(notebook)
    assert remarks(notebook) == f"The notebook was handed in as {name}."


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
    notebook = taken_in(folder)
    assert not solved(notebook)
    assert "it is not clear which notebook counts: a.ipynb, b.ipynb." in remarks(notebook)


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
    notebook = taken_in(folder)
    assert solved(notebook)
    assert remarks(notebook) == "The notebook was handed in as lab.ipynb in lab.zip."
    assert (folder / "net.onnx").read_bytes() == b"network"


@pytest.mark.parametrize("name", ["a/b/lab.ipynb", "a\\lab.ipynb", "./lab.ipynb", "../lab.ipynb", "work/lab (1).ipynb"])
def test_a_notebook_deep_in_a_zip_counts(name: str, tmp_path: Path) -> None:
    inside = archive_of({name: as_bytes(right()), "__MACOSX/._lab.ipynb": b"x", ".ipynb_checkpoints/lab.ipynb": b"x"})
    assert solved(taken_in(written(tmp_path / "s", anything__zip=inside)))


def test_a_zip_without_a_notebook_is_named(tmp_path: Path) -> None:
    notebook = taken_in(written(tmp_path / "s", lab__zip=archive(notes__txt=b"x")))
    assert "There is no notebook in lab.zip." in remarks(notebook)


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
    found = unpacked("a.zip", archive_of({"lab.ipynb": b"{}", **files}))
    assert "huge.onnx" not in found and sum(map(len, found.values())) <= 3_000


def test_a_zip_that_lies_about_its_sizes_is_not_unpacked() -> None:
    data = bytearray(archive_of({"lab.ipynb": bytes(100_000)}))
    for start in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        data[start : start + 4] = (10).to_bytes(4, "little")
    assert sum(map(len, unpacked("a.zip", bytes(data)).values())) <= 10


def test_a_zip_in_a_zip_is_left_alone(tmp_path: Path) -> None:
    inside = archive(lab__zip=archive(lab__ipynb=as_bytes(right())))
    assert not solved(taken_in(written(tmp_path / "s", lab__zip=inside)))


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_a_tar_archive_is_opened_too(tmp_path: Path, ending: str) -> None:
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file, mode="w" + {"gz": ":gz", "tgz": ":gz", "bz2": ":bz2", "xz": ":xz"}.get(ending.split(".")[-1], "")
    ) as tar:
        for name, data in {"a/lab.ipynb": as_bytes(right()), "a/net.onnx": b"net"}.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
        link = tarfile.TarInfo("a/evil.onnx")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    folder = written(tmp_path / "s")
    folder.mkdir(exist_ok=True)
    (folder / f"work.{ending}").write_bytes(file.getvalue())
    assert solved(taken_in(folder))
    assert (folder / "net.onnx").read_bytes() == b"net" and not (folder / "evil.onnx").exists()


def test_a_compressed_tar_of_endless_zeros_is_read_so_far_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "LARGEST_IN_ALL", 100_000)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        about = tarfile.TarInfo("lab.ipynb")
        about.size = 10_000_000
        tar.addfile(about, io.BytesIO(bytes(10_000_000)))
    assert unpacked("a.tgz", file.getvalue()) == {}


@pytest.mark.parametrize("name", ["work.rar", "work.7z"])
def test_an_archive_that_is_not_opened_is_named(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path / "s")
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"Rar!")
    assert any(f"{name} was not opened" in remark for remark in taken_in(folder).metadata["pruning_labs"]["remarks"])


@pytest.mark.parametrize("seed", range(30))
def test_a_zip_with_errors_in_it_does_no_harm(seed: int) -> None:
    dice = random.Random(seed)
    data = bytearray(archive(lab__ipynb=as_bytes(right()), net__onnx=dice.randbytes(1_000)))
    for _ in range(dice.randint(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    assert isinstance(unpacked("a.zip", bytes(data[: dice.randrange(len(data) // 2, 2 * len(data))])), dict)
