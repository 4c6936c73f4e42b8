"""The notebooks that are built from the labs' text sources."""

import inspect
import time
from pathlib import Path

import nbformat
import pytest
from helpers.hurry import hurry
from helpers.quick_exports import quick_exports
from nbformat.v4 import new_code_cell, new_notebook

from autograder.authoring import editions
from autograder.authoring.editions import LabError, exercise_source, missing_names, shorten, source_edition
from course_utils.notebook_client import notebook_client

LABS = editions.lab_names()
GRADED = editions.graded_labs()


@pytest.mark.parametrize("lab", LABS)
def test_building_twice_gives_the_same_bytes(lab: str) -> None:
    assert nbformat.writes(source_edition(lab)) == nbformat.writes(source_edition(lab))


@pytest.mark.parametrize("lab", GRADED)
def test_a_source_edition_is_a_valid_notebook_with_points(lab: str) -> None:
    notebook = source_edition(lab)
    nbformat.validate(notebook)
    ids = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert len(ids) == len(set(ids))
    assert sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells) > 10


@pytest.mark.parametrize("lab", GRADED)
def test_every_lab_has_two_questions_and_an_artifact(lab: str) -> None:
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id", "") for cell in source_edition(lab).cells]
    assert sum(name.startswith("answer-question") for name in ids) == 2
    assert sum(name.endswith("_onnx") for name in ids) == 1


def hurrying(lab: str) -> nbformat.NotebookNode:
    """The first cell of a notebook that is to take little time; lab 0 compares with the labels of all images."""
    call = "hurry(evaluated=4000)" if lab == "lab0_minicifar" else "hurry()"
    functions = "\n\n".join(map(inspect.getsource, (hurry, quick_exports)))
    return new_code_cell(f"{functions}\n\n{call}\nquick_exports()\ndel hurry, quick_exports")


@pytest.mark.slow
@pytest.mark.parametrize("lab", LABS)
def test_the_source_edition_runs(lab: str, tmp_path: Path, images_at_hand: str, request: pytest.FixtureRequest) -> None:
    """Top to bottom, with the reference answers: every check passes (on few images unless --full-training)."""
    full = request.config.getoption("--full-training")
    notebook, *others = (source_edition(name) for name in (lab, *editions.COMPANIONS.get(lab, ())))
    start = time.monotonic()
    for edition in (notebook, *others):
        if not full:
            shorten(edition).cells.insert(0, hurrying(lab))
        notebook_client(edition, tmp_path, 600).execute()
    if full:
        print(f"\n{lab}: {(time.monotonic() - start) / 60:.1f} minutes on {images_at_hand}")
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if grade_id.startswith("check-") and (full or not grade_id.endswith("_onnx")):
            text = "".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs)
            assert "all" in text.splitlines()[0], text


def test_a_body_stands_between_solution_marks() -> None:
    source = exercise_source(example)
    assert source.splitlines()[-3:] == [
        "    ### BEGIN SOLUTION",
        "    return value + len(LABS)",
        "    ### END SOLUTION",
    ]


def example(value: int) -> int:
    """Add something."""
    return value + len(LABS)


def test_what_is_given_is_there_in_full_and_calls_what_the_student_writes() -> None:
    cells = [cell for cell in source_edition("lab2_masks").cells if cell.cell_type == "code"]
    given = next(cell for cell in cells if "def global_masks" in cell.source)
    assert "SOLUTION" not in given.source and "nbgrader" not in given.metadata
    assert not any("solutions.masks" in cell.source for cell in cells)


def test_names_that_no_cell_brings_in_are_found() -> None:
    assert missing_names(exercise_source(example), {"torch"}) == {"LABS"}
    assert missing_names(exercise_source(example), {"LABS"}) == set()


def test_training_cells_are_shortened() -> None:
    cell = new_code_cell("train(network, epochs=12)", metadata={"tags": ["train"]})
    assert shorten(new_notebook(cells=[cell])).cells[0].source == "train(network, epochs=1)"


def test_a_training_cell_without_epochs_is_refused() -> None:
    cell = new_code_cell("train(network)", metadata={"tags": ["train"]})
    with pytest.raises(LabError, match="epochs"):
        shorten(new_notebook(cells=[cell]))


def test_an_unknown_lab_is_named() -> None:
    with pytest.raises(LabError, match="lab9"):
        editions.read_lab("lab9")
