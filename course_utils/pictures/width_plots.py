"""Pictures of widths that are learned or searched: what gates say, how an agent learns, and where methods agree."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from course_utils.pictures.budget_plots import FROM_SCRATCH, by_method
from course_utils.pictures.plots import colour, figure, percent, say_source, subplots
from course_utils.pictures.tables import Table
from course_utils.records import BudgetStudy, Study
from minicifar import ImageSet

SMOOTHED = 25  # episodes
SHUT = 1e-6  # gates that are nearer to 1 are drawn there


def importance_picture(importance: Mapping[str, Sequence[float]], images: ImageSet | None = None) -> Figure:
    """One curve a layer: how far its channels' gates are closed, 1 - mean gate, over the share of the layer's channels.

    The most important channels first; on a logarithmic scale, for most gates are nearly open.
    """
    drawing, axis = figure(width=6.2)
    shades = matplotlib.colormaps["viridis"](np.linspace(0.9, 0.1, len(importance)))
    for (name, values), shade in zip(importance.items(), shades, strict=True):
        places = (np.arange(len(values)) + 0.5) / len(values)
        closed = np.clip(1 - np.sort(values)[::-1], SHUT, 1)
        axis.plot(places, closed, color=shade, label=f"{name} ({len(values)})")
    axis.set(xlabel="share of the layer's channels, most important first", ylabel="1 - mean gate", yscale="log")
    axis.legend(title="layer (channels)", fontsize=8)
    say_source(drawing, images)
    return drawing


def gates_by_class(
    gates: Mapping[str, np.ndarray], labels: Sequence[int], classes: Sequence[str], images: ImageSet | None = None
) -> Figure:
    """What gates say of images of each class: a panel a layer, classes in rows, channels in columns, mean gates.

    `gates`: (N, C) by layer; the channels are in the order of how much the classes differ, the most first.
    """
    drawing, axes = subplots(len(gates), 1, (7.4, 0.35 * len(classes) * len(gates) + 0.7), squeeze=False)
    wanted, shown = np.asarray(labels), axes[0, 0].imshow(np.zeros((1, 1)), vmin=0, vmax=1)
    for axis, (name, values) in zip(axes[:, 0], gates.items(), strict=True):
        means = np.stack([values[wanted == label].mean(axis=0) for label in range(len(classes))])
        order = np.argsort(-np.ptp(means, axis=0), kind="stable")
        shown = axis.imshow(means[:, order], aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        axis.set_yticks(range(len(classes)), classes, fontsize=8)
        axis.set(xticks=[], ylabel=name)
        axis.grid(visible=False)
    drawing.colorbar(shown, ax=axes[:, 0].tolist(), label="mean gate", shrink=0.8)
    say_source(drawing, images)
    return drawing


def learning_curves(logs: Mapping[str, Sequence[Mapping[str, Any]]], images: ImageSet | None = None) -> Figure:
    """Searches side by side: on the left every episode's value, and its mean over 25; on the right the best so far.

    `logs`: a label → one dict an episode, with `value`; values are rewards, higher is better.
    """
    drawing, (left, right) = figure(2, width=4.6, height=3.5)
    every = np.concatenate([[one["value"] for one in log] for log in logs.values()])
    low, high = np.quantile(every, 0.1), every.max()
    for label, log in logs.items():
        values, shade = np.array([one["value"] for one in log]), colour(label)
        left.plot(values, ".", ms=2.5, alpha=0.35, color=shade)
        steps = min(SMOOTHED, len(values))
        means = np.convolve(values, np.ones(steps) / steps, mode="valid")
        left.plot(np.arange(len(means)) + steps - 1, means, color=shade, lw=2, label=label)
        right.step(range(len(values)), np.maximum.accumulate(values), where="post", color=shade, label=label)
    room = 0.05 * (high - low)
    left.set(xlabel="episode", ylabel="reward", title="each plan, and the mean of 25", ylim=(low - room, high + room))
    right.set(xlabel="episode", ylabel="reward", title="the best plan so far")
    right.legend(fontsize=8, loc="lower right")
    say_source(drawing, images)
    return drawing


def width_shares(study: Study[BudgetStudy], budget: float, whole: Sequence[int]) -> dict[str, list[float]]:
    """The share of each layer's channels that each method keeps at a budget, the mean of the seeds."""
    return {
        method: [statistics.mean(column) for column in zip(*shares, strict=True)]
        for method, shares in (
            (method, [[w / full for w, full in zip(r.widths, whole, strict=True)] for r in budgets[budget]])
            for method, budgets in by_method(study).items()
            if budget in budgets and FROM_SCRATCH not in method
        )
    }


def width_map(
    study: Study[BudgetStudy], whole: Mapping[str, int], budgets: Sequence[float], images: ImageSet | None = None
) -> Figure:
    """Who keeps which layers? A panel a budget: methods in rows, layers in columns, the share of channels that stay.

    `whole`: the channels of every layer, in the order of the results' widths.
    """
    tables = [width_shares(study, budget, list(whole.values())) for budget in budgets]
    rows = max(map(len, tables))
    drawing, axes = subplots(1, len(budgets), (0.9 + 3.3 * len(budgets), 0.32 * rows + 1.1), squeeze=False)
    for axis, budget, table in zip(axes[0], budgets, tables, strict=True):
        shares = np.array(list(table.values()))
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            shade = "white" if share > 0.6 else "black"
            axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=shade)
        axis.set_xticks(range(len(whole)), [name.replace("features.", "f") for name in whole], fontsize=8)
        axis.set_yticks(range(len(table)), list(table) if axis is axes[0, 0] else [""] * len(table), fontsize=8)
        axis.set_title(f"{percent(budget)} of the MACs", fontsize=10)
        axis.grid(visible=False)
    drawing.supxlabel("per cent of each layer's channels that stay", fontsize=9)
    say_source(drawing, images)
    return drawing


def winners(study: Study[BudgetStudy], methods: Sequence[str]) -> Table:
    """For each budget the methods from best to worst, with the mean accuracy of the seeds in per cent."""
    rows: list[tuple[str, ...]] = []
    results = by_method(study)
    for budget in sorted({budget for method in methods for budget in results.get(method, {})}, reverse=True):
        means = {
            method: statistics.mean(result.accuracy for result in results[method][budget])
            for method in methods
            if budget in results.get(method, {})
        }
        order = sorted(means, key=lambda method: -means[method])
        rows.append((percent(budget), ", ".join(f"{method} {100 * means[method]:.1f}" for method in order)))
    return Table(("MACs", "from best to worst"), rows, "Mean test accuracies of the seeds, in per cent.")
