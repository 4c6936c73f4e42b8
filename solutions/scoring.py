"""Scores of every criterion for a whole network, in one pass over the data, through its channel groups."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from course_utils.modes import evaluating
from solutions.activation_criteria import (
    activation_mean_scores,
    gate_taylor_scores,
    mutual_information,
    obd_scores,
)
from solutions.criteria import apoz_scores, minimum_weight_scores, normalize_per_layer, taylor_scores
from solutions.feature_maps import Batches, Maps, Scores, on_maps, over_tensors, owner, tensor_means, weight_scores
from solutions.graph.groups import Group

# --- whole networks

# (activation, gradient) → (C,), means over examples
MEANS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "activation mean": lambda activation, _: activation_mean_scores(activation),
    "activation std": lambda activation, _: activation.double().square().mean(dim=(0, 2, 3)),  # until the end
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
    batches: Batches,
    groups: Sequence[Group],
    criteria: Sequence[str] = CRITERIA,
    seed: int = 0,
    bins: int = 16,
) -> dict[str, Scores]:
    """The scores of all `criteria`, {criterion: {group: (channels,)}}, in one pass over `batches` of (images, labels).

    A channel that several layers make, or several tensors hold (a residual stage; behind a pooling and in front of it), has
    the mean of its scores there. Batches weigh as much as they have examples. The network is as it was found afterwards.
    `seed`: of "random"; `bins`: of "mutual information". Raises ValueError for a criterion that is not in CRITERIA.
    """
    if unknown := set(criteria) - set(CRITERIA):
        raise ValueError(f"There is no criterion {sorted(unknown)[0]!r}; there are {', '.join(CRITERIA)}.")
    found: dict[str, Scores] = {}
    if "random" in criteria:
        found["random"] = {group.name: random_scores(group, seed) for group in groups}
    for name in set(criteria) & set(WEIGHTS):
        found[name] = weight_scores(network, groups, WEIGHTS[name])
    if from_data := [name for name in criteria if name not in found]:
        found |= data_scores(network, batches, groups, from_data, bins)
    return {name: found[name] for name in criteria}


def ranking(
    criterion: str, batches: Batches, normalize: bool = False, seed: int = 0
) -> Callable[[nn.Module, Sequence[Group]], Scores]:
    """A criterion as `prune_iteratively` and `group_sensitivity` take it.

    `normalize`: by `normalize_per_layer`; "random" is on one scale already.
    """

    def rank(network: nn.Module, groups: Sequence[Group]) -> Scores:
        scores = score(network, batches, groups, [criterion], seed=seed)[criterion]
        return normalize_per_layer(scores) if normalize and criterion != "random" else scores

    rank.__name__ = f"{criterion}, {'normalised' if normalize else 'raw'}"
    return rank


def random_scores(group: Group, seed: int = 0) -> Tensor:
    """A permutation of 1/C, 2/C, …, 1, drawn from the seed and the group's name: in all groups on one scale."""
    chance = torch.Generator().manual_seed(seed + zlib.crc32(group.name.encode()))
    return (torch.randperm(group.channels, generator=chance) + 1) / group.channels


def data_scores(
    network: nn.Module, batches: Batches, groups: Sequence[Group], criteria: Sequence[str], bins: int
) -> dict[str, Scores]:
    """The criteria that need activations or gradients: sums over the examples of each tensor, and what follows from them."""
    kernels = {name: on_maps(MEANS[name]) for name in criteria if name in MEANS}
    if "activation std" in kernels:
        kernels["activation mean"] = on_maps(lambda activation, _: activation_mean_scores(activation.double()))
    spatial: dict[tuple[str, int], list[Tensor]] = {}
    labels: dict[tuple[str, int], list[Tensor]] = {}

    def gather(maps: Maps) -> Tensor:
        key = maps.group, maps.tensor
        spatial.setdefault(key, []).append(maps.activation.mean(dim=(2, 3)).cpu())
        labels.setdefault(key, []).append(maps.labels.cpu())
        return torch.zeros(len(maps.channels))

    if "mutual information" in criteria:
        kernels["mutual information"] = gather
    found = tensor_means(network, batches, groups, kernels)
    for key, (_, means) in found.items():
        if "mutual information" in criteria:
            means["mutual information"] = mutual_information(torch.cat(spatial[key]), torch.cat(labels[key]), bins)
        if "activation std" in criteria:
            means["activation std"] = (means["activation std"] - means["activation mean"].square()).clamp_min(0).sqrt()
    return {
        name: over_tensors(groups, {key: (channels, means[name]) for key, (channels, means) in found.items()})
        for name in criteria
    }


# --- costs


def flops_regularized(scores: Mapping[str, Tensor], costs: Mapping[str, float], strength: float = 1e-3) -> Scores:
    """s - strength · c: of two channels that matter as much, the dearer one goes. Equation 9 of the paper.

    `costs`: of a group's name the millions of operations of one of its feature maps (`map_costs`).
    """
    return {name: values - strength * costs[name] for name, values in scores.items()}


def map_costs(network: nn.Module, groups: Sequence[Group], example: Tensor) -> dict[str, float]:
    """Millions of operations (2 for each multiply-accumulate) for one feature map, summed over the layers that make it.

    `example`: images (N, C, H, W); the cost is that of one image. Raises ValueError for a layer that makes channels in
    another way than a convolution, a transposed convolution or a linear layer.
    """
    makers: dict[str, list[tuple[str, float]]] = {}  # by layer: a group, and how many filters make one of its channels
    parameters = dict(network.named_parameters(remove_duplicate=False))
    for group in groups:
        known = False
        for slot in group.slots:
            name, _, kind = slot.parameter.rpartition(".")
            weight = parameters.get(slot.parameter)
            if slot.consumes or weight is None or weight.ndim < 2 or not kind.endswith("weight"):
                continue  # a bias, or a layer that only hands the channels on
            layer = owner(network, slot)
            if kind != "weight" or not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                raise ValueError(
                    f"{slot.parameter} makes channels of {group.name}: what a {type(layer).__name__} costs is unknown."
                )
            times = layer.groups if isinstance(layer, nn.ConvTranspose2d) else 1  # its weight: (I, O / groups, kH, kW)
            makers.setdefault(name, []).append((group.name, times * float((slot.channel >= 0).sum()) / group.channels))
            known = True
        if not known:
            raise ValueError(
                f"No convolution or linear layer makes the channels of {group.name}: their cost is unknown."
            )
    costs = dict.fromkeys((group.name for group in groups), 0.0)

    def count(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.ConvTranspose2d):  # every input position is multiplied with the whole kernel
            each = math.prod(inputs[0].shape[2:]) * layer.weight[:, 0].numel() // layer.groups
        else:
            positions = output.shape[2:] if isinstance(layer, nn.Conv2d) else output.shape[1:-1]
            each = math.prod(positions) * layer.weight[0].numel()
        for group, filters in makers[name]:
            costs[group] += 2e-6 * each * filters

    hooks = [network.get_submodule(name).register_forward_hook(partial(count, name)) for name in makers]
    try:
        with evaluating(network):
            network(example[:1].to(next(network.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return costs
