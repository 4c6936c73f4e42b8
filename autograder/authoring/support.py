"""What a lab's notebook needs beside it: in the student's folder, and in the sandbox."""

import re
from pathlib import Path

from autograder.authoring.editions import CHECKS, LabError, check_files, exercises, lab_names, read_lab, tags
from autograder.course import ROOT

STUDENT_FILES = ROOT / "docs" / "student"  # requirements.txt and a README for the student's folder


def earlier_solutions(lab: str) -> set[Path]:
    """Modules of `solutions/` that a lab builds on: those of earlier labs, never its own or a later one's."""
    modules: set[str] = set()
    code = [cell for cell in read_lab(lab).cells if cell.cell_type == "code"]
    waiting = [cell.source for cell in code if not {"exercise", "given"}.intersection(tags(cell))]
    while waiting:
        for module in re.findall(r"\bsolutions\.(\w+)|from solutions import (\w+)", waiting.pop()):
            name = module[0] or module[1]
            if name not in modules:
                modules.add(name)
                waiting.append((ROOT / "solutions" / f"{name}.py").read_text(encoding="utf-8"))
    names = lab_names()
    still_open = {
        exercise.module.removeprefix("solutions.")
        for later in names[names.index(lab) :]
        for exercise in exercises(later)
        if exercise.module
    }
    if leaked := modules & still_open:
        raise LabError(f"{lab} builds on {sorted(leaked)}, which it or a later lab asks students to write")
    return {ROOT / "solutions" / f"{name}.py" for name in modules}


def support_files(lab: str) -> dict[str, Path]:
    """What a lab's notebook needs beside it: path in the student's folder → file of the project."""
    files = {}
    for package in ("minicifar", "course_utils"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in {".py", ".json", ".safetensors"}:
                files[path.relative_to(ROOT).as_posix()] = path
    for path in [*check_files(lab, hidden=False), CHECKS / "pytest.ini"]:
        files[f"checks/{path.name}"] = path
    earlier = earlier_solutions(lab)
    for path in sorted(earlier | ({ROOT / "solutions" / "__init__.py"} if earlier else set())):
        files[f"solutions/{path.name}"] = path
    for path in sorted(STUDENT_FILES.iterdir()):
        files[path.name] = path
    return files
