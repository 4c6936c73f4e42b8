"""The challenge's rules on who stands where: what qualifies, the order of the places, the Pareto front.

They exist only here: the leaderboard (terminal, CSV, JSON, page) and the teams' notebooks follow them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any

from course_utils.pictures.tables import Table

STATUSES = ("qualified", "not qualified", "refused")
QUALIFIED, NOT_QUALIFIED, REFUSED = STATUSES
MEASURED = ("accuracy", "val_accuracy", "score", "parameters", "nonzero", "weight_bits", "macs", "megabytes")
AROUND = 5  # lines of the leaderboard shown before and after one's own
NEVER = datetime.max.replace(tzinfo=UTC)

Entry = Mapping[str, Any]  # team, name, status, date, hash, and the numbers of MEASURED; any of them may be missing


def status_of(accuracy: float, threshold: float) -> str:
    """Whether a measured entry qualifies: it does from the threshold on."""
    return QUALIFIED if accuracy >= threshold else NOT_QUALIFIED


def order(entry: Entry) -> tuple[int, float, float, datetime, str, str, str]:
    """A key to sort by: who stands before whom.

    Qualified entries come first, the lowest score leading, of equal ones the more accurate, then the one that was
    handed in earlier. Those that do not qualify follow, the most accurate leading; refused ones come last. What is
    equal in all this stands by team, name and the file's hash.
    """
    status = entry.get("status")
    rank = STATUSES.index(status if status in STATUSES else REFUSED)
    score, accuracy = finite_number(entry.get("score")), finite_number(entry.get("accuracy"))
    by_score = score if rank == 0 and score is not None else math.inf
    by_accuracy = math.inf if accuracy is None else -accuracy
    team, name, content = ("" if entry.get(key) is None else str(entry[key]) for key in ("team", "name", "hash"))
    return rank, by_score, by_accuracy, moment(entry.get("date")) or NEVER, team, name, content


def ranked(entries: Iterable[Entry]) -> list[tuple[int | None, Entry]]:
    """Entries in their order, each with its place: 1, 2, … for those that qualify, None for the others."""
    lines = enumerate(sorted(entries, key=order), start=1)
    return [(place if entry.get("status") == QUALIFIED else None, entry) for place, entry in lines]


def moment(date: Any) -> datetime | None:
    """An ISO date in UTC; one without a time zone is taken for UTC. None if it is not a date."""
    try:
        time = datetime.fromisoformat(date)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def finite_number(value: Any) -> float | None:
    """A finite number as Python's own int or float, anything else as None; True is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return (int(value) if isinstance(value, Integral) else float(value)) if math.isfinite(value) else None
    except OverflowError:
        return None


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which (cost, accuracy) points no other beats, by rising cost; equal points stay together.

    One point beats another if it costs no more, is at least as accurate, and is better in one of the two.
    """
    front: list[int] = []
    for n in sorted(range(len(points)), key=lambda n: (points[n][0], -points[n][1])):
        if not front or points[n][1] > points[front[-1]][1] or points[n] == points[front[-1]]:
            front.append(n)
    return front


def standing(mine: Entry, others: Iterable[Entry], threshold: float) -> Table:
    """Where an entry stands among others: a line each, this one marked, and the closest before and after it."""
    who = (mine["team"], mine["name"])
    lines = ranked([mine, *(entry for entry in others if (entry.get("team"), entry.get("name")) != who)])
    at = next(n for n, (_, entry) in enumerate(lines) if entry is mine)
    rows: list[tuple[str, ...]] = []
    for n, (place, entry) in enumerate(lines):
        if n < 3 or abs(n - at) <= AROUND:
            title = f"{entry.get('team', '')}: {entry.get('name', '')}"
            score, accuracy = (
                _formatted(entry.get(what), form) for what, form in (("score", ".4f"), ("accuracy", ".1%"))
            )
            rows.append((f"→ {title}" if n == at else title, f"{place or '–'}", score, accuracy))
    note = ""
    if mine["status"] != QUALIFIED:
        note = f"Not qualified yet: {mine['accuracy']:.2%} of the test images, and {threshold:.0%} are asked for."
    return Table(("", "place", "score", "accuracy"), rows, note)


def _formatted(value: Any, form: str) -> str:
    number = finite_number(value)
    return "–" if number is None else format(number, form)
