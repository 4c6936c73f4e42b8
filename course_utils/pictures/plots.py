"""Every figure of the course in one style: each method has one colour throughout.

Each function returns one figure: a notebook shows it as a cell's last value, `.savefig(path)` keeps it. A figure
made with synthetic images says so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

COLOURS = {
    "original": "#4d4d4d",
    "L1": "#0072b2",
    "ThiNet": "#009e73",
    "Taylor": "#d55e00",
    "alpha-branch": "#cc79a7",
    "magnitude": "#e69f00",
    "AOFP": "#56b4e9",
    "slimming": "#117733",
    "soft thresholds": "#882255",
    "feedback": "#332288",
    "AutoPrune": "#aa4499",
    "attention": "#44aa99",
    "AMC": "#cc3311",
    "greedy": "#7f7fff",
    "pruning from scratch": "#999933",
    "LASSO": "#ee7733",
    "from scratch": "#999999",
    "random": "#b8a04a",
}
STYLE: Any = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 11,
    "legend.frameon": False,
    "font.size": 10,
}


plt.rcParams.update(STYLE)


def percent(value: float, _position: float = 0) -> str:
    """A share as an axis shows it."""
    return f"{100 * value:.3g}%"


def colour(label: str) -> str:
    """The colour of the method that a label begins with ("L1, no retraining" has L1's)."""
    for method, value in COLOURS.items():
        if label.startswith(method):
            return value
    return COLOURS["original"]


def subplots(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """Axes (rows, columns). pyplot forgets the figure, so that a notebook does not show it twice."""
    drawing, axes = plt.subplots(rows, columns, figsize=size, **options)
    plt.close(drawing)
    return drawing, axes


def figure(columns: int = 1, width: float = 5.6, height: float = 3.4, **options: Any) -> tuple[Figure, Any]:
    """A figure with `columns` axes side by side."""
    return subplots(1, columns, (width * columns, height), **options)


def say_source(drawing: Figure, images: Any) -> None:
    """Synthetic images are never used silently: a line at the foot of the figure."""
    if images is not None and images.source.synthetic:
        drawing.supxlabel("synthetic images, not CIFAR-10", fontsize=8, color="#b3261e", x=0.99, ha="right")


def convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    """A network's convolutions by name."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}


def image_grid(images: Any, per_class: int = 8) -> Figure:
    """The first images of every class of a data set, one row a class."""
    rows = len(images.classes)
    drawing, axes = subplots(rows, per_class, (per_class * 0.85, rows * 0.9), squeeze=False)
    for label, name in enumerate(images.classes):
        picked = torch.nonzero(images.labels == label).flatten()[:per_class]
        for column in range(per_class):
            axes[label, column].set_axis_off()
            if column < len(picked):
                axes[label, column].imshow(images.images[picked[column]].permute(1, 2, 0).numpy())
        axes[label, 0].set_title(name, fontsize=9, loc="left")
    say_source(drawing, images)
    return drawing


def show_batch(batch: Tensor, titles: Sequence[str] = (), images: Any = None) -> Figure:
    """Pictures (N, 3, H, W) in one row; floats are stretched to 0…1."""
    drawing, axes = subplots(1, len(batch), (1.1 * len(batch), 1.4), squeeze=False)
    for number, (axis, picture) in enumerate(zip(axes[0], batch, strict=True)):
        picture = picture.detach().float()
        low, high = picture.min(), picture.max()
        axis.imshow(((picture - low) / (high - low).clamp_min(1e-8)).permute(1, 2, 0).numpy())
        axis.set_axis_off()
        if titles:
            axis.set_title(titles[number], fontsize=8)
    say_source(drawing, images)
    return drawing


def filter_ranking(network: nn.Module, score: Callable[[Tensor], Tensor]) -> Figure:
    """One curve a convolution: its filters' scores in falling order, in units of the layer's mean."""
    drawing, axis = figure()
    layers = convolutions(network)
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(layers)))
    for shade, (name, layer) in zip(shades, layers.items(), strict=True):
        scores = torch.as_tensor(score(layer.weight)).detach().sort(descending=True).values
        axis.plot(np.linspace(0, 1, len(scores)), scores / scores.mean(), color=shade, label=f"{name} ({len(scores)})")
    axis.set(xlabel="share of the layer's filters, strongest first", ylabel="score / mean of the layer", ylim=(0, None))
    axis.set_title("Which layers have filters that stand out?")
    axis.legend(title="layer (filters)", fontsize=8)
    return drawing


def filter_gallery(weight: Tensor, scores: Tensor, columns: int = 16) -> Figure:
    """Filters (O, 3, kH, kW) as colour pictures in falling order of their scores."""
    weight, scores = weight.detach(), torch.as_tensor(scores).detach()
    order = scores.argsort(descending=True)
    rows = -(-len(order) // columns)
    drawing, axis = figure(width=columns * 0.6, height=rows * 0.9)
    reach = weight.abs().max()
    for place, j in enumerate(order.tolist()):
        x, y = place % columns, 1.25 * (place // columns)
        picture = (0.5 + 0.5 * weight[j] / reach).permute(1, 2, 0).numpy()
        axis.imshow(picture, extent=(x - 0.4, x + 0.4, y + 0.4, y - 0.4))
        axis.text(x, y - 0.44, f"{scores[j]:.1f}", fontsize=7, ha="center", va="bottom")
    axis.set(xlim=(-0.6, columns - 0.4), ylim=(1.25 * rows - 0.75, -0.75))
    axis.set_axis_off()
    drawing.suptitle("filters of the first layer, strongest first, with their scores", fontsize=10)
    return drawing


def kernel_map(weights: Mapping[str, Tensor]) -> Figure:
    """Weights (O, I, kH, kW) as one square a kernel, filters in rows, input channels in columns; zeros are white.

    One panel a label, all on one scale: the darker, the larger |w|.
    """
    drawing, axes = figure(len(weights), width=4.2, height=4.4, squeeze=False)
    reach = max(float(weight.detach().abs().max()) for weight in weights.values())
    for axis, (label, weight) in zip(axes[0], weights.items(), strict=True):
        filters, channels, height, width = weight.shape
        magnitudes = weight.detach().abs().permute(0, 2, 1, 3).reshape(filters * height, channels * width)
        shown = np.ma.masked_equal(magnitudes.numpy(), 0)  # what is masked stays white
        axis.imshow(shown, cmap="magma_r", vmin=-0.2 * reach, vmax=reach, interpolation="nearest")
        for step, lines in ((height, axis.axhline), (width, axis.axvline)):
            for place in range(0, max(magnitudes.shape) + 1, step):
                lines(place - 0.5, color="#cccccc", linewidth=0.3)
        empty = int((weight.detach().flatten(2) == 0).all(dim=2).sum())
        axis.set(xticks=[], yticks=[], xlabel="input channels", ylabel="filters")
        axis.set_xlim(-0.5, magnitudes.shape[1] - 0.5)
        axis.set_ylim(magnitudes.shape[0] - 0.5, -0.5)
        axis.set_title(f"{label}: {empty} of {filters * channels} kernels are empty", fontsize=9)
        axis.grid(visible=False)
    return drawing


def shares_left(masks: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Share of each layer's weights that masks keep: `masks[label][parameter]`, one bar a label; 0 is marked red."""
    drawing, axis = figure(width=6.4)
    bar = 0.8 / len(masks)
    for number, (label, layers) in enumerate(masks.items()):
        for place, mask in enumerate(layers.values()):
            share = mask.float().mean().item()
            where, shade = place + number * bar, plt.get_cmap("Oranges")(0.4 + 0.5 * number / len(masks))
            axis.bar(where, share, bar * 0.95, color=shade, label="" if place else label)
            said, tint = (f"{share:.1%}", "black") if share else ("none", "#b3261e")
            axis.text(where, share, said, ha="center", va="bottom", fontsize=7, color=tint)
        axis.set_xticks(np.arange(len(layers)) + 0.4 - bar / 2, [name.removesuffix(".weight") for name in layers])
    axis.tick_params(axis="x", labelsize=8)
    axis.set(ylabel="weights left in the layer")
    axis.yaxis.set_major_formatter(percent)
    axis.grid(axis="x", visible=False)
    axis.legend()
    return drawing


def accuracy_against(
    xs: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    xlabel: str,
    baseline: float | None = None,
    images: Any = None,
    measured_on: str = "test",
) -> Figure:
    """Accuracy curves over a common axis, with the unpruned network and chance as lines.

    A second curve of the same method (the same colour) is broken. `measured_on` names the images.
    """
    drawing, axis = figure()
    seen: set[str] = set()
    for label, accuracies in curves.items():
        line = "o--" if colour(label) in seen else "o-"
        seen.add(colour(label))
        axis.plot(xs, accuracies, line, markersize=4, color=colour(label), label=label)
    if baseline is not None:
        axis.axhline(baseline, color=COLOURS["original"], linestyle="--", linewidth=1, label="original")
    if images is not None:
        axis.axhline(1 / len(images.classes), color="#bbbbbb", linestyle=":", linewidth=1, label="guessing")
    axis.set(xlabel=xlabel, ylabel=f"{measured_on} accuracy", ylim=(0, 1))
    axis.yaxis.set_major_formatter(percent)
    axis.legend()
    say_source(drawing, images)
    return drawing


def training_curves(
    histories: Mapping[str, Sequence[Mapping[str, Any]]],
    measured_on: str = "test",
    baseline: float | None = None,
    images: Any = None,
) -> Figure:
    """Loss and accuracy over the epochs; `histories` maps a label to what `train` returned.

    `measured_on` names the images whose accuracy the histories hold as `test_accuracy`; `baseline` is the
    unpruned network's accuracy on them.
    """
    drawing, (left, right) = figure(2, width=4.2)
    for label, history in histories.items():
        epochs = [row["epoch"] for row in history]
        style: Any = {"color": colour(label), "markersize": 3}
        left.plot(epochs, [row["loss"] for row in history], "o-", label=label, **style)
        right.plot(epochs, [row["accuracy"] for row in history], ".:", label=f"{label}, training", **style)
        if "test_accuracy" in history[-1]:
            shares = [row["test_accuracy"] for row in history]
            right.plot(epochs, shares, "o-", label=f"{label}, {measured_on}", **style)
    if baseline is not None:
        line = {"color": COLOURS["original"], "linestyle": "--", "linewidth": 1}
        right.axhline(baseline, label=f"original, {measured_on}", **line)
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="accuracy")
    right.yaxis.set_major_formatter(percent)
    right.legend(fontsize=8)
    say_source(drawing, images)
    return drawing


def widths(networks: Mapping[str, nn.Module]) -> Figure:
    """Filters of every convolution, networks side by side; a layer down to one filter is marked red."""
    drawing, axis = figure()
    bar = 0.8 / len(networks)
    for number, (label, network) in enumerate(networks.items()):
        layers = convolutions(network)
        heights = [layer.out_channels for layer in layers.values()]
        known = number == 0 or any(label.startswith(method) for method in COLOURS)
        shade = colour(label) if known else COLOURS["L1"]
        colours = ["#b3261e" if height == 1 else shade for height in heights]
        places = np.arange(len(heights)) + number * bar
        axis.bar(places, heights, bar * 0.95, color=colours, label=label)
        for place, height in zip(places, heights, strict=True):
            axis.text(place, height, str(height), ha="center", va="bottom", fontsize=7)
        axis.set_xticks(np.arange(len(heights)) + 0.4 - bar / 2, list(layers), fontsize=8)
    axis.set(ylabel="filters")
    axis.grid(axis="x", visible=False)
    axis.legend()
    return drawing


def cost_bars(costs: Mapping[str, Mapping[str, float]]) -> Figure:
    """One panel a quantity ("parameters", "MACs", …), one bar a layer: `costs[quantity][layer]`."""
    drawing, axes = figure(len(costs), width=3.6, height=3.0, squeeze=False)
    for axis, (quantity, layers) in zip(axes[0], costs.items(), strict=True):
        axis.barh(list(layers), list(layers.values()), color=COLOURS["original"])
        axis.invert_yaxis()
        axis.set_title(quantity)
        axis.tick_params(labelsize=8)
        axis.grid(axis="y", visible=False)
    return drawing


def time_ratios(ratios: Mapping[str, tuple[float, float, float]], macs: float, title: str = "") -> Figure:
    """Ratios of times (lower quartile, median, upper one) as dots with bars, beside the ratio of MACs as a line."""
    drawing, axis = figure(height=0.42 * len(ratios) + 1.3)
    for setting, (low, middle, high) in ratios.items():
        axis.plot([low, high], [setting, setting], color=COLOURS["original"], linewidth=1.5)
        axis.plot(middle, setting, "o", color=COLOURS["original"])
        axis.annotate(f"{middle:.2f}", (middle, setting), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axis.axvline(macs, color="#b3261e", linestyle="--", linewidth=1)
    axis.annotate(
        f"MACs {macs:.2f} ",
        (macs, 1.0),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        color="#b3261e",
        fontsize=8,
    )
    axis.axvline(1, color=COLOURS["original"], linewidth=0.8)
    highest = max(high for _, _, high in ratios.values())
    axis.set(
        xlabel="ratio to the original", xlim=(0, max(1.1, 1.05 * highest)), ylim=(len(ratios) - 0.5, -0.7), title=title
    )
    axis.grid(axis="y", visible=False)
    return drawing


def channel_histograms(pixels: Mapping[str, Tensor], images: Any = None) -> Figure:
    """One panel a label: how often each value occurs in the red, green and blue of pictures (N, 3, H, W)."""
    drawing, axes = figure(len(pixels), width=3.6, height=2.8, squeeze=False)
    for axis, (label, values) in zip(axes[0], pixels.items(), strict=True):
        for channel, shade in enumerate(("#c0392b", "#2e8b57", "#2f6db5")):
            axis.hist(values[:, channel].flatten().numpy(), bins=64, histtype="step", color=shade, density=True)
        axis.set(title=label, xlabel="value", yticks=[])
    axes[0, 0].set_ylabel("how often")
    say_source(drawing, images)
    return drawing


def confusion(guesses: Tensor, labels: Tensor, classes: Sequence[str], images: Any = None) -> Figure:
    """How often a class (row) is taken for another (column), in per cent of the row."""
    counts = torch.zeros(len(classes), len(classes))
    counts.index_put_((labels, guesses), torch.ones(len(labels)), accumulate=True)
    shares = 100 * counts / counts.sum(dim=1, keepdim=True).clamp_min(1)
    drawing, axis = figure(width=4.2, height=3.6)
    axis.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=100)
    for row, line in enumerate(shares.tolist()):
        for column, share in enumerate(line):
            axis.text(column, row, f"{share:.0f}", ha="center", va="center", color="white" if share > 60 else "black")
    axis.set_xticks(range(len(classes)), classes, fontsize=8)
    axis.set_yticks(range(len(classes)), classes, fontsize=8)
    axis.set(xlabel="the network says", ylabel="it is", title="per cent of each class")
    axis.grid(visible=False)
    say_source(drawing, images)
    return drawing
