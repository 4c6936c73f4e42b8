"""Pruning while training: the small functions that four methods are made of.

Network slimming (Liu et al. 2017, arXiv 1708.06519), STR (Kusupati et al. 2020, arXiv 2002.03231), dynamic pruning with
feedback (Lin et al. 2020, arXiv 2006.07253) and AutoPrune (Xiao, Wang, Rajasekaran, NeurIPS 2019). The modules
`slimming`, `soft_threshold`, `feedback` and `autoprune` train whole networks with them.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def slimming_step(network: nn.Module, strength: float) -> None:
    """Add the subgradient of the penalty strength · Σ|γ| to the gradients of all batch norms' scales, in place.

    γ.grad += strength · sign(γ), with sign(0) = 0. Called once a step, behind `loss.backward()` and before the
    optimizer's step: the gradients of the loss are there and stay. A scale without a gradient (frozen, or none at all)
    is left alone, and so is everything else. Liu et al. 2017, equation 1.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, _BatchNorm) and module.affine and module.weight.grad is not None:
                module.weight.grad += strength * module.weight.sign()


def absorbed_bias(conv: nn.Module, constant: Tensor) -> Tensor:
    """The bias that a layer needs when inputs that were constant are gone → (O,).

    Input i had the value `constant[i]` everywhere (0: it stays, or was nothing): it gave each output o the same
    Σ_i constant[i] · Σ_kl W[o, i, k, l], and this joins the layer's own bias (none: 0). `conv`: a convolution without
    groups or a linear layer, whose inputs `constant` (I,) has one number for; of the weight's dtype. Nothing is
    changed. Exact where no zero padding is read.
    """
    weight = conv.get_parameter("weight").detach()
    added = weight.flatten(1).view(*weight.shape[:2], -1).sum(2) @ constant.to(weight)
    bias = getattr(conv, "bias", None)
    return added if bias is None else bias.detach() + added


def soft_threshold(weight: Tensor, s: Tensor) -> Tensor:
    """S(W, s) = sign(W) · relu(|W| - sigmoid(s)), of the shape of `weight`; `s` is one number, in a tensor ().

    What is below the threshold sigmoid(s) in magnitude becomes 0, everything else comes nearer to 0 by it. Kusupati et
    al. 2020, equation 4.
    """
    return weight.sign() * (weight.abs() - s.sigmoid()).clamp_min(0)


def soft_threshold_gradient(weight: Tensor, s: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of a loss in W and in s, from its gradient in S(W, s), which has the shape of `weight`.

    Where |W| > sigmoid(s): dL/dW = dL/dS, and each adds -dL/dS · sign(W) · sigmoid(s) · (1 - sigmoid(s)) to dL/ds, a
    tensor () like `s`. Where |W| is not above it, neither gets anything. Kusupati et al. 2020, equation 6.
    """
    threshold = s.sigmoid()
    passed = gradient * (weight.abs() > threshold)
    return passed, -(passed * weight.sign()).sum() * threshold * (1 - threshold)


def dense_update(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    optimizer: torch.optim.Optimizer,
    masks: Mapping[str, Tensor],
) -> float:
    """One training step with feedback → the loss that it started from, as a Python number.

    The network comes with dense weights and keeps them: only while loss (mean cross-entropy) and gradients are
    computed, in training mode, the parameters that `masks` names are multiplied by their masks. The optimizer moves the
    dense weights, by these gradients, also those that were masked: so a weight can grow back. Parameters remain the
    same objects; gradients of earlier steps are forgotten. Lin et al. 2020, algorithm 1.
    """
    network.train()
    optimizer.zero_grad()
    dense = {name: network.get_parameter(name).detach().clone() for name in masks}
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).mul_(mask)
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name, weight in dense.items():
            network.get_parameter(name).copy_(weight)
    optimizer.step()
    return loss.item()


def auxiliary_step(auxiliary: Tensor, weight: Tensor, gradient: Tensor, lr: float, strength: float) -> Tensor:
    """The auxiliary parameters after one step, from which a mask is learned: 1 where they are above 0 → a new tensor.

    m - lr · (dL/dT · sign(W) · g(m) + strength · g(m)), g(m) = sigmoid(m). `gradient`: dL/dT, of the loss in the
    *masked* weights T = W · 1[m > 0], also where T is 0; all have the shape of `weight`. The step 1[m > 0] has no slope
    of its own: g, that of softplus, stands in for it, and the penalty strength · Σ 1[m > 0] acts through it too. Xiao
    et al. 2019, section 3.
    """
    slope = auxiliary.sigmoid()
    return auxiliary - lr * (gradient * weight.sign() * slope + strength * slope)
