"""Unstructured pruning with masks: small weights become zeros, and stay zeros while the others train on.

A mask has the shape of its weight, True where the weight stays. Han et al. 2015 (arXiv 1506.02626); rewinding:
Frankle & Carbin 2018 (arXiv 1803.03635).
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.training import train
from solutions.training_step import training_step


def magnitude_mask(weight: Tensor, sparsity: float) -> Tensor:
    """True where a weight stays, False where it goes: the smallest |w| go. Same shape as `weight`, bool.

    Of N weights exactly floor(sparsity * N + 1e-9) go, also when several are equal. `sparsity` lies between 0 and 1;
    raises ValueError otherwise.
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must lie between 0 and 1, not {sparsity}")
    order = weight.detach().abs().flatten().argsort()
    mask = torch.ones_like(order, dtype=torch.bool)
    mask[order[: math.floor(sparsity * len(order) + 1e-9)]] = False
    return mask.view(weight.shape)


def global_threshold(weights: Sequence[Tensor], sparsity: float) -> float:
    """One threshold for all layers: weights with |w| below it go, the others stay.

    It is the smallest magnitude that stays when the floor(sparsity * N + 1e-9) smallest of all N weights go, zeros and
    equal ones among them: that of a weight exactly, as a Python number (equal ones stay together with it, so that
    fewer go). So 0 ≤ `sparsity` < 1; raises ValueError otherwise. `weights`: tensors of any shapes.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be at least 0 and below 1, not {sparsity}")
    magnitudes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    return magnitudes.sort().values[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


def sparsity(network: nn.Module) -> float:
    """The share of zeros among the weights of convolutions and linear layers, from 0 to 1, as a Python number.

    These are all parameters with two axes or more, whatever their names, trained or frozen, each once: biases, batch
    norms and buffers are neither pruned nor counted. Zero is exactly zero.
    """
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    zeros = sum((weight == 0).sum().item() for weight in weights)
    return zeros / sum(weight.numel() for weight in weights)


def apply_masks(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set to zero, in place, what the masks do not keep: `masks` maps a parameter's name to its mask.

    Any parameter may have a mask, and need not; what keeps nothing is a mask too. The parameters remain the same
    objects of the same dtype, trained or frozen as before, so that an optimizer that knows them goes on working.
    """
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).mul_(mask)


def masked_step(
    network: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, masks: Mapping[str, Tensor]
) -> float:
    """One training step after which the pruned weights are still zero; returns the loss that it started from.

    A step of the optimizer moves every weight, pruned ones too: by their gradients, and by momentum. What is pruned is
    zero before, too; other masks may come with the next step.
    """
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    return loss


def rewind(network: nn.Module, start: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    """Put the network back, in place, to an earlier state, without the weights that the masks have pruned.

    `start`: a state dict (parameters, and batch norms' running statistics; names in any order), which is not changed,
    now or by training. The network's parameters remain the same objects, trained or frozen as before; `masks` may be
    empty.
    """
    network.load_state_dict(start)
    apply_masks(network, masks)


# --- given: masks for whole networks, and what becomes of them


def prunable_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights that masks are for, by name: those of convolutions and linear layers."""
    return {name: parameter.detach() for name, parameter in network.named_parameters() if parameter.ndim > 1}


def local_masks(network: nn.Module, sparsity: float) -> dict[str, Tensor]:
    """A mask for every layer, each of the same sparsity."""
    return {name: magnitude_mask(weight, sparsity) for name, weight in prunable_weights(network).items()}


def global_masks(network: nn.Module, sparsity: float, least: int = 0) -> dict[str, Tensor]:
    """Masks by one threshold for all layers, which then differ in sparsity.

    Weights that are zero already always go, also when there are more of them than `sparsity` asks for. `least`
    weights stay in every layer (all of a smaller one), so that none is emptied; the whole is a little less sparse
    for it.
    """
    weights = prunable_weights(network)
    threshold = global_threshold(list(weights.values()), sparsity)
    masks = {name: (weight.abs() >= threshold) & (weight != 0) for name, weight in weights.items()}
    for name, weight in weights.items():
        if masks[name].sum() < min(least, weight.numel()):
            masks[name] = magnitude_mask(weight, 1 - min(least, weight.numel()) / weight.numel())
    return masks


def train_masked(network: nn.Module, masks: Mapping[str, Tensor], loader: Any, epochs: int, **settings: Any) -> Any:
    """`train` with masks that hold: applied before the first step and after every one. Returns the history."""
    hold = partial(apply_masks, masks=masks)
    hold(network)
    return train(network, loader, epochs, after_step=hold, **settings)


def winning_ticket(
    network: nn.Module,
    start: Mapping[str, Tensor],
    sparsities: Sequence[float],
    loader: Any,
    epochs: int,
    **settings: Any,
) -> dict[str, Tensor]:
    """Iterative magnitude pruning with rewinding: for every sparsity train, prune what is small, go back to `start`.

    The network is at `start` without the pruned weights afterwards, ready to be trained; returns the masks.
    """
    masks: dict[str, Tensor] = {}
    for share in sparsities:
        train_masked(network, masks, loader, epochs, **settings)
        masks = global_masks(network, share)
        rewind(network, start, masks)
    return masks
