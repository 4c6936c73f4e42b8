"""What the whole project asks of images and of batches: whatever has these attributes will do.

`Loader` and `DataLoader` of any labelled set, and batches of one's own, are `Batches`; a training run that can be
resumed wants a `BatchLoader`, which counts its epochs.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from minicifar.sources import Source


@runtime_checkable
class LabelledImages(Protocol):
    """A split of a data set in memory, such as `MiniCIFAR("train")`."""

    @property
    def images(self) -> Tensor:
        """uint8 (N, 3, 32, 32)."""

    @property
    def labels(self) -> Tensor:
        """int64 (N,): positions in `classes`."""

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes."""

    @property
    def split(self) -> str:
        """One of "train", "val", "trainval" and "test"."""

    @property
    def source(self) -> Source:
        """Where the images come from."""

    @property
    def fingerprint(self) -> str:
        """Of the source and the choice of classes and images, the same for all splits: what was made with images of
        another fingerprint is not comparable.
        """

    def __len__(self) -> int:
        """The number of images."""


@runtime_checkable
class Batches(Protocol):
    """Batches (images, labels) that can be gone through again and again."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over all images: float32 (B, C, H, W), and their labels (B,) or other targets."""

    def __len__(self) -> int:
        """The number of batches in a pass."""


@runtime_checkable
class BatchLoader(Batches, Protocol):
    """Batches whose order and augmentation follow from the epoch, such as `Loader`.

    `epoch` counts the passes begun, and can be set to go on where a run stopped.
    """

    epoch: int
