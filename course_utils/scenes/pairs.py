"""Batches for an autoencoder: images, and themselves as targets."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class Pairs:
    """Batches (images, the same images) for an autoencoder: float32 (B, 3, H, W) in 0 … 1, without normalisation.

    `images`: uint8 (N, 3, H, W), such as `driving_scenes(…)` or `MiniCIFAR(…).images`; they stay uint8, and where they
    are. Both halves of a pair are one tensor. The last batch may be smaller. With `shuffle` the order follows from
    `seed` and the attribute `epoch`, which counts the passes begun and can be set to go on where a run stopped, as in
    `minicifar.Loader`.
    """

    def __init__(self, images: Tensor, batch_size: int = 32, shuffle: bool = False, seed: int = 0):
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(f"images are uint8 (N, 3, H, W), not {images.dtype} {tuple(images.shape)}.")
        if batch_size < 1:
            raise ValueError(f"batch_size is at least 1, not {batch_size}.")
        self.images = images
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        """The number of batches."""
        return math.ceil(len(self.images) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = np.arange(len(self.images))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        self.epoch += 1
        return self._batches(torch.from_numpy(order).to(self.images.device))

    def _batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(order), self.batch_size):  # `split` would give an empty batch of no images
            chosen = order[start : start + self.batch_size]
            batch = self.images[chosen].float() / 255
            yield batch, batch
