"""The files that students hand in are read with care: no links, no devices, nothing too large."""

import json
import os
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from helpers.small_lab import written

from autograder.grading import submissions
from autograder.grading.submissions import read_file, read_submission
from autograder.grading.times import time_in

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


# --- timestamp.txt

HANDED_IN = datetime(2026, 11, 20, 23, 59, 30)
TIMES = {
    "as nbgrader writes it": b"2026-11-20 23:59:30 UTC",
    "with a line end of Windows": b"2026-11-20 23:59:30 UTC\r\n",
    "with a byte order mark": "2026-11-20 23:59:30 UTC".encode("utf-8-sig"),
    "in UTF-16": "2026-11-20 23:59:30 UTC\r\n".encode("utf-16"),
    "in UTF-16 without a mark": "2026-11-20 23:59:30 UTC".encode("utf-16-le"),
    "in UTF-16 the other way round": "2026-11-20 23:59:30 UTC".encode("utf-16-be"),
    "in another zone": b"2026-11-21 00:59:30 +0100",
    "in the form of ISO 8601": b"2026-11-20T23:59:30Z",
    "by the day first": b"20/11/2026 23:59:30",
    "as a shell's date": b"Fri Nov 20 23:59:30 UTC 2026",
    "seconds since 1970": b"1795219170\n",
    "milliseconds since 1970": b"1795219170000",
}


@pytest.mark.parametrize("form", TIMES)
def test_a_time_is_read_however_it_is_written(form: str) -> None:
    assert time_in(TIMES[form]) == HANDED_IN


NO_TIMES = [b"", b"5", b"yesterday", b"\xff\xfe\x00", b"2026-13-45", b"9" * 100, bytes(50), b"\x80abc 2026"]
NO_TIMES += [b"2026", b"2026-11", b"20 Nov", b"11/12/2026 10:00", b"2026-11-20 23:59 Neverland"]


@pytest.mark.parametrize("data", NO_TIMES)
def test_what_holds_no_time_is_named(data: bytes, tmp_path: Path) -> None:
    assert time_in(data) is None
    (tmp_path / "timestamp.txt").write_bytes(data)
    (remark,) = read_submission(tmp_path).remarks
    assert remark.startswith("timestamp.txt holds no time that can be read")


# --- read_submission


def test_files_are_read_by_their_names_in_the_folder(tmp_path: Path) -> None:
    submission = read_submission(written(tmp_path / "s", lab__ipynb="{}", net__onnx_in_models="x"))
    assert submission.files == {"lab.ipynb": b"{}", "models/net.onnx": b"x"}
    assert submission.remarks == []


@pytest.mark.parametrize("what", [what for what in SPECIAL if what != "a folder"])
def test_what_is_no_ordinary_file_is_left_out_with_a_sentence(what: str, tmp_path: Path) -> None:
    make, sentence = SPECIAL[what]
    written(tmp_path / "s", lab__ipynb="{}")
    make(tmp_path / "s" / "thing")
    submission = read_submission(tmp_path / "s")
    assert set(submission.files) == {"lab.ipynb"}
    assert (
        len(submission.remarks) == 1
        and sentence in submission.remarks[0]
        and submission.remarks[0].endswith(" It was left out.")
    )


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    written(tmp_path / "other", lab__ipynb="another student's")
    written(tmp_path / "s", notes__txt="x")
    (tmp_path / "s" / "models").symlink_to(tmp_path / "other")
    submission = read_submission(tmp_path / "s")
    assert set(submission.files) == {"notes.txt"}
    assert submission.remarks == ["models is a link, and links are not followed. It was left out."]


@pytest.mark.parametrize("linked", ["student", "student/lab"])
def test_a_submission_that_is_a_link_is_not_read(linked: str, tmp_path: Path) -> None:
    written(tmp_path / "other" / "lab", lab__ipynb="another student's")
    (tmp_path / "student").parent.mkdir(exist_ok=True)
    if linked == "student":
        (tmp_path / "student").symlink_to(tmp_path / "other")
    else:
        (tmp_path / "student").mkdir()
        (tmp_path / "student" / "lab").symlink_to(tmp_path / "other" / "lab")
    submission = read_submission(tmp_path / "student" / "lab")
    assert submission.files == {} and "is a link" in submission.remarks[0]


@pytest.mark.parametrize("folder", ["minicifar", "course_utils", "solutions", "checks", "__pycache__", ".git"])
def test_folders_that_came_with_the_lab_are_skipped(folder: str, tmp_path: Path) -> None:
    written(tmp_path / "s" / folder, x__py="x")
    written(tmp_path / "s" / "own" / folder, x__py="x")
    submission = read_submission(written(tmp_path / "s", lab__ipynb="{}"))
    assert set(submission.files) == {"lab.ipynb"} and submission.remarks == []


def test_hidden_files_are_skipped(tmp_path: Path) -> None:
    submission = read_submission(written(tmp_path / "s", __DS_Store="x", lab__ipynb="{}"))
    assert set(submission.files) == {"lab.ipynb"} and submission.remarks == []


def test_more_megabytes_than_are_read_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "LARGEST_IN_ALL", 25)
    submission = read_submission(written(tmp_path / "s", a="x" * 10, b="x" * 10, c="x" * 10, d="x"))
    assert set(submission.files) == {"a", "b"} and "the rest was left out" in submission.remarks[0]


def test_more_files_than_are_read_are_left_out(tmp_path: Path) -> None:
    submission = read_submission(written(tmp_path / "s", **{f"f{number}": "x" for number in range(310)}))
    assert len(submission.files) == 300 and "More than 300 files" in submission.remarks[0]


def test_of_many_files_left_out_some_are_named(tmp_path: Path) -> None:
    written(tmp_path / "s", lab__ipynb="{}")
    for number in range(50):
        (tmp_path / "s" / f"link{number}").symlink_to("/etc/hostname")
    submission = read_submission(tmp_path / "s")
    assert len(submission.remarks) == submissions.MOST_REMARKS + 1 and submission.remarks[-1] == "So were 30 more."


def test_folders_too_deep_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "s" / "/".join("d" * 100)).mkdir(parents=True)
    submission = read_submission(written(tmp_path / "s", lab__ipynb="{}"))
    assert set(submission.files) == {"lab.ipynb"}
    assert submission.remarks == ["d cannot be read (Is a directory). It was left out."]


def test_names_that_are_no_text_become_readable(tmp_path: Path) -> None:
    """From an archive of an old Windows: bytes that are not UTF-8. They would stop whoever stores them later."""
    folder = os.fsencode(written(tmp_path / "s", lab__ipynb="{}"))
    with open(os.path.join(folder, b"\xdcbung\x07.txt"), "wb") as file:
        file.write(b"x")
    os.symlink("/etc/hostname", os.path.join(folder, b"\xdc.txt"))
    submission = read_submission(tmp_path / "s")
    assert submission.files["?bung .txt"] == b"x"
    assert json.dumps(submission.remarks, ensure_ascii=False).encode()
