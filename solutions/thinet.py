"""ThiNet: a channel is judged by what the *next* layer loses without it, and what stays is rescaled to make up for it.

Luo et al. 2017 (arXiv 1707.06342), sections 3.2 and 3.3. A sample is one number of the next layer's output before its bias
and activation: an image, a filter of that layer, a location. Channel c's contribution to it is the part x_c that it
adds: y = x_1 + … + x_C.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.timing import evaluating
from solutions.feature_maps import is_plain, readers, watched
from solutions.graph import Group
from solutions.pruner import groups_left, must_stay, prune, without


def sample_contributions(patches: Tensor, weight: Tensor) -> Tensor:
    """What each channel adds to each sample: x_c = sum over kh, kw of weight[c] · patch[c] → (S, C).

    `patches` (S, C, kH, kW): what the sample's filter sees, zeros where it looks over the border; `weight`
    (S, C, kH, kW): that filter's weights. Equation 4 of the paper.
    """
    return (patches * weight).sum(dim=(2, 3))


def channels_to_remove(contributions: Tensor, count: int) -> list[int]:
    """The `count` channels whose removal changes the samples least, found one by one, in the order in which they go.

    `contributions` (S, C). Each step adds to the removed set T the channel that keeps sum over samples of
    (sum over c in T of x_c)² smallest; of equal ones the first. Equation 6, algorithm 1 of the paper.
    """
    gram = contributions.double().T @ contributions.double()
    removed: list[int] = []
    cost = gram.diagonal().clone()  # what the sum of squares grows by when this channel goes too
    for _ in range(count):
        cost[removed] = torch.inf
        channel = int(cost.argmin())
        removed.append(channel)
        cost += 2 * gram[:, channel]
    return removed


def least_squares_scale(contributions: Tensor, target: Tensor) -> Tensor:
    """One factor for each kept channel, so that sum_c w_c x_c comes as close to the samples as it can → (K,).

    min_w ||target - contributions w||², `contributions` (S, K) of the kept channels, `target` (S,) the sum over *all*
    channels. Dead channels and fewer samples than channels do no harm: of several solutions the closest to 1, so that a
    channel which never spoke is left as it is. Equation 7.
    """
    missing = target.double() - contributions.double().sum(dim=1)
    change = torch.linalg.lstsq(contributions.double(), missing[:, None], driver="gelsd").solution
    return (1 + change[:, 0]).to(contributions.dtype)


def rescale_inputs(layer: nn.Module, scale: Tensor) -> None:
    """Multiply, in place, what a layer reads of input channel c by scale[c]; its bias is unchanged.

    `layer`: a convolution, weight (O, C, kH, kW), or a linear layer behind a flatten, where every channel owns the same
    number of neighbouring columns; `scale` (C,).
    """
    with torch.no_grad():
        by_channel = layer.weight.view(len(layer.weight), len(scale), -1)
        by_channel.mul_(scale[:, None])


# --- whole networks


def next_layer(network: nn.Module, group: Group) -> str | None:
    """The name of the only layer that reads a group's channels, if ThiNet can judge by it; else None.

    A convolution that is not grouped, or a linear layer, that reads nothing else: not the stage of a residual network.
    """
    found = readers(network, [group]) if group.free else {}
    for name, read in found.items():
        if len(found) == 1 and is_plain(network.get_submodule(name)) and (read[0][1] >= 0).all():
            return name
    return None


def contributions_to(
    network: nn.Module, name: str, channels: int, images: Tensor, locations: int = 10, seed: int = 0
) -> Tensor:
    """What each of the `channels` that layer `name` reads adds to random samples of it → (images · locations, channels).

    Every image gives `locations` samples, each with a random filter and a random place in its output. One forward pass.
    """
    with watched(network, [name]) as seen, evaluating(network):
        network(images.to(next(network.parameters()).device))
    if len(seen) != 1:
        raise ValueError(f"{name} is used {len(seen)} times in one pass; ThiNet needs a layer that is used once.")
    layer: Any = network.get_submodule(name)
    inputs = seen[0][1]
    chance, count = torch.Generator().manual_seed(seed), len(images) * locations
    image = torch.arange(len(images)).repeat_interleave(locations)
    weight = layer.weight.detach()[torch.randint(len(layer.weight), (count,), generator=chance)]
    if isinstance(layer, nn.Linear):
        patches, weight = (tensor.reshape(count, channels, -1, 1) for tensor in (inputs[image], weight))
    else:
        up, left = layer.padding
        padded, pixels = F.pad(inputs, (left, left, up, up)), []
        for axis in (0, 1):
            seen_from = layer.dilation[axis] * torch.arange(layer.kernel_size[axis])
            places = (padded.shape[2 + axis] - int(seen_from[-1]) - 1) // layer.stride[axis] + 1
            pixels.append(torch.randint(places, (count, 1), generator=chance) * layer.stride[axis] + seen_from)
        patches = padded[image[:, None, None], :, pixels[0][:, :, None], pixels[1][:, None, :]].permute(0, 3, 1, 2)
    return sample_contributions(patches, weight)


def thinet_step(
    network: nn.Module,
    groups: Sequence[Group],
    group: Group,
    images: Tensor,
    keep_ratio: float,
    rescale: bool = True,
    locations: int = 10,
    seed: int = 0,
) -> tuple[nn.Module, list[int]]:
    """Prune one group by the layer that reads it → the pruned network (the given one is left alone), and what stays.

    Of C channels floor((1 - keep_ratio) · C + 1e-9) go, at least one stays. `rescale`: make up for them by least squares.
    """
    name = next_layer(network, group)
    if name is None:
        raise ValueError(f"ThiNet cannot judge {group.name}: it needs one plain layer that alone reads these channels.")
    contributions = contributions_to(network, name, group.channels, images, locations, seed).cpu()
    count = min(math.floor((1 - keep_ratio) * group.channels + 1e-9), group.channels - 1)
    order = channels_to_remove(contributions[:, group.free], min(count, len(group.free)))
    removed = [group.free[position] for position in order]
    stays = must_stay(group, [channel for channel in range(group.channels) if channel not in removed] + removed[::-1])
    kept = without(group, set(removed) - stays)
    pruned = prune(network, groups, {group.name: kept})
    if rescale and len(kept) < group.channels:
        scale = least_squares_scale(contributions[:, kept], contributions.sum(dim=1))
        layer = pruned.get_submodule(name)
        rescale_inputs(layer, scale.to(layer.weight))
    return pruned, kept


def thinet(
    network: nn.Module,
    groups: Sequence[Group],
    images: Tensor,
    keep_ratio: float,
    after_layer: Callable[[nn.Module], None] | None = None,
    progress: bool = True,
    **options: Any,
) -> tuple[nn.Module, list[Group]]:
    """`thinet_step` for one group after the other, from the front → the pruned network, and its groups.

    Groups that ThiNet cannot judge (the stages of a residual network) stay whole. Each step sees the network that the
    last one left; `after_layer(network)` may train it in between, as the paper does.
    """
    left = list(groups)
    names = [group.name for group in groups if next_layer(network, group)]
    for name in tqdm(names, disable=not progress, desc="ThiNet", unit="layer"):
        group = next(group for group in left if group.name == name)
        network, kept = thinet_step(network, left, group, images, keep_ratio, **options)
        left = groups_left(left, {name: kept})
        if after_layer is not None:
            after_layer(network)
    return network, left
