"""The smallest parts of training and of judging a classifier."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def training_step(network: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """One step down the slope of the mean cross-entropy on one batch; returns that loss as a Python number.

    `images` (N, 3, H, W) float, `labels` (N,) int64. The network is put into training mode, all its layers, sees the
    batch once, and is changed in place by `optimizer`, which already knows its parameters. Gradients of earlier steps
    are forgotten first. The loss is the one that the step started from: computed *before* the parameters change.
    """
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is the one of their label, between 0 and 1, as a Python number.

    `logits` (N, K) float32 or float64, one row an image and one column a class, may require gradients; `labels`
    (N,) int64.
    """
    guesses = logits.argmax(dim=1)
    return (guesses == labels).double().mean().item()
