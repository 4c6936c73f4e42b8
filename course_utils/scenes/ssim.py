"""How alike two images are: structural similarity, and the loss that an autoencoder is trained with."""

import torch
import torch.nn.functional as F
from torch import Tensor


def ssim(images: Tensor, others: Tensor, window: int = 11, sigma: float = 1.5, data_range: float = 1.0) -> Tensor:
    """Mean structural similarity of two batches (N, C, H, W) with values from 0 to `data_range` → a number, 1 if equal.

    SSIM = (2 m_x m_y + c1)(2 s_xy + c2) / ((m_x² + m_y² + c1)(s_x² + s_y² + c2)) at every pixel whose whole window
    lies inside the image: means, variances and covariance under a Gaussian window of `window` × `window` pixels with
    standard deviation `sigma`; c1 = (0.01 · data_range)², c2 = (0.03 · data_range)². Wang et al. 2004. Can be
    differentiated.

    Raises ValueError for images of other shapes, or smaller than the window.
    """
    if images.shape != others.shape or min(images.shape[2:]) < window:
        raise ValueError(
            f"two batches of one shape (N, C, H, W) are needed, of {window} pixels a side at least, not "
            f"{tuple(images.shape)} and {tuple(others.shape)}"
        )
    offsets = torch.arange(window, dtype=images.dtype, device=images.device) - (window - 1) / 2
    bell = (-(offsets**2) / (2 * sigma**2)).exp()
    bell = bell / bell.sum()
    channels = images.shape[1]

    def blurred(maps: Tensor) -> Tensor:
        for shape in ((1, window), (window, 1)):
            maps = F.conv2d(maps, bell.view(1, 1, *shape).expand(channels, -1, -1, -1), groups=channels)
        return maps

    mean, other_mean = blurred(images), blurred(others)
    variance, other_variance = blurred(images**2) - mean**2, blurred(others**2) - other_mean**2
    covariance = blurred(images * others) - mean * other_mean
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    alike = (2 * mean * other_mean + c1) * (2 * covariance + c2)
    return (alike / ((mean**2 + other_mean**2 + c1) * (variance + other_variance + c2))).mean()


def reconstruction_loss(outputs: Tensor, images: Tensor) -> Tensor:
    """0.5 · L1 + 0.5 · (1 - SSIM) of outputs and images (N, C, H, W) in 0 … 1. Gschossmann 2021, section 4.2."""
    return 0.5 * F.l1_loss(outputs, images) + 0.5 * (1 - ssim(outputs, images))
