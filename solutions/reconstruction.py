"""What can be saved of a pruned network without training: next layers by least squares, batch norms' statistics anew.

The least squares of channel pruning (He, Zhang, Sun 2017, arXiv 1707.06168, section 3.1), from Gram matrices that are
computed once for the original network, so that any plan costs only the solution of small systems of equations.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from course_utils.modes import evaluating
from solutions.feature_maps import watched
from solutions.graph.groups import Group
from solutions.next_layer import next_layer
from solutions.plans import Plan, positions
from solutions.surgery import prune

RIDGE = 1e-2  # of a Gram matrix's mean diagonal: 400 images give a classifier of 512 inputs 400 samples only


def reestimate_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give all batch norms the mean statistics of some batches of images, in place; nothing else changes.

    Whoever removes channels changes what the next batch norms get, and their running statistics no longer fit: at small
    budgets a pruned network is at chance for this reason alone. Modes are left as they were found.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    before = [(norm.training, norm.momentum) for norm in norms]
    with evaluating(network), torch.no_grad():
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the plain mean over the batches
                norm.train()
            for images in batches:
                network(images)
        finally:
            for norm, (training, momentum) in zip(norms, before, strict=True):
                norm.training, norm.momentum = training, momentum


def inputs_of(layer: nn.Module, maps: Tensor) -> Tensor:
    """What each output of a plain convolution or linear layer is a weighted sum of → (samples, inputs · kH · kW).

    One sample for each image and position of the output; the columns are in the order of the flattened weight.
    """
    if isinstance(layer, nn.Linear):
        return maps.flatten(0, -2)
    windows = F.unfold(maps, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # type: ignore[arg-type]
    return windows.transpose(1, 2).flatten(0, 1)


def least_squares_weight(gram: Tensor, cross: Tensor, kept: Tensor, weight: Tensor) -> Tensor:
    """The weight (O, K) of a layer that reads the `kept` columns only, which comes closest to its targets.

    min over V of ||Y - X_kept Vᵀ||² + ridge · ||V - weight||², from gram = XᵀX (C, C) and cross = XᵀY (C, O), in their
    dtype; `weight` (O, K) is what is left of the layer's own, to which V is drawn where the samples say little: fewer
    samples than columns, dead and doubled columns do no harm. ridge: `RIDGE` times the mean diagonal of XᵀX. `kept`:
    the columns' numbers (K,). After He, Zhang, Sun 2017, section 3.1.
    """
    inner, weight = gram[kept][:, kept], weight.to(gram)
    missing = cross[kept] - inner @ weight.T
    inner = inner + RIDGE * inner.diagonal().mean().clamp_min(1e-30) * torch.eye(len(kept), dtype=gram.dtype)
    return weight + torch.cholesky_solve(missing, torch.linalg.cholesky(inner)).T


class Reconstruction:
    """Pruned networks of one original, with the next layers' weights by least squares and batch norms' statistics anew.

    `batches`: some batches of training images. A layer that alone reads a group's channels, and reads nothing else,
    gets the weight with which its outputs come closest to those it had (its Gram matrix XᵀX of the original network is
    computed here, once); all others keep the weights that are left. What the layers read is the original's, too: unlike
    in `lasso`, later layers do not make up for the errors of earlier ones.
    """

    def __init__(self, network: nn.Module, groups: Sequence[Group], batches: Sequence[Tensor]) -> None:
        self.network, self.groups, self.batches = network, groups, batches
        names = {group.name: next_layer(network, group) for group in groups if group.free}
        self.readers = {layer: group for group, layer in names.items() if layer}
        self.grams: dict[str, Tensor] = {}
        with watched(network, self.readers) as seen, evaluating(network), torch.inference_mode():
            for images in batches:
                network(images)
                for name, maps in seen:
                    inputs = inputs_of(network.get_submodule(name), maps)
                    self.grams[name] = self.grams.get(name, 0) + (inputs.T @ inputs).double().cpu()
                seen.clear()

    def __call__(self, plan: Plan) -> nn.Module:
        """The narrow network of a plan, in evaluation mode."""
        pruned, masks = prune(self.network, self.groups, plan).eval(), positions(self.groups, plan)
        for name, group in self.readers.items():
            if len(plan.get(group, ())) and (f"{name}.weight", 1) in masks:
                layer: Any = self.network.get_submodule(name)
                weight, gram = layer.weight.detach().flatten(1).cpu(), self.grams[name]
                columns = torch.from_numpy(masks[f"{name}.weight", 1])
                columns = columns.repeat_interleave(weight.shape[1] // len(columns))
                rows = torch.from_numpy(masks.get((f"{name}.weight", 0), np.ones(len(weight), dtype=bool)))
                cross = gram @ weight[rows].double().T
                narrow: Any = pruned.get_submodule(name)
                kept, left = columns.nonzero().flatten(), narrow.weight.detach().flatten(1)
                narrow.weight.data.copy_(least_squares_weight(gram, cross, kept, left).view_as(narrow.weight))
        reestimate_statistics(pruned, self.batches)
        return pruned
