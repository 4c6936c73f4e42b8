"""An interactive picture for notebooks: move alpha, and see what the next layer sees, and what the network makes of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import torch
from IPython.display import display
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
            for row, (label, maps) in enumerate((("wide", wide), ("mix", mixed), ("narrow", narrow))):
                for column, one in enumerate(maps.detach().float()):
                    where = (column, column + 0.95, -row - 0.95, -row)
                    axes[0].imshow(one.numpy(), extent=where, cmap="gray", vmin=0, vmax=reach)
                axes[0].text(-0.1, -row - 0.5, label, ha="right", va="center", fontsize=9)
            axes[0].set(xlim=(-0.9, len(wide)), ylim=(-3, 0), title="what the next layer sees")
            axes[0].set_axis_off()
            for label, accuracies in curves.items():
                line, face = ("o--", "white") if "random" in label else ("o-", plots.colour(label))
                axes[1].plot(levels, accuracies, line, color=plots.colour(label), markersize=3, label=label)
                axes[1].plot(
                    alpha, accuracies[place], "o", color=plots.colour(label), markerfacecolor=face, markersize=9
                )
                axes[1].annotate(
                    f"{accuracies[place]:.0%}",
                    (alpha, accuracies[place]),
                    (0, 8),
                    textcoords="offset points",
                    ha="center",
                )
            axes[1].set(xlabel="alpha", xlim=(1.05, -0.05), ylim=(0, 1.05), title="accuracy, nothing trained yet")
            axes[1].yaxis.set_major_formatter(plots.percent)
            axes[1].legend(fontsize=8, loc="lower left")
            plots.say_source(drawing, images)
            display(drawing)

    slider.observe(draw, names="value")
    draw()
    return widgets.VBox([slider, picture])
