"""Figures of experiments: sensitivity of layers, schedules, and results of several seeds with bands."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from course_utils.plots import COLOURS, colour, figure, percent, say_source, subplots


def sensitivity(
    curves: Mapping[str, Sequence[float]],
    ratios: Sequence[float],
    baseline: float,
    tolerance: float = 0.02,
    images: Any = None,
) -> Figure:
    """One curve a layer: accuracy when it alone is pruned, over the keep ratio, with the line of what is tolerated."""
    drawing, axis = figure(width=6.2, height=3.8)
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(curves)))
    for shade, (name, accuracies) in zip(shades, curves.items(), strict=True):
        axis.plot(ratios, accuracies, "o-", markersize=3.5, color=shade, label=name)
    axis.axhline(baseline, color=COLOURS["original"], linestyle="--", linewidth=1, label="original")
    line = {"color": "#b3261e", "linestyle": ":", "linewidth": 1.2}
    axis.axhline(baseline - tolerance, label=f"{100 * tolerance:.0f} points less", **line)
    axis.set(xlabel="keep ratio of this layer alone", ylabel="accuracy, no retraining", xlim=(1.02, 0))
    axis.yaxis.set_major_formatter(percent)
    axis.legend(fontsize=8, ncols=2 if len(curves) > 8 else 1)
    say_source(drawing, images)
    return drawing


def schedules(functions: Mapping[str, Callable[[float], float]], last: float) -> Figure:
    """Sparsity over the epochs for several schedules, and below how fast each of them prunes (a jump leaves the panel)."""
    drawing, (above, below) = subplots(2, 1, (6.0, 4.4), sharex=True, height_ratios=(3, 2))
    epochs = np.linspace(0, last, 401)
    highest = 0.0
    for label, function in functions.items():
        values = np.array([function(epoch) for epoch in epochs.tolist()])
        rates = np.diff(values) / np.diff(epochs)
        above.plot(epochs, values, label=label)
        below.plot(epochs[1:], rates, label=label)
        highest = max(highest, float(np.quantile(rates, 0.99)))
    above.set(ylabel="sparsity", ylim=(0, 1))
    above.yaxis.set_major_formatter(percent)
    above.legend(fontsize=8)
    below.set(xlabel="epoch", ylabel="per epoch", ylim=(0, 1.2 * highest or None))
    below.yaxis.set_major_formatter(percent)
    return drawing


def bands(
    axis: Any,
    points: Mapping[str, Mapping[float, Sequence[float]]],
    styles: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Means over seeds as a line, and the range from the lowest to the highest seed as a band.

    `points[label][x]`: the accuracies of the seeds at x, for instance the share of parameters that is left.
    """
    for label, runs in points.items():
        xs = sorted(runs)
        style: dict[str, Any] = {"marker": "o", "linestyle": "-", "markersize": 4, "color": colour(label)}
        style |= (styles or {}).get(label, {})
        axis.plot(xs, [np.mean(runs[x]) for x in xs], label=label, **style)
        low, high = [min(runs[x]) for x in xs], [max(runs[x]) for x in xs]
        axis.fill_between(xs, low, high, color=style["color"], alpha=0.15, linewidth=0)
    axis.yaxis.set_major_formatter(percent)


def accuracy_and_parameters(
    points: Mapping[str, Mapping[float, Sequence[float]]],
    baseline: float | None = None,
    images: Any = None,
    title: str = "",
) -> Figure:
    """Accuracy over the share of parameters that is left (logarithmic), one line and band a method."""
    drawing, axis = figure(width=6.2, height=3.8)
    bands(axis, points)
    if baseline is not None:
        axis.axhline(baseline, color=COLOURS["original"], linestyle="--", linewidth=1, label="original")
    axis.set(xscale="log", xlabel="parameters left", ylabel="test accuracy", title=title)
    axis.xaxis.set_major_formatter(percent)
    axis.xaxis.set_minor_formatter(lambda *_: "")
    axis.legend(fontsize=8)
    say_source(drawing, images)
    return drawing


def when_to_prune(tables: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]]) -> Figure:
    """The study of lab 4: one panel a label of `tables`, each {"when, n steps": {parameters left: accuracies of seeds}}.

    One colour a moment; full lines for one step, broken ones for several; the unpruned network as a star.
    """
    drawing, axes = figure(len(tables), width=4.6, height=3.8, squeeze=False, sharey=True)
    moments = list(dict.fromkeys(label.split(",")[0] for curves in tables.values() for label in curves))
    shades = dict(zip(moments, ("#0072b2", "#d55e00", "#009e73", "#4d4d4d"), strict=False))
    for axis, (title, curves) in zip(axes[0], tables.items(), strict=True):
        styles: dict[str, dict[str, Any]] = {
            label: {"color": shades[label.split(",")[0]], "linestyle": "-" if label.endswith("1 step") else "--"}
            for label in curves
        }
        styles |= {label: {**styles[label], "marker": "*", "markersize": 10} for label in curves if label == "unpruned"}
        bands(axis, curves, styles)
        axis.set(xscale="log", xlabel="parameters left", title=title)
        axis.xaxis.set_major_formatter(percent)
        axis.xaxis.set_minor_formatter(lambda *_: "")
    axes[0, 0].set_ylabel("test accuracy after 16 epochs in all")
    axes[0, -1].legend(fontsize=7)
    return drawing
