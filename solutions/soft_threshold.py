"""STR, soft threshold reparameterization: every layer learns the threshold below which its weights are zero.

Kusupati et al. 2020 (arXiv 2002.03231). Nothing pushes a threshold up but the weight decay on s, which moves s from far
below 0 towards 0; the loss pushes back. So the decay and the start of s decide how sparse it gets. The structured form,
with thresholds on the scales of batch norms, is ours.
"""

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from course_utils.training import train
from minicifar import BatchLoader
from solutions.budgets import COUNTED, at_the_floor, global_plan
from solutions.drivers import FINETUNING, SEARCHING, first_image, narrowed, opened, searching_epochs, seeded
from solutions.graph.tensors import without_parametrisations
from solutions.iterative import digest_of
from solutions.layer_sparsity import effective_sparsity, layer_sparsities
from solutions.prunable import prunable_groups
from solutions.scales import as_lists, mean_over, scale_scores, scales_of, widths_of

START, DECAY = -6.0, 8e-3  # of s, on weights
SCALE_START, SCALE_DECAY = -4.0, 1e-2  # on scales


class Thresholding(NamedTuple):
    """`soft_threshold` and `soft_threshold_gradient` of `while_training`, or a student's."""

    value: Callable[[Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class SoftThreshold(nn.Module):
    """A parametrisation: the layer computes with S(W, s). `s`: the parameter that is learned."""

    def __init__(self, s: float, thresholding: Thresholding, like: Tensor) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.tensor(s, dtype=like.dtype, device=like.device))
        self.thresholding = thresholding

    def forward(self, weight: Tensor) -> Tensor:
        """S(W, s)."""
        thresholded: Tensor = _Thresholded.apply(weight, self.s, self.thresholding)
        return thresholded


class _Thresholded(torch.autograd.Function):
    """S with the gradient that it is given."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, s: Tensor, thresholding: Thresholding) -> Tensor:
        ctx.save_for_backward(weight, s)
        ctx.gradient = thresholding.gradient
        return thresholding.value(weight, s)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        return (*ctx.gradient(*ctx.saved_tensors, gradient), None)


def soften(network: nn.Module, layers: Iterable[str], s: float, thresholding: Thresholding) -> dict[str, str]:
    """Let the named layers compute with S(weight, s), in place → the names of the parameters s, by layer."""
    names = {}
    for layer in layers:
        module = network.get_submodule(layer)
        parametrize.register_parametrization(module, "weight", SoftThreshold(s, thresholding, module.weight))
        names[layer] = f"{layer}.parametrizations.weight.0.s"
    return names


def thresholds(network: nn.Module, names: dict[str, str]) -> dict[str, float]:
    """sigmoid(s) of every layer."""
    return {layer: round(network.get_parameter(name).sigmoid().item(), 6) for layer, name in names.items()}


def train_softened(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    epochs: int,
    *,
    thresholding: Thresholding,
    s: float = START,
    decay: float = DECAY,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """STR in `epochs` epochs → a network with zeros in its weights, and its history. There is no budget.

    Every convolution and linear layer computes with S(W, s), one s a layer that begins at `s` and has the weight decay
    `decay`; at the end S(W, s) is its weight. `seed`: of what the network draws. `network` is not changed. `resume`
    names a folder: stopped, the same call goes on from there, to the same bits. The history: `training`, one dict an
    epoch with `thresholds` and `sparsities` by layer and the network's `sparsity`.
    """
    asked = {"network": digest_of(network), "epochs": epochs, "s": s, "decay": decay, "seed": seed}
    folder = opened(resume, asked)
    network = copy.deepcopy(network)
    layers = [name for name, module in network.named_modules() if isinstance(module, COUNTED)]
    names = soften(network, layers, s, thresholding)

    def after_epoch(network: nn.Module) -> dict[str, Any]:
        zeros = effective_sparsity(network)
        by_layer = {"thresholds": thresholds(network, names), "sparsities": layer_sparsities(network)}
        return {**by_layer, "sparsity": zeros, "status": f"{zeros:.1%} zeros"}

    with seeded(seed):
        file, decays = folder and folder / "training.resume", dict.fromkeys(names.values(), decay)
        options: dict[str, Any] = {**FINETUNING, "resume": file, "progress": progress, "on_stop": "raise"}
        log = train(network, loader, epochs, decays=decays, after_epoch=after_epoch, **options)
    return without_parametrisations(network), {"training": log}


def soften_scales(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    budget: float,
    epochs: int,
    *,
    thresholding: Thresholding,
    absorbed_bias: Callable[[nn.Module, Tensor], Tensor],
    s: float = SCALE_START,
    decay: float = SCALE_DECAY,
    searching: int | None = None,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """The structured form in `epochs` epochs: the scales of batch norms are S(γ, s), one s a layer; channels go.

    For `searching` of them (two thirds) the thresholds are learned, with the weight decay `decay` on s and on the
    scales, which would else grow with their threshold; then all of them are multiplied by one factor, found by
    bisection, so that the channels that are below, |γ| < factor · sigmoid(s), are as many as `budget`, a share of
    the MACs, asks; these go (with a factor of 1: those whose scale is 0). All else as in `slimming.slim`;
    `searching` holds `thresholds` too, and `scales` are those of S(γ, s).
    """
    asked = {"network": digest_of(network), "budget": budget, "epochs": epochs, "s": s, "decay": decay, "seed": seed}
    folder = opened(resume, {**asked, "searching": searching})
    first = searching_epochs(epochs, searching)
    network = copy.deepcopy(network)
    example = first_image(network, loader)
    groups = prunable_groups(network, example, progress=progress)
    scales = scales_of(network, groups)
    layers = sorted({slot.parameter.removesuffix(".weight") for slots in scales.values() for slot in slots})
    names = soften(network, layers, s, thresholding)
    sizes = {group.name: group.channels for group in groups}

    def factors(network: nn.Module) -> dict[str, Tensor]:
        layer_of = {f"{layer}.weight": network.get_submodule(layer).parametrizations["weight"] for layer in layers}  # type: ignore[index]
        above = {name: held.original.abs() / held[0].s.sigmoid() for name, held in layer_of.items()}
        return {
            name: mean_over(slots, [above[slot.parameter] for slot in slots], sizes[name])
            for name, slots in scales.items()
        }

    def after_epoch(network: nn.Module) -> dict[str, Any]:
        plan = global_plan(network, groups, factors(network), budget, example)
        scores = scale_scores(network, groups)
        by_layer = {"thresholds": thresholds(network, names), "scales": as_lists(scores)}
        return {**by_layer, "status": widths_of(scores, plan)}

    with seeded(seed):
        originals = [f"{layer}.parametrizations.weight.original" for layer in layers]
        file, decays = folder and folder / "searching.resume", dict.fromkeys([*names.values(), *originals], decay)
        options: dict[str, Any] = {**SEARCHING, "resume": file, "progress": progress, "on_stop": "raise"}
        log = train(network, loader, first, decays=decays, after_epoch=after_epoch, **options)
        plan = global_plan(network, groups, factors(network), budget, example)
        ending: dict[str, Any] = {"absorbed_bias": absorbed_bias, "folder": folder, "progress": progress}
        narrow, end = narrowed(without_parametrisations(network), groups, plan, loader, epochs - first, **ending)
    return narrow, {"searching": log, "floor": at_the_floor(groups, plan), **end}
