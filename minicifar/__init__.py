"""The images of the course: MiniCIFAR, CIFAR-10 and CIFAR-100, in memory and as fast batches.

    from minicifar import MiniCIFAR, Loader
    data = MiniCIFAR("train")
    print(data.source.description)
    for images, labels in Loader(data, shuffle=True, augment=True): ...

Nothing is read, decoded or downloaded before a data set is made.
"""

from minicifar.datasets import CIFAR10, CIFAR100, ImageSet, MiniCIFAR, load
from minicifar.errors import (
    ChecksumWrong,
    ClassMissing,
    CutShort,
    DiskFull,
    ImagesNotFound,
    MiniCIFARError,
    OutOfRange,
)
from minicifar.loader import MEAN, STD, Loader
from minicifar.protocols import Batches, BatchLoader, LabelledImages
from minicifar.sources import Source

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MEAN",
    "STD",
    "BatchLoader",
    "Batches",
    "ChecksumWrong",
    "ClassMissing",
    "CutShort",
    "DiskFull",
    "ImageSet",
    "ImagesNotFound",
    "LabelledImages",
    "Loader",
    "MiniCIFAR",
    "MiniCIFARError",
    "OutOfRange",
    "Source",
    "load",
]
