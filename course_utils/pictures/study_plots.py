"""Figures of experiments: sensitivity of layers, schedules, and results of several seeds with bands."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from course_utils.pictures.plots import COLOURS, colour, figure, percent, say_source, subplots
from course_utils.pictures.tables import Table
from course_utils.recorded import RECORDED
from course_utils.records import (
    AlphaResult,
    AlphaStudy,
    Correlation,
    CriteriaStudy,
    Curve,
    MethodResult,
    MethodStudy,
    MomentResult,
    MomentStudy,
    Study,
    read_study,
)
from minicifar import ImageSet

# Molchanov et al. 2016, table 1, VGG-16 on Birds-200: per layer, all layers, all layers after l2 normalisation
PUBLISHED = {
    "minimum weight": (0.27, 0.34, 0.33),
    "activation mean": (0.56, 0.35, 0.64),
    "activation std": (0.57, 0.30, 0.66),
    "APoZ": (0.35, 0.43, 0.51),
    "OBD": (0.59, 0.65, None),
    "Taylor": (0.73, 0.14, 0.73),
    "mutual information": (0.28, 0.35, 0.47),
}
# lines of criteria that are no methods of the course's own (those have their colours in `plots.COLOURS`)
CRITERIA_COLOURS = {
    "minimum weight": "#332288",
    "activation mean": "#8c564b",
    "APoZ": "#7f7f00",
    "activation std": "#44aa99",
    "gate Taylor": "#ff9da7",
    "mutual information": "#b3261e",
    "OBD": "#aa3377",
    "oracle": "black",
}


def sensitivity(
    curves: Mapping[str, Sequence[float]],
    ratios: Sequence[float],
    baseline: float,
    tolerance: float = 0.02,
    images: ImageSet | None = None,
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
    """Sparsity over the epochs for several schedules, and below how fast each prunes (a jump leaves the panel)."""
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


def recorded_study(name: str) -> Study[Any]:
    """The results of `python -m studies.<name>` that come with the course."""
    return read_study(RECORDED / f"{name}.jsonl")


def study_curves(study: Study[MomentStudy], network: str, setting: str) -> dict[str, dict[float, list[float]]]:
    """Accuracies of all seeds: {"near the end, 4 steps": {share of parameters left: [accuracy, …]}, "unpruned": …}."""
    curves: dict[str, dict[float, list[float]]] = {}
    for result in study.of(MomentResult):
        if (result.network, result.setting) == (network, setting):
            steps = f", {result.steps} step{'s' * (result.steps != 1)}" if result.steps else ""
            curve = curves.setdefault(result.moment + steps, {})
            curve.setdefault(result.parameters_left, []).append(result.accuracy)
    return curves


def when_to_prune(
    tables: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]], images: ImageSet | None = None
) -> Figure:
    """Accuracy over the parameters left: a panel for each of `tables`, {"when, n steps": {share left: accuracies}}.

    A line is the mean of the seeds, its band reaches from the worst to the best of them; where a single share is left,
    a point with a bar, beside the others. One colour a moment; full lines and points for one step, broken lines and
    empty points for several; the unpruned network is a star.
    """
    drawing, axes = figure(len(tables), width=4.6, height=3.8, squeeze=False)
    moments = dict.fromkeys(label.split(",")[0] for curves in tables.values() for label in curves)
    shades = (COLOURS["original"], COLOURS["from scratch"], "#0072b2", "#d55e00", "#009e73")
    shade_of = dict(zip(moments, shades, strict=False))
    for axis, (title, curves) in zip(axes[0], tables.items(), strict=True):
        for place, (label, accuracies) in enumerate(curves.items()):
            aside = 1.05 ** (place - len(curves) / 2) if label != "unpruned" else 1
            moment_line(axis, label, accuracies, shade_of[label.split(",")[0]], aside)
        axis.set(xscale="log", xlabel="parameters left", title=title)
        axis.xaxis.set_major_formatter(percent)
        axis.xaxis.set_minor_formatter(lambda *_: "")
        axis.yaxis.set_major_formatter(percent)
    axes[0, 0].set_ylabel("test accuracy")
    axes[0, -1].legend(fontsize=7)
    say_source(drawing, images)
    return drawing


def moment_line(axis: Axes, label: str, accuracies: Mapping[float, Sequence[float]], shade: str, aside: float) -> None:
    """One line of `when_to_prune`; a single point is moved by the factor `aside`, so that others stay visible."""
    shares = sorted(accuracies)
    style: dict[str, Any] = {"marker": "*" if label == "unpruned" else "o", "color": shade, "label": label}
    if label.endswith("steps"):
        style |= {"linestyle": "--", "markerfacecolor": "white"}
    alone = len(shares) == 1
    places = (aside if alone else 1) * np.array(shares)
    axis.plot(places, [np.mean(accuracies[share]) for share in shares], **style)
    low, high = [min(accuracies[share]) for share in shares], [max(accuracies[share]) for share in shares]
    axis.fill_between(places, low, high, color=shade, alpha=0.15, linewidth=0)
    if alone:
        axis.vlines(places, low, high, color=shade, alpha=0.4, linewidth=2, zorder=1)


def rank_scatter(
    criteria: Mapping[str, Mapping[str, Any]], oracle: Mapping[str, Any], images: ImageSet | None = None
) -> Figure:
    """One panel a criterion: the rank of every filter in its layer (0 the lowest, 1 the highest), against the oracle's.

    `criteria`: {criterion: {layer: scores}}; `oracle`: {layer: scores}. Each layer has its colour. On the diagonal the
    two agree.
    """
    drawing, axes = figure(len(criteria), width=3.3, height=3.4, squeeze=False, sharey=True)
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(oracle)))
    for axis, (name, scores) in zip(axes[0], criteria.items(), strict=True):
        for shade, layer in zip(shades, oracle, strict=True):
            ranks = [
                np.argsort(np.argsort(np.asarray(values))) / max(1, len(values) - 1)
                for values in (oracle[layer], scores[layer])
            ]
            axis.scatter(*ranks, s=9, color=shade, label=layer)
        axis.plot((0, 1), (0, 1), color=COLOURS["original"], linewidth=0.8, linestyle="--")
        axis.set(xlabel="rank by the oracle", title=name, aspect="equal")
    axes[0, 0].set_ylabel("rank by the criterion")
    axes[0, -1].legend(fontsize=7, bbox_to_anchor=(1.02, 1), loc="upper left", markerscale=1.5)
    say_source(drawing, images)
    return drawing


def criteria_table(study: Study[CriteriaStudy]) -> Table:
    """Table 1 of Molchanov et al. 2016: each criterion's rank correlation with the oracle, and what the paper has.

    Shown are the mean of the seeds and, in brackets, the lowest and the highest of them. The best criterion within
    layers comes first.
    """
    by_criterion: dict[str, list[tuple[float, float, float]]] = {}
    for record in study.of(Correlation):
        correlations = (record.per_layer, record.all_layers, record.normalized)
        by_criterion.setdefault(record.criterion, []).append(correlations)
    rows: list[tuple[str, ...]] = []
    for name, seeds in sorted(by_criterion.items(), key=lambda item: -np.mean(item[1], axis=0)[0]):
        ours = [f"{column.mean():.2f} ({column.min():.2f} … {column.max():.2f})" for column in np.array(seeds).T]
        theirs = [f"{value:.2f}" if value is not None else "" for value in PUBLISHED.get(name, (None,) * 3)]
        rows.append((name, *(cell for pair in zip(ours, theirs, strict=True) for cell in pair)))
    columns = ("per layer", "all layers", "all, normalised")
    header = (
        "rank correlation with the oracle",
        *(cell for column in columns for cell in (column, f"paper: {column}")),
    )
    return Table(header, rows, note="paper: Molchanov et al. 2016, VGG-16 on Birds-200")


def criteria_curves(study: Study[CriteriaStudy], images: ImageSet | None = None) -> Figure:
    """Accuracy as filters are removed, over the filters and over the MACs left, one line a criterion.

    A line is the mean of the seeds, its band reaches from the worst to the best of them.
    """
    drawing, (by_filters, by_macs) = figure(2, width=5.0, height=4.0, sharey=True)
    by_criterion: dict[str, list[np.ndarray]] = {}
    for curve in study.of(Curve):
        by_criterion.setdefault(curve.criterion, []).append(np.array(curve.points))
    for name, seeds in by_criterion.items():
        shade = CRITERIA_COLOURS.get(name) or COLOURS[name]
        filters, macs, _ = np.mean(seeds, axis=0).T
        accuracies = np.stack([points[:, 2] for points in seeds])
        for axis, left in ((by_filters, filters), (by_macs, macs)):
            axis.plot(left, accuracies.mean(0), "--" if name == "oracle" else "-", color=shade, label=name)
            axis.fill_between(left, accuracies.min(0), accuracies.max(0), color=shade, alpha=0.12, linewidth=0)
    for axis, label in ((by_filters, "filters left"), (by_macs, "MACs left")):
        axis.set(xlabel=label)
        axis.invert_xaxis()
        axis.xaxis.set_major_formatter(percent)
        axis.yaxis.set_major_formatter(percent)
    by_filters.set_ylabel("test accuracy")
    by_filters.legend(fontsize=8)
    say_source(drawing, images)
    return drawing


def alpha_table(study: Study[AlphaStudy]) -> Table:
    """What alpha-branch pruning and its controls reach under one budget; the best on top.

    Shown are the mean of the seeds' test accuracies and, in brackets, the lowest and the highest where they differ:
    when alpha has reached 0 (of the controls: before any retraining), and in the end; and the points lost against the
    baseline.
    """
    by_method: dict[str, list[AlphaResult]] = {}
    for result in study.of(AlphaResult):
        by_method.setdefault(result.method, []).append(result)
    rows: list[tuple[str, ...]] = []
    for method, results in sorted(by_method.items(), key=lambda item: -np.mean([run.accuracy for run in item[1]])):
        at_zero = [run.by_alpha[-1][1] for run in results if run.by_alpha]
        at_zero += [run.before_retraining for run in results if run.before_retraining is not None]
        accuracies = [run.accuracy for run in results]
        lost = 100 * (study.about.baseline_accuracy - float(np.mean(accuracies)))
        rows.append((method, mean_and_range(at_zero), mean_and_range(accuracies), f"{lost:.1f}"))
    return Table(("", "at alpha = 0, before the rest of the training", "in the end", "points lost"), rows)


def mean_and_range(accuracies: Sequence[float]) -> str:
    """The mean in percent and, where they differ, the lowest and the highest; nothing of nothing."""
    if not accuracies:
        return ""
    mean, low, high = (f"{share:.1%}" for share in (statistics.mean(accuracies), min(accuracies), max(accuracies)))
    return mean if low == high else f"{mean} ({low} … {high})"


def method_curves(
    study: Study[MethodStudy], panels: Mapping[str, Sequence[str]], images: ImageSet | None = None
) -> Figure:
    """Accuracy over the parameters left, one line a method: the mean of the seeds, and a band from worst to best.

    `panels`: {title: the methods in it}; a method may be in several. The dotted line is the network that is not pruned,
    trained on as long as the others are if "not pruned" is among the results.
    """
    by_method: dict[str, dict[float, list[MethodResult]]] = {}
    for result in study.of(MethodResult):
        by_method.setdefault(result.method, {}).setdefault(result.keep_ratio, []).append(result)
    trained_on = [result.accuracy for result in by_method.pop("not pruned", {}).get(1.0, [])]
    unpruned = trained_on or [result.original_accuracy for result in study.of(MethodResult)]
    drawing, axes = figure(len(panels), width=4.8, height=4.6, sharex=True, sharey=True, squeeze=False)
    for axis, (title, methods) in zip(axes[0], panels.items(), strict=True):
        for method in (method for method in methods if method in by_method):
            method_line(axis, method, [by_method[method][ratio] for ratio in sorted(by_method[method])])
        axis.axhline(np.mean(unpruned), color=COLOURS["original"], linestyle=":", label="not pruned")
        axis.set(title=title, xscale="log", xlabel="parameters left")
        axis.xaxis.set_major_locator(FixedLocator([0.02, 0.05, 0.1, 0.2, 0.5, 1]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(percent)
        axis.yaxis.set_major_formatter(percent)
        axis.legend(fontsize=8, loc="lower right")
    axes[0][0].set_ylabel("test accuracy")
    say_source(drawing, images)
    return drawing


def method_line(axis: Axes, method: str, by_ratio: Sequence[Sequence[MethodResult]]) -> None:
    """One line of `method_curves`, a point for the seeds of each keep ratio."""
    left = [np.mean([result.parameters_left for result in seeds]) for seeds in by_ratio]
    accuracies = [[result.accuracy for result in seeds] for seeds in by_ratio]
    shade = CRITERIA_COLOURS.get(method) or colour(method)
    style = "--" if "," in method or method == "from scratch" else "-"
    axis.plot(
        left, [np.mean(seeds) for seeds in accuracies], style, marker="o", markersize=3.5, color=shade, label=method
    )
    low, high = [min(seeds) for seeds in accuracies], [max(seeds) for seeds in accuracies]
    axis.fill_between(left, low, high, color=shade, alpha=0.1, linewidth=0)
