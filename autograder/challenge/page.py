"""The challenge's leaderboard as one HTML page for a projector: no network, no library, nothing to install.

Names, methods, reasons and dates come from students and are text: they travel in a block of JSON that no HTML parser
reads, the page's script shows them as text only, and the page's policy forbids every other script and all network.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.challenge.ranking import (
    MEASURED,
    NOT_QUALIFIED,
    QUALIFIED,
    REFUSED,
    STATUSES,
    finite_number,
    moment,
    pareto_front,
    ranked,
)
from course_utils.pictures.inline import csp_hash, inline

TEMPLATE = Path(__file__).with_name("leaderboard.html")
TEXTS = ("team", "name", "method", "reason", "hash")
COSTS = ("score", "parameters", "macs")  # what accuracy is drawn against
POLICY = (
    "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


def page(board: Mapping[str, Any]) -> str:
    """The leaderboard as a self-contained page; the same board gives the same text."""
    template = TEMPLATE.read_text(encoding="utf-8")
    prints = {tag: csp_hash(inline(template, tag)) for tag in ("style", "script")}
    before, after = template.replace("{{ policy }}", POLICY.format(**prints)).split("{{ board }}")
    return before + embedded(board_data(board)) + after


def board_data(board: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows, in the order of the places: every field of every entry, and the Pareto fronts."""
    entries = [entry_data(entry) | {"place": place} for place, entry in ranked(board.get("entries") or [])]
    return {
        "dataset": text(board.get("dataset")),
        "threshold": finite_number(board.get("threshold")),
        "images": text(board.get("images")),
        "version": text(board.get("version")),
        "entries": entries,
        "fronts": {cost: {"all": front(entries, cost), "qualified": front(entries, cost, True)} for cost in COSTS},
    }


def entry_data(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One entry with every field there is: a text is a string, a number is finite or None, `time` is milliseconds."""
    time = moment(entry.get("date"))
    status = entry.get("status")
    claims = [claim_data(claim) for claim in entry.get("claims") or []]
    return {
        **{name: text(entry.get(name)) for name in TEXTS},
        **{name: finite_number(entry.get(name)) for name in MEASURED},
        "status": status if status in STATUSES else REFUSED,
        "seeds": ", ".join(text(seed) for seed in entry.get("seeds") or []),
        "date": text(entry.get("date")) if time is None else f"{time:%Y-%m-%d %H:%M}",
        "time": None if time is None else round(time.timestamp() * 1000),
        "claims": [claim for claim in claims if claim["claimed"] != claim["measured"]],
        "same_as": [text(name) for name in entry.get("same_as") or []],
        "remarks": [text(line) for line in entry.get("remarks") or []],
    }


def claim_data(claim: Mapping[str, Any]) -> dict[str, Any]:
    """One claim; what is no number is text."""
    values = {name: finite_number(claim.get(name)) for name in ("claimed", "measured")}
    shown = {name: text(claim.get(name)) if value is None else value for name, value in values.items()}
    return {"what": text(claim.get("what")), **shown}


def front(entries: Sequence[Mapping[str, Any]], cost: str, qualified_only: bool = False) -> list[int]:
    """The Pareto front's entries, of those that were measured."""
    statuses = (QUALIFIED,) if qualified_only else (QUALIFIED, NOT_QUALIFIED)
    places = [
        place
        for place, entry in enumerate(entries)
        if entry["status"] in statuses and entry["accuracy"] is not None and entry[cost] is not None
    ]
    return [places[n] for n in pareto_front([(entries[place][cost], entries[place]["accuracy"]) for place in places])]


def text(value: Any) -> str:
    """A value as a string; None is empty."""
    return "" if value is None else str(value)


def embedded(data: Any) -> str:
    """JSON that can stand inside a script element: ASCII only, and without <, > and &."""
    plain = json.dumps(data, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", plain)
