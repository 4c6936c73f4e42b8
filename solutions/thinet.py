"""ThiNet: a channel is judged by what the *next* layer loses without it, and what stays is rescaled to make up for it.

Luo et al. 2017 (arXiv 1707.06342), sections 3.2 and 3.3. A sample is one number of the next layer's output before its
bias and activation: an image, a filter of that layer, a location. Channel c's contribution to it is the part x_c that
it adds: y = x_1 + … + x_C.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from solutions.graph.groups import Group
from solutions.next_layer import next_layer, sampled_patches
from solutions.plans import groups_left, kept_without
from solutions.rounding import channels_removed
from solutions.surgery import prune


def sample_contributions(patches: Tensor, weight: Tensor) -> Tensor:
    """What each channel adds to each sample: x_c = sum over kh, kw of weight[c] · patch[c] → (S, C).

    `patches` (S, C, kH, kW): what the sample's filter sees, zeros where it looks over the border; `weight`
    (S, C, kH, kW): that filter's weights. All sizes may be 1; the dtype stays. Equation 4 of the paper.
    """
    return (patches * weight).sum(dim=(2, 3))


def channels_to_remove(contributions: Tensor, count: int) -> list[int]:
    """The `count` channels whose removal changes the samples least, found one by one, in the order in which they go.

    A list of whole numbers; `contributions` (S, C) are float32 or float64, may require grad, and are not changed. Each
    step adds to the removed set T the channel that keeps sum over samples of (sum over c in T of x_c)² smallest; of
    equal ones the first. Equation 6, algorithm 1 of the paper. Raises ValueError if there are fewer channels than
    `count`.
    """
    if count > contributions.shape[1]:
        raise ValueError(f"{count} channels cannot go: there are {contributions.shape[1]}.")
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
    """One factor for each kept channel, so that sum_c w_c x_c comes as close to the samples as it can → (K,) floats.

    min_w ||target - contributions w||², `contributions` (S, K) of the kept channels, `target` (S,) the sum over *all*
    channels; both may require grad, neither is changed. Dead channels and fewer samples than channels do no harm: any
    of the solutions will do (here the closest to 1, so that a channel which never spoke is left as it is), of whatever
    float type. Equation 7.
    """
    missing = target.double() - contributions.double().sum(dim=1)
    change = torch.linalg.lstsq(contributions.double(), missing[:, None], driver="gelsd").solution
    return (1 + change[:, 0]).to(contributions.dtype)


def rescale_inputs(layer: nn.Module, scale: Tensor) -> None:
    """Multiply, in place, what a layer reads of input channel c by scale[c]; its bias is unchanged.

    `layer`: a convolution, weight (O, C, kH, kW), or a linear layer behind a flatten, where every channel owns the same
    number of neighbouring columns; its weight stays the same Parameter, of the same dtype. `scale` (C,), float32 or
    float64, is not changed.
    """
    with torch.no_grad():
        by_channel = layer.weight.view(len(layer.weight), len(scale), -1)
        by_channel.mul_(scale[:, None])


# --- whole networks


def thinet_step(
    network: nn.Module,
    groups: Sequence[Group],
    group: Group,
    images: Tensor,
    keep_ratio: float,
    rank: Callable[[nn.Module, Sequence[Group]], Any] | None = None,
    rescale: bool = True,
    **sampling: Any,
) -> tuple[nn.Module, list[int]]:
    """Prune one group by the layer that reads it → the pruned network (the given one is left alone), and what stays.

    Of C channels floor((1 - keep_ratio) · C + 1e-9) go; frozen ones stay, and at least one of every layer. `rank`: the
    lowest of a ranking go, not those that the greedy method finds. `rescale`: make up for them by least squares.
    `sampling`: `locations` and `seed` for `sampled_patches`, as `images`.
    """
    name = next_layer(network, group)
    patches, weight = sampled_patches(network, name, group.channels, images, **sampling)
    contributions = sample_contributions(patches, weight).cpu()
    count = min(channels_removed(group.channels, keep_ratio), len(group.free))
    if rank is None:
        order = [group.free[position] for position in channels_to_remove(contributions[:, group.free], count)]
    else:
        scores = rank(network, [group])[group.name].tolist()
        order = sorted(group.free, key=lambda channel: scores[channel])[:count]
    kept = kept_without(group, order)
    pruned = prune(network, groups, {group.name: kept})
    if rescale and len(kept) < group.channels:
        scale = least_squares_scale(contributions[:, kept], contributions.sum(dim=1))
        layer = pruned.get_submodule(name)
        rescale_inputs(layer, torch.as_tensor(scale).to(layer.weight))
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

    Groups that no single layer reads (the stages of a residual network) stay whole. Each step sees the network that the
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
