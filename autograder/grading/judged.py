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
NO_REAL_IMAGES = "graded without real images"
OTHER_RELEASE, OTHER_IMAGES, DONE = "released anew since", "graded on other images", "done"
NO_PENALTY, NO_POINTS = "no penalty", "late: no points"
AT_ONCE = (NEW, HANDED_IN_AGAIN, OTHER_SETTINGS, CHANGED, NO_REAL_IMAGES)  # judged without asking


@dataclass(frozen=True)
class Settings:
    """How a submission is judged: its limits, and what holds its code."""

    limits: Limits
    isolation: Isolation


@dataclass(frozen=True)
class Basis:
    """What a verdict follows from: digests of the files handed in, of settings, release and secret; the images.

    `secret`: "" where that was not yet a part of it.
    """

    handed_in: str
    settings: str
    release: str
    images: str
    secret: str = ""


@dataclass(frozen=True)
class JudgedRecord:
    """What is kept of a student: the graded notebook (JSON), what it follows from, whether it is in the gradebook.

    `terms`: what its points in the gradebook follow from beside the verdicts ("" where that is not known).
    """

    basis: Basis
    notebook: str
    recorded: bool = False
    version: str = VERSION
    terms: str = ""


def basis_of(
    submission: Submission, settings: Settings, release: FrozenRelease, released: str, images: str, secret: str = ""
) -> Basis:
    """`released`: the notebook that students got, as text; `images`: the fingerprint of the images at hand."""
    remarks = ("remarks", json.dumps(submission.remarks).encode())
    return Basis(
        digest([*sorted(submission.files.items()), remarks]),
        digest([("settings", json.dumps({**asdict(settings), "late_zero": False}, sort_keys=True).encode())]),
        digest([("release", release.digest.encode()), ("notebook", released.encode())]),
        images,
        digest([("secret", secret.encode())]),
    )


def terms(late_zero: bool, seconds_late: float) -> str:
    """What the points of a submission in the gradebook follow from beside its verdicts: what being late costs it."""
    return NO_POINTS if late_zero and seconds_late else NO_PENALTY


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
    if record.basis.settings != basis.settings or record.basis.secret not in ("", basis.secret):
        return OTHER_SETTINGS
    if record.basis.release != basis.release:
        return OTHER_RELEASE
    if record.basis.images == basis.images:
        return DONE
    return NO_REAL_IMAGES if real(basis.images) and not real(record.basis.images) else OTHER_IMAGES


def real(images: str) -> bool:
    """Whether a fingerprint is that of photographs, neither of synthetic images nor of none."""
    return bool(images) and not images.startswith("synthetic")


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
    how = repr((settings.limits, settings.isolation, False, submission.remarks))
    _, files = version_0_1_0()
    names = [f"{kind}_{lab}.py" for kind in ("test", "hidden")]
    checks = [(name, files[f"autograder/checks/{name}"]) for name in names if f"autograder/checks/{name}" in files]
    parts = [("released", released.encode()), ("how", how.encode()), *checks, *sorted(submission.files.items())]
    return digest(parts)
