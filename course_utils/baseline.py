"""Trained networks to prune: two come with the course, others are trained when first asked for and kept.

`python -m course_utils.baseline` makes the two again (`cifar10` or `synthetic` after it: only one).
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils import networks
from course_utils.checkpoints import CheckpointError, describe, load_network, save_network
from course_utils.recorded import RECORDED
from course_utils.training import Diverged, Stopped, evaluate, train

COMMITTED = RECORDED / "baselines"
EPOCHS = 25


def baseline(images: Any, name: str = "vgg_mini") -> nn.Module:
    """A trained network for a data set, in eval mode on the CPU.

    `images` is the training split; `name` is a function of `course_utils.networks`. For the default MiniCIFAR
    `vgg_mini` comes with the course. Anything else is trained now and kept in the user's cache folder
    (`pruning-labs` under XDG_CACHE_HOME or ~/.cache); stopped half-way, it goes on where it was.
    """
    committed = COMMITTED / f"{name}-{image_kind(images)}.safetensors"
    if committed.exists() and _fits(committed, images):
        trained_on = describe(committed)["images"]
        if trained_on["fingerprint"] != images.fingerprint:
            print(
                f"This {name} was trained on {trained_on['description'].rstrip('.')}; your images are "
                f"{images.source.description.rstrip('.')}. Accuracies differ slightly."
            )
        return load_network(committed)
    cached = cache_folder() / f"{name}-{_key(images)}.safetensors"
    if cached.exists():
        try:
            return load_network(cached)
        except CheckpointError as error:
            print(f"{error} It is trained again.")
    if not images.split.startswith("train"):
        raise ValueError(f"A baseline is trained on training images; these are the split {images.split!r}.")
    print(f"There is no trained {name} for these images yet: it is trained once, for {EPOCHS} epochs.")
    network = _new_network(images, name)
    try:
        history = _train(network, images, resume=cached.with_suffix(".resume"))
    except (Stopped, Diverged):
        return network.cpu()
    save_network(network.cpu(), cached, history=history, images=images)
    cached.with_suffix(".resume").unlink(missing_ok=True)
    print(f"It is kept as {cached}.")
    return network


def make_committed(kinds: Sequence[str], name: str = "vgg_mini") -> None:
    """Train the networks that come with the course: "cifar10" on the images found here, and "synthetic"."""
    from minicifar import Loader, MiniCIFAR

    for synthetic in [kind == "synthetic" for kind in kinds]:
        images, unseen = (MiniCIFAR(split, synthetic=synthetic) for split in ("train", "test"))
        path = COMMITTED / f"{name}-{image_kind(images)}.safetensors"
        print(f"{path.name}: training on {images.source.description}")
        network = _new_network(images, name)
        history = _train(network, images)
        network.cpu()
        result = evaluate(network, Loader(unseen, batch_size=500))
        save_network(network, path, history=history, images=images, test_accuracy=result.accuracy)
        seconds, megabytes = sum(entry["seconds"] for entry in history), path.stat().st_size / 1e6
        print(f"{path.name}: {result.accuracy:.2%} on the test images, {seconds:.0f} s, {megabytes:.2f} MB")


def _new_network(images: Any, name: str) -> nn.Module:
    """An untrained network for these images, on the GPU if there is one."""
    make = getattr(networks, name, None)
    if make is None:
        raise ValueError(f"There is no network {name!r} in course_utils.networks.")
    network: nn.Module = make(classes=len(images.classes))
    return network.cuda() if torch.cuda.is_available() else network


def _train(network: nn.Module, images: Any, resume: Path | None = None) -> list[dict[str, Any]]:
    """The course's recipe; returns the history, raises `Stopped` or `Diverged`."""
    from minicifar import Loader

    loader = Loader(images, batch_size=64, shuffle=True, augment=True)
    return train(network, loader, EPOCHS, label_smoothing=0.1, resume=resume, on_stop="raise")


def image_kind(images: Any) -> str:
    """What baselines and thresholds go by: synthetic, or the data set that the images are or are a copy of."""
    return "synthetic" if images.source.synthetic else images.source.dataset


def _fits(committed: Path, images: Any) -> bool:
    """Whether a committed network is one for these images: the same, or a real copy of the same choice."""
    trained_on = describe(committed)["images"]["fingerprint"]
    if images.source.synthetic:
        return bool(trained_on == images.fingerprint)
    return _choice(trained_on) == _choice(images.fingerprint)


def _choice(fingerprint: str) -> str:
    """The part of a fingerprint that names classes and number of images, "4 classes/R=5"."""
    return fingerprint.partition("/")[2]


def _key(images: Any) -> str:
    """A short name for a training set, from its fingerprint and split."""
    return hashlib.sha256(f"{images.fingerprint} {images.split}".encode()).hexdigest()[:16]


def cache_folder() -> Path:
    """`pruning-labs` in $XDG_CACHE_HOME or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pruning-labs"


if __name__ == "__main__":
    make_committed(sys.argv[1:] or ["cifar10", "synthetic"])
