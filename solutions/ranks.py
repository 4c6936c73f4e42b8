"""Rank correlation: do two criteria put the same filters first?"""

import torch
from torch import Tensor


def average_ranks(values: Tensor) -> Tensor:
    """The rank of every value, 1 for the smallest; equal values share the mean of their ranks. (n,) → (n,) float64."""
    _, which, count = values.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    return (last - (count.double() - 1) / 2)[which]


def spearman(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation of two vectors, from -1 to 1: the correlation of their ranks, ties averaged.

    Not a number where one of them is constant. Raises ValueError unless both have the same length, at least 2.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ValueError(
            f"two vectors of one length, at least 2, not of {tuple(first.shape)} and {tuple(second.shape)}"
        )
    return torch.corrcoef(torch.stack([average_ranks(first), average_ranks(second)]))[0, 1].item()
