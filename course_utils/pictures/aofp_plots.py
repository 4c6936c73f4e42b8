"""Pictures of AOFP: the poster's, drawn from a search's history, and how well its scores agree with the oracle."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from course_utils.pictures.plots import COLOURS, figure, percent, say_source
from course_utils.records import Agreement, AgreementStudy, Study
from minicifar import ImageSet


def shades(names: Sequence[str]) -> dict[str, Any]:
    """A colour for each layer, from the first to the last."""
    return dict(zip(names, plt.get_cmap("viridis")(np.linspace(0, 0.92, len(names))), strict=True))


def filters_left(history: Mapping[str, Any], layers: Sequence[str] = (), images: Any = None) -> Figure:
    """The share of its filters that each layer still has, over the training batches (the poster's picture, left).

    `history`: of `solutions.aofp_training`; `layers`: some targets, all if none are named.
    """
    drawing, axis = figure(width=6.2, height=3.4)
    whole = history["targets"]
    for name, shade in shades(list(layers or whole)).items():
        batches, widths = [0], [whole[name]]
        for move in history["moves"]:
            if move["target"] == name and move["pruned"]:
                batches.append(move["batch"])
                widths.append(move["widths"][name])
        left = np.array([*widths, widths[-1]]) / whole[name]
        axis.step([*batches, history["batches"]], left, where="post", color=shade, label=name)
        axis.plot(batches[1:], left[1:-1], ".", color=shade, markersize=4)
    axis.set(xlabel="training batches", ylabel="filters left", ylim=(0, 1.04))
    axis.yaxis.set_major_formatter(percent)
    axis.legend(fontsize=8, ncols=1 + len(whole) // 8)
    say_source(drawing, images)
    return drawing


def widths_over_time(history: Mapping[str, Any], every: int = 50, images: Any = None) -> Figure:
    """The widths of all targets, side by side, after every so many batches (the poster's picture, right)."""
    names = list(history["targets"])
    moments = [*range(0, history["batches"], every), history["batches"]]
    drawing, axis = figure(width=6.2, height=3.4)
    lines = plt.get_cmap("cividis")(np.linspace(0.95, 0, len(moments)))
    for moment, shade in zip(moments, lines, strict=True):
        widths = widths_at(history, moment)
        ends = {"linewidth": 2} if moment in (moments[0], moments[-1]) else {"linewidth": 0.9}
        axis.plot(range(len(names)), [widths[name] for name in names], "o-", markersize=3, color=shade, **ends)
    for moment, shade in ((moments[0], lines[0]), (moments[-1], lines[-1])):
        axis.plot([], [], "o-", color=shade, markersize=3, label=f"after {moment} batches")
    axis.set_xticks(range(len(names)), names, fontsize=8, rotation=30 if len(names) > 6 else 0)
    axis.set(ylabel="filters", ylim=(0, None), title=f"every {every} batches a line")
    axis.legend(fontsize=8)
    say_source(drawing, images)
    return drawing


def widths_at(history: Mapping[str, Any], batch: int) -> dict[str, int]:
    """The filters that each target has after so many batches."""
    before = [move["widths"] for move in history["moves"] if move["batch"] <= batch]
    widths: dict[str, int] = before[-1] if before else history["targets"]
    return widths


def agreement_curves(study: Study[AgreementStudy], images: ImageSet | None = None) -> Figure:
    """Rank correlation with the oracle over the batches, and with the damages of single filters, ablated alone.

    A line a layer (mean of the seeds), black their mean with a band from the lowest to the highest seed. The dashed
    line: the single filters' own correlation with the oracle. The axis on top: what scoring has cost.
    """
    records = study.of(Agreement)
    batches = [batch for batch, _ in records[0].points]
    layers = list(dict.fromkeys(record.layer for record in records))
    seeds = sorted({record.seed for record in records})
    drawing, axes = figure(2, width=4.9, height=4.0, sharey=True)
    for axis, kind, title in zip(axes, ("points", "to_alone"), ("the oracle", "each filter's own damage"), strict=True):
        values = {(record.seed, record.layer): [value for _, value in getattr(record, kind)] for record in records}
        for layer, shade in shades(layers).items():
            axis.plot(batches, np.mean([values[seed, layer] for seed in seeds], axis=0), color=shade, label=layer, lw=1)
        by_seed = np.array([np.mean([values[seed, layer] for layer in layers], axis=0) for seed in seeds])
        axis.plot(batches, by_seed.mean(0), "o-", color="black", markersize=3.5, label="all layers")
        axis.fill_between(batches, by_seed.min(0), by_seed.max(0), color="black", alpha=0.12, linewidth=0)
        axis.axhline(0, color=COLOURS["random"], linewidth=0.8, linestyle=":")
        axis.set(xscale="log", xlabel="batches", title=f"AOFP's scores and {title}")
        axis.set_xticks(batches, [str(batch) for batch in batches])
        axis.minorticks_off()
    limit = np.mean([record.alone for record in records])
    axes[0].axhline(limit, color="black", linewidth=1, linestyle="--", label="single filters and the oracle")
    axes[0].set(ylabel="rank correlation", ylim=(None, 1))
    cost = records[0].batch_passes
    above = axes[0].secondary_xaxis(-0.22)
    above.set_xticks(batches, [f"{cost * batch:,.0f}" for batch in batches], fontsize=8)
    above.minorticks_off()
    above.set_xlabel(f"forward passes for scoring (the oracle: {records[0].oracle_passes:,})", fontsize=9)
    axes[0].legend(fontsize=8, ncols=2, loc="upper left")
    say_source(drawing, images)
    return drawing
