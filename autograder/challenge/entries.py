"""The challenge's entries as they were handed in: found, and read with care."""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from autograder.grading.submissions import read_file
from course_utils.challenge.score import RULES

LARGEST_CARD = 100_000  # bytes
LONGEST = {"team": 60, "name": 60, "method": 300, "reason": 300}
MOST_SEEDS = 20
DEEPEST = 3  # folders around an entry


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
        """The division that the card names, "" if it names none."""
        named = self.card.get("dataset")
        return named if isinstance(named, str) and named in RULES else ""


# what was handed in


def find_entries(folder: Path, without: Path | None = None, depth: int = 0) -> Iterator[Handed]:
    """The entries in a folder and below, in order. Raises LeaderboardError where there is no such folder."""
    try:
        inside = sorted(os.scandir(folder), key=lambda item: item.name)
    except OSError as error:
        if depth:
            yield Handed(folder, reason=f"The folder cannot be read ({error.strerror}).")
            return
        raise LeaderboardError(f"There is no folder {folder}: give the one that holds the entries.") from None
    for item in inside:
        path = Path(item.path)
        if item.name.startswith((".", "__")) or (without and path.resolve() == without.resolve()):
            continue
        if item.is_symlink():
            if not depth:
                yield Handed(path, reason="It is a link, and links are not followed.")
        elif item.is_dir(follow_symlinks=False):
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


def seeds_on(card: Mapping[str, Any]) -> list[int]:
    """The card's seeds, as far as they are whole numbers, and at most 20 of them."""
    seeds = card.get("seeds")
    seeds = seeds if isinstance(seeds, list) else [seeds]
    return [seed for seed in seeds if type(seed) is int and abs(seed) < 2**63][:MOST_SEEDS]


def date_on(card: Mapping[str, Any]) -> str:
    """The card's date as ISO text, "" where it has none."""
    try:
        return datetime.fromisoformat(card.get("date", "")[:40]).isoformat(timespec="seconds")
    except (ValueError, TypeError):
        return ""


def title(entry: Mapping[str, Any]) -> str:
    """What people call an entry."""
    return f"{entry['team']}: {entry['name']}"
