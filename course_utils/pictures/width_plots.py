"""Pictures of widths that are learned or searched: what gates say, how an agent learns, and where methods agree."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from course_utils.pictures.budget_plots import FROM_SCRATCH, by_method, shade_of
from course_utils.pictures.plots import COLOURS, colour, figure, percent, say_source, subplots
from course_utils.pictures.tables import Table
from course_utils.records import BudgetStudy, Study
from minicifar import ImageSet

SMOOTHED = 25  # episodes
SHUT = 1e-6  # gates that are nearer to 1 are drawn there


def importance_picture(
    importance: Mapping[str, Sequence[float]],
    plan: Mapping[str, Sequence[int]],
    images: ImageSet | None = None,
) -> Figure:
    """One curve a layer: how far its channels' gates are closed, 1 - mean gate, over the share of the layer's channels.

    The most important channels first; on a logarithmic scale, for most gates are nearly open. Dashed: the cut, below
    which all channels stay that `plan` keeps (those of a layer that must keep one are above it).
    """
    drawing, axis = figure(width=6.2)
    shades = matplotlib.colormaps["viridis"](np.linspace(0.9, 0.1, len(importance)))
    for (name, values), shade in zip(importance.items(), shades, strict=True):
        places = (np.arange(len(values)) + 0.5) / len(values)
        closed = np.clip(1 - np.sort(values)[::-1], SHUT, 1)
        axis.plot(places, closed, color=shade, label=f"{name} ({len(values)})")
    axis.set(xlabel="share of the layer's channels, most important first", ylabel="1 - mean gate", yscale="log")
    gone = [value for name, stay in plan.items() for value in np.delete(importance[name], stay)]
    if gone:
        axis.axhline(max(SHUT, 1 - max(gone)), color=COLOURS["Taylor"], linestyle="--", linewidth=1, label="the cut")
    axis.legend(title="layer (channels)", fontsize=8)
    say_source(drawing, images)
    return drawing


def learning_curves(
    logs: Mapping[str, Sequence[Mapping[str, Any]]],
    controls: Mapping[str, float] = {},
    images: ImageSet | None = None,
) -> Figure:
    """Searches side by side: on the left every episode's value, and its mean over 25; on the right the best so far.

    `logs`: a label → one dict an episode, with `value`; values are rewards, higher is better. `controls`: a label → the
    reward of a plan that nobody searched, a dashed line.
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
    for label, value in controls.items():
        for axis in (left, right):
            axis.axhline(value, color=shade_of(label), linestyle="--", linewidth=1, label=label)
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

    `whole`: the channels of every layer, in the order of the results' widths. Methods without a result at one of the
    budgets are left out.
    """
    tables = [width_shares(study, budget, list(whole.values())) for budget in budgets]
    methods = [method for method in tables[0] if all(method in table for table in tables)]
    drawing, axes = subplots(1, len(budgets), (0.9 + 3.3 * len(budgets), 0.32 * len(methods) + 1.1), squeeze=False)
    for axis, budget, table in zip(axes[0], budgets, tables, strict=True):
        shares = np.array([table[method] for method in methods])
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            shade = "white" if share > 0.6 else "black"
            axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=shade)
        axis.set_xticks(range(len(whole)), [name.replace("features.", "f") for name in whole], fontsize=8)
        axis.set_yticks(range(len(methods)), methods if axis is axes[0, 0] else [""] * len(methods), fontsize=8)
        axis.set_title(f"{percent(budget)} of the MACs", fontsize=10)
        axis.grid(visible=False)
    drawing.supxlabel("per cent of each layer's channels that stay", fontsize=9)
    say_source(drawing, images)
    return drawing


def winners(study: Study[BudgetStudy], methods: Sequence[str], budgets: Sequence[float]) -> Table:
    """For each budget the methods from best to worst, with the mean accuracy of the seeds in per cent."""
    rows: list[tuple[str, ...]] = []
    results = by_method(study)
    for budget in budgets:
        means = {
            method: statistics.mean(result.accuracy for result in results[method][budget])
            for method in methods
            if budget in results.get(method, {})
        }
        order = sorted(means, key=lambda method: -means[method])
        rows.append((percent(budget), ", ".join(f"{method} {100 * means[method]:.1f}" for method in order)))
    return Table(("MACs", "from best to worst"), rows, "Mean test accuracies of the seeds, in per cent.")
