"""Figures of alpha-branch pruning: schedules, where a merge is wrong, training while alpha falls, pictures in rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.pictures.plots import COLOURS, figure, percent, say_source, subplots


def schedules(levels: Mapping[str, Sequence[float]]) -> Figure:
    """Alpha level by level, one line a schedule; the levels that are exactly 0 are open circles."""
    drawing, axis = figure(width=6.2)
    for shade, (label, values) in zip(("#0072b2", "#d55e00", "#009e73", "#e69f00"), levels.items(), strict=False):
        alphas = np.asarray(values, dtype=float)
        axis.step(range(len(alphas)), alphas, where="post", color=shade, label=label)
        for zero, face in ((False, shade), (True, "white")):
            places = np.flatnonzero((alphas == 0) == zero)
            axis.plot(places, alphas[places], "o", markersize=5, color=shade, markerfacecolor=face, clip_on=False)
    axis.set(xlabel="level k", ylabel="alpha", ylim=(0, 1.02))
    axis.legend(title="○ is exactly 0", fontsize=8)
    return drawing


def differences(photo: Tensor, panels: Mapping[str, Tensor], images: Any = None) -> Figure:
    """A photo (3, H, W), and beside it how far two networks are apart in every pixel: maps (H, W) on one scale."""
    drawing, axes = figure(1 + len(panels), width=2.9, height=3.0)
    low, high = photo.min(), photo.max()
    axes[0].imshow(((photo - low) / (high - low)).permute(1, 2, 0).float().numpy())
    axes[0].set_title("photo", fontsize=9)
    scale = LogNorm(1e-17, 1)
    for axis, (label, off) in zip(axes[1:], panels.items(), strict=True):
        shown = axis.imshow(off.clamp_min(1e-17).numpy(), cmap="magma", norm=scale)
        axis.set_title(label, fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    drawing.colorbar(shown, ax=axes[-1], label="difference, in standard deviations", shrink=0.8)
    say_source(drawing, images)
    return drawing


def while_alpha_falls(
    history: Sequence[Mapping[str, Any]], measured_on: str, baseline: float, images: Any = None
) -> Figure:
    """Accuracy over the epochs of `train_through`, each epoch's alpha as a grey column behind it."""
    drawing, axis = figure(width=6.4)
    epochs = [entry["epoch"] for entry in history]
    behind = axis.twinx()
    behind.bar(epochs, [entry["alpha"] for entry in history], 1.0, color="#d9d9d9", edgecolor="white", zorder=0)
    behind.set(ylabel="alpha", ylim=(0, 1))
    behind.grid(visible=False)
    axis.set_zorder(behind.get_zorder() + 1)
    axis.patch.set_visible(False)
    shade = COLOURS["alpha-branch"]
    axis.plot(epochs, [entry["accuracy"] for entry in history], ".:", color=shade, label="alpha-branch, training")
    unseen = [entry["test_accuracy"] for entry in history]
    axis.plot(epochs, unseen, "o-", color=shade, label=f"alpha-branch, {measured_on}")
    axis.axhline(baseline, color=COLOURS["original"], linestyle="--", linewidth=1, label=f"original, {measured_on}")
    axis.set(xlabel="epoch", ylabel="accuracy")
    axis.yaxis.set_major_formatter(percent)
    axis.legend(fontsize=8, loc="lower right")
    say_source(drawing, images)
    return drawing


def picture_rows(rows: Mapping[str, Tensor]) -> Figure:
    """Pictures (N, 3, H, W) with values from 0 to 1, one labelled row after the other."""
    columns = max(map(len, rows.values()))
    drawing, axes = subplots(len(rows), columns, (1.5 * columns, 1.65 * len(rows)), squeeze=False)
    for line, (label, pictures) in zip(axes, rows.items(), strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture.detach().clamp(0, 1).permute(1, 2, 0).numpy())
            axis.set_axis_off()
        line[0].set_title(label, fontsize=9, loc="left")
    return drawing
