"""Entries are measured from their ONNX files, in a sandbox, once for each file, images and version of the code."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import onnxruntime

from autograder.challenge.entries import LONGEST, Handed, date_on, seeds_on
from autograder.course import ROOT
from autograder.grading.submissions import read_file
from autograder.sandbox import bubblewrap, channels
from autograder.sandbox.bubblewrap import Isolation, Sandbox, SandboxError
from autograder.sandbox.child import START_SECONDS, Child
from autograder.sandbox.confinement import Confinement
from autograder.text import one_line
from course_utils.baseline import cache_folder
from course_utils.challenge.entry import file_hash
from course_utils.challenge.ranking import MEASURED, NOT_QUALIFIED, REFUSED, finite_number, status_of
from course_utils.challenge.score import RULES
from course_utils.onnx_files.reading import LARGEST_MEGABYTES
from minicifar.files import write_text

MEMORY = 4_000_000_000  # bytes that an entry may take beyond what the images do
DISK = 200_000_000  # bytes of files, which lie in memory
SAME_ACCURACY = 0.002  # quantised networks round a little differently from processor to processor
SAME_SCORE = 1e-6  # as a share
MEASURING = (  # the code that an entry's numbers come from
    "course_utils/challenge/entry.py",
    "course_utils/challenge/score.py",
    "course_utils/challenge/graph.py",
    "course_utils/challenge/storage.py",
    "course_utils/challenge/computation.py",
    "course_utils/challenge/likeness.py",
    "course_utils/onnx_files/operators.py",
    "course_utils/onnx_files/reading.py",
    "course_utils/onnx_files/running.py",
    "minicifar/loader.py",
)

Measure = Callable[[bytes], dict[str, Any]]  # a file's content → {"measured": …} or {"refused": why}


def line(handed: Handed, dataset: str, fingerprint: str, measure: Measure, secret: str = "") -> dict[str, Any]:
    """An entry's line: who it is, as the card says, and what was measured; the same file gives the same line.

    `secret`: the course's, by which `measure` changes images.
    """
    card = handed.card
    entry: dict[str, Any] = {
        "team": one_line(card.get("team"), LONGEST["team"]) or one_line(handed.folder.name, LONGEST["team"]),
        "name": one_line(card.get("name"), LONGEST["name"]) or one_line(handed.folder.name, LONGEST["name"]),
        "dataset": dataset,
        "method": one_line(card.get("method"), LONGEST["method"]),
        "seeds": seeds_on(card),
        "date": date_on(card),
        "status": REFUSED,
        "reason": handed.reason,
        **dict.fromkeys(MEASURED),
        "claims": [],
        "hash": "",
        "same_as": [],
        "remarks": [],
        "parts": [],
    }
    if not entry["reason"] and not handed.dataset:
        entry["reason"] = f"Its card.json names no data set of the challenge ({', '.join(RULES)})."
    if entry["reason"]:
        return entry
    try:
        data = read_file(handed.folder / "network.onnx")
    except OSError as error:
        missing = not os.path.lexists(handed.folder / "network.onnx")
        entry["reason"] = "There is no network.onnx." if missing else str(error)
        return entry
    entry["hash"] = file_hash(data)
    if len(data) > LARGEST_MEGABYTES * 1_000_000:
        entry["reason"] = f"network.onnx has {len(data) / 1e6:.0f} MB; at most {LARGEST_MEGABYTES} MB are measured."
        return entry
    result = cached(entry["hash"] + secret, dataset, fingerprint, lambda: measure(data))
    if "measured" in result and any(finite_number(result["measured"].get(what)) is None for what in MEASURED):
        result = {"refused": "What was measured is not a finite number."}
    if "refused" in result:
        entry["reason"] = one_line(result["refused"], LONGEST["reason"])
        return entry
    entry |= {what: result["measured"][what] for what in MEASURED}
    parts = result["measured"].get("parts")
    entry["parts"] = [part for part in parts if isinstance(part, str)] if isinstance(parts, list) else []
    asked = RULES[dataset].threshold
    entry["status"] = status_of(entry["accuracy"], asked)
    if entry["status"] == NOT_QUALIFIED:
        entry["reason"] = f"{entry['accuracy']:.2%} of the test images; {asked:.0%} are asked for."
    entry["claims"] = disagreements(card, entry, fingerprint)
    return entry


def disagreements(card: Mapping[str, Any], entry: Mapping[str, Any], fingerprint: str) -> list[dict[str, Any]]:
    """What the card claims and the file does not hold."""
    claims = card.get("claims")
    differences = []
    for what in ("accuracy", "val_accuracy", "score"):
        claimed = claims.get(what) if isinstance(claims, dict) else None
        if claimed is None:
            continue
        value, measured = finite_number(claimed), entry[what]
        allowed = SAME_SCORE * measured if what == "score" else SAME_ACCURACY
        if value is None or abs(value - measured) > allowed:
            shown = one_line(claimed, 40) or "no number" if value is None else value
            differences.append({"what": what.replace("_", " "), "claimed": shown, "measured": measured})
    images = one_line(card.get("images"), 80)
    if images and images != fingerprint:
        differences.append({"what": "images", "claimed": images, "measured": fingerprint})
    return differences


# measuring


def measuring_version() -> str:
    """A short hash of the code that measures: what it found earlier does not count when that has changed."""
    digest = hashlib.sha256(onnxruntime.__version__.encode())
    for path in MEASURING:
        digest.update((ROOT / path).read_bytes())
    return digest.hexdigest()[:16]


def cached(key: str, dataset: str, fingerprint: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found earlier for this file, these images and this code; otherwise `measure()`, which is then kept.

    A result that says "again" is not kept: a limit that was hit, on a busy machine perhaps.
    """
    name = hashlib.sha256(json.dumps([key, dataset, fingerprint, measuring_version()]).encode()).hexdigest()
    path = cache_folder() / "challenge" / f"{name[:32]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "refused" in earlier or set(MEASURED) <= set(earlier["measured"]):
            return earlier
    result = measure()
    if not result.get("again"):
        with suppress(OSError):
            write_text(path, json.dumps(result))
    return result


def measurer_binds() -> list[str]:
    """bubblewrap's arguments for what measures entries: the code that does so, and the images."""
    return [*bubblewrap.project_binds(("minicifar", "course_utils", "autograder")), *bubblewrap.image_binds(False)]


class Measurer:
    """A process in a sandbox that holds the images and measures one file after the other."""

    def __init__(self, dataset: str, fingerprint: str, isolation: Isolation, seconds: float, secret: str = "") -> None:
        self.dataset, self.fingerprint, self.isolation, self.seconds = dataset, fingerprint, isolation, seconds
        self.secret = secret
        self.child: Child | None = None

    def start(self) -> Child:
        """Start the process and wait until it has the images. Raises SandboxError."""
        bubblewrap.require(self.isolation)
        self.child = child = Child("What measures entries")
        inside = self.isolation == "bubblewrap"
        command, variables = child.module("autograder.challenge.measure_entry"), bubblewrap.environment(inside, ROOT)
        child.start(command, variables, Sandbox(measurer_binds(), DISK) if inside else None)
        limits = Confinement(memory=MEMORY, disk=DISK, folder="/tmp" if inside else str(child.folder))
        child.tell({"confinement": limits.as_data(), "dataset": self.dataset, "secret": self.secret})
        images = child.ready()["ready"]
        if images != self.fingerprint:
            self.close()
            raise SandboxError(f"The sandbox has other images ({images}) than there are outside ({self.fingerprint}).")
        return child

    def measure(self, data: bytes) -> dict[str, Any]:
        """{"measured": …} or {"refused": why}, with "again" where it may be otherwise the next time."""
        child = self.child
        if child is None or not child.running:
            self.close()
            child = self.start()
        try:
            channels.send(child.channel, channels.frame_of({}, data), START_SECONDS)
            return json.loads(channels.receive(child.channel, self.seconds)[0])
        except TimeoutError:
            self.close()
            return {"refused": f"It takes more than {self.seconds / 60:.0f} minutes to run.", "again": True}
        except (EOFError, OSError, ValueError, channels.TooLarge):
            self.close()
            return {"refused": "It takes too much memory, or makes what measures it crash.", "again": True}

    def close(self) -> None:
        """End the process, and what it measures."""
        if self.child is not None:
            self.child.close()
        self.child = None


class Measurers:
    """A measurer for each thread that asks, started when it is needed."""

    def __init__(self, dataset: str, fingerprint: str, isolation: Isolation, seconds: float, secret: str = "") -> None:
        self.new = partial(Measurer, dataset, fingerprint, isolation, seconds, secret)
        self.by_thread: dict[int, Measurer] = {}

    def __call__(self, data: bytes) -> dict[str, Any]:
        """What `Measurer.measure` gives for a file's content."""
        thread = threading.get_ident()
        if thread not in self.by_thread:
            self.by_thread[thread] = self.new()
        return self.by_thread[thread].measure(data)

    def close(self) -> None:
        """End all processes."""
        for measurer in self.by_thread.values():
            measurer.close()

    def __enter__(self) -> "Measurers":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
