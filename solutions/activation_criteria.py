"""Criteria that look at feature maps: activation mean and deviation, OBD, gate Taylor, mutual information.

Molchanov et al. 2016 (arXiv 1611.06440), section 2.2; gate Taylor: Molchanov et al. 2019 (arXiv 1906.10771).
Activations and gradients are (N, C, H, W); gradients are those of the sum of the examples' losses; scores are (C,).
"""

import torch
from torch import Tensor


def activation_mean_scores(activation: Tensor) -> Tensor:
    """The mean over examples and positions."""
    return activation.mean(dim=(0, 2, 3))


def activation_std_scores(activation: Tensor) -> Tensor:
    """The standard deviation over examples and positions (of all of them, not an estimate from a sample)."""
    return activation.std(dim=(0, 2, 3), correction=0)


def gate_gradients(activation: Tensor, gradient: Tensor) -> Tensor:
    """dC/dg of a gate g = 1 that multiplies the feature map: sum_m z_m dC/dz_m of every example → (N, C)."""
    return (activation * gradient).sum(dim=(2, 3))


def obd_scores(activation: Tensor, gradient: Tensor) -> Tensor:
    """Optimal brain damage: mean_n (dC_n/dg)² / 2, the squared gradient in place of the diagonal of the Hessian."""
    return gate_gradients(activation, gradient).square().mean(dim=0) / 2


def gate_taylor_scores(activation: Tensor, gradient: Tensor) -> Tensor:
    """(dC/dg)² of a minibatch, C the mean of its examples' losses. Over several minibatches: the mean of these."""
    return gate_gradients(activation, gradient).mean(dim=0).square()


def mutual_information(means: Tensor, labels: Tensor, bins: int = 16) -> Tensor:
    """What a map's spatial mean tells about the class, in nats: H(class) - H(class | bin) → (C,).

    `means` (N, C) are put into bins that hold equally many examples; equal values share a bin. `labels` (N,).
    """
    means, classes = means.double().contiguous(), int(labels.max()) + 1
    edges = torch.quantile(means, torch.arange(1, bins, dtype=torch.double, device=means.device) / bins, dim=0)
    place = torch.searchsorted(edges.T.contiguous(), means.T.contiguous(), right=True)
    together = torch.zeros(means.shape[1], bins * classes, dtype=torch.double, device=means.device)
    together.scatter_add_(1, place * classes + labels, torch.ones_like(means.T))
    share = (together / len(labels)).view(-1, bins, classes)
    return entropy(share.sum(1)) + entropy(share.sum(2)) - entropy(share.flatten(1))


def entropy(shares: Tensor) -> Tensor:
    """- sum p log p along the last axis, in nats; a share of 0 adds nothing."""
    return -torch.special.xlogy(shares, shares).sum(-1)
