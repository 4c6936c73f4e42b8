"""The layer that reads a group's channels, and samples of what it sees: what ThiNet judges channels by."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.modes import evaluating
from solutions.feature_maps import is_plain, readers, watched
from solutions.graph.groups import Group


def next_layer(network: nn.Module, group: Group) -> str:
    """The name of the only layer that reads a group's channels, "" if there is no such layer.

    A convolution that is not grouped and reads channel c as its input c, or a linear layer behind a flatten, and
    nothing else: not the stage of a residual network.
    """
    try:
        layers = readers(network, [group])
    except ValueError:
        return ""
    if len(layers) != 1:
        return ""
    name = next(iter(layers))
    _, places = layers[name][0]
    layer = network.get_submodule(name)
    pixels = len(places) // group.channels if isinstance(layer, nn.Linear) else 1
    in_order = np.array_equal(places, np.repeat(np.arange(group.channels), pixels))
    return name if in_order and is_plain(layer) else ""


def sampled_patches(
    network: nn.Module, name: str, channels: int, images: Tensor, locations: int = 10, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """What random filters of layer `name` see at random places → patches and the filters' weights, both (S, C, kH, kW).

    `channels` C that the layer reads; `images` (N, 3, H, W), each of which gives `locations` samples:
    S = N · locations. A filter that looks over the border sees zeros there. Behind a flatten a filter is a linear
    layer's unit, (S, C, pixels, 1). One forward pass. Raises ValueError for a layer that is not there, or is used more
    than once.
    """
    if not name:
        raise ValueError("ThiNet cannot judge this group: it needs one plain layer that alone reads these channels.")
    with watched(network, [name]) as seen, evaluating(network):
        network(images.to(next(network.parameters()).device))
    if len(seen) != 1:
        raise ValueError(f"{name} is used {len(seen)} times in one pass; ThiNet needs a layer that is used once.")
    layer: Any = network.get_submodule(name)
    inputs = seen[0][1]
    chance, count = torch.Generator().manual_seed(seed), len(images) * locations
    image = torch.arange(len(images)).repeat_interleave(locations)
    weight = layer.weight.detach()[torch.randint(len(layer.weight), (count,), generator=chance)]
    if not isinstance(layer, nn.Linear):
        return random_windows(layer, inputs, image, chance), weight
    if inputs.ndim != 2:
        raise ValueError(f"{name} reads {inputs.ndim} axes; ThiNet needs the features of an image, flattened.")
    return inputs[image].reshape(count, channels, -1, 1), weight.reshape(count, channels, -1, 1)


def random_windows(layer: Any, inputs: Tensor, image: Tensor, chance: torch.Generator) -> Tensor:
    """What a convolution's filter sees at a random place of each `image` (S,) of a batch `inputs` → (S, C, kH, kW)."""
    up, left = layer.padding
    padded = F.pad(inputs, (left, left, up, up))
    windows = []
    for axis in (0, 1):
        window = layer.dilation[axis] * torch.arange(layer.kernel_size[axis])
        places = (padded.shape[2 + axis] - int(window[-1]) - 1) // layer.stride[axis] + 1
        corner = torch.randint(places, (len(image), 1), generator=chance) * layer.stride[axis]
        windows.append(corner + window)
    rows, columns = windows
    return padded[image[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
