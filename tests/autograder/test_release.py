"""What a student's folder holds, without building it."""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

from autograder.authoring.editions import exercises, lab_names
from autograder.authoring.support import STUDENT_FILES, support_files

PACKAGE_OF = {"PIL": "pillow", "IPython": "ipython", "sklearn": "scikit"}  # as far as the first letters
OURS = {"minicifar", "course_utils", "solutions"}


shipped = functools.cache(support_files)  # name → file


@functools.cache
def imported(path: Path) -> set[str]:
    """The top-level names of everything that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


ONLY_ON_REQUEST = {"distributed"}  # the oracle on a cluster


@pytest.mark.parametrize("lab", lab_names())
def test_the_requirements_name_every_package_that_is_imported(lab: str) -> None:
    listed = set(re.findall(r"^[a-z]+", (STUDENT_FILES / "requirements.txt").read_text(), re.MULTILINE))
    files = [path for path in shipped(lab).values() if path.suffix == ".py"]
    needed = set().union(*map(imported, files)) - set(sys.stdlib_module_names) - OURS - ONLY_ON_REQUEST
    assert {PACKAGE_OF.get(name, name) for name in needed} <= listed


def test_the_slides_come_with_their_style_and_script() -> None:
    assert {"course_utils/pictures/slides.css", "course_utils/pictures/slides.js"} <= set(shipped("challenge"))


@pytest.mark.parametrize("lab", lab_names())
def test_nothing_shipped_imports_the_autograder(lab: str) -> None:
    for path in shipped(lab).values():
        if path.suffix == ".py":
            assert "autograder" not in imported(path), path.name


@pytest.mark.parametrize("lab", lab_names())
def test_no_lab_ships_solutions_that_it_or_a_later_one_asks_for(lab: str) -> None:
    names = lab_names()
    asked = {exercise.module for later in names[names.index(lab) :] for exercise in exercises(later) if exercise.module}
    modules = {name.removesuffix(".py").replace("/", ".") for name in shipped(lab)}
    assert modules.isdisjoint(asked)
