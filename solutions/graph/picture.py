"""A picture of a network's graph: layers and joints from top to bottom, every channel group in a colour of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from solutions.graph.groups import Group

LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
JOINTS = {"Add": "+", "Sub": "−", "Mul": "×", "Concat": "concat", "Split": "split", "SplitToSequence": "split"}
FROZEN = "#d0d0d0"
COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#ff9da7", "#9c755f", "#a0cbe8"]
MOST_LISTED = 40  # groups in the legend
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
    colours = group_colours(groups)
    widths = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    source = Station("images", "white", 0)
    shown = [source]
    reaches: dict[str, list[Station]] = {value.name: [source] for value in model.graph.input}
    origin: dict[str, str] = {name: name for name in widths}  # of a value made from one parameter only: its name
    for node in model.graph.node:
        before = list({id(station): station for name in node.input for station in reaches.get(name, [])}.values())
        parameters = [origin[name] for name in node.input if name in origin]
        if not before:
            origin.update(dict.fromkeys(node.output, parameters[0]) if parameters else {})
            continue
        weight = next((name for name in parameters if len(widths[name]) > 1), None)
        if node.op_type in LAYERS and weight:
            text = f"{weight.removesuffix('.weight')}\n{' × '.join(map(str, widths[weight]))}"
            before = [Station(text, colours.get(weight, FROZEN), 1 + lowest(before), before)]
            shown += before
        elif node.op_type in JOINTS and (len(before) > 1 or node.op_type.startswith("Split")):
            same = {station.colour for station in before}
            colour = same.pop() if len(same) == 1 else "white"
            before = [Station(JOINTS[node.op_type], colour, 1 + lowest(before), before)]
            shown += before
        reaches.update(dict.fromkeys(node.output, before))
    last = [station for value in model.graph.output for station in reaches.get(value.name, [])]
    return [*shown, Station("output", "white", 1 + lowest(shown), last)]


def colours_of(groups: Sequence[Group]) -> dict[str, str]:
    """A colour for each group that is not frozen as a whole, by its name: ten that are told apart easily, and for more
    groups as many as there are, around the circle of colours in steps of the golden ratio, in turn light and dark.
    """
    free = [group.name for group in groups if group.free]
    if len(free) <= len(COLOURS):
        return dict(zip(free, COLOURS, strict=False))
    around = []
    for number in range(len(free)):
        saturation, value = 0.45 + 0.25 * (number % 3 == 1), 0.92 - 0.22 * (number % 2)
        around.append((number * 0.618034 % 1, saturation, value))
    return {name: to_hex(hsv_to_rgb(colour)) for name, colour in zip(free, around, strict=True)}


def group_colours(groups: Sequence[Group]) -> dict[str, str]:
    """The colour of every parameter that makes or carries channels of a group that is not frozen as a whole."""
    colours = colours_of(groups)
    return {
        slot.parameter: colours[group.name]
        for group in groups
        if group.free
        for slot in group.slots
        if not slot.consumes
    }


def lowest(above: Sequence[Station]) -> int:
    """The row of the lowest of some stations."""
    return max(station.row for station in above)


def lay_out(shown: Sequence[Station]) -> int:
    """Give every station a column, near those that it comes from → the number of columns."""
    rows: dict[int, list[Station]] = {}
    for station in shown:
        rows.setdefault(station.row, []).append(station)
    for row in rows.values():
        places = [sum(above.column for above in station.before) / max(1, len(station.before)) for station in row]
        order = sorted(range(len(row)), key=lambda index: places[index])
        middle = sum(places) / len(row)
        for place, index in enumerate(order):
            row[index].column = middle + place - (len(row) - 1) / 2
    least = min(station.column for station in shown)
    for station in shown:
        station.column -= least
    return int(max(station.column for station in shown)) + 1


def draw_graph(model: onnx.ModelProto, groups: Sequence[Group], axes: Axes | None = None) -> Figure:
    """Draw the graph; a colour for every group whose channels can be removed, grey for what must stay whole.

    With more than ten groups a legend beside it says which colour is whose (of the first 40).
    """
    shown = stations(model, groups)
    columns, rows = lay_out(shown), lowest(shown) + 1
    if axes is None:
        axes = Figure(figsize=(max(4.0, columns * COLUMN), max(2.0, rows * ROW))).subplots()
    for station in shown:
        for above in station.before:
            bend = 0.0 if station.row - above.row == 1 or station.column != above.column else 0.8
            arrow = {"arrowstyle": "-|>", "color": "#555555", "lw": 1.0, "shrinkA": 11, "shrinkB": 11}
            arrow["connectionstyle"] = f"arc3,rad={bend}"
            axes.annotate("", (station.column, -station.row), (above.column, -above.row), arrowprops=arrow, zorder=1)
    for station in shown:
        box = {"boxstyle": "round,pad=0.3", "facecolor": station.colour, "edgecolor": "#333333", "lw": 0.8}
        style = {"ha": "center", "va": "center", "fontsize": 7, "color": text_colour(station.colour), "bbox": box}
        axes.text(station.column, -station.row, station.text, **style)
    axes.set(xlim=(-0.7, columns - 0.3), ylim=(-rows + 0.4, 0.6))
    axes.axis("off")
    colours = colours_of(groups)
    if len(colours) > len(COLOURS):
        listed = list(colours.items())[:MOST_LISTED]
        boxes = [Patch(facecolor=colour, edgecolor="#333333", label=name) for name, colour in listed]
        axes.legend(handles=boxes, loc="upper left", bbox_to_anchor=(1, 1), fontsize=6, frameon=False)
    drawn = axes.get_figure()
    assert isinstance(drawn, Figure)
    return drawn


def text_colour(background: str) -> str:
    """White on dark colours, black on light ones, by their luminance (ITU-R BT.601)."""
    red, green, blue = to_rgb(background)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.6 else "black"
