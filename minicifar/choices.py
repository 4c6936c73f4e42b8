"""Which images of a source a data set takes: known from counts alone, before any image is decoded."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from minicifar.errors import OutOfRange

VALIDATION_PER_CLASS = 200

Choose = Callable[[Mapping[str, int]], np.ndarray]  # images a class, by split → the indices needed, ascending


def mini_positions(n: int, R: int, split: str, seed: int = 42) -> np.ndarray:
    """Positions within a class of n training images, the same in every class.

    "train": the n // R that `RandomState(seed).choice(n, n // R, replace=False)` gives; "val": the next 200 of the
    permutation whose prefix they are. So no image is in both. Raises OutOfRange for R.
    """
    if not 2 <= R <= n:
        raise OutOfRange(f"R={R} does not fit: the source has {n} training images a class, so choose R from 2 to {n}.")
    order = np.random.RandomState(seed).permutation(n)
    return order[: n // R] if split == "train" else order[n // R :][:VALIDATION_PER_CLASS]


def full_positions(n: int, split: str, seed: int = 42) -> np.ndarray:
    """Positions within a class of n training images, the same in every class, ascending.

    "val": the last tenth of `RandomState(seed).permutation(n)`, which MiniCIFAR's training images never touch;
    "train": all others; "trainval": all.
    """
    order = np.random.RandomState(seed).permutation(n)
    border = n - n // 10
    return np.sort({"train": order[:border], "val": order[border:], "trainval": order}[split])


def image_indices(
    per_class: Mapping[str, int], classes: int, half: str, labels: int, positions: np.ndarray
) -> np.ndarray:
    """Where a source holds images of its first `labels` of all `classes` → int64 (labels, positions).

    A source lists its training images and then its test images (`half` is "train" or "test"), each ordered by class
    and within a class by position; `per_class` says how many there are of each class.
    """
    first = 0 if half == "train" else classes * per_class["train"]
    indices: np.ndarray = first + np.arange(labels)[:, None] * per_class[half] + positions
    return indices


class MiniChoice(NamedTuple):
    """What MiniCIFAR takes from a source of `classes` classes: a share 1/R of the first `n_classes`."""

    classes: int
    n_classes: int
    R: int
    seed: int

    @property
    def key(self) -> str:
        """Tells one choice from another in the names of cached images."""
        return f"{self.n_classes}classes-R{self.R}-seed{self.seed}"

    def indices(self, per_class: Mapping[str, int], split: str) -> np.ndarray:
        """Where a source holds the images of "train", "val" or "test" → int64 (n_classes, images a class).

        "test" is all test images of the classes. Raises OutOfRange for R.
        """
        positions = mini_positions(per_class["train"], self.R, split, self.seed)
        if split == "test":
            return image_indices(per_class, self.classes, "test", self.n_classes, np.arange(per_class["test"]))
        return image_indices(per_class, self.classes, "train", self.n_classes, positions)

    def needed(self, per_class: Mapping[str, int]) -> np.ndarray:
        """The indices of all three splits, int64 (N,), ascending. Raises OutOfRange for R."""
        return np.sort(np.concatenate([self.indices(per_class, split).ravel() for split in ("train", "val", "test")]))
