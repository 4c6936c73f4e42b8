"""What a team shows of its own entries: a table beside the unpruned network, and its entries among all others."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from course_utils.challenge.entry import baseline_entry, measure, read_board, rules_of
from course_utils.challenge.ranking import NEVER, finite_number, moment, pareto_front
from course_utils.pictures import plots
from course_utils.pictures.tables import Table
from minicifar import load


def team_entries(folder: str | Path = "challenge", dataset: str = "minicifar") -> list[dict[str, Any]]:
    """A team's entries by date, from the cards that `challenge.submit` wrote: team, name, method, seeds, accuracy, score, …

    Each has `path`, its ONNX file. Empty where there are none.
    """
    found = []
    for path in Path(folder).glob("*/card.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        if card["dataset"] == dataset:
            found.append({**card, **card["claims"], "path": str(path.with_name("network.onnx"))})
    return sorted(found, key=lambda entry: (moment(entry["date"]) or NEVER, entry["name"]))


def compared(original: str | Path, entry: str | Path, dataset: str = "minicifar") -> Table:
    """Original, pruned, ratio: two ONNX files, measured as the leaderboard measures."""
    test, validation = load(dataset, "test"), load(dataset, "val")
    before, after = measure(original, test, validation), measure(entry, test, validation)
    forms = {
        "parameters": ",",
        "nonzero": ",",
        "weight_bits": ".1f",
        "macs": ",",
        "megabytes": ".2f",
        "score": ".4f",
    }
    titles = {"nonzero": "of them not zero", "weight_bits": "bits a weight", "macs": "MACs", "megabytes": "file, MB"}
    rows: list[tuple[str, ...]] = [
        (
            titles.get(what, what),
            format(before[what], form),
            format(after[what], form),
            f"{after[what] / before[what]:.2f}",
        )
        for what, form in forms.items()
    ]
    for what, title in (("accuracy", "accuracy, test"), ("val_accuracy", "accuracy, validation")):
        change = 100 * (after[what] - before[what])
        rows.append((title, f"{before[what]:.1%}", f"{after[what]:.1%}", f"{change:+.1f} points"))
    note = "measured on synthetic images, not on CIFAR" if test.source.synthetic else ""
    return Table(("", "original", "pruned", "ratio"), rows, note)


def board_entries(folder: str | Path = "challenge", dataset: str = "minicifar") -> list[dict[str, Any]]:
    """The leaderboard's entries, if it was put into the folder (leaderboard.json); otherwise the course's vgg_mini."""
    found = read_board(None, Path(folder), dataset)
    return baseline_entry(dataset, load(dataset, "test")) if found is None else found


def pareto(
    mine: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    dataset: str = "minicifar",
    images: Any = None,
) -> Figure:
    """Accuracy against score: a team's entries (numbered by date) among all others, with the front and the threshold."""
    own = {(entry["team"], entry["name"]) for entry in mine}
    others = [entry for entry in others if (entry.get("team"), entry.get("name")) not in own and measured(entry)]
    mine = [entry for entry in mine if measured(entry)]
    drawing, axis = plots.figure(width=7.4, height=4.2)
    threshold = rules_of(dataset).threshold
    axis.axhline(threshold, color="#b3261e", linestyle="--", linewidth=1, label=f"asked for: {threshold:.0%}")
    points = [(entry["score"], entry["accuracy"]) for entry in [*mine, *others]]
    if points:
        front = zip(*(points[n] for n in pareto_front(points)), strict=True)
        steps: Any = {"color": "#999999", "linewidth": 1, "drawstyle": "steps-post"}
        axis.plot(*front, **steps, label="Pareto front")
    axis.plot(*columns(others), "o", color="#999999", markersize=5, label="others")
    axis.plot(*columns(mine), "o", color=plots.COLOURS["Taylor"], markersize=9, label="ours")
    for n, entry in enumerate(mine, start=1):
        place: Any = {"textcoords": "offset points", "ha": "left", "fontsize": 9}
        axis.annotate(f"{n} {entry['name']}", (entry["score"], entry["accuracy"]), (7, 6), **place)
    axis.set(xscale="log", xlabel="score (lower is better)", ylabel="accuracy, test images")
    axis.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(plots.percent)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    axis.margins(x=0.12, y=0.12)
    plots.say_source(drawing, images)
    return drawing


def measured(entry: Mapping[str, Any]) -> bool:
    return (finite_number(entry.get("score")) or 0) > 0 and finite_number(entry.get("accuracy")) is not None


def columns(entries: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    return [entry["score"] for entry in entries], [entry["accuracy"] for entry in entries]
