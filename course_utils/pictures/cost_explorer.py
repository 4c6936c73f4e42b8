"""An interactive picture for notebooks: move the widths of a VGG, and see what follows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from torch import nn

from course_utils.pictures.plots import COLOURS


def cost_explorer(
    build: Callable[[tuple[int, ...]], nn.Module],
    costs: Mapping[str, Callable[[nn.Module], float]],
    widths: Sequence[int] = (32, 32, 64, 64, 128, 128),
    most_layers: int = 9,
) -> widgets.Widget:
    """A slider for the number of layers and one for each width; under them a bar for every quantity of `costs`.

    `build(widths)` makes the network, each function of `costs` (name → function) measures it. Bars are relative
    to the network of the `widths` given here; the tuple to type is shown with them.
    """
    wide = {"continuous_update": False, "layout": widgets.Layout(width="340px")}
    layers = widgets.IntSlider(len(widths), 2, most_layers, description="layers", **wide)
    sliders = [
        widgets.IntSlider(width, 4, 256, 4, description=f"width {number + 1}", **wide)
        for number, width in enumerate([*widths, *[widths[-1]] * (most_layers - len(widths))])
    ]
    shown = widgets.HTML()
    original = build(tuple(widths))
    whole = {name: measure(original) for name, measure in costs.items()}

    def draw(_change: Any = None) -> None:
        chosen = tuple(slider.value for slider in sliders[: layers.value])
        for number, slider in enumerate(sliders):
            slider.layout.display = None if number < layers.value else "none"
        network = build(chosen)
        rows = [bar(name, measure(network), whole[name]) for name, measure in costs.items()]
        shown.value = f"<code>widths={chosen}</code><table>{''.join(rows)}</table>"

    for slider in [layers, *sliders]:
        slider.observe(draw, names="value")
    draw()
    return widgets.HBox([widgets.VBox([layers, *sliders]), shown])


def bar(name: str, value: float, whole: float) -> str:
    """One row of HTML: a name, a bar as long as the share (a mark where it would be 1), and the numbers."""
    share, pixels = value / whole, 120
    length = min(share, 2.5) * pixels
    return (
        f'<tr><td style="padding-right:10px">{name}</td>'
        f'<td style="min-width:{2.5 * pixels:.0f}px; background:linear-gradient(to right, '
        f"transparent {pixels - 1}px, #b3261e {pixels - 1}px {pixels + 1}px, transparent {pixels + 1}px), "
        f'linear-gradient(to right, {COLOURS["original"]} {length:.0f}px, transparent {length:.0f}px)">&nbsp;</td>'
        f'<td style="padding-left:10px; text-align:right"><b>{share:.0%}</b></td>'
        f'<td style="padding-left:10px; text-align:right">{value:,.0f}</td></tr>'
    )
