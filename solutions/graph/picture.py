"""A picture of a network's graph: its layers and joints from top to bottom, every channel group in a colour of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from solutions.graph.groups import Group

LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
JOINTS = {"Add": "+", "Sub": "−", "Mul": "×", "Concat": "concat", "Split": "split", "SplitToSequence": "split"}
FROZEN = "#d0d0d0"
COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#ff9da7", "#9c755f", "#a0cbe8"]
ROW, COLUMN = 0.62, 2.6  # inches


@dataclass
class Station:
    """A layer or a joint: what the picture shows of the graph."""

    text: str
    colour: str
    row: int
    before: list["Station"] = field(default_factory=list)
    column: float = 0.0


def stations(model: onnx.ModelProto, groups: Sequence[Group]) -> list[Station]:
    """Layers and joints in the order in which they run; everything between them is left out."""
    colours, widths = {}, {}
    shown = [group for group in groups if group.free]
    for number, group in enumerate(shown):
        for slot in group.slots:
            if not slot.consumes:
                colours[slot.parameter] = COLOURS[number % len(COLOURS)]
    for tensor in model.graph.initializer:
        widths[tensor.name] = tuple(tensor.dims)
    source = Station("images", "white", 0)
    reaches: dict[str, list[Station]] = {value.name: [source] for value in model.graph.input}
    origin: dict[str, str] = {name: name for name in widths}  # of a value made from one parameter only: its name
    found = [source]
    for node in model.graph.node:
        before = [station for name in node.input for station in reaches.get(name, [])]
        before = [station for number, station in enumerate(before) if station not in before[:number]]
        parameters = [origin[name] for name in node.input if name in origin]
        if not before:
            if parameters:
                origin.update(dict.fromkeys(node.output, parameters[0]))
            continue
        weights = [name for name in parameters if len(widths[name]) > 1]
        if node.op_type in LAYERS and weights:
            name = weights[0]
            label = name.removesuffix(".weight")
            text = f"{label}\n{' × '.join(map(str, widths[name]))}"
            station = Station(text, colours.get(name, FROZEN), 1 + max(one.row for one in before), before)
        elif node.op_type in JOINTS and (len(before) > 1 or node.op_type.startswith("Split")):
            same = {one.colour for one in before}
            colour = same.pop() if len(same) == 1 else "white"
            station = Station(JOINTS[node.op_type], colour, 1 + max(one.row for one in before), before)
        else:
            reaches.update(dict.fromkeys(node.output, before))
            continue
        found.append(station)
        reaches.update({name: [station] for name in node.output})
    last = [station for value in model.graph.output for station in reaches.get(value.name, [])]
    found.append(Station("output", "white", 1 + max(one.row for one in found), last))
    return found


def laid_out(found: list[Station]) -> int:
    """Give every station a column, near those that it comes from → the number of columns."""
    rows: dict[int, list[Station]] = {}
    for station in found:
        rows.setdefault(station.row, []).append(station)
    for row in rows.values():
        wanted = [sum(one.column for one in station.before) / max(1, len(station.before)) for station in row]
        order = sorted(range(len(row)), key=lambda index: wanted[index])
        middle = sum(wanted) / len(row)
        for place, index in enumerate(order):
            row[index].column = middle + place - (len(row) - 1) / 2
    least = min(station.column for station in found)
    for station in found:
        station.column -= least
    return int(max(station.column for station in found)) + 1


def draw_graph(model: onnx.ModelProto, groups: Sequence[Group], axes: Axes | None = None) -> Figure:
    """Draw the graph; a colour for every group whose channels can be removed, grey for what must stay whole.

    With more than ten groups colours come again.
    """
    found = stations(model, groups)
    columns, rows = laid_out(found), max(station.row for station in found) + 1
    if axes is None:
        axes = Figure(figsize=(max(4.0, columns * COLUMN), max(2.0, rows * ROW))).subplots()
    for station in found:
        for one in station.before:
            bend = 0.0 if station.row - one.row == 1 or station.column != one.column else 0.8
            arrow = {"arrowstyle": "-|>", "color": "#555555", "lw": 1.0, "shrinkA": 11, "shrinkB": 11}
            arrow["connectionstyle"] = f"arc3,rad={bend}"
            axes.annotate("", (station.column, -station.row), (one.column, -one.row), arrowprops=arrow, zorder=1)
    for station in found:
        dark = station.colour not in ("white", FROZEN, "#edc948", "#ff9da7", "#a0cbe8", "#76b7b2", "#f28e2b")
        box = {"boxstyle": "round,pad=0.3", "facecolor": station.colour, "edgecolor": "#333333", "lw": 0.8}
        text_colour = "white" if dark else "black"
        axes.text(
            station.column,
            -station.row,
            station.text,
            ha="center",
            va="center",
            fontsize=7,
            color=text_colour,
            bbox=box,
        )
    axes.set(xlim=(-0.7, columns - 0.3), ylim=(-rows + 0.4, 0.6))
    axes.axis("off")
    drawn = axes.get_figure()
    assert isinstance(drawn, Figure)
    return drawn
