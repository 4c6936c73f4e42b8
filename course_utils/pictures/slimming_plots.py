"""Pictures and tables of pruning while training: scales that part, thresholds that rise, weights that come back."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.pictures.budget_plots import mean_and_spread
from course_utils.pictures.plots import COLOURS, figure, percent, say_source, subplots
from course_utils.pictures.tables import Table
from course_utils.records import Scales, SlimmingResult, SlimmingStudy, Study
from minicifar import ImageSet

BINS = 40


def histogram(values: Sequence[float], top: float) -> tuple[np.ndarray, np.ndarray]:
    """How many scales lie in each of BINS equal steps from 0 to `top` (larger ones in the last), and the edges."""
    edges = np.linspace(0, top, BINS + 1)
    return np.histogram(np.clip(values, 0, top), edges)[0], edges


def draw_histogram(axis: Axes, values: Sequence[float], top: float) -> None:
    """A histogram without numbers on its axis: its form counts."""
    counts, edges = histogram(values, top)
    axis.bar(edges[:-1], counts, np.diff(edges), align="edge", color=COLOURS["slimming"])
    axis.set_yticks([])
    axis.grid(False)


def scales_picture(history: Sequence[Mapping[str, Any]], images: ImageSet | None = None) -> Figure:
    """Histograms of all |γ| while the penalty pulls, the first epoch of `history` at the top and the last below.

    `history`: a dict an epoch with `epoch` and `scales`, as `train_sparse` gives it; at most six are drawn.
    """
    chosen = [history[place] for place in np.unique(np.linspace(0, len(history) - 1, min(6, len(history))).astype(int))]
    all_scales = [[value for values in entry["scales"].values() for value in values] for entry in chosen]
    top = max(max(values) for values in all_scales)
    drawing, axes = subplots(len(chosen), 1, (6.4, 0.85 * len(chosen) + 0.6), sharex=True)
    axes = np.atleast_1d(axes)
    for axis, entry, values in zip(axes, chosen, all_scales, strict=True):
        draw_histogram(axis, values, top)
        axis.set_ylabel(f"epoch {entry['epoch']}", rotation=0, ha="right", va="center")
    axes[-1].set_xlabel("scale |γ|, all channels of the network")
    say_source(drawing, images)
    return drawing


def scales_over_time(study: Study[SlimmingStudy], images: ImageSet | None = None) -> Figure:
    """`scales_picture` for each strength, side by side: a column a strength, a row an epoch."""
    strengths = list(dict.fromkeys(record.strength for record in study.of(Scales)))
    epochs = list(dict.fromkeys(record.epoch for record in study.of(Scales)))
    drawing, axes = subplots(len(epochs), len(strengths), (2.7 * len(strengths), 0.7 * len(epochs) + 0.8), sharex=True)
    axes = np.array(axes).reshape(len(epochs), len(strengths))
    top = max(value for record in study.of(Scales) for _, values in record.scales for value in values)
    for record in study.of(Scales):
        row, column = epochs.index(record.epoch), strengths.index(record.strength)
        axis = axes[row, column]
        draw_histogram(axis, [value for _, values in record.scales for value in values], top)
        if row == 0:
            axis.set_title(f"strength {record.strength:g}")
        if column == 0:
            axis.set_ylabel(f"epoch {record.epoch}", rotation=0, ha="right", va="center")
        if row == len(epochs) - 1:
            axis.set_xlabel("scale |γ|")
    say_source(drawing, images)
    return drawing


def slimming_table(study: Study[SlimmingStudy]) -> Table:
    """A line for each strength and budget: accuracies before finetuning, how exact absorption is, and the widths."""
    rows: list[tuple[str, ...]] = []
    results = study.of(SlimmingResult)
    for strength in sorted({result.strength for result in results}):
        for budget in sorted({result.budget for result in results}, reverse=True):
            found = [result for result in results if (result.strength, result.budget) == (strength, budget)]
            if found:
                names = ("scales_zero", "cut", "absorbed")
                accuracies = [mean_and_spread(getattr(result, name) for result in found) for name in names]
                off = [statistics.mean(getattr(result, name) for result in found) for name in ("inside", "border")]
                off_words = [f"{value:.2g}" if value > 1e-5 else "0" for value in off]
                widths = "-".join(map(str, found[0].widths))
                rows.append((f"{strength:g}", f"{budget:.0%}", *accuracies, *off_words, widths))
    header = ("strength", "MACs", "scales at 0", "cut", "absorbed, cut", "off inside", "off at the border", "widths")
    return Table(header, rows, "Accuracies in percent, before any finetuning.")


def thresholds_picture(history: Sequence[Mapping[str, Any]], images: ImageSet | None = None) -> Figure:
    """Learned thresholds over the epochs, a line a layer, and beside them the zeros that they make.

    `history`: a dict an epoch with `epoch`, `thresholds` and `sparsities` by layer. Layers from light (first) to dark.
    """
    drawing, axes = figure(2, width=4.4, height=3.3)
    layers = list(history[0]["thresholds"])
    shades = matplotlib.colormaps["viridis"](np.linspace(0.9, 0.1, len(layers)))
    epochs = [entry["epoch"] for entry in history]
    for axis, name in zip(axes, ("thresholds", "sparsities"), strict=True):
        for layer, shade in zip(layers, shades, strict=True):
            axis.plot(epochs, [entry[name][layer] for entry in history], color=shade, label=layer)
        axis.set_xlabel("epoch")
    axes[0].set(ylabel="threshold sigmoid(s)", yscale="log")
    axes[1].set(ylabel="zeros", ylim=(0, 1.02))
    axes[1].yaxis.set_major_formatter(percent)
    axes[1].legend(fontsize=7, loc="lower right")
    say_source(drawing, images)
    return drawing


def comings_and_goings(history: Sequence[Mapping[str, Any]], images: ImageSet | None = None) -> Figure:
    """How many weights died (downwards) and came back (upwards) in each epoch, and the sparsity as a line."""
    drawing, axis = figure(width=6.4, height=3.2)
    epochs = [entry["epoch"] for entry in history]
    axis.bar(epochs, [entry["returned"] for entry in history], color=COLOURS["feedback"], label="came back")
    axis.bar(epochs, [-entry["died"] for entry in history], color=COLOURS["from scratch"], label="died")
    axis.axhline(0, color=COLOURS["original"], linewidth=0.8)
    axis.set(xlabel="epoch", ylabel="weights", xticks=epochs)
    axis.yaxis.set_major_formatter(lambda value, _position: f"{abs(value):,.0f}")
    right = axis.twinx()
    right.plot(epochs, [entry["sparsity"] for entry in history], "o-", ms=3, color=COLOURS["Taylor"], label="zeros")
    right.set(ylim=(0, 1.02), ylabel="zeros")
    right.yaxis.set_major_formatter(percent)
    right.grid(False)
    bars, lines = axis.get_legend_handles_labels(), right.get_legend_handles_labels()
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3}
    axis.legend(bars[0] + lines[0], bars[1] + lines[1], fontsize=8, **above)
    say_source(drawing, images)
    return drawing
