"""The data sets: which images of a source belong to which split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from minicifar.class_names import CLASS_NAMES
from minicifar.errors import OutOfRange
from minicifar.sources import Source, find_images

VALIDATION_PER_CLASS = 200


def mini_positions(n: int, R: int, split: str, seed: int = 42) -> np.ndarray:
    """Positions within a class of n training images, the same in every class.

    "train": the n // R that `RandomState(seed).choice(n, n // R, replace=False)` gives; "val": the next 200 of the
    permutation whose prefix they are. So no image is in both.
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


class ImageSet(Dataset):
    """Images in memory, in the manner of a torchvision data set.

    images: uint8 (N, 3, 32, 32). labels: int64 (N,). classes: their names. class_to_idx: name → label.
    source: where the images come from. fingerprint: of source and choice of classes and images, the same for all
    splits. `data[i]` is (PIL image, label), after `transform` and `target_transform` if there are any.
    """

    def __init__(
        self,
        split: str,
        images: np.ndarray,
        classes: list[str],
        source: Source,
        fingerprint: str,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ):
        """`images`: uint8 (classes, images per class, 3, 32, 32)."""
        self.split = split
        self.images: Tensor = torch.from_numpy(images.reshape(-1, 3, 32, 32))
        self.labels: Tensor = torch.arange(len(classes)).repeat_interleave(images.shape[1])
        self.classes = classes
        self.class_to_idx = {name: label for label, name in enumerate(classes)}
        self.source = source
        self.fingerprint = fingerprint
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any = Image.fromarray(self.images[index].permute(1, 2, 0).numpy())
        label: Any = int(self.labels[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.split!r}): {len(self)} images, {len(self.classes)} classes\n"
            f"{self.source.description}"
        )


class MiniCIFAR(ImageSet):
    """The first `n_classes` classes of CIFAR-10, with 1/R of the training images.

    split: "train" (5000 // R images a class), "val" (the next 200) or "test" (all test images of the classes).
    root: a folder or archive to read from; otherwise MINICIFAR_ROOT, the cache, a download (see `sources`).
    synthetic: True for images drawn from a seed, whose classes have names of their own. seed: of the choice of images. dataset: "cifar10" or "cifar100".

    Raises OutOfRange for `n_classes` or `R`, ImagesNotFound, CutShort, ChecksumWrong, ClassMissing, DiskFull.
    """

    def __init__(
        self,
        split: str = "train",
        n_classes: int = 4,
        R: int = 5,
        root: str | Path | None = None,
        synthetic: bool = False,
        download: bool = True,
        seed: int = 42,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        dataset: str = "cifar10",
    ):
        _check_choice("split", split, ("train", "val", "test"))
        _check_choice("dataset", dataset, tuple(CLASS_NAMES))
        names = CLASS_NAMES[dataset]
        if not 1 <= n_classes <= len(names):
            raise OutOfRange(f"n_classes={n_classes} does not fit: choose from 1 to {len(names)}.")
        found = find_images(dataset, root, synthetic, download)
        positions = mini_positions(found.per_class["train"], R, split, seed)
        if split == "test":
            images = found.split("test")[:n_classes].copy()
        else:
            images = found.split("train")[:n_classes, positions]
        fingerprint = f"{found.source.fingerprint}/{n_classes} classes/R={R}" + (f"/seed={seed}" if seed != 42 else "")
        super().__init__(
            split, images, found.classes[:n_classes], found.source, fingerprint, transform, target_transform
        )


class CIFAR10(ImageSet):
    """All of CIFAR-10.

    split: "train" (45,000 images), "val" (5,000 of the training images, 500 a class), "trainval" (all 50,000, as
    published work uses) or "test" (10,000). The other arguments and errors are those of MiniCIFAR.
    """

    dataset = "cifar10"

    def __init__(
        self,
        split: str = "train",
        root: str | Path | None = None,
        synthetic: bool = False,
        download: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ):
        _check_choice("split", split, ("train", "val", "trainval", "test"))
        found = find_images(self.dataset, root, synthetic, download)
        if split == "test":
            images = found.split("test").copy()
        else:
            images = found.split("train")[:, full_positions(found.per_class["train"], split)]
        fingerprint = f"{found.source.fingerprint}/{len(found.classes)} classes"
        super().__init__(split, images, list(found.classes), found.source, fingerprint, transform, target_transform)


class CIFAR100(CIFAR10):
    """All of CIFAR-100; as CIFAR10, with 50 validation images in each of the 100 classes."""

    dataset = "cifar100"


DATASETS: dict[str, type[ImageSet]] = {"minicifar": MiniCIFAR, "cifar10": CIFAR10, "cifar100": CIFAR100}


def load(name: str, split: str = "train", **options: Any) -> ImageSet:
    """The data set called `name` ("minicifar", "cifar10" or "cifar100"); `options` are those of its class."""
    _check_choice("name", name, tuple(DATASETS))
    return DATASETS[name](split, **options)


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{what} is one of {', '.join(map(repr, choices))}, not {value!r}.")
