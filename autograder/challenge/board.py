"""The challenge's leaderboard: every entry measured from its ONNX file, in a sandbox, and nothing taken on its word.

A folder is an entry if `network.onnx` or `card.json` lies in it; `course_utils.challenge.submit` writes such folders.
The card says who it is and how it was made; what it claims is shown where it is not what was measured.
Nobody can prevent training on public test images: so the accuracy on the validation images stands beside.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from autograder.challenge.entries import find_entries, title
from autograder.challenge.measuring import Measurers, line
from autograder.challenge.page import page
from autograder.sandbox.bubblewrap import Isolation
from autograder.text import shown_name, to_csv
from course_utils import VERSION
from course_utils.challenge.ranking import MEASURED, order, ranked
from course_utils.challenge.score import RULES
from minicifar import load
from minicifar.files import write_text

UNSEEN = ("parts", "owner")  # of a line: what it is compared with others by
NEARLY = 0.5  # of an entry's parts that another one has too


def make_boards(
    folder: Path,
    datasets: Sequence[str] = (),
    *,
    isolation: Isolation = "bubblewrap",
    workers: int | None = None,
    seconds: float = 1800.0,
    secret: str = "",
    without: Path | None = None,
    advance: Callable[[int, int], Any] = lambda done, of: None,
) -> list[dict[str, Any]]:
    """The boards of these data sets, or of all that entries name. Raises LeaderboardError, SandboxError.

    `without`: a folder that is not looked into. `secret`: the course's. `advance(done, of)` is called after each entry.
    """
    handed_in = list(find_entries(folder, without))
    chosen = list(datasets) or [name for name in RULES if any(handed.dataset == name for handed in handed_in)]
    boards = []
    todo = {name: [handed for handed in handed_in if handed.dataset in (name, "")] for name in chosen or ["minicifar"]}
    total, done = sum(map(len, todo.values())), 0
    for dataset, entries in todo.items():
        images = load(dataset, "test")
        load(dataset, "val")  # decoded here, where the cache can be written to
        lines = []
        measure = Measurers(dataset, images.fingerprint, isolation, seconds, secret)
        with measure, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            jobs = [pool.submit(line, handed, dataset, images.fingerprint, measure, secret) for handed in entries]
            owners = [owner(handed.folder, folder) for handed in entries]
            try:
                for job, name in zip(jobs, owners, strict=True):
                    lines.append({**job.result(), "owner": name})
                    done += 1
                    advance(done, total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                measure.close()  # or the pool would wait for what is measured now
                raise
        boards.append(board(lines, dataset, images.source.description))
    return boards


def owner(entry: Path, folder: Path) -> str:
    """The folder of a team or student in which an entry lies; "" where it lies in none."""
    around = entry.relative_to(folder).parts[:-1]
    return shown_name(around[0]) if around else ""


def board(entries: Sequence[dict[str, Any]], dataset: str, images: str) -> dict[str, Any]:
    """A leaderboard as data: qualified entries by score, then the others, then those refused."""
    same: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        if entry["hash"]:
            same[entry["hash"]].append(entry)
    for entry in entries:
        others = [other for other in same[entry["hash"]] if other is not entry] if entry["hash"] else []
        entry["same_as"] = sorted(title(other) for other in others)
        entry["remarks"] = [*nearly_the_same(entry, entries), *names_twice(entry, entries)]
    return {
        "dataset": dataset,
        "threshold": RULES[dataset].threshold,
        "images": images,
        "version": VERSION,
        "entries": [
            {key: value for key, value in entry.items() if key not in UNSEEN} for entry in sorted(entries, key=order)
        ],
    }


def nearly_the_same(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence if most of an entry's weights are those of other teams' entries, but for a few bits."""
    parts = set(entry.get("parts", ()))
    like = [
        other
        for other in entries
        if other["team"] != entry["team"] and other["hash"] != entry["hash"] and parts
        if len(parts.intersection(other.get("parts", ()))) > NEARLY * len(parts)
    ]
    names = ", ".join(sorted(title(other) for other in like))
    return [f"Its weights are nearly those of {names}: they have a common beginning, at least."] if like else []


def names_twice(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence if a team of this name has handed in from several folders."""
    owners = {
        other["owner"]
        for other in entries
        if other.get("owner") and other["team"].casefold() == entry["team"].casefold()
    }
    if len(owners) < 2:
        return []
    return [f"Entries of a team of this name lie in {', '.join(sorted(owners))}: whose are they?"]


# what comes out


def write_board(leaderboard: Mapping[str, Any], folder: Path) -> Path:
    """leaderboard.json, .csv and .html, each written whole or not at all → the page."""
    text = json.dumps(leaderboard, ensure_ascii=False, indent=1, allow_nan=False)
    write_text(folder / "leaderboard.json", text + "\n")
    write_text(folder / "leaderboard.csv", "\ufeff" + to_csv(as_rows(leaderboard["entries"])))
    return write_text(folder / "leaderboard.html", page(leaderboard))


def as_rows(entries: Iterable[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The entries as rows of a table: numbers as text with all their digits, lists in one cell."""
    yield ["place", "team", "name", "dataset", "status", "reason", *MEASURED, "method", "seeds", "date", "claims",
           "hash", "same_as", "remarks"]  # fmt: skip
    for place, entry in ranked(entries):
        claims = [
            f"{claim['what']}: claimed {claim['claimed']}, measured {claim['measured']}" for claim in entry["claims"]
        ]
        yield [
            "" if place is None else f"{place}",
            *(entry[what] for what in ("team", "name", "dataset", "status", "reason")),
            *("" if entry[what] is None else f"{entry[what]}" for what in MEASURED),
            entry["method"],
            " ".join(map(str, entry["seeds"])),
            entry["date"],
            "; ".join(claims),
            entry["hash"],
            "; ".join(entry["same_as"]),
            " ".join(entry["remarks"]),
        ]


def as_table(leaderboard: Mapping[str, Any]) -> Table:
    """The board for a terminal of 80 columns; what there is to remark on an entry stands below its name."""
    dataset, images, version = (leaderboard[what] for what in ("dataset", "images", "version"))
    caption = escape(f"{images} · pruning-labs {version}")
    table = Table(title=f"{dataset}: {RULES[dataset].division}", caption=caption)
    for header in ("", "entry", "score", "test", "val.", "param.", "MACs"):
        table.add_column(header, justify="left" if header == "entry" else "right")
    for place, entry in ranked(leaderboard["entries"]):
        remarks = [entry["reason"]] if entry["reason"] else []
        remarks += [f"claims {claim['what']} {claim['claimed']}" for claim in entry["claims"]]
        remarks += [f"the same file as {other}" for other in entry["same_as"]]
        remarks += entry["remarks"]
        forms = {"score": "{:.4f}", "accuracy": "{:.1%}", "val_accuracy": "{:.1%}"}
        numbers = ["–" if entry[what] is None else form.format(entry[what]) for what, form in forms.items()]
        for what in ("parameters", "macs"):
            numbers.append("–" if entry[what] is None else f"{entry[what] / 1e6:.3g} M")
        described = "".join(f"\n[italic]{escape(remark)}[/italic]" for remark in remarks)
        table.add_row(f"{place or '–'}", escape(title(entry)) + described, *numbers)
    return table
