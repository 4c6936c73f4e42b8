"""What a team shows of its own entries: a table beside the unpruned network, and its entries among all others."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from course_utils.challenge.entry import baseline_entry, measure, read_board, rules_of
from course_utils.challenge.ranking import NEVER, Entry, finite_number, moment, pareto_front
from course_utils.pictures import plots
from course_utils.pictures.tables import Table, accuracy_row, ratio_row
from minicifar import ImageSet, load

COMPARED = {  # what was measured → the title and form of its row
    "parameters": ("parameters", ","),
    "nonzero": ("of them not zero", ","),
    "weight_bits": ("bits a weight", ".1f"),
    "macs": ("MACs", ","),
    "megabytes": ("file, MB", ".2f"),
    "score": ("score", ".4f"),
}


def team_entries(folder: str | Path = "challenge", dataset: str = "minicifar") -> list[dict[str, Any]]:
    """A team's entries by date, from the cards that `challenge.submit` wrote; empty where there are none.

    Each holds team, name, method, seeds, accuracy, score, …, and `path`, its ONNX file.
    """
    entries = []
    for path in Path(folder).glob("*/card.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        if card["dataset"] == dataset:
            entries.append({**card, **card["claims"], "path": str(path.with_name("network.onnx"))})
    return sorted(entries, key=lambda entry: (moment(entry["date"]) or NEVER, entry["name"]))


def compared(original: str | Path, entry: str | Path, dataset: str = "minicifar") -> Table:
    """Original, pruned, ratio: two ONNX files, measured as the leaderboard measures."""
    test, validation = load(dataset, "test"), load(dataset, "val")
    before, after = measure(original, test, validation), measure(entry, test, validation)
    rows: list[tuple[str, ...]] = [
        ratio_row(title, before[what], after[what], form) for what, (title, form) in COMPARED.items()
    ]
    rows.append(accuracy_row("accuracy, test", before["accuracy"], after["accuracy"]))
    rows.append(accuracy_row("accuracy, validation", before["val_accuracy"], after["val_accuracy"]))
    note = "measured on synthetic images, not on CIFAR" if test.source.synthetic else ""
    return Table(("", "original", "pruned", "ratio"), rows, note)


def board_entries(folder: str | Path = "challenge", dataset: str = "minicifar") -> list[dict[str, Any]]:
    """The leaderboard's entries, if it was put into the folder (leaderboard.json); otherwise the course's vgg_mini."""
    entries = read_board(None, Path(folder), dataset)
    return baseline_entry(dataset, load(dataset, "test")) if entries is None else entries


def pareto(
    mine: Sequence[Entry], others: Sequence[Entry], dataset: str = "minicifar", images: ImageSet | None = None
) -> Figure:
    """Accuracy against score: a team's entries (numbered by date) among all others, with front and threshold."""
    own = {(entry["team"], entry["name"]) for entry in mine}
    others = [entry for entry in others if (entry.get("team"), entry.get("name")) not in own and drawable(entry)]
    mine = [entry for entry in mine if drawable(entry)]
    drawing, axis = plots.figure(width=7.4, height=4.2)
    threshold = rules_of(dataset).threshold
    axis.axhline(threshold, color="#b3261e", linestyle="--", linewidth=1, label=f"asked for: {threshold:.0%}")
    points = [(entry["score"], entry["accuracy"]) for entry in [*mine, *others]]
    if points:
        front = zip(*(points[n] for n in pareto_front(points)), strict=True)
        axis.plot(*front, color="#999999", linewidth=1, drawstyle="steps-post", label="Pareto front")
    axis.plot(*columns(others), "o", color="#999999", markersize=5, label="others")
    axis.plot(*columns(mine), "o", color=plots.COLOURS["Taylor"], markersize=9, label="ours")
    for n, entry in enumerate(mine, start=1):
        at = entry["score"], entry["accuracy"]
        axis.annotate(f"{n} {entry['name']}", at, (7, 6), textcoords="offset points", ha="left", fontsize=9)
    axis.set(xscale="log", xlabel="score (lower is better)", ylabel="accuracy, test images")
    axis.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(plots.percent)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    axis.margins(x=0.12, y=0.12)
    plots.say_source(drawing, images)
    return drawing


def drawable(entry: Entry) -> bool:
    """Whether an entry has an accuracy, and a score that a logarithmic axis can show."""
    return (finite_number(entry.get("score")) or 0) > 0 and finite_number(entry.get("accuracy")) is not None


def columns(entries: Sequence[Entry]) -> tuple[list[float], list[float]]:
    """The scores and the accuracies of entries."""
    return [entry["score"] for entry in entries], [entry["accuracy"] for entry in entries]
