"""Which filter matters? Every criterion for a whole network, in one pass over the data, through its channel groups.

Molchanov et al. 2016 (arXiv 1611.06440), section 2.2; APoZ: Hu et al. 2016 (arXiv 1607.03250). A high score: keep it.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from course_utils.timing import evaluating
from solutions.activation_criteria import (
    activation_mean_scores,
    gate_taylor_scores,
    mutual_information,
    obd_scores,
)
from solutions.feature_maps import Maps, owner, visit
from solutions.graph import Group


def taylor_scores(activation: Tensor, gradient: Tensor) -> Tensor:
    """Taylor criterion of every channel: mean over examples of | (1 / HW) · sum over positions of z · dC/dz | → (C,).

    `activation` z and `gradient` dC/dz, of the sum of the examples' losses: (N, C, H, W). The absolute value stands
    between the mean over positions and the mean over examples. Molchanov et al. 2016, equation 8.
    """
    return (activation * gradient).mean(dim=(2, 3)).abs().mean(dim=0)


def minimum_weight_scores(weight: Tensor) -> Tensor:
    """Mean of the squared weights of every filter: sum W² / (I · kH · kW); `weight` (O, I, kH, kW) → (O,)."""
    return weight.square().mean(dim=(1, 2, 3))


def apoz_scores(activation: Tensor) -> Tensor:
    """1 - APoZ: the share of a channel's activations that are *not* zero; `activation` (N, C, H, W) → (C,)."""
    return (activation != 0).float().mean(dim=(0, 2, 3))


def normalize_per_layer(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every layer's scores divided by their l2 norm, s / sqrt(sum s²), so that layers can be compared.

    `scores`: a layer's name → (C,). Where all of a layer's scores are 0 they stay 0. Equation 10 of the paper.
    """
    found = {}
    for name, values in scores.items():
        norm = values.square().sum().sqrt()
        found[name] = values / norm if norm > 0 else torch.zeros_like(values)
    return found


def oracle_scores(evaluate: Callable[[Sequence[int]], float], channels: int) -> Tensor:
    """The ablation oracle: | loss without channel c - loss of the whole network | for every c → (channels,).

    `evaluate(removed)` gives the loss when the channels in the list `removed` are taken out.
    """
    whole = evaluate([])
    return torch.tensor([abs(evaluate([channel]) - whole) for channel in range(channels)])


# --- whole networks

Scores = dict[str, Tensor]  # a group's name → (channels,)

# Means over examples of what a batch shows: (activation, gradient) → (C,).
MEANS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "activation mean": lambda activation, _: activation_mean_scores(activation),
    "activation std": lambda activation, _: activation.square().mean(dim=(0, 2, 3)),  # its mean square, until the end
    "APoZ": lambda activation, _: apoz_scores(activation),
    "Taylor": taylor_scores,
    "gate Taylor": gate_taylor_scores,
    "OBD": obd_scores,
}
WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "L1": lambda weight: weight.abs().sum(dim=(1, 2, 3)),
    "minimum weight": minimum_weight_scores,
}
CRITERIA = ("random", *WEIGHTS, *MEANS, "mutual information")


def score(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    groups: Sequence[Group],
    criteria: Sequence[str] = CRITERIA,
    seed: int = 0,
    bins: int = 16,
) -> dict[str, Scores]:
    """The scores of all `criteria`, {criterion: {group: (channels,)}}, in one pass over `batches` of (images, labels).

    A channel that several layers make, or several tensors hold (a residual stage), has the mean of its scores there. The
    network is as it was found afterwards. `seed`: of "random"; `bins`: of "mutual information". Raises ValueError for a
    criterion that is not in CRITERIA.
    """
    if unknown := set(criteria) - set(CRITERIA):
        raise ValueError(f"There is no criterion {sorted(unknown)[0]!r}; there are {', '.join(CRITERIA)}.")
    found: dict[str, Scores] = {}
    for name in criteria:
        if name == "random":
            found[name] = {group.name: random_scores(group, seed) for group in groups}
        elif name in WEIGHTS:
            found[name] = {group.name: weight_scores(network, group, WEIGHTS[name]) for group in groups}
    from_data = [name for name in criteria if name not in found]
    return found | (data_scores(network, batches, groups, from_data, bins) if from_data else {})


def ranking(
    criterion: str, batches: Iterable[tuple[Tensor, Tensor]], normalize: bool = False
) -> Callable[[nn.Module, Sequence[Group]], Scores]:
    """A criterion as `prune_iteratively` and `group_sensitivity` take it; `normalize`: by `normalize_per_layer`."""

    def rank(network: nn.Module, groups: Sequence[Group]) -> Scores:
        scores = score(network, batches, groups, [criterion])[criterion]
        return normalize_per_layer(scores) if normalize else scores

    return rank


def random_scores(group: Group, seed: int = 0) -> Tensor:
    """A permutation of 0, 1, …, drawn from the seed and the group's name."""
    chance = torch.Generator().manual_seed(seed + zlib.crc32(group.name.encode()))
    return torch.randperm(group.channels, generator=chance).float()


def weight_scores(network: nn.Module, group: Group, criterion: Callable[[Tensor], Tensor]) -> Tensor:
    """A criterion of filters, (O, I, kH, kW) → (O,), for a group: the mean over the layers that make a channel."""
    tensors = dict(network.named_parameters(remove_duplicate=False))
    total, times = torch.zeros(group.channels), torch.zeros(group.channels)
    for slot in group.slots:
        tensor = tensors.get(slot.parameter)
        if tensor is None or slot.consumes or tensor.ndim < 2:
            continue
        filters = tensor.detach().float().cpu().transpose(0, slot.axis)
        values = criterion(filters.reshape(len(filters), filters.shape[1], -1, 1))
        mine, channel = torch.from_numpy(slot.channel >= 0), torch.from_numpy(slot.channel)
        total.index_add_(0, channel[mine], values[mine])
        times.index_add_(0, channel[mine], torch.ones(int(mine.sum())))
    return total / times.clamp_min(1)


def data_scores(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    groups: Sequence[Group],
    criteria: Sequence[str],
    bins: int,
) -> dict[str, Scores]:
    """The criteria that need activations or gradients."""
    kernels = {name: MEANS[name] for name in criteria if name in MEANS}
    if "activation std" in kernels:
        kernels |= {"activation mean": MEANS["activation mean"]}
    sums: dict[tuple[str, int], dict[str, Tensor]] = {}  # by group and tensor
    means: dict[tuple[str, int], list[Tensor]] = {}
    channels: dict[tuple[str, int], Tensor] = {}
    labels: list[Tensor] = []

    def look(maps: Maps) -> None:
        key = maps.group, maps.tensor
        if channels.setdefault(key, maps.channels) is maps.channels:
            zero = torch.zeros(len(maps.channels), dtype=torch.double)
            sums[key], means[key] = {name: zero.clone() for name in kernels}, []
        for name, kernel in kernels.items():
            sums[key][name] += len(maps.labels) * kernel(maps.activation, maps.gradient).double().cpu()
        if "mutual information" in criteria:
            means[key].append(maps.activation.mean(dim=(2, 3)).cpu())
            if key == next(iter(channels)):
                labels.append(maps.labels.cpu())

    examples = visit(network, batches, groups, look)
    if not examples:
        raise ValueError("There was no batch to score the channels on.")
    found: dict[str, Scores] = {name: {} for name in criteria}
    for group in groups:
        mine = [key for key in channels if key[0] == group.name]
        for name in criteria:
            total, times = (torch.zeros(group.channels, dtype=torch.double) for _ in range(2))
            for key in mine:
                index = channels[key].cpu()
                if name == "mutual information":
                    values = mutual_information(torch.cat(means[key]), torch.cat(labels), bins)
                else:
                    values = sums[key][name] / examples
                if name == "activation std":
                    values = (values - (sums[key]["activation mean"] / examples).square()).clamp_min(0).sqrt()
                total.index_add_(0, index, values)
                times.index_add_(0, index, torch.ones_like(values))
            found[name][group.name] = (total / times.clamp_min(1)).float()
    return found


# --- costs


def flops_regularized(scores: Mapping[str, Tensor], costs: Mapping[str, float], strength: float = 1e-3) -> Scores:
    """s - strength · c: of two channels that matter as much, the dearer one goes. Equation 9 of the paper.

    `costs`: of a group's name the millions of operations of one of its feature maps (`map_costs`).
    """
    return {name: values - strength * costs[name] for name, values in scores.items()}


def map_costs(network: nn.Module, groups: Sequence[Group], example: Tensor) -> dict[str, float]:
    """Millions of operations (2 for each multiply-accumulate) for one feature map, summed over the layers that make it.

    `example`: images (N, C, H, W); the cost is that of one image.
    """
    makers: dict[str, list[str]] = {}
    for group in groups:
        for slot in group.slots:
            layer, _, kind = slot.parameter.rpartition(".")
            made_here = not slot.consumes and slot.axis == 0 and kind == "weight"
            if made_here and isinstance(owner(network, slot), (nn.Conv2d, nn.Linear)):
                makers.setdefault(layer, []).append(group.name)
    costs = dict.fromkeys((group.name for group in groups), 0.0)

    def count(name: str, layer: nn.Module, _: object, output: Tensor) -> None:
        positions = math.prod(output.shape[2:]) if isinstance(layer, nn.Conv2d) else 1
        for group in makers[name]:
            costs[group] += 2e-6 * positions * layer.weight[0].numel()

    hooks = [network.get_submodule(name).register_forward_hook(partial(count, name)) for name in makers]
    try:
        with evaluating(network):
            network(example[:1].to(next(network.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return costs
