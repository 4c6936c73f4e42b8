"""Which filter matters? Criteria that rank the filters of a layer, the ruler that they are held against, and one scale.

Molchanov et al. 2016 (arXiv 1611.06440), section 2.2; APoZ: Hu et al. 2016 (arXiv 1607.03250). A high score: keep it.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor


def taylor_scores(activation: Tensor, gradient: Tensor) -> Tensor:
    """Taylor criterion of every channel: mean over examples of | (1 / HW) · sum over positions of z · dC/dz | → (C,).

    `activation` z and `gradient` dC/dz, each row of its example's own loss: (N, C, H, W); scores have their dtype,
    float32 or float64. The absolute value stands between the mean over positions and the mean over examples. Molchanov
    et al. 2016, equation 8.
    """
    return (activation * gradient).mean(dim=(2, 3)).abs().mean(dim=0)


def minimum_weight_scores(weight: Tensor) -> Tensor:
    """Mean of the squared weights of every filter: sum W² / (I · kH · kW); `weight` (O, I, kH, kW) → (O,), same dtype.

    `weight` is float32 or float64. Weights that are 0 are counted, too.
    """
    return weight.square().mean(dim=(1, 2, 3))


def apoz_scores(activation: Tensor) -> Tensor:
    """1 - APoZ: the share of a channel's activations that are *not* zero; `activation` (N, C, H, W) → (C,).

    `activation` is float32 or float64. Negative numbers and tiny ones, say 1e-30, are not zero, either.
    """
    return (activation != 0).float().mean(dim=(0, 2, 3))


def normalize_per_layer(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every layer's scores divided by their l2 norm, s / sqrt(sum s²), so that layers can be compared.

    `scores`: a layer's name → (C,); the result has new tensors of the same dtypes, float32 or float64. Where all of a
    layer's scores are 0 they stay 0; small ones, down to 1e-10, are no zeros. Equation 10 of the paper.
    """
    normalized = {}
    for name, values in scores.items():
        norm = torch.linalg.vector_norm(values.double())  # the square of 1e-25 is 0 in float32
        normalized[name] = values / norm if norm > 0 else torch.zeros_like(values)
    return normalized


def oracle_scores(evaluate: Callable[[Sequence[int]], float], channels: int) -> Tensor:
    """The ablation oracle: | loss without channel c - loss of the whole network | for every c → (channels,).

    `evaluate(removed)` gives the loss, a float, when the channels in the list `removed` are taken out; call it
    by position. It is expensive: ask for nothing twice. It may keep the list (or tuple), so each call gets a new one.
    Subtract before float32 rounds the losses.
    """
    whole = evaluate([])
    return torch.tensor([abs(evaluate([channel]) - whole) for channel in range(channels)])
