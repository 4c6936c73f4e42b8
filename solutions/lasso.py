"""Channel pruning by LASSO: which channels the next layer needs, and its weights by least squares on those.

He, Zhang, Sun 2017 (arXiv 1707.06168).
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path_gram
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.modes import evaluating
from solutions.feature_maps import watched
from solutions.graph.groups import Group
from solutions.next_layer import next_layer
from solutions.plans import groups_left, kept_without
from solutions.reconstruction import inputs_of, least_squares_weight
from solutions.rounding import channels_removed
from solutions.surgery import prune


def contribution_products(inputs: Tensor, weight: Tensor, target: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """What LASSO must know of all contributions: x_c · x_d (C, C), and x_c · y (C,), float64.

    x_c is what channel c adds to *all* outputs of all samples, each channel's weights divided by their norm first; y
    what they should be. `inputs` (S, C · k): what each sample's outputs are weighted sums of; `weight` (O, C · k);
    `target` (S, O).
    """
    inputs, weight, target = inputs.double(), weight.double(), target.double()
    blocks = weight.view(len(weight), channels, -1)
    norms = blocks.square().sum(dim=(0, 2), keepdim=True).sqrt().clamp_min(1e-30)
    weight = (blocks / norms).view_as(weight)
    gram = (inputs.T @ inputs) * (weight.T @ weight)
    gram = gram.view(channels, -1, channels, gram.shape[1] // channels).sum(dim=(1, 3))
    cross = ((inputs.T @ target) * weight.T).sum(dim=1).view(channels, -1).sum(dim=1)
    return gram, cross


def lasso_channels(gram: Tensor, cross: Tensor, count: int) -> list[int]:
    """The `count` channels (1 and more) that LASSO keeps, in increasing order.

    Those with β_c ≠ 0 in min 1/(2N) · ||y - Σ_c β_c x_c||² + λ Σ|β_c|, with λ so small that there are `count` of them:
    read off the path of all solutions (least angle regression). `gram`: x_c · x_d (C, C), `cross`: x_c · y (C,),
    float64. Where the number of β jumps over `count`, those of the larger λ stay, and of those that enter next the ones
    that say most, |β_c| · ||x_c||. Of channels that say the same one enters; dead ones never do, and stay last.
    """
    sizes = gram.diagonal().clamp_min(0).sqrt().numpy()
    scale = float(sizes.max()) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it says that of equal channels one was left out
        _, _, path = lars_path_gram((cross / scale).numpy(), (gram / scale**2).numpy(), n_samples=1, method="lasso")
    stay: list[int] = []
    for beta in path.T:
        there = np.flatnonzero(beta)
        if len(there) > count or len(stay) == count:
            break
        stay = there.tolist()
    if len(stay) < count:
        worth = np.abs(beta) * sizes
        order = np.lexsort((-sizes, -worth))
        stay += [channel for channel in order.tolist() if channel not in stay][: count - len(stay)]
    return sorted(stay)


def lasso(
    network: nn.Module,
    groups: Sequence[Group],
    images: Tensor,
    keep_ratio: float,
    *,
    locations: int = 25,
    seed: int = 0,
    progress: bool = True,
) -> tuple[nn.Module, list[Group]]:
    """Channel pruning for one group after the other, from the front → the pruned network, and its groups.

    Of C channels floor((1 - keep_ratio) · C + 1e-9) go; frozen ones stay, and one at least. `images` (N, 3, H, W). What
    the reader's outputs should be comes from the *original* network, what it reads from the one that is *pruned* so
    far: so errors do not pile up. A sample is an image at one of `locations` random places. Groups that no single layer
    reads (the stages of a residual network) stay whole. `network` is left alone.
    """
    left, pruned = list(groups), network
    names = [group.name for group in groups if group.free and next_layer(network, group)]
    for name in tqdm(names, disable=not progress, desc="LASSO", unit="layer"):
        group = next(group for group in left if group.name == name)
        pruned, kept = lasso_layer(network, pruned, left, group, images, keep_ratio, locations, seed)
        left = groups_left(left, {name: kept})
    return pruned, left


def lasso_layer(
    original: nn.Module,
    network: nn.Module,
    groups: Sequence[Group],
    group: Group,
    images: Tensor,
    keep_ratio: float,
    locations: int,
    seed: int,
) -> tuple[nn.Module, list[int]]:
    """One group of `network`, of which earlier ones may have been pruned → the pruned network, and what stays."""
    name = next_layer(network, group)
    was: Any = original.get_submodule(name)
    layer: Any = network.get_submodule(name)
    target = sampled_inputs(original, name, images, locations, seed) @ was.weight.detach().flatten(1).cpu().T
    inputs = sampled_inputs(network, name, images, locations, seed)
    count = max(1, group.channels - min(channels_removed(group.channels, keep_ratio), len(group.free)))
    products = contribution_products(inputs, layer.weight.detach().flatten(1).cpu(), target, group.channels)
    stay = set(lasso_channels(*products, count))
    kept = kept_without(group, [channel for channel in group.free if channel not in stay])
    pruned = prune(network, groups, {group.name: kept})
    if len(kept) < group.channels:
        each = inputs.shape[1] // group.channels
        columns = (torch.tensor(kept)[:, None] * each + torch.arange(each)).flatten()
        inputs, target = inputs.double(), target.double()
        narrow: Any = pruned.get_submodule(name)
        products = inputs.T @ inputs, inputs.T @ target
        fitted = least_squares_weight(*products, columns, narrow.weight.detach().flatten(1))
        narrow.weight.data.copy_(fitted.view_as(narrow.weight))
    return pruned, kept


def sampled_inputs(network: nn.Module, name: str, images: Tensor, locations: int, seed: int) -> Tensor:
    """What a layer's outputs are weighted sums of, at random places of each image → (S, inputs · kH · kW).

    The same seed gives the same places, also in a network of which other channels are gone.
    """
    layer = network.get_submodule(name)
    chance = torch.Generator().manual_seed(seed)
    rows = []
    for batch in images.split(100):
        with watched(network, [name]) as seen, evaluating(network), torch.inference_mode():
            network(batch.to(next(network.parameters()).device))
            inputs = inputs_of(layer, seen[0][1]).cpu()
        places = len(inputs) // len(batch)
        if places > locations:
            inputs = inputs.view(len(batch), places, -1)
            drawn = torch.rand(len(batch), places, generator=chance).argsort(dim=1)[:, :locations]
            inputs = inputs.gather(1, drawn[:, :, None].expand(-1, -1, inputs.shape[2])).flatten(0, 1)
        rows.append(inputs)
    return torch.cat(rows)
