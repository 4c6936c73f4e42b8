"""Batches of normalised images, cut from uint8 images in memory, fast enough to keep a network busy."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minicifar.protocols import LabelledImages

MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training images, by channel, for values from 0 to 1
STD = (0.2023, 0.1994, 0.2010)
SIZE = 32
PADDING = 4


def draw_augmentation(n: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What an epoch does to n images: the order (n,), the crops' offsets (n, 2) as (y, x), and the flips (n,).

    Offsets count from 0 to 8 in the padded image, flips are 0 or 1. All belong to the image of that index, so they
    do not depend on the order.
    """
    rng = np.random.default_rng([seed, epoch])
    return rng.permutation(n), rng.integers(0, 2 * PADDING + 1, (n, 2)), rng.integers(0, 2, n)


class Loader:
    """Batches of a data set, as a `DataLoader` would give them.

    Yields (images, labels): float32 (B, 3, 32, 32) in channels_last memory format, normalised to
    (pixel / 255 - mean) / std, and int64 (B,), both on `device`. The last batch may be smaller, unless `drop_last`.

    `augment` takes from every image a random 32x32 crop of its version padded by 4 black pixels, and mirrors every
    second one, at random for each image. A pass over the loader is an epoch; order and augmentation follow from
    `seed` and the attribute `epoch`, which counts the passes begun and can be set to go on where a run stopped.

    The images stay uint8 on `device`; with `augment` padded and together with their mirror images (9.6 kB an image).
    `dataset.transform` is not applied: a data set that has one is refused with ValueError.
    """

    def __init__(  # noqa: PLR0913
        self,
        data: LabelledImages,
        batch_size: int = 128,
        shuffle: bool = False,
        augment: bool = False,
        drop_last: bool = False,
        device: torch.device | str = "cpu",
        seed: int = 0,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size is at least 1, not {batch_size}.")
        if any(getattr(data, name, None) is not None for name in ("transform", "target_transform")):
            raise ValueError("A Loader applies no transform of the data set; use a DataLoader, or a set without one.")
        self.dataset = data
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.augment = augment
        self.drop_last = drop_last
        self.device = torch.device(device)
        self.seed = seed
        self.epoch = 0
        deviation = torch.tensor(std, dtype=torch.float64)
        # One factor and one summand for each byte of an image: far faster than to broadcast three of them.
        self._factor = (1 / 255 / deviation).float().repeat(SIZE * SIZE).to(device)
        self._summand = (-torch.tensor(mean, dtype=torch.float64) / deviation).float().repeat(SIZE * SIZE).to(device)
        self._labels = data.labels.to(device)
        images = data.images.to(device).permute(0, 2, 3, 1)
        if augment:
            padded = F.pad(images, (0, 0, PADDING, PADDING, PADDING, PADDING))
            images = torch.stack([padded, padded.flip(2)])
        self._pixels = images.contiguous()

    def __len__(self) -> int:
        """The number of batches."""
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self.dataset)
        order, offsets, flips = draw_augmentation(n, self.seed, self.epoch)
        self.epoch += 1
        if not self.shuffle:
            order = np.arange(n)
        return self._batches(*(torch.from_numpy(drawn).to(self.device) for drawn in (order, offsets, flips)))

    def _batches(self, order: Tensor, offsets: Tensor, flips: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        if self.augment:
            rows, starts = self._rows_of_crops(offsets, flips)
        for batch in range(len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            if self.augment:
                pixels = rows.index_select(0, starts[chosen].flatten()).view(len(chosen), -1)
            else:
                pixels = self._pixels.view(len(self.dataset), -1).index_select(0, chosen)
            images = pixels.float()
            torch.addcmul(self._summand, images, self._factor, out=images)
            yield images.view(-1, SIZE, SIZE, 3).permute(0, 3, 1, 2), self._labels[chosen]

    def _rows_of_crops(self, offsets: Tensor, flips: Tensor) -> tuple[Tensor, Tensor]:
        """A view of all runs of 32 pixels in memory, by first byte, and which of them make up each crop, (n, 32)."""
        n, width = len(self.dataset), SIZE + 2 * PADDING
        flat = self._pixels.flatten()
        rows = flat.as_strided((flat.numel() - 3 * SIZE + 1, 3 * SIZE), (1, 1))
        index = torch.arange(n, device=self.device)
        corner = ((flips * n + index) * width + offsets[:, 0]) * width + offsets[:, 1]
        line = torch.arange(SIZE, device=self.device) * width
        return rows, 3 * (corner[:, None] + line)
