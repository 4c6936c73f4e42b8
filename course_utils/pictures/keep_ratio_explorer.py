"""Small interactive pictures for notebooks (ipywidgets); each returns a widget that the notebook shows."""

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from IPython.display import display
from torch import Tensor, nn

from course_utils.pictures import plots


def chain_costs(network: Any, kept: list[int]) -> tuple[int, int]:
    """Parameters and MACs of a VGG whose convolutions keep `kept` filters each, without building it."""
    parameters = macs = 0
    side, inputs, layer_number = 32, 3, 0
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            outputs = kept[layer_number]
            weights = layer.kernel_size[0] * layer.kernel_size[1] * inputs * outputs
            parameters += weights + (outputs if layer.bias is not None else 0)
            macs += weights * side * side
            inputs, full, layer_number = outputs, layer.out_channels, layer_number + 1
        elif isinstance(layer, nn.BatchNorm2d):
            parameters += 2 * inputs
        elif isinstance(layer, nn.MaxPool2d):
            side //= 2
    linear = network.classifier
    features = linear.in_features // full * inputs
    return (
        parameters + features * linear.out_features + linear.out_features,
        macs + features * linear.out_features,
    )


def keep_ratio_explorer(
    network: Any, score: Callable[[Tensor], Tensor], choose: Callable[[Tensor, float], Tensor]
) -> widgets.Widget:
    """A slider for the keep ratio: filters that would go turn grey, parameters and MACs follow.

    `score` ranks a layer's filters (weight → scores), `choose` picks those that stay (scores, ratio → indices).
    """
    layers = plots.convolutions(network)
    scores = [torch.as_tensor(score(layer.weight)).detach() for layer in layers.values()]
    whole = chain_costs(network, [len(values) for values in scores])
    slider = widgets.FloatSlider(
        value=0.625,
        min=0.05,
        max=1.0,
        step=0.025,
        description="keep ratio",
        readout_format=".3f",
        continuous_update=False,
    )
    picture, numbers = widgets.Output(), widgets.HTML()

    def draw(_change: Any = None) -> None:
        kept_filters = [torch.as_tensor(choose(values, slider.value)) for values in scores]
        parameters, macs = chain_costs(network, [len(indices) for indices in kept_filters])
        numbers.value = (
            f"<b>{parameters:,}</b> of {whole[0]:,} parameters ({parameters / whole[0]:.0%}), "
            f"<b>{macs / 1e6:.1f}</b> of {whole[1] / 1e6:.1f} million MACs ({macs / whole[1]:.0%})"
        )
        with picture:
            picture.clear_output(wait=True)
            drawing, axes = plots.figure(len(scores), width=1.6, height=2.6)
            for axis, (name, values), indices in zip(axes, zip(layers, scores, strict=True), kept_filters, strict=True):
                order = values.argsort(descending=True)
                stays = np.isin(order.numpy(), indices.numpy())
                colours = np.where(stays, plots.COLOURS["L1"], "#d0d0d0")
                axis.barh(range(len(order)), values[order], height=1.0, color=colours)
                axis.set(title=name.removeprefix("features."), yticks=[], xticks=[])
                axis.set_xlabel(f"{int(stays.sum())} of {len(order)}", fontsize=8)
                axis.invert_yaxis()
            drawing.suptitle("filters of each convolution by score; grey ones go", fontsize=9)
            display(drawing)

    slider.observe(draw, names="value")
    draw()
    return widgets.VBox([slider, numbers, picture])
