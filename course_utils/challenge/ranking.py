"""Who stands where in the challenge: statuses, order, and an entry among the others."""

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

from course_utils.pictures.tables import Table

STATUSES = ("qualified", "not qualified", "refused")
AROUND = 5  # lines of the leaderboard shown before and after one's own


def standing(mine: Mapping[str, Any], others: Iterable[Mapping[str, Any]], threshold: float) -> Table:
    """Where an entry stands among others: a line each, this one marked, and the closest before and after it."""
    who = (mine["team"], mine["name"])
    lines = sorted([mine, *(one for one in others if (one.get("team"), one.get("name")) != who)], key=order)
    at = next(n for n, line in enumerate(lines) if line is mine)
    rows: list[tuple[str, ...]] = []
    for n, line in enumerate(lines):
        if n < 3 or abs(n - at) <= AROUND:
            place = f"{n + 1}" if line.get("status") == STATUSES[0] else "–"
            score = "–" if number(line.get("score")) is None else f"{line['score']:.4f}"
            accuracy = "–" if number(line.get("accuracy")) is None else f"{line['accuracy']:.1%}"
            title = f"{line.get('team', '')}: {line.get('name', '')}"
            rows.append((f"→ {title}" if n == at else title, place, score, accuracy))
    note = ""
    if mine["status"] != STATUSES[0]:
        note = f"Not qualified yet: {mine['accuracy']:.2%} of the test images, and {threshold:.0%} are asked for."
    return Table(("", "place", "score", "accuracy"), rows, note)


def order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Qualified entries first, the lowest score leading; then the others, the most accurate leading; then the refused."""
    status = entry.get("status")
    rank = STATUSES.index(status) if status in STATUSES else len(STATUSES)
    score, accuracy = number(entry.get("score")), number(entry.get("accuracy"))
    by_score = score if rank == 0 and score is not None else math.inf
    by_accuracy = math.inf if accuracy is None else -accuracy
    return rank, by_score, by_accuracy, *(str(entry.get(what, "")) for what in ("date", "team", "name"))


def number(value: Any) -> float | None:
    """A finite number, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
