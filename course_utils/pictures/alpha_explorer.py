"""An interactive picture for notebooks: move alpha, and see what the next layer and the network make of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import torch
from IPython.display import display
from matplotlib.axes import Axes
from torch import Tensor

from course_utils.pictures import plots


def alpha_explorer(
    levels: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    wide: Tensor,
    narrow: Tensor,
    mix: Callable[[Tensor, Tensor, float], Tensor],
    images: Any = None,
    channels: int = 6,
) -> widgets.Widget:
    """A slider over the `levels` of alpha: the feature maps (C, H, W) of both ways and their mix, and the accuracies.

    `curves` has one accuracy a level under each label. The `channels` that speak loudest are shown, on one scale.
    """
    loudest = wide.abs().mean(dim=(1, 2)).topk(min(channels, len(wide))).indices
    wide, narrow = wide[loudest], narrow[loudest]
    reach = float(wide.flatten().quantile(0.995))  # edges may be white
    options = [(f"{level:g}", place) for place, level in enumerate(levels)]
    slider = widgets.SelectionSlider(
        options=options, value=len(levels) // 2, description="alpha", continuous_update=False
    )
    picture = widgets.Output()

    def draw(_change: Any = None) -> None:
        place, alpha = slider.value, levels[slider.value]
        mixed = torch.as_tensor(mix(wide, narrow, alpha))
        with picture:
            picture.clear_output(wait=True)
            drawing, axes = plots.figure(2, width=4.6, height=3.0)
            draw_maps(axes[0], {"wide": wide, "mix": mixed, "narrow": narrow}, reach)
            draw_accuracies(axes[1], levels, curves, place)
            plots.say_source(drawing, images)
            display(drawing)

    slider.observe(draw, names="value")
    draw()
    return widgets.VBox([slider, picture])


def draw_maps(axis: Axes, rows: Mapping[str, Tensor], reach: float) -> None:
    """Feature maps (C, H, W), one labelled row after the other, grey from 0 to `reach`."""
    for row, (label, maps) in enumerate(rows.items()):
        for column, channel in enumerate(maps.detach().float()):
            where = (column, column + 0.95, -row - 0.95, -row)
            axis.imshow(channel.numpy(), extent=where, cmap="gray", vmin=0, vmax=reach)
        axis.text(-0.1, -row - 0.5, label, ha="right", va="center", fontsize=9)
    columns = len(next(iter(rows.values())))
    axis.set(xlim=(-0.9, columns), ylim=(-len(rows), 0), title="what the next layer sees")
    axis.set_axis_off()


def draw_accuracies(axis: Axes, levels: Sequence[float], curves: Mapping[str, Sequence[float]], place: int) -> None:
    """Accuracy over alpha, a line for each label, and on it the level at `place`."""
    for label, accuracies in curves.items():
        line, face = ("o--", "white") if "random" in label else ("o-", plots.colour(label))
        shade, here = plots.colour(label), (levels[place], accuracies[place])
        axis.plot(levels, accuracies, line, color=shade, markersize=3, label=label)
        axis.plot(*here, "o", color=shade, markerfacecolor=face, markersize=9)
        axis.annotate(f"{accuracies[place]:.0%}", here, (0, 8), textcoords="offset points", ha="center")
    axis.set(xlabel="alpha", xlim=(1.05, -0.05), ylim=(0, 1.05), title="accuracy, nothing trained yet")
    axis.yaxis.set_major_formatter(plots.percent)
    axis.legend(fontsize=8, loc="lower left")
