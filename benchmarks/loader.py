"""Images per second: minicifar's Loader against torchvision's CIFAR10 in a DataLoader, with the course's augmentation.

    python benchmarks/loader.py

All loaders read the same images in turn, in one run; the last line is JSON. The data set is MiniCIFAR's train split
(synthetic images: the pixels do not matter for speed).
"""

import json
import statistics
import time
from collections.abc import Iterable

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from minicifar import MEAN, STD, Loader, MiniCIFAR

REPEATS = 7
BATCH_SIZE = 128


class InMemory(datasets.CIFAR10):
    """torchvision's data set, with the images of another set in place of the downloaded ones."""

    def __init__(self, images: MiniCIFAR, transform: transforms.Compose):
        self.data = images.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.targets = images.labels.tolist()
        self.transform, self.target_transform = transform, None


def images_per_second(loader: Iterable, passes: int = 1) -> float:
    count = 0
    start = time.perf_counter()
    for _ in range(passes):
        for images, _labels in loader:
            count += len(images)
    return count / (time.perf_counter() - start)


def main() -> None:
    torch.set_num_threads(1)
    images = MiniCIFAR("train", synthetic=True)
    course = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    peer = InMemory(images, course)
    # The workers stay between passes, and each measurement of them spans two, so that their start does not count.
    loaders: dict[str, tuple[Iterable, int]] = {
        "minicifar.Loader": (Loader(images, BATCH_SIZE, shuffle=True, augment=True), 20),
        "DataLoader, 0 workers": (DataLoader(peer, BATCH_SIZE, shuffle=True), 1),
        "DataLoader, 2 workers": (
            DataLoader(peer, BATCH_SIZE, shuffle=True, num_workers=2, persistent_workers=True),
            2,
        ),
    }
    for loader, _ in loaders.values():
        images_per_second(loader)
    speeds_of: dict[str, list[float]] = {name: [] for name in loaders}
    for _ in range(REPEATS):
        for name, (loader, passes) in loaders.items():
            speeds_of[name].append(images_per_second(loader, passes))

    print_all(len(images), speeds_of)


def print_all(count: int, speeds_of: dict[str, list[float]]) -> None:
    """A table for people, and as the last line JSON."""
    ours = speeds_of["minicifar.Loader"]
    ratios = {
        name: [mine / other for mine, other in zip(ours, speeds, strict=True)] for name, speeds in speeds_of.items()
    }
    table = Table(title=f"{count} images, batches of {BATCH_SIZE}, {REPEATS} repeats in turn, 1 thread")
    for column in (
        "loader",
        "images/s (median)",
        "lowest to highest",
        "Loader is faster by (lowest to highest)",
    ):
        table.add_column(column)
    for name, speeds in speeds_of.items():
        faster = ratios[name]
        table.add_row(
            name,
            f"{statistics.median(speeds):,.0f}",
            f"{min(speeds):,.0f} to {max(speeds):,.0f}",
            f"{statistics.median(faster):.1f} ({min(faster):.1f} to {max(faster):.1f})",
        )
    Console().print(table)
    figures = {
        "ratio_workers_0": round(statistics.median(ratios["DataLoader, 0 workers"]), 2),
        "ratio_workers_2": round(statistics.median(ratios["DataLoader, 2 workers"]), 2),
        "images_per_second": {name: round(statistics.median(speeds)) for name, speeds in speeds_of.items()},
        "repeats": REPEATS,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
