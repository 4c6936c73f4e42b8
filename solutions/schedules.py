"""Where, when and how fast to prune: sensitivity, a schedule, a new optimizer, and the network from scratch.

Sensitivity: Li et al. 2016 (arXiv 1608.08710), section 3.2; the cubic schedule: Zhu & Gupta 2017 (arXiv 1710.01878),
equation 1; training the pruned shape from scratch: Liu et al. 2019 (arXiv 1810.05270).
"""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from solutions.l1 import filter_l1_norms, filters_to_keep, prune_vgg


def sensitivity_scan(network: nn.Module, ratios: Sequence[float], evaluate: Callable) -> dict[str, list[float]]:
    """What `evaluate(network)` says when each convolution alone is pruned → {its name: one number for each keep ratio}.

    The convolutions are those that a batch norm, with weight and bias, follows right behind in `named_modules()`. As
    many filters as `filters_to_keep` says, of the lowest L1 norms, are silenced: with the batch norm's weight *and*
    bias at zero their channels are zero behind it, as if they were gone. One layer at a time, each ratio from the whole
    layer; the network is as it was afterwards, its Parameters the same objects, trained or frozen as before, even if
    `evaluate` fails with an Exception, which goes on to the caller as it is.
    """
    results: dict[str, list[float]] = {}
    modules = list(network.named_modules())
    for (name, conv), (_, norm) in pairwise(modules):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            results[name] = []
            weight, bias = norm.weight.detach().clone(), norm.bias.detach().clone()
            for keep_ratio in ratios:
                kept = filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)
                stays = torch.zeros_like(weight).index_fill(0, kept, 1)
                norm.weight.data, norm.bias.data = weight * stays, bias * stays
                try:
                    results[name].append(evaluate(network))
                finally:
                    norm.weight.data, norm.bias.data = weight.clone(), bias.clone()
    return results


def cubic_sparsity(step: float, begin: float, end: float, final: float) -> float:
    """The sparsity after `step`: s = final · (1 - (1 - t)³), t = (step - begin) / (end - begin) held between 0 and 1.

    Fast while there is much to spare, slow at the end. A Python number (float64), no tensor. Steps may be
    steps or epochs, whole or not, negative too. Raises ValueError unless begin < end, at every step. Zhu & Gupta 2017,
    equation 1, with an initial sparsity of 0.
    """
    if not begin < end:
        raise ValueError(f"begin must come before end, but {begin} does not come before {end}")
    progress = min(max((step - begin) / (end - begin), 0.0), 1.0)
    return final * (1 - (1 - progress) ** 3)


def prune_and_reset(
    network: nn.Module, optimizer: torch.optim.Optimizer, keep_ratio: float
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A pruned copy of a VGG (by `prune_vgg`; same mode), and a *new* optimizer for it, of the same kind and settings.

    The new one knows all parameters of the pruned network, frozen ones too, and no momentum: the old one's buffers
    belong to filters that are gone. All its settings (lr, momentum, …) are those of the old one's first parameter
    group, as they are now. Optimizers of any kind; `network` and `optimizer` are not changed.
    """
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    parameters = [{"params": list(pruned.parameters()), **settings}]
    return pruned, type(optimizer)(parameters)  # type: ignore[call-arg]  # an Optimizer's subclass has defaults


def narrow_twin(pruned: nn.Module, seed: int) -> nn.Module:
    """A network with the shapes of `pruned` and fresh random weights, drawn by each layer's own `reset_parameters`.

    The same seed gives the same twin, whatever the weights of `pruned`; every layer that has the method starts anew,
    batch norms too. dtype and device stay; `pruned` and the global random numbers (torch's, numpy's) are as before.
    """
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        for module in twin.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return twin
