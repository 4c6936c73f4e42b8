"""AutoPrune: masks that are learned, by auxiliary parameters, on images that the weights do not see.

Xiao, Wang, Rajasekaran, NeurIPS 2019. Every weight has an auxiliary parameter m, and is there where m > 0. Weights and
masks are trained in turn, on two parts of the training images, so that masks do not fit what the weights have learned
by heart; a weight comes back when its m rises above 0 again.
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from course_utils.training import autocast, train
from minicifar import Loader
from solutions.budgets import COUNTED
from solutions.drivers import FINETUNING, epochs_done, held_out, opened, searching_epochs, seeded
from solutions.graph.tensors import without_parametrisations
from solutions.iterative import digest_of
from solutions.layer_sparsity import effective_sparsity, effective_weights, layer_sparsities
from solutions.masks import train_masked

HELD_OUT = 0.2  # of the training images: the masks'
START = 0.5  # of all auxiliary parameters
RATE, STRENGTH = 10.0, 2e-4  # of the masks: learning rate, penalty


class LearnedMask(nn.Module):
    """A parametrisation: the layer computes with W · 1[m > 0]. `auxiliary`: m, which no optimizer knows."""

    auxiliary: Tensor

    def __init__(self, like: Tensor, start: float = START) -> None:
        super().__init__()
        self.register_buffer("auxiliary", torch.full_like(like, start).detach())

    def forward(self, weight: Tensor) -> Tensor:
        """The masked weight; where the mask is 0 the weight gets no gradient."""
        return weight * (self.auxiliary > 0).to(weight)


def autoprune(  # noqa: PLR0913
    network: nn.Module,
    loader: Loader,
    epochs: int,
    *,
    auxiliary_step: Callable[[Tensor, Tensor, Tensor, float, float], Tensor],
    strength: float = STRENGTH,
    rate: float = RATE,
    searching: int | None = None,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """AutoPrune in `epochs` epochs → a network with zeros in its weights, and its history. There is no budget.

    A fifth of `loader`'s images, drawn by `seed`, is the masks'. For `searching` of the epochs (two thirds) the weights
    train on the others, and after every fourth step the masks take one on a batch of their own, with the learning rate
    `rate` and the penalty `strength`: so both have seen their images once in an epoch. Then the masks are fixed, and
    what is left is finetuned on all images. `auxiliary_step`: that of `while_training`, or a student's. `network` is
    not changed. `resume` names a folder: stopped, the same call goes on from there, to the same bits. The history:
    `searching`, one dict an epoch with the network's `sparsity`, `sparsities` by layer, and how many weights `died` and
    `returned` in the mask steps of the epoch; `finetuning`.
    """
    asked = {"network": digest_of(network), "epochs": epochs, "strength": strength, "rate": rate, "seed": seed}
    folder = opened(resume, {**asked, "searching": searching})
    file = folder and folder / "searching.resume"
    first = searching_epochs(epochs, searching)
    network = copy.deepcopy(network)
    rest, held = (part_of(loader, part) for part in held_out(loader.dataset, HELD_OUT, seed))
    every = max(1, round((1 - HELD_OUT) / HELD_OUT))
    layers = [module for module in network.modules() if isinstance(module, COUNTED)]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", LearnedMask(layer.weight))
    done = epochs_done(file)
    state: dict[str, Any] = {"step": done * len(rest), "batches": iter(()), "died": 0, "returned": 0}

    def after_step(network: nn.Module) -> None:
        if state["step"] % len(rest) == 0:
            held.epoch = state["step"] // len(rest)
            state["batches"], state["died"], state["returned"] = endless(held), 0, 0
        state["step"] += 1
        if state["step"] % every == 0:
            images, labels = next(state["batches"])
            died, returned = mask_step(network, layers, images, labels, rate, strength, auxiliary_step)
            state["died"], state["returned"] = state["died"] + died, state["returned"] + returned

    def after_epoch(network: nn.Module) -> dict[str, Any]:
        zeros = effective_sparsity(network)
        counts = {"died": state["died"], "returned": state["returned"]}
        return {"sparsity": zeros, "sparsities": layer_sparsities(network), **counts, "status": f"{zeros:.1%} zeros"}

    with seeded(seed):
        options: dict[str, Any] = {**FINETUNING, "progress": progress, "on_stop": "raise"}
        log = train(network, rest, first, after_step=after_step, after_epoch=after_epoch, resume=file, **options)
        network = without_parametrisations(network)
        masks = {f"{name}.weight": weight != 0 for name, weight in effective_weights(network)}
        file = folder and folder / "finetuning.resume"
        end = train_masked(network, masks, loader, epochs - first, resume=file, **options)
    return network, {"searching": log, "finetuning": end}


def part_of(loader: Loader, data: Any) -> Loader:
    """A loader like another one, of other images."""
    return Loader(
        data,
        loader.batch_size,
        shuffle=True,
        augment=loader.augment,
        device=loader.device,
        seed=loader.seed,
    )


def endless(loader: Loader) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of a loader, epoch after epoch."""
    while True:
        yield from loader


def mask_step(
    network: nn.Module,
    layers: list[nn.Module],
    images: Tensor,
    labels: Tensor,
    rate: float,
    strength: float,
    auxiliary_step: Callable[[Tensor, Tensor, Tensor, float, float], Tensor],
) -> tuple[int, int]:
    """One step of all masks on one batch → how many weights died in it, and how many came back."""
    with torch.enable_grad(), parametrize.cached():
        effective = [layer.weight for layer in layers]
        with autocast(images.device, halves=False):
            outputs = network(images)
        gradients = torch.autograd.grad(F.cross_entropy(outputs.float(), labels), effective)  # type: ignore[arg-type]
    died = returned = 0
    for layer, gradient in zip(layers, gradients, strict=True):
        held = layer.parametrizations["weight"]  # type: ignore[index]
        before, mask = held[0].auxiliary > 0, held[0].auxiliary  # type: ignore[union-attr,index]
        mask.copy_(auxiliary_step(mask, held.original.detach(), gradient, rate, strength))  # type: ignore[union-attr]
        died += int((before & (mask <= 0)).sum())
        returned += int((~before & (mask > 0)).sum())
    return died, returned
