"""Files that are written whole or not at all."""

import os
import threading

import pytest

from minicifar.files import atomic


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "name.txt"


def test_a_file_and_its_folder_are_made(path):
    with atomic(path) as temporary:
        temporary.write_text("all of it")
    assert path.read_text() == "all of it"
    assert list(path.parent.iterdir()) == [path]


def test_no_half_written_file_is_left(path):
    path.parent.mkdir()
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), atomic(path) as temporary:
        temporary.write_text("half \ud800", encoding="utf-8")
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_stands_until_the_end(path):
    path.parent.mkdir()
    path.write_text("before")
    with atomic(path) as temporary:
        temporary.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"


def test_it_is_on_the_disk_before_it_takes_its_place(path, monkeypatch):
    steps = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: steps.append("fsync") or sync(handle))
    monkeypatch.setattr(os, "replace", lambda *paths: steps.append("replace") or replace(*paths))
    with atomic(path) as temporary:
        temporary.write_text("x")
    assert steps == ["fsync", "replace"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_mode_is_that_of_a_new_file(path, mask, mode):
    before = os.umask(mask)
    try:
        with atomic(path) as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


def test_two_threads_at_once_write_two_whole_files(path):
    barrier, names = threading.Barrier(2), []

    def write(text):
        with atomic(path) as temporary:
            names.append(temporary)
            barrier.wait()
            temporary.write_text(text)

    threads = [threading.Thread(target=write, args=(letter * 10_000,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 2
    assert path.read_text() in ("a" * 10_000, "b" * 10_000)
    assert list(path.parent.iterdir()) == [path]
