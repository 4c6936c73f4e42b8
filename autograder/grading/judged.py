"""What has been judged: a file a student and lab, so that grading goes on where it was, and changes nothing unseen.

`course/judged/<lab>/<student>.json` keeps the graded notebook and what it follows from. A student is done when that is
recorded in the gradebook. Who handed in again, or is to be graded with other settings, is judged again; what else may
have changed since (the release, the images) changes no mark before somebody asks for it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from autograder.authoring.frozen import FrozenRelease, version_0_1_0
from autograder.grading.submissions import Submission
from autograder.sandbox.bubblewrap import Isolation
from autograder.sandbox.limits import Limits
from course_utils import VERSION
from minicifar.files import atomic

NEW, HANDED_IN_AGAIN, OTHER_SETTINGS = "new", "handed in again", "other settings"
CHANGED = "changed since version 0.1.0 judged it"
OTHER_RELEASE, OTHER_IMAGES, DONE = "released anew since", "graded on other images", "done"
AT_ONCE = (NEW, HANDED_IN_AGAIN, OTHER_SETTINGS, CHANGED)  # judged without asking


@dataclass(frozen=True)
class Settings:
    """How a submission is graded: its limits, what holds its code, and whether a late one earns nothing."""

    limits: Limits
    isolation: Isolation
    late_zero: bool


@dataclass(frozen=True)
class Basis:
    """What a verdict follows from: digests of the files handed in, of the settings and of the release; the images."""

    handed_in: str
    settings: str
    release: str
    images: str


@dataclass(frozen=True)
class JudgedRecord:
    """What is kept of a student: the graded notebook (JSON), what it follows from, whether it is in the gradebook."""

    basis: Basis
    notebook: str
    recorded: bool = False
    version: str = VERSION


def basis_of(submission: Submission, settings: Settings, release: FrozenRelease, released: str, images: str) -> Basis:
    """`released`: the notebook that students got, as text; `images`: the fingerprint of the images at hand."""
    remarks = ("remarks", json.dumps(submission.remarks).encode())
    return Basis(
        digest([*sorted(submission.files.items()), remarks]),
        digest([("settings", json.dumps(asdict(settings), sort_keys=True).encode())]),
        digest([("release", release.digest.encode()), ("notebook", released.encode())]),
        images,
    )


def digest(parts: list[tuple[str, bytes]]) -> str:
    """A hash of named contents, in their order."""
    result = hashlib.sha256()
    for name, data in parts:
        result.update(f"{name}\n{len(data)}\n".encode())
        result.update(data)
    return result.hexdigest()


def state_of(record: JudgedRecord | None, basis: Basis) -> str:
    """Whether a student is done, or why not: the first thing that differs."""
    if record is None:
        return NEW
    if record.basis.handed_in != basis.handed_in:
        return HANDED_IN_AGAIN
    if record.basis.settings != basis.settings:
        return OTHER_SETTINGS
    if record.basis.release != basis.release:
        return OTHER_RELEASE
    return DONE if record.basis.images == basis.images else OTHER_IMAGES


# --- as a file


def judged_path(course: Path, lab: str, student: str) -> Path:
    """Where a course folder keeps what was judged of a student."""
    return course / "judged" / lab / f"{student}.json"


def read_judged(course: Path, lab: str, student: str) -> dict[str, Any]:
    """What stands in a student's file; empty where there is none that can be read."""
    try:
        content = json.loads(judged_path(course, lab, student).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def record_from(content: Mapping[str, Any]) -> JudgedRecord | None:
    """The record in a file; None where there is none."""
    try:
        return JudgedRecord(**{**content, "basis": Basis(**content["basis"])})
    except (KeyError, TypeError):
        return None


def write_judged(course: Path, lab: str, student: str, record: JudgedRecord) -> None:
    """Write a student's file, all or nothing."""
    with atomic(judged_path(course, lab, student)) as temporary:
        temporary.write_text(json.dumps(asdict(record)), encoding="utf-8")


# --- records of version 0.1.0, which had one digest for everything


def record_before(
    content: Mapping[str, Any], basis: Basis, lab: str, submission: Submission, released: str, settings: Settings
) -> JudgedRecord | None:
    """The record that version 0.1.0 left, if its submission, notebook, tests and settings are those at hand."""
    if content.get("key") != key_before(lab, submission, released, settings) or "notebook" not in content:
        return None
    return replace(JudgedRecord(basis, content["notebook"], bool(content.get("recorded"))), version="0.1.0")


def key_before(lab: str, submission: Submission, released: str, settings: Settings) -> str:
    """Version 0.1.0's digest of the lab as released, the way of grading, the tests, and the files handed in."""
    how = repr((settings.limits, settings.isolation, settings.late_zero, submission.remarks))
    _, files = version_0_1_0()
    names = [f"{kind}_{lab}.py" for kind in ("test", "hidden")]
    checks = [(name, files[f"autograder/checks/{name}"]) for name in names if f"autograder/checks/{name}" in files]
    parts = [("released", released.encode()), ("how", how.encode()), *checks, *sorted(submission.files.items())]
    return digest(parts)
