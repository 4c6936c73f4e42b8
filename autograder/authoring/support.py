"""What a lab's notebook needs beside it, and no more: in the student's folder, and in the sandbox.

The modules follow from the imports of its cells, of its visible checks, and of these modules themselves; the recorded
results and weights, and the files beside a module, from the names that stand in their code.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder.authoring.editions import (
    CHECKS,
    COMPANIONS,
    LabError,
    check_files,
    exercises,
    lab_names,
    read_lab,
    tags,
)
from autograder.course import PACKAGES, ROOT
from course_utils.recorded import RECORDED

STUDENT_FILES = ROOT / "docs" / "student"  # requirements.txt and a README for the student's folder
ALWAYS = ("minicifar", "minicifar.__main__", "course_utils.checking", "course_utils.networks")


def module_file(module: str) -> Path | None:
    """The file of a module of the shipped packages; None for any other name."""
    if module.split(".")[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported(code: str) -> Iterator[str]:
    """The modules that code imports anywhere, also inside functions; of `from a.b import c` both a.b and a.b.c."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_behind(modules: Iterable[str]) -> dict[str, Path]:
    """These modules of the shipped packages and all that they import, with their packages → {module: file}."""
    files: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        file = module_file(module)
        if file is None or module in files:
            continue
        files[module] = file
        waiting += imported(file.read_text(encoding="utf-8"))
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    return files


def recorded_behind(modules: dict[str, Path], lab_code: str) -> set[Path]:
    """What was recorded once and is read by these modules (a file's or folder's name), or shown by the lab (a stem)."""
    code = [file.read_text(encoding="utf-8") for module, file in modules.items() if module.startswith("course_utils")]
    names = set().union(*map(strings_in, code)) | {f"{name}.jsonl" for name in strings_in(lab_code)}
    entries = [path for path in RECORDED.iterdir() if path.name in names]
    return {file for path in entries for file in (path.iterdir() if path.is_dir() else [path]) if file.suffix != ".py"}


def data_beside(modules: dict[str, Path]) -> set[Path]:
    """The files beside these modules that are no modules, and that their code names."""
    names = {file: strings_in(file.read_text(encoding="utf-8")) for file in modules.values()}
    return {
        data
        for file in names
        for data in file.parent.iterdir()
        if data.suffix not in ("", ".py") and data.name in names[file]
    }


def strings_in(code: str) -> set[str]:
    """The string constants in code."""
    values = (node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant))
    return {value for value in values if isinstance(value, str)}


def modules_named(lab: str) -> tuple[set[str], str]:
    """The modules that a lab's cells import or start by `python -m`, and their code (not that of its exercises)."""
    modules: set[str] = set()
    code = ""
    for name in (lab, *COMPANIONS.get(lab, ())):
        for cell in read_lab(name).cells:
            if cell.cell_type != "code":
                modules |= set(re.findall(r"python -m ([\w.]+)", cell.source))
            elif not {"exercise", "given"}.intersection(tags(cell)):
                code += cell.source + "\n"
    return modules | set(imported(code)), code


def support_files(lab: str) -> dict[str, Path]:
    """What a lab's notebook needs beside it: path in the student's folder → file of the project.

    Modules of `solutions/` are those of earlier labs. Raises LabError where a lab builds on its own or a later one.
    """
    named, code = modules_named(lab)
    visible = check_files(lab, hidden=False)
    for file in visible:
        named |= set(imported(file.read_text(encoding="utf-8")))
    modules = modules_behind(named | set(ALWAYS))
    if leaked := set(modules) & still_open(lab):
        raise LabError(f"{lab} builds on {sorted(leaked)}, which it or a later lab asks students to write")
    needed = {*modules.values(), *data_beside(modules), *recorded_behind(modules, code)}
    files = {path.relative_to(ROOT).as_posix(): path for path in sorted(needed)}
    files |= {f"checks/{path.name}": path for path in [*visible, CHECKS / "pytest.ini"]}
    return files | {path.name: path for path in sorted(STUDENT_FILES.iterdir())}


def still_open(lab: str) -> set[str]:
    """The modules that a lab or a later one asks students to write."""
    names = lab_names()
    return {asked.module for later in names[names.index(lab) :] for asked in exercises(later) if asked.module}
