"""Images before a network sees them: which ones, on which scale, and never twice in quite the same place."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def subset_indices(labels: Tensor, n_classes: int, per_class: int, seed: int) -> Tensor:
    """Where `per_class` images of each of the classes 0 … n_classes - 1 are → (n_classes * per_class,) int64.

    `labels` (N,) int64 is the class of every image of the source; each class has the same number S of images.
    Positions are drawn once, with numpy's `RandomState(seed).choice(S, per_class, replace=False)`, and are the
    same in every class: position p is the class's image number p, counted from 0 in the order of `labels`.
    The result points into `labels`: class 0 in the order drawn, then class 1 in the same order, and so on. There may
    be more classes than these. Raises ValueError if `per_class` is larger than S.
    """
    size = int((labels == 0).sum())
    drawn = torch.from_numpy(np.random.RandomState(seed).choice(size, per_class, replace=False))
    members = [torch.nonzero(labels == number).flatten() for number in range(n_classes)]
    return torch.cat([where[drawn] for where in members])


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(x / 255 - mean) / std, each colour with its own two numbers: (N, 3, H, W) uint8 → same shape, float32.

    `mean` and `std` hold three numbers each (red, green, blue), of pixels that have been divided by 255. The
    result is data: it requires no gradients.
    """
    centre, spread = torch.tensor([[*mean], [*std]]).view(2, 3, 1, 1)
    return (images.float() / 255 - centre) / spread


def crop_and_flip(images: Tensor, offsets: Tensor, flips: Tensor, padding: int) -> Tensor:
    """Cut each image out of its padded self at its own place, then mirror some: (N, C, H, W) → the same shape.

    Every side is padded with `padding` pixels of value 0. Image n is the window of H × W whose upper left corner
    is at row `offsets[n, 0]` and column `offsets[n, 1]` of the padded image; `offsets` (N, 2) int64 holds numbers
    from 0 to 2 * padding, and `padding` itself leaves the image where it was. After that, where `flips` (N,)
    bool is True, left and right change places. The result is a new tensor of the same dtype, pixels exactly as before.
    """
    height, width = images.shape[2:]
    padded = F.pad(images, (padding,) * 4)
    result = torch.empty_like(images)
    for n, (top, left) in enumerate(offsets.tolist()):
        window = padded[n, :, top : top + height, left : left + width]
        result[n] = window.flip(2) if flips[n] else window
    return result
