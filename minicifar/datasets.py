"""The data sets: which images of a source belong to which split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from minicifar.choices import MiniChoice, full_positions, image_indices
from minicifar.class_names import CLASS_NAMES
from minicifar.errors import OutOfRange
from minicifar.sources import Source, find_images


class ImageSet(Dataset[tuple[Any, Any]]):
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
    synthetic: True for images drawn from a seed, whose classes have names of their own. seed: of the choice of images.
    dataset: "cifar10" or "cifar100".

    Of JPEG files only the images of the three splits are decoded (see `formats`).

    Raises OutOfRange for `n_classes` or `R`, ImagesNotFound, CutShort, ChecksumWrong, ClassMissing, DiskFull.
    """

    def __init__(  # noqa: PLR0913
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
        choice = MiniChoice(len(names), n_classes, R, seed)
        held = find_images(dataset, root, synthetic, download, choice)
        images = held.at(choice.indices(held.per_class, split))
        fingerprint = f"{held.source.fingerprint}/{n_classes} classes/R={R}" + (f"/seed={seed}" if seed != 42 else "")
        super().__init__(split, images, held.classes[:n_classes], held.source, fingerprint, transform, target_transform)


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
        held = find_images(self.dataset, root, synthetic, download)
        half, classes = "test" if split == "test" else "train", len(held.classes)
        n = held.per_class[half]
        positions = np.arange(n) if split == "test" else full_positions(n, split)
        images = held.at(image_indices(held.per_class, classes, half, classes, positions))
        fingerprint = f"{held.source.fingerprint}/{classes} classes"
        super().__init__(split, images, list(held.classes), held.source, fingerprint, transform, target_transform)


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
