"""Batches of normalised images, cut from uint8 images in memory, as fast as a network can take them."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minicifar.datasets import ImageSet

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2023, 0.1994, 0.2010)
PADDING = 4


class Loader:
    def __init__(
        self,
        data: ImageSet,
        batch_size: int = 128,
        shuffle: bool = False,
        augment: bool = False,
        drop_last: bool = False,
        device: torch.device | str = "cpu",
        seed: int = 0,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ):
        self.dataset, self.batch_size, self.shuffle, self.augment = data, batch_size, shuffle, augment
        self.drop_last, self.device, self.seed, self.epoch = drop_last, torch.device(device), seed, 0
        self.scale = (1 / 255 / torch.tensor(std)).to(device)
        self.shift = (-torch.tensor(mean) / torch.tensor(std)).to(device)
        padding = PADDING if augment else 0
        images = F.pad(data.images, (padding,) * 4).permute(0, 2, 3, 1).contiguous()
        self._images = (torch.stack([images, images.flip(2)]) if augment else images[None]).to(device)
        self._labels = data.labels.to(device)

    def __len__(self) -> int:
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        n = len(self.dataset)
        order = torch.from_numpy(rng.permutation(n) if self.shuffle else np.arange(n)).to(self.device)
        offsets = torch.from_numpy(rng.integers(0, 2 * PADDING + 1, (n, 2))).to(self.device)
        flips = torch.from_numpy(rng.integers(0, 2, n)).to(self.device)
        return self._batches(order, offsets, flips)

    def _batches(self, order: Tensor, offsets: Tensor, flips: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        windows = self._images.unfold(2, 32, 1).unfold(3, 32, 1)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            if self.augment:
                batch = windows[flips[chosen], chosen, offsets[chosen, 0], offsets[chosen, 1]].permute(
                    0, 2, 3, 1
                )
            else:
                batch = self._images[0, chosen]
            yield (batch.float() * self.scale + self.shift).permute(0, 3, 1, 2), self._labels[chosen]
