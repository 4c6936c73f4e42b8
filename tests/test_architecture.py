"""Imports run one way: between folders, between the rooms of `autograder`, and between files. Read, not run."""

import ast
import functools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# folder → the folders that its files may import, at any depth and also inside functions
FOLDERS = {
    "minicifar": set(),
    "course_utils": {"minicifar"},  # `checking` finds the visible tests by their path, and imports no autograder
    "solutions": {"minicifar", "course_utils"},
    "studies": {"minicifar", "course_utils", "solutions"},
    "labs": {"minicifar", "course_utils", "solutions"},  # what is released with them; `studies` is not
    "autograder": {"minicifar", "course_utils", "solutions", "studies"},
}
# the rooms of `autograder`, a floor a line: a room sees its own floor and those below it
FLOORS = [
    {"course", "answers", "text"},
    {"sandbox", "wall"},  # what stands between a student's code and everything else can be audited alone
    {"authoring"},
    {"checks", "grading"},
    {"reports"},
    {"challenge"},
    {"demo", "__main__"},
]


def module_files() -> dict[str, Path]:
    """Every module of the folders → its file."""
    files = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


FILES = module_files()


def imports(code: str) -> Iterator[tuple[int, str]]:
    """Line and module of every import in a file's code, wherever it stands."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports are written in full, without leading dots"
            for alias in node.names:
                part = f"{node.module}.{alias.name}"
                yield node.lineno, part if part in FILES else str(node.module)


@functools.cache
def arrows() -> list[tuple[str, int, str]]:
    """Every import of one of the folders: the module that imports, the line, and what is imported."""
    return [
        (module, line, imported)
        for module, path in FILES.items()
        for line, imported in imports(path.read_text(encoding="utf-8"))
        if imported.split(".")[0] in FOLDERS
    ]


def described(wrong: list[tuple[str, int, str]]) -> str:
    return "\n".join(
        f"{FILES[module].relative_to(ROOT)}:{line}: {module} → {imported}" for module, line, imported in wrong
    )


def test_there_is_something_to_look_at():
    assert len(FILES) > 100
    assert {folder for folder in FOLDERS if folder in FILES} == FOLDERS.keys() - {"labs"}  # texts, not a package
    assert len(arrows()) > 300


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_import_what_stands_below_them(folder):
    allowed = FOLDERS[folder] | {folder}
    wrong = [
        (module, line, imported)
        for module, line, imported in arrows()
        if module.split(".")[0] == folder and imported.split(".")[0] not in allowed
    ]
    assert not wrong, f"{folder} may import {', '.join(sorted(allowed))} only:\n{described(wrong)}"


def test_every_room_has_a_floor():
    rooms = {path.stem for path in (ROOT / "autograder").iterdir() if path.suffix == ".py" or list(path.glob("*.py"))}
    assert rooms - {"__init__"} == set.union(*FLOORS), "a room of autograder is on no floor of this test, or on two"
    assert sum(map(len, FLOORS)) == len(set.union(*FLOORS))


def test_rooms_of_the_autograder_import_what_stands_below_them():
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    inside = [arrow for arrow in arrows() if arrow[0].startswith("autograder.") and arrow[2].startswith("autograder.")]
    wrong = [arrow for arrow in inside if floor_of[arrow[0].split(".")[1]] < floor_of[arrow[2].split(".")[1]]]
    assert not wrong, f"arrows up, from a room to one that stands above it:\n{described(wrong)}"


def test_no_files_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for module, _, imported in arrows():
        if imported in FILES and imported != module:
            graph.setdefault(module, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' ← '.join(error.args[1])}")
