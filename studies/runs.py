"""What studies share: trained networks in files, and runs that are cut into pieces."""

import contextlib
import itertools
import platform
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils import networks
from course_utils.checkpoints import load_network, save_network
from course_utils.training import train
from minicifar import BatchLoader, ImageSet, Loader


def network_path(folder: Path, name: str, images: ImageSet) -> Path:
    """Where a network that was trained on these images lies: in a folder of theirs, lest another images' be taken."""
    return folder / re.sub(r"[^\w.=-]+", "_", images.fingerprint) / f"{name}.safetensors"


def trained(
    name: str, images: ImageSet, seed: int, epochs: int, device: str, folder: Path, batch_size: int = 64
) -> nn.Module:
    """A network of the course, trained from this seed; it stays in `folder`, and a stopped training goes on there."""
    path = network_path(folder, f"{name}-{epochs}epochs-batches{batch_size}-seed{seed}", images)
    if path.exists():
        return load_network(path).to(device)
    network = getattr(networks, name)(classes=len(images.classes), seed=seed).to(device)
    loader = Loader(images, batch_size=batch_size, shuffle=True, augment=True, seed=seed, device=device)
    path.parent.mkdir(parents=True, exist_ok=True)
    resume = path.with_suffix(".resume")
    fully_trained(network, loader, epochs, label_smoothing=0.1, resume=resume)
    save_network(network, path, images=images)
    resume.unlink(missing_ok=True)
    return network


def fully_trained(network: nn.Module, loader: BatchLoader, epochs: int, **options: Any) -> nn.Module:
    """The network after all of `epochs`: a training that was stopped is no result, and raises `Stopped`."""
    train(network, loader, epochs, on_stop="raise", **options)
    return network


def scoring_batches(images: ImageSet, count: int, seed: int, device: str) -> list[tuple[Tensor, Tensor]]:
    """`count` batches of 64 training images, not augmented, by which criteria judge."""
    return list(itertools.islice(Loader(images, batch_size=64, shuffle=True, seed=seed, device=device), count))


def versions() -> str:
    """What a result may depend on."""
    return f"PyTorch {torch.__version__}, Python {platform.python_version()}"


@contextlib.contextmanager
def at_most(minutes: float | None) -> Iterator[None]:
    """Stop what runs inside after so many minutes, as the stop button does (KeyboardInterrupt). Not on Windows."""
    if minutes:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        if minutes:
            signal.setitimer(signal.ITIMER_REAL, 0)
