"""An interactive picture for notebooks: the scales that a penalty leaves, and the widths that a threshold makes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes

from course_utils.pictures import plots
from course_utils.pictures.slimming_plots import histogram
from course_utils.records import Scales, SlimmingStudy, Study


def slimming_explorer(
    study: Study[SlimmingStudy], macs: Callable[[Mapping[str, Sequence[int]]], float]
) -> widgets.Widget:
    """Sliders for the penalty's strength and the threshold: all scales of the network, and what is left of each layer.

    `study`: of `studies.slimming`; `macs(plan)`: the share of the MACs that a plan leaves.
    """
    last = {record.strength: dict(record.scales) for record in study.of(Scales)}  # the last epoch's stay
    strength = widgets.SelectionSlider(
        options=[(f"{value:g}", value) for value in last], value=max(last), description="strength"
    )
    threshold = widgets.FloatSlider(
        value=0.05, min=0.0, max=1.0, step=0.01, description="threshold", continuous_update=False
    )
    picture, words = widgets.Output(), widgets.HTML()

    def draw(_change: Any = None) -> None:
        scales = last[strength.value]
        plan = plan_above(scales, threshold.value)
        words.value = sentence(scales, plan, threshold.value, macs(plan))
        with picture:
            picture.clear_output(wait=True)
            drawing, axes = plots.figure(2, width=4.2, height=2.9)
            draw_scales(axes[0], scales, threshold.value)
            draw_widths(axes[1], scales, plan)
            display(drawing)

    strength.observe(draw, names="value")
    threshold.observe(draw, names="value")
    draw()
    return widgets.VBox([strength, threshold, words, picture])


def plan_above(scales: Mapping[str, Sequence[float]], threshold: float) -> dict[str, list[int]]:
    """The channels whose scale is at least the threshold, of each layer at least the largest."""
    plan = {}
    for name, values in scales.items():
        stay = [channel for channel, value in enumerate(values) if value >= threshold]
        plan[name] = stay or [int(np.argmax(values))]
    return plan


def sentence(
    scales: Mapping[str, Sequence[float]], plan: Mapping[str, Sequence[int]], threshold: float, left: float
) -> str:
    """What a threshold does to the network."""
    channels, stay = sum(map(len, scales.values())), sum(map(len, plan.values()))
    text = f"{channels - stay} of {channels} channels go, <b>{left:.1%} of the MACs are left</b>."
    floor = [name for name, values in scales.items() if max(values) < threshold]
    if floor:
        text += f" All scales of {', '.join(floor)} are below the threshold: one channel stays all the same."
    return text


def draw_scales(axis: Axes, scales: Mapping[str, Sequence[float]], threshold: float) -> None:
    """The histogram of all scales, those below the threshold in grey."""
    values = [value for layer in scales.values() for value in layer]
    counts, edges = histogram(values, max(1.0, *values))
    shades = [plots.COLOURS["from scratch" if edge < threshold else "slimming"] for edge in edges[1:]]
    axis.bar(edges[:-1], counts, np.diff(edges), align="edge", color=shades)
    axis.axvline(threshold, color=plots.COLOURS["Taylor"], linewidth=1.5)
    axis.set(xlabel="scale |γ|", ylabel="channels", yscale="symlog", title="all channels of the network")


def draw_widths(axis: Axes, scales: Mapping[str, Sequence[float]], plan: Mapping[str, Sequence[int]]) -> None:
    """What is left of each layer, on the original's width."""
    names = list(scales)
    axis.bar(names, [len(scales[name]) for name in names], color="#e6e6e6")
    bars = axis.bar(names, [len(plan[name]) for name in names], color=plots.COLOURS["slimming"])
    axis.bar_label(bars, fontsize=8)
    axis.set_xticks(range(len(names)), [name.replace("features.", "f") for name in names])
    axis.set(ylabel="channels", title="what is left of each layer")
