"""An interactive picture for notebooks: a plan by hand, and what it is worth without training. Beat the agent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets as widgets

from course_utils.pictures.plots import COLOURS


@dataclass
class Rival:
    """A plan to be beaten: who made it, its widths, and its reward."""

    name: str
    widths: Sequence[int]
    value: float


def width_explorer(
    layers: Mapping[str, int],
    least: Sequence[int],
    macs: Callable[[Sequence[int]], float],
    value: Callable[[Sequence[int]], float],
    budget: float,
    rival: Rival,
) -> widgets.Widget:
    """A slider for the width of each layer; MACs and reward without retraining at once, beside a rival's plan.

    `layers`: the channels of each, by name; `least`: the fewest of each; `macs(widths)`: the share of the MACs that
    is left; `value(widths)`: the reward; `budget`: the most MACs that count.
    """
    sliders = [
        widgets.IntSlider(
            value=width, min=low, max=whole, description=name.replace("features.", "f"), continuous_update=False
        )
        for (name, whole), low, width in zip(layers.items(), least, rival.widths, strict=True)
    ]
    bars, words = widgets.HTML(), widgets.HTML()
    best: dict[str, Any] = {}

    def draw(_change: Any = None) -> None:
        plan = [slider.value for slider in sliders]
        left, reward = macs(plan), value(plan)
        if left <= budget and reward > best.get("value", -float("inf")):
            best.update(value=reward, widths=plan)
        bars.value = bars_of(layers, plan, rival)
        words.value = sentence(left, budget, reward, rival, best)

    for slider in sliders:
        slider.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox([widgets.VBox(sliders), bars]), words])


def sentence(left: float, budget: float, reward: float, rival: Rival, best: Mapping[str, Any]) -> str:
    """What a plan costs and brings, and how it stands beside the rival's."""
    over = left > budget
    shade = "#b3261e" if over else "inherit"
    text = f"<b style='color:{shade}'>{left:.1%} of the MACs</b>"
    text += f" (more than the {budget:.0%} that count)" if over else ""
    text += f", reward without retraining <b>{reward:.3f}</b> ({escape(rival.name)}: {rival.value:.3f})."
    if best and best["value"] > rival.value:
        widths = "-".join(map(str, best["widths"]))
        text += f" <b>You have beaten it</b>: {widths} with {best['value']:.3f}."
    elif best:
        text += f" Your best so far: {best['value']:.3f}."
    return text


def bars_of(layers: Mapping[str, int], plan: Sequence[int], rival: Rival) -> str:
    """Each layer's channels as bars (SVG): the original in grey, yours in colour, the rival's as a line."""
    unit, height, parts = 300 / max(layers.values()), 33, []
    for number, (name, whole) in enumerate(layers.items()):
        top = number * height + 5
        parts.append(f"<rect x='0' y='{top}' width='{whole * unit:.0f}' height='20' fill='#bbbbbb' opacity='0.35'/>")
        yours = f"width='{plan[number] * unit:.0f}' height='20' fill='{COLOURS['L1']}'"
        parts.append(f"<rect x='0' y='{top}' {yours}><title>{escape(name)}</title></rect>")
        place = rival.widths[number] * unit
        line = f"x1='{place:.0f}' x2='{place:.0f}' y1='{top - 3}' y2='{top + 23}'"
        parts.append(f"<line {line} stroke='{COLOURS['AMC']}' stroke-width='3'/>")
    tall = height * len(layers)
    legend = f"<div style='font-size:smaller'>blue: yours, line: {escape(rival.name)}, grey: the original</div>"
    return f"<svg width='310' height='{tall}' viewBox='0 0 310 {tall}'>{''.join(parts)}</svg>{legend}"
