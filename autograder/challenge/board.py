"""The challenge's leaderboard: every entry measured from its ONNX file, in a sandbox, and nothing taken on its word.

A folder is an entry if `network.onnx` or `card.json` lies in it; `course_utils.challenge.entry.submit` writes such folders.
The card says who it is and how it was made; what it claims is shown where it is not what was measured.
Nobody can prevent training on public test images: so the accuracy on the validation images stands beside.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import onnxruntime
from rich.markup import escape
from rich.table import Table

from autograder.course import ROOT
from autograder.grading.submissions import read_file
from autograder.reports import page
from autograder.reports.gradebook import clipped
from autograder.sandbox import channels, warm
from autograder.sandbox.warm import Isolation, SandboxError
from course_utils.baseline import cache_folder
from course_utils.challenge.entry import STATUSES, file_hash, number, order
from course_utils.challenge.score import RULES
from course_utils.onnx_files.measuring import LARGEST_MEGABYTES
from minicifar import load

LARGEST_CARD = 100_000  # bytes
LONGEST = {"team": 60, "name": 60, "method": 300, "reason": 300}
MOST_SEEDS = 20
DEEPEST = 3  # folders around an entry
SECONDS = 1800.0  # for one entry
MEMORY = 4_000_000_000  # bytes that an entry may take beyond what the images do
SAME_ACCURACY = 0.002  # quantised networks round a little differently from processor to processor
SAME_SCORE = 1e-6  # as a share
MEASURED = ("accuracy", "val_accuracy", "score", "parameters", "nonzero", "weight_bits", "macs", "megabytes")

Measure = Callable[[bytes], dict[str, Any]]  # a file's content → {"measured": …} or {"refused": why}


class LeaderboardError(Exception):
    """The leaderboard cannot be made; the message says what to do."""


@dataclass
class Handed:
    """An entry's folder: its card as far as it can be read, and a sentence if there is no entry in it."""

    folder: Path
    card: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def dataset(self) -> str:
        named = self.card.get("dataset")
        return named if isinstance(named, str) and named in RULES else ""


def make_boards(
    folder: Path,
    datasets: Sequence[str] = (),
    *,
    isolation: Isolation = "bubblewrap",
    workers: int | None = None,
    seconds: float = SECONDS,
    without: Path | None = None,
    advance: Callable[[int, int], Any] = lambda done, of: None,
) -> list[dict[str, Any]]:
    """The boards of these data sets, or of all that entries name. Raises LeaderboardError, SandboxError.

    `without`: a folder that is not looked into. `advance(done, of)` is called after each entry.
    """
    handed = list(find_entries(folder, without))
    chosen = list(datasets) or [name for name in RULES if any(one.dataset == name for one in handed)]
    boards = []
    todo = {name: [one for one in handed if one.dataset in (name, "")] for name in chosen or ["minicifar"]}
    total, done = sum(map(len, todo.values())), 0
    for dataset, entries in todo.items():
        images = load(dataset, "test")
        load(dataset, "val")  # decoded here, where the cache can be written to
        lines = []
        measure = Measurers(dataset, images.fingerprint, isolation, seconds)
        with measure, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            jobs = [pool.submit(line, one, dataset, images.fingerprint, measure) for one in entries]
            try:
                for job in jobs:
                    lines.append(job.result())
                    done += 1
                    advance(done, total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                measure.close()  # or the pool would wait for what is measured now
                raise
        boards.append(board(lines, dataset, images.source.description))
    return boards


def board(entries: Sequence[dict[str, Any]], dataset: str, images: str) -> dict[str, Any]:
    """A leaderboard as data: qualified entries by score, then the others, then those refused."""
    same: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        if entry["hash"]:
            same[entry["hash"]].append(entry)
    for entry in entries:
        others = [other for other in same[entry["hash"]] if other is not entry] if entry["hash"] else []
        entry["same_as"] = sorted(title(other) for other in others)
    return {
        "dataset": dataset,
        "threshold": RULES[dataset].threshold,
        "images": images,
        "entries": sorted(entries, key=order),
    }


def line(handed: Handed, dataset: str, fingerprint: str, measure: Measure) -> dict[str, Any]:
    """An entry's line: who it is, as the card says, and what was measured; the same file gives the same line."""
    card = handed.card
    entry: dict[str, Any] = {
        "team": one_line(card.get("team"), LONGEST["team"]) or one_line(handed.folder.name, LONGEST["team"]),
        "name": one_line(card.get("name"), LONGEST["name"]) or one_line(handed.folder.name, LONGEST["name"]),
        "dataset": dataset,
        "method": one_line(card.get("method"), LONGEST["method"]),
        "seeds": seeds_on(card),
        "date": date_on(card),
        "status": STATUSES[2],
        "reason": handed.reason,
        **dict.fromkeys(MEASURED),
        "claims": [],
        "hash": "",
        "same_as": [],
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
    found = cached(entry["hash"], dataset, fingerprint, lambda: measure(data))
    if "measured" in found and any(number(found["measured"].get(what)) is None for what in MEASURED):
        found = {"refused": "What was measured is not a finite number."}
    if "refused" in found:
        entry["reason"] = one_line(found["refused"], LONGEST["reason"])
        return entry
    entry |= {what: found["measured"][what] for what in MEASURED}
    short = entry["accuracy"] < RULES[dataset].threshold
    entry["status"] = STATUSES[1 if short else 0]
    if short:
        asked = RULES[dataset].threshold
        entry["reason"] = f"{entry['accuracy']:.2%} of the test images; {asked:.0%} are asked for."
    entry["claims"] = disagreements(card, entry, fingerprint)
    return entry


def disagreements(card: Mapping[str, Any], entry: Mapping[str, Any], fingerprint: str) -> list[dict[str, Any]]:
    """What the card claims and the file does not hold."""
    claims = card.get("claims")
    found = []
    for what in ("accuracy", "val_accuracy", "score"):
        claimed = claims.get(what) if isinstance(claims, dict) else None
        if claimed is None:
            continue
        value, measured = number(claimed), entry[what]
        allowed = SAME_SCORE * measured if what == "score" else SAME_ACCURACY
        if value is None or abs(value - measured) > allowed:
            shown = one_line(claimed, 40) or "no number" if value is None else value
            found.append({"what": what.replace("_", " "), "claimed": shown, "measured": measured})
    images = one_line(card.get("images"), 80)
    if images and images != fingerprint:
        found.append({"what": "images", "claimed": images, "measured": fingerprint})
    return found


# what was handed in


def find_entries(folder: Path, without: Path | None = None, depth: int = 0) -> Iterator[Handed]:
    """The entries in a folder and below, in order. Raises LeaderboardError where there is no such folder."""
    try:
        inside = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError as error:
        if depth:
            yield Handed(folder, reason=f"The folder cannot be read ({error.strerror}).")
            return
        raise LeaderboardError(f"There is no folder {folder}: give the one that holds the entries.") from None
    for one in inside:
        path = Path(one.path)
        if one.name.startswith((".", "__")) or (without and path.resolve() == without.resolve()):
            continue
        if one.is_symlink():
            if not depth:
                yield Handed(path, reason="It is a link, and links are not followed.")
        elif one.is_dir(follow_symlinks=False):
            if any(os.path.lexists(path / name) for name in ("network.onnx", "card.json")):
                yield read_entry(path)
                continue
            below = list(find_entries(path, without, depth + 1)) if depth + 1 < DEEPEST else []
            if not below and not depth:
                below = [Handed(path, reason="There is no entry: hand in the folder that challenge.submit wrote.")]
            yield from below


def read_entry(folder: Path) -> Handed:
    """An entry with its card, or the reason why it has none."""
    path = folder / "card.json"
    if not os.path.lexists(path):
        return Handed(folder, reason="There is no card.json: hand in the folder that challenge.submit wrote.")
    try:
        about = os.lstat(path)
        if stat.S_ISREG(about.st_mode) and about.st_size > LARGEST_CARD:
            return Handed(folder, reason=f"card.json has {about.st_size / 1000:,.0f} kB: a card has at most 100 kB.")
        card = json.loads(read_file(path).decode("utf-8"))
    except OSError as error:
        return Handed(folder, reason=str(error))
    except (ValueError, RecursionError):
        return Handed(folder, reason="card.json is not JSON: hand in the one that challenge.submit wrote.")
    if not isinstance(card, dict):
        return Handed(folder, reason="card.json holds no card: hand in the one that challenge.submit wrote.")
    return Handed(folder, card)


def one_line(value: Any, longest: int) -> str:
    """A text or number of a card as one line of bearable length, without characters that do not show; else ""."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        text = str(value)[: 4 * longest]
    except ValueError:  # a whole number of thousands of digits
        return ""
    text = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)
    text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("C"))
    return clipped(" ".join(text.split()), longest)


def seeds_on(card: Mapping[str, Any]) -> list[int]:
    seeds = card.get("seeds")
    found = seeds if isinstance(seeds, list) else [seeds]
    return [seed for seed in found if type(seed) is int and abs(seed) < 2**63][:MOST_SEEDS]


def date_on(card: Mapping[str, Any]) -> str:
    """The card's date as ISO text, "" where it has none."""
    try:
        return datetime.fromisoformat(card.get("date", "")[:40]).isoformat(timespec="seconds")
    except (ValueError, TypeError):
        return ""


def title(entry: Mapping[str, Any]) -> str:
    return f"{entry['team']}: {entry['name']}"


# measuring


def measuring_version() -> str:
    """A short hash of the code that measures: what it found earlier does not count when that has changed."""
    digest = hashlib.sha256(onnxruntime.__version__.encode())
    for path in (
        "course_utils/challenge/entry.py",
        "course_utils/challenge/score.py",
        "course_utils/onnx_files/measuring.py",
        "minicifar/loader.py",
    ):
        digest.update((ROOT / path).read_bytes())
    return digest.hexdigest()[:16]


def cached(key: str, dataset: str, fingerprint: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found earlier for this file, these images and this code; otherwise `measure()`, which is then kept.

    A result that says "again" is not kept: a limit that was hit, on a busy machine perhaps.
    """
    name = hashlib.sha256(json.dumps([key, dataset, fingerprint, measuring_version()]).encode()).hexdigest()
    path = cache_folder() / "challenge" / f"{name[:32]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if "refused" in found or set(MEASURED) <= set(found["measured"]):
            return found
    found = measure()
    if not found.get("again"):
        with suppress(OSError):
            page.write(path, json.dumps(found))
    return found


class Measurer:
    """A process in a sandbox that holds the images and measures one file after the other."""

    def __init__(self, dataset: str, fingerprint: str, isolation: Isolation, seconds: float) -> None:
        self.dataset, self.fingerprint, self.isolation, self.seconds = dataset, fingerprint, isolation, seconds
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process and wait until it has the images. Raises SandboxError."""
        self.folder = warm.work_folder()
        self.channel, theirs = socket.socketpair()
        inside = self.isolation == "bubblewrap"
        place = "/tmp" if inside else str(self.folder)
        command = [sys.executable, "-m", "autograder.challenge.measure_entry", str(theirs.fileno()), place]
        variables = warm.environment(inside, ROOT)
        if inside:
            binds = [word for name in ("minicifar", "course_utils", "autograder")
                     for word in ("--ro-bind", str(ROOT / name), str(ROOT / name))]  # fmt: skip
            binds += warm.image_binds(write=False)
            command = warm.sandboxed(command, binds, variables, disk=200_000_000)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=variables, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        theirs.close()
        settings = {"dataset": self.dataset, "memory": MEMORY, "cpu": -1, "disk": 200_000_000, "namespaces": False}
        try:
            channels.send(self.channel, (json.dumps(settings).encode(), b""))
            ready = json.loads(channels.receive(self.channel, warm.START_SECONDS)[0])["ready"]
        except (OSError, EOFError, TimeoutError):
            text = (self.folder / "log").read_text(errors="replace")[-2000:]
            self.close()
            raise SandboxError(f"What measures entries did not start:\n{text}") from None
        if ready != self.fingerprint:
            self.close()
            raise SandboxError(f"The sandbox has other images ({ready}) than there are outside ({self.fingerprint}).")

    def measure(self, data: bytes) -> dict[str, Any]:
        """{"measured": …} or {"refused": why}, with "again" where it may be otherwise the next time."""
        if self.process is None or self.process.poll() is not None:
            self.close()
            self.start()
        try:
            channels.send(self.channel, (b"{}", data), warm.START_SECONDS)
            return json.loads(channels.receive(self.channel, self.seconds)[0])
        except TimeoutError:
            self.close()
            return {"refused": f"It takes more than {self.seconds / 60:.0f} minutes to run.", "again": True}
        except (EOFError, OSError, ValueError, channels.TooLarge):
            self.close()
            return {"refused": "It takes too much memory, or makes what measures it crash.", "again": True}

    def close(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.channel.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.process = None


class Measurers:
    """A measurer for each thread that asks, started when it is needed."""

    def __init__(self, dataset: str, fingerprint: str, isolation: Isolation, seconds: float) -> None:
        self.settings: tuple[Any, ...] = (dataset, fingerprint, isolation, seconds)
        self.own = threading.local()
        self.all: list[Measurer] = []

    def __call__(self, data: bytes) -> dict[str, Any]:
        if not hasattr(self.own, "measurer"):
            self.own.measurer = Measurer(*self.settings)
            self.all.append(self.own.measurer)
        return self.own.measurer.measure(data)

    def close(self) -> None:
        for measurer in self.all:
            measurer.close()

    def __enter__(self) -> "Measurers":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


# what comes out


def write_board(found: Mapping[str, Any], folder: Path) -> Path:
    """leaderboard.json, .csv and .html, each written whole or not at all → the page."""
    from autograder.challenge import page as html

    text = json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False)
    page.write(folder / "leaderboard.json", text + "\n")
    page.write(folder / "leaderboard.csv", "\ufeff" + page.table(as_rows(found["entries"])))
    return page.write(folder / "leaderboard.html", html.page(found))


def as_rows(entries: Iterable[Mapping[str, Any]]) -> Iterator[list[Any]]:
    """The entries as rows of a table: numbers as text with all their digits, lists in one cell."""
    yield ["place", "team", "name", "dataset", "status", "reason", *MEASURED, "method", "seeds", "date", "claims",
           "hash", "same_as"]  # fmt: skip
    for n, entry in enumerate(entries, start=1):
        claims = [
            f"{claim['what']}: claimed {claim['claimed']}, measured {claim['measured']}" for claim in entry["claims"]
        ]
        yield [
            f"{n}" if entry["status"] == STATUSES[0] else "",
            *(entry[what] for what in ("team", "name", "dataset", "status", "reason")),
            *("" if entry[what] is None else f"{entry[what]}" for what in MEASURED),
            entry["method"],
            " ".join(map(str, entry["seeds"])),
            entry["date"],
            "; ".join(claims),
            entry["hash"],
            "; ".join(entry["same_as"]),
        ]


def as_table(found: Mapping[str, Any]) -> Table:
    """The board for a terminal of 80 columns; what there is to remark on an entry stands below its name."""
    table = Table(title=f"{found['dataset']}: {RULES[found['dataset']].division}", caption=escape(found["images"]))
    for header in ("", "entry", "score", "test", "val.", "param.", "MACs"):
        table.add_column(header, justify="left" if header == "entry" else "right")
    for n, entry in enumerate(found["entries"], start=1):
        remarks = [entry["reason"]] if entry["reason"] else []
        remarks += [f"claims {claim['what']} {claim['claimed']}" for claim in entry["claims"]]
        remarks += [f"the same file as {other}" for other in entry["same_as"]]
        forms = {"score": "{:.4f}", "accuracy": "{:.1%}", "val_accuracy": "{:.1%}"}
        numbers = ["–" if entry[what] is None else form.format(entry[what]) for what, form in forms.items()]
        for what in ("parameters", "macs"):
            numbers.append("–" if entry[what] is None else f"{entry[what] / 1e6:.3g} M")
        place = f"{n}" if entry["status"] == STATUSES[0] else "–"
        described = "".join(f"\n[italic]{escape(remark)}[/italic]" for remark in remarks)
        table.add_row(place, escape(title(entry)) + described, *numbers)
    return table
