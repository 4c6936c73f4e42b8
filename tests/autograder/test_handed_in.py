"""What was handed in where nobody looks for it is named; folders of archivers are no students."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from helpers.small_lab import RIGHT, as_bytes, cell_of, released, right

from autograder.course import ROOT, CourseError
from autograder.grading.handed_in import (
    chosen_students,
    like,
    not_found,
    nothing_handed_in,
    students,
    submitted,
    unusable,
)
from autograder.grading.submissions import counted

LAB = "lab1_costs"


def put(course: Path, *names: str) -> None:
    for name in names:
        path = course / "submitted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}")


def test_folders_of_archivers_and_editors_are_no_students(tmp_path: Path) -> None:
    put(tmp_path, f"ann/{LAB}/a", f".git/{LAB}/a", f"__MACOSX/{LAB}/a", f".ipynb_checkpoints/{LAB}/a", ".DS_Store")
    assert students(tmp_path) == submitted(tmp_path, LAB) == ["ann"] and not_found(tmp_path, LAB) == []


@pytest.mark.parametrize(
    "place",
    [f"ann/{LAB}.ipynb", "ann/lab1.ipynb", "ann/Lab1_Costs/x.ipynb", "ann/lab1/x", "ann/lab 1/x", "ann/lab1_cost/x",
     "ann/lab1-costs/x", f"{LAB}.ipynb", f"{LAB}/ann/x.ipynb", "ann/homework.ipynb", "ann/lab1_pruned.onnx"],
)  # fmt: skip
def test_what_lies_in_the_wrong_place_is_named_with_the_right_one(tmp_path: Path, place: str) -> None:
    put(tmp_path, place)
    (sentence,) = not_found(tmp_path, LAB)
    assert "submitted/" in sentence and LAB in sentence and "not graded" in sentence
    assert ("ann" in sentence) == place.startswith("ann")


@pytest.mark.parametrize(
    "place", [f"ann/{LAB}/x", "ann/lab2_masks/x", "ann/lab10_slim/x", "ann/lab2_masks.ipynb", "ann/notes.txt",
              "ann/lab11.ipynb", "ann/.hidden.ipynb", "ann/misc/x"]
)  # fmt: skip
def test_what_belongs_elsewhere_is_not_named(tmp_path: Path, place: str) -> None:
    put(tmp_path, place, f"ann/{LAB}/y")
    assert not_found(tmp_path, LAB) == []


def test_a_lab_is_not_taken_for_another() -> None:
    labs = [f"lab{number}_{name}" for number, name in enumerate(["minicifar", "costs", "masks", "l1_filters"])]
    labs += ["lab10_costs", "lab11_costs"]
    assert all(like(one, other) == (one == other) for one in labs for other in labs)


@pytest.mark.parametrize("name", ["*", "a?", "[x]", "a\nb", "\x1b[31mred", " ann", "ann "])
def test_a_name_that_cannot_be_used_is_named_and_not_graded(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"{name}/{LAB}/x", f"ann/{LAB}/x")
    assert submitted(tmp_path, LAB) == ["ann"] and unusable(name)
    (sentence,) = not_found(tmp_path, LAB)
    assert "Rename it" in sentence and sentence.isprintable()


@pytest.mark.parametrize(
    "name", ["-dash", "Ann Übel", "李", "o'neil", "a+b", "ann@uni.edu", "ann, b", "{x}", "%s", "$(id)"]
)
def test_other_names_can_be_used(name: str) -> None:
    assert unusable(name) == ""


def test_a_name_that_is_asked_for_and_not_there_is_named(tmp_path: Path) -> None:
    put(tmp_path, f"ann/{LAB}/x")
    assert chosen_students(tmp_path, LAB, ["ann"]) == ["ann"]
    with pytest.raises(CourseError, match=r"ben handed in nothing for lab1_costs; there are ann\."):
        chosen_students(tmp_path, LAB, ["ben"])


def test_where_nothing_was_handed_in_it_is_said_where_files_belong(tmp_path: Path) -> None:
    (sentence,) = nothing_handed_in(tmp_path, [LAB], asked_for=True)
    assert LAB in sentence and f"submitted/<student>/{LAB}/" in sentence
    assert len(nothing_handed_in(tmp_path, [LAB, "lab2_masks"], asked_for=False)) == 1
    put(tmp_path, f"ann/{LAB}/x")
    assert nothing_handed_in(tmp_path, [LAB], asked_for=True) == []
    assert nothing_handed_in(tmp_path, [LAB, "lab2_masks"], asked_for=False) == []
    assert len(nothing_handed_in(tmp_path, [LAB, "lab2_masks"], asked_for=True)) == 1


# --- two notebooks


def test_the_one_that_was_worked_on_counts_where_the_other_is_as_released() -> None:
    files = {"lab.ipynb": as_bytes(released()), "lab-Copy1.ipynb": as_bytes(right())}
    notebook, remarks = counted(files, "lab", released())
    assert notebook == files["lab-Copy1.ipynb"]
    assert remarks == ["lab.ipynb is as it was released, so lab-Copy1.ipynb counts."]


def test_where_both_were_worked_on_the_one_with_the_right_name_counts_and_the_other_is_named() -> None:
    other = right()
    cell_of(other, "double").source = RIGHT.format("double", 9)
    files = {"lab.ipynb": as_bytes(right()), "lab-Copy1.ipynb": as_bytes(other)}
    assert counted(files, "lab", released()) == (
        files["lab.ipynb"],
        ["lab.ipynb counts; there is also lab-Copy1.ipynb."],
    )


def test_of_several_others_none_is_chosen_but_all_are_named() -> None:
    other = right()
    cell_of(other, "double").source = RIGHT.format("double", 9)
    files = {"lab.ipynb": as_bytes(released()), "a.ipynb": as_bytes(right()), "b.ipynb": as_bytes(other)}
    notebook, (remark,) = counted(files, "lab", released())
    assert notebook == files["lab.ipynb"] and "a.ipynb, b.ipynb" in remark


@pytest.mark.parametrize("other", [b"{}", b"no json", as_bytes(released()), as_bytes(nbformat.v4.new_notebook())])
def test_what_is_no_work_on_this_lab_is_not_mentioned(other: bytes) -> None:
    files = {"lab.ipynb": as_bytes(released()), "other.ipynb": other}
    assert counted(files, "lab", released()) == (files["lab.ipynb"], [])
    files = {"lab.ipynb": as_bytes(right()), "other.ipynb": other}
    assert counted(files, "lab", released()) == (files["lab.ipynb"], [])


# --- archives of learning platforms, by nbgrader's own command


PATTERNS = dict(
    re.findall(
        r"\| ((?:Moodle|Canvas)[^|]*) \| `(.*)` \|", (ROOT / "docs" / "instructors.md").read_text(encoding="utf-8")
    )
)
MEMBERS = {
    "Moodle, in folders": "Some Body_1234567_assignsubmission_file/{name}",
    "Moodle, flat": "Some Body_1234567_assignsubmission_file_{name}",
    "Canvas": "bodysome_LATE_1234567_890_{name}",
}


@pytest.mark.slow
@pytest.mark.parametrize("platform", MEMBERS)
def test_the_patterns_of_the_documents_collect_notebooks_and_networks(tmp_path: Path, platform: str) -> None:
    archive = tmp_path / "downloaded" / LAB / "archive"
    archive.mkdir(parents=True)
    with zipfile.ZipFile(archive / "all.zip", "w") as file:
        for name in (f"{LAB}.ipynb", "lab1_design.onnx", "photo.heic"):
            file.writestr(MEMBERS[platform].format(name=name), "{}")
    source = "from pathlib import Path\nfrom autograder.course import configure\nconfigure(get_config(), Path.cwd())\n"
    (tmp_path / "nbgrader_config.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "nbgrader", "zip_collect", LAB]
    command += [f"--FileNameCollectorPlugin.named_regexp={PATTERNS[platform]}"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.returncode == 0, done.stderr
    found = sorted(path.name for path in (tmp_path / "submitted" / "1234567" / LAB).iterdir())
    assert found == ["lab1_costs.ipynb", "lab1_design.onnx"]
