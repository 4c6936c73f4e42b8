"""Leaderboards made by hand: entries as `autograder.challenge.measuring.line` writes them."""

from typing import Any

# of equal entries, these are to stand in the order c (08:00 UTC), b (09:00 UTC), a (no date)
DATES_IN_THREE_ZONES = {"a": "", "b": "2026-11-02T09:00:00+00:00", "c": "2026-11-02T10:00:00+02:00"}


def entry(team: str, score: Any = 0.1, accuracy: Any = 0.85, **fields: Any) -> dict[str, Any]:
    qualified = accuracy is not None and accuracy >= 0.84
    return {
        "team": team,
        "name": f"{team}'s network",
        "dataset": "minicifar",
        "method": "L1 filters",
        "seeds": [1, 2],
        "date": "2030-05-02T10:00:00+00:00",
        "status": "qualified" if qualified else "not qualified",
        "reason": "" if qualified else "below 84 %",
        "accuracy": accuracy,
        "val_accuracy": accuracy,
        "score": score,
        "parameters": 100_000,
        "nonzero": 50_000,
        "weight_bits": 8.0,
        "macs": 9_000_000,
        "megabytes": 0.1,
        "claims": [],
        "hash": "0" * 64,
        "same_as": [],
        "remarks": [],
    } | fields


def board(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": "minicifar", "threshold": 0.84, "images": "test images, JPEG", "entries": list(entries)}


def refused(team: str, reason: str) -> dict[str, Any]:
    return entry(team, None, None, status="refused", reason=reason, val_accuracy=None, parameters=None, macs=None)
