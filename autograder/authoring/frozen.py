"""What a lab was released with, frozen: it is graded with that, whatever the project looks like by then.

`course/frozen/<lab>.zip` holds a manifest (version, exercises, points, a digest of every file) and the files: what
students got, all checks, visible and hidden, and the reference answers. The process with the tests and the sandbox with
the student's code import from it; only what runs and isolates them is today's.
"""

import functools
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.authoring.editions import Exercise, check_files, exercises, points
from autograder.authoring.support import imported, modules_behind, modules_named, recorded_behind, support_files
from autograder.course import LIBRARIES, PACKAGES, ROOT, CourseError
from course_utils import VERSION
from course_utils.recorded import RECORDED
from minicifar.files import atomic

FORMAT = 1
BEFORE_MANIFESTS = Path(__file__).with_name("release-0.1.0.zip")  # what version 0.1.0 graded with, weights left out


@dataclass(frozen=True)
class FrozenRelease:
    """A lab as it was released.

    `exercises`: (name, module of the reference or None, composite). `student`: which of the `files` students got.
    `modules`: what the lab's own cells import. `files`: path → content; `checks/` holds visible and hidden tests.
    """

    lab: str
    version: str
    exercises: tuple[Exercise, ...]
    points: Mapping[str, float]
    student: tuple[str, ...]
    modules: tuple[str, ...]
    files: Mapping[str, bytes]

    @functools.cached_property
    def digest(self) -> str:
        """A hash of everything that a verdict may follow from."""
        content = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(self.files.items())}
        about = [[e.name, e.module, e.composite] for e in self.exercises], dict(self.points), sorted(self.student)
        return hashlib.sha256(json.dumps([self.lab, about, content]).encode()).hexdigest()

    @property
    def manifest(self) -> dict[str, Any]:
        """What stands in manifest.json."""
        return {
            "format": FORMAT,
            "lab": self.lab,
            "version": self.version,
            "digest": self.digest,
            "exercises": [{"name": e.name, "module": e.module, "composite": e.composite} for e in self.exercises],
            "points": dict(self.points),
            "student": list(self.student),
            "modules": list(self.modules),
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()},
        }

    def unpack(self, folder: Path) -> Path:
        """Write manifest and files into a folder → the folder."""
        for name, data in {"manifest.json": json.dumps(self.manifest).encode(), **self.files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder


def freeze(lab: str) -> FrozenRelease:
    """The lab as the project has it now."""
    student = support_files(lab)
    checks = {f"checks/{path.name}": path for path in check_files(lab)}
    modules = {exercise.module for exercise in exercises(lab) if exercise.module}
    for path in checks.values():
        modules |= set(imported(path.read_text(encoding="utf-8")))
    judged = modules_behind({*modules, "course_utils.artifacts", "course_utils.checking", "course_utils.networks"})
    paths = {path.relative_to(ROOT).as_posix(): path for path in {*judged.values(), *recorded_behind(judged, "")}}
    if not exercises(lab):  # the challenge: an entry's training may import all of them
        paths |= {path.relative_to(ROOT).as_posix(): path for name in LIBRARIES for path in (ROOT / name).rglob("*.py")}
    files = {name: path.read_bytes() for name, path in sorted({**paths, **student, **checks}.items())}
    worth = points(lab) if exercises(lab) else {}
    ahead = modules_of(modules_named(lab)[1])
    return FrozenRelease(lab, VERSION, tuple(exercises(lab)), worth, tuple(student), ahead, with_own_checks(files))


def modules_of(code: str) -> tuple[str, ...]:
    """The modules that a notebook's code imports, to be imported ahead; and `torch.optim` if it is used."""
    imports = re.findall(r"^\s*(?:from|import) ([\w.]+)(?: import (\w+))?", code, re.MULTILINE)
    names = {name for module, part in imports for name in (module, f"{module}.{part}" if part else module)}
    return tuple(sorted(names | {"torch.optim"} if "torch.optim." in code else names))


def with_own_checks(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files; checks that import from one another do so from the folder that they are frozen in."""
    return {
        name: data.replace(b"from autograder.checks.", b"from checks.") if name.startswith("checks/") else data
        for name, data in files.items()
    }


# --- as a file of the course folder


def frozen_path(course: Path, lab: str) -> Path:
    """Where a course folder keeps what a lab was released with."""
    return course / "frozen" / f"{lab}.zip"


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Files (path → content) as one zip; the same files in the same order give the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return content.getvalue()


def packed(release: FrozenRelease) -> bytes:
    """Manifest and files as one zip; the same release gives the same bytes."""
    return zipped({"manifest.json": json.dumps(release.manifest, indent=1).encode(), **release.files})


def write_frozen(lab: str, course: Path) -> Path:
    """Freeze a lab as it is released now, all or nothing → the file."""
    path = frozen_path(course, lab)
    with atomic(path) as temporary:
        temporary.write_bytes(packed(freeze(lab)))
    return path


def read_frozen(data: bytes) -> FrozenRelease:
    """The release in a zip that `packed` made. Raises CourseError for one that is damaged, or of a later format."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            about = json.loads(archive.read("manifest.json"))
            files = {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}
        if about["format"] != FORMAT:
            raise CourseError(f"{about['lab']} was released by a later version ({about['version']}): update this one.")
        asked = tuple(Exercise(**exercise) for exercise in about["exercises"])
        student, modules = tuple(about["student"]), tuple(about["modules"])
        release = FrozenRelease(about["lab"], about["version"], asked, about["points"], student, modules, files)
        if release.digest != about["digest"]:
            raise ValueError("a file was changed")
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise CourseError(
            f"What was frozen at the release cannot be read ({error}): put the file back from a backup, or release the "
            "lab again (`autograder grade … --dry-run` shows what that changes)."
        ) from None
    return release


def frozen_release(course: Path, lab: str) -> FrozenRelease:
    """What a lab was released with from this course folder. Raises CourseError where it was not released."""
    path = frozen_path(course, lab)
    if path.is_file():
        return read_frozen(path.read_bytes())
    folder = course / "release" / lab
    if not (folder / f"{lab}.ipynb").is_file():
        raise CourseError(f"{lab} has not been released from {course}: `autograder release {lab}` first.")
    return before_manifests(lab, folder)


# --- releases of version 0.1.0, which froze nothing


@functools.cache
def version_0_1_0() -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of version 0.1.0: its packages, weights included, and `autograder/checks/`.

    Read once; nobody may change what this returns.
    """
    with zipfile.ZipFile(BEFORE_MANIFESTS) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(files.pop("manifest.json"))
    for name, digest in about["weights"].items():
        files[name] = (RECORDED / "baselines" / Path(name).name).read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise CourseError(f"{name} is not the one of version 0.1.0, so its releases cannot be graded here.")
    return about, files


def code_of(path: Path) -> str:
    """The code of a released notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def before_manifests(lab: str, folder: Path) -> FrozenRelease:
    """A release of version 0.1.0: what lies in the released folder, and from the version's own files what graded it."""
    about, files = version_0_1_0()
    if lab not in about["labs"]:
        raise CourseError(f"{lab} was released without what grades it: `autograder release {lab}` once more.")
    shipped = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".ipynb" and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    }
    checks = {f"checks/{kind}_{lab}.py": f"autograder/checks/{kind}_{lab}.py" for kind in ("test", "hidden")}
    packages = {name: data for name, data in files.items() if name.split("/")[0] in PACKAGES}
    graded = {name: files[source] for name, source in checks.items() if source in files}
    asked = about["labs"][lab]
    return FrozenRelease(
        lab,
        about["version"],
        tuple(Exercise(**exercise) for exercise in asked["exercises"]),
        asked["points"],
        tuple(shipped),
        modules_of(code_of(folder / f"{lab}.ipynb")),
        with_own_checks({**packages, **graded, **shipped}),
    )
