"""Any notebook comes back in the lab's form, with the student's work in it, and with a sentence on what was amiss."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from helpers.small_lab import (
    RIGHT,
    STUB,
    as_bytes,
    cell_of,
    in_form,
    released,
    remarks,
    right,
    solved,
    without_metadata,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.authoring.editions import graded, tags
from autograder.grading import notebooks
from autograder.grading.notebooks import NOTES, grade_id


def place_of(notebook: NotebookNode, source: str) -> int:
    return next(number for number, cell in enumerate(notebook.cells) if cell.source == source)


# --- what is no notebook

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


# --- what is nearly one


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
        everywhere = places(tree)
        if not everywhere:
            break
        (holder, key), (other, other_key) = dice.choice(everywhere), dice.choice(everywhere)
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


# --- cells doubled, missing, moved


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


# --- whatever is done to the cells

TEXTS = ["", "x = 1", "A note.", "YOUR ANSWER HERE", "**Why?**", 'check("double")', "def triple(x):\n    return 5"]
CHANGES = ("delete", "double", "move", "merge", "edit", "insert", "change the kind of", "rename", "strip", "regrade")


@st.composite
def mangled(draw: st.DrawFn) -> NotebookNode:  # noqa: C901 (a list of cases)
    """The right notebook with cells deleted, doubled, moved, merged, edited …, and their ids and grade ids changed."""
    notebook = draw(st.sampled_from([right, without_metadata, released]))()
    cells = notebook.cells
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=10)):
        if not cells:
            break
        cell = cells[draw(st.integers(0, len(cells) - 1))]
        place = draw(st.integers(0, len(cells) - 1))
        other = cells[place]
        match change:
            case "delete":
                cells.remove(cell)
            case "double":
                cells.insert(place, copy.deepcopy(cell))
            case "move":
                cells.remove(cell)
                cells.insert(place, cell)
            case "merge" if cell is not other:
                cell.source = f"{cell.source}\n\n{other.source}"
                cells.pop(place)
            case "edit":
                cell.source = draw(st.sampled_from(TEXTS))
            case "insert":
                make = draw(st.sampled_from([new_code_cell, new_markdown_cell]))
                cells.insert(place, make(draw(st.sampled_from(TEXTS))))
            case "change the kind of":
                cell.cell_type = draw(st.sampled_from(["code", "markdown", "raw"]))
            case "rename":
                cell.id = draw(st.sampled_from(["new", other.id]))
            case "strip":
                cell.metadata = NotebookNode()
            case "regrade":
                cell.metadata = copy.deepcopy(other.metadata)
    return notebook


def as_json(notebook: NotebookNode) -> bytes:
    """Its file, also where nbformat would refuse to write it."""
    return json.dumps(notebook).encode()


def contents(notebook: NotebookNode) -> list[tuple[str, str, str]]:
    return [(cell.cell_type, cell.source, grade_id(cell)) for cell in notebook.cells]


@given(mangled())
@settings(deadline=None)
def test_what_is_in_form_stays_as_it_is(handed_in: NotebookNode) -> None:
    """Every graded cell occurs once, and locked ones as released (`in_form`); once more changes nothing."""
    once = in_form(as_json(handed_in))
    twice = in_form(as_json(once))
    assert contents(twice) == contents(once)
    assert remarks(twice) == remarks(once)


@given(mangled())
@settings(deadline=None)
def test_a_cell_that_was_not_touched_keeps_its_id(handed_in: NotebookNode) -> None:
    ids = [cell.id for cell in handed_in.cells]
    names = [grade_id(cell) for cell in handed_in.cells]
    originals = {cell.id: cell for cell in right().cells}
    notebook = in_form(as_json(handed_in))
    for cell in handed_in.cells:
        alone = ids.count(cell.id) == 1 and (not grade_id(cell) or names.count(grade_id(cell)) == 1)
        if alone and cell == originals.get(cell.id):
            assert cell_of(notebook, cell.id).source == cell.source


@given(mangled())
@settings(deadline=None)
def test_what_a_student_adds_is_there_once_and_in_order(handed_in: NotebookNode) -> None:
    """Cells in between, numbered, whatever was done to the others."""
    cells = []
    for number, cell in enumerate(handed_in.cells):
        cells += [cell, new_code_cell(f"mine = {number}")]
    numbers = [f"mine = {number}" for number in range(len(handed_in.cells))]
    handed_in.cells = cells
    notebook = in_form(as_json(handed_in))
    assert [cell.source for cell in notebook.cells if cell.source.startswith("mine =")] == numbers


@given(mangled())
@settings(deadline=None)
def test_no_code_that_a_student_wrote_is_lost(handed_in: NotebookNode) -> None:
    """It is there as often as it was handed in, unless it stood in a cell that only the course may change."""
    locked = {name for cell in released().cells if cell.metadata.get("nbgrader", {}).get("locked")
              for name in (cell.id, grade_id(cell))}  # fmt: skip
    notebook = in_form(as_json(handed_in))
    for source in (RIGHT.format("double", 2), RIGHT.format("triple", 3)):
        written = [cell for cell in handed_in.cells if cell.source == source]
        if not any({cell.id, grade_id(cell)} & locked for cell in written):
            assert sum(cell.source == source for cell in notebook.cells) == len(written)


# --- without grade ids


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


def test_a_text_where_a_question_was_is_not_lost() -> None:
    """The question is put back beside it, not in its place."""
    handed_in = without_metadata()
    handed_in.cells = [cell for cell in handed_in.cells if cell.source != "**Why?**"]
    notebook = in_form(handed_in)
    assert [cell.source for cell in notebook.cells].count("Because.") == 1
    assert "put back as they were released: why, answer-why." in remarks(notebook)


def test_an_answer_is_not_taken_for_a_question_that_was_left_empty() -> None:
    """Metadata and ids are gone, and only the first of two questions was answered."""
    lab, handed_in = released(), without_metadata()
    lab.cells += [new_markdown_cell("**How?**", id="how"), new_markdown_cell("YOUR ANSWER HERE", id="answer-how")]
    lab.cells[-2].metadata["nbgrader"] = graded("how", locked=True, cell_type="markdown")
    lab.cells[-1].metadata["nbgrader"] = graded("answer-how", grade=True, solution=True, cell_type="markdown")
    handed_in.cells += [new_markdown_cell(cell.source) for cell in lab.cells[-2:]]
    notebook = notebooks.restored(lab, as_bytes(handed_in))
    assert cell_of(notebook, "answer-why").source == "Because."
    assert cell_of(notebook, "answer-how").source == "YOUR ANSWER HERE"
    assert remarks(notebook) == ""


@pytest.mark.parametrize("handed_in", [right, without_metadata])
def test_training_cells_that_were_changed_keep_their_tags(handed_in: Callable[[], NotebookNode]) -> None:
    notebook = handed_in()
    for cell in notebook.cells:
        cell.source = cell.source.replace("epochs=12, lr=0.05", "epochs=30, lr=0.02").replace("(1, 2, 4)", "(1, 8)")
    sources = {tags(cell)[0]: cell.source for cell in in_form(notebook).cells if tags(cell)}
    assert "epochs=30" in sources["train"] and "(1, 8)" in sources["slow"]


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


# --- what does not come through


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
