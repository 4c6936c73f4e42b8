"""An interactive picture for notebooks: the search of one layer, replayed batch by batch."""

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from torch import Tensor

from course_utils.pictures import plots

STATES = {  # of a filter → its colour
    "in the ablated half": plots.COLOURS["AOFP"],
    "in the search space": plots.COLOURS["L1"],
    "not searched now": "#c8c8c8",
    "pruned": "#b3261e",
}


def batches_of(history: Mapping[str, Any], layer: str) -> list[tuple[int, int]]:
    """All batches in which a layer was scored, as (number of the move they led to, number within that search)."""
    moves = moves_of(history, layer)
    return [(number, batch) for number, move in enumerate(moves) for batch in range(len(move["seen"]))]


def moves_of(history: Mapping[str, Any], layer: str) -> list[dict[str, Any]]:
    """The moves of one layer."""
    return [move for move in history["moves"] if move["target"] == layer]


def accounts(
    move: Mapping[str, Any], batches: int, filters: int, credit: Callable[[Tensor, Tensor, list[int], float], None]
) -> Tensor:
    """The mean damage of every filter (C,) after so many batches of a search; infinite where it was never ablated."""
    totals, counts = torch.zeros(filters, dtype=torch.float64), torch.zeros(filters, dtype=torch.int64)
    for half, amount in move["seen"][:batches]:
        credit(totals, counts, half, amount)
    return torch.where(counts > 0, totals / counts, torch.inf)


def search_explorer(
    history: Mapping[str, Any], layer: str, credit: Callable[[Tensor, Tensor, list[int], float], None]
) -> widgets.Widget:
    """A slider over the batches of one layer's search: every filter's mean damage so far, and what becomes of it.

    `history`: of `solutions.aofp_training`; `credit` keeps the accounts.
    """
    moves, steps, filters = moves_of(history, layer), batches_of(history, layer), history["targets"][layer]
    if not steps:
        return widgets.HTML(f"No search of {layer} has come to an end yet: let it train for more batches.")
    slider = widgets.IntSlider(
        value=len(moves[0]["seen"]) - 1,
        min=0,
        max=len(steps) - 1,
        description="batch",
        continuous_update=False,
        layout=widgets.Layout(width="34em"),
    )
    play = widgets.Play(value=slider.value, max=len(steps) - 1, interval=600)
    widgets.jslink((play, "value"), (slider, "value"))
    picture, words = widgets.Output(), widgets.HTML()

    def draw(_change: Any = None) -> None:
        number, batch = steps[slider.value]
        move = moves[number]
        half, amount = move["seen"][batch]
        gone = {filter for earlier in moves[:number] for filter in earlier["pruned"]}
        scores = accounts(move, batch + 1, filters, credit)
        last = batch + 1 == len(move["seen"])
        words.value = sentence(move, len(half), amount, last)
        with picture:
            picture.clear_output(wait=True)
            drawing, axis = plots.figure(width=8.2, height=3.0)
            draw_accounts(axis, scores, set(half), set(move["space"]), gone, move["threshold"])
            axis.set_title(f"{layer}: search {number + 1}, batch {batch + 1} of {len(move['seen'])}")
            display(drawing)

    slider.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox([play, slider]), words, picture])


def sentence(move: Mapping[str, Any], half: int, amount: float, last: bool) -> str:
    """What happens in a batch, and, in the last one of a search, the move."""
    text = f"{half} of the {len(move['space'])} filters in the search space are ablated: damage {amount:.3f}."
    if not last:
        return text
    lowest, theta, v = len(move["space"]) // 2, move["threshold"], move["v"]
    compared = f"<b>v = {v:.3f} {'&lt;' if v < theta else '≥'} theta = {theta:g}</b>"
    if move["pruned"]:
        count = len(move["pruned"])
        after = f"the {count} lowest go" if count > 1 else "the lowest goes"
    else:
        after = f"the {lowest} lowest are searched next" if lowest > 1 else "none goes, and all are searched again"
    return f"{text} The search is over: {compared}, so {after}."


def draw_accounts(
    axis: Axes, scores: Tensor, half: set[int], space: set[int], gone: set[int], threshold: float
) -> None:
    """Every filter's mean damage as a bar, in the colour of what it is just now, and the threshold."""
    states = [
        "pruned" if filter in gone else "in the ablated half" if filter in half
        else "in the search space" if filter in space else "not searched now"
        for filter in range(len(scores))
    ]  # fmt: skip
    heights = np.where(torch.isfinite(scores), scores, 0.0)
    top = max(1.15 * heights.max(), 1.3 * threshold)
    labels: list[Artist] = []
    for state, shade in STATES.items():
        places = [filter for filter, its in enumerate(states) if its == state]
        axis.bar(places, heights[places], 0.9, color=shade)
        labels.append(Patch(color=shade, label=f"{state} ({len(places)})"))
        axis.bar(places, -0.05 * top, 0.9, color=shade)
    labels.append(axis.axhline(threshold, color="black", linestyle=":", linewidth=1, label=f"theta = {threshold:g}"))
    axis.set(xlabel="filters", ylabel="mean damage", xlim=(-1, len(scores)), ylim=(-0.05 * top, top))
    axis.grid(axis="x", visible=False)
    axis.legend(handles=labels, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
