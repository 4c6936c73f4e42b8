"""Trained networks to prune: two come with the course, others are trained when first asked for and kept.

`python -m course_utils.baseline` makes the two again from source.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils import networks
from course_utils.checkpoints import CheckpointError, describe, load_network, save_network
from course_utils.training import evaluate, train

COMMITTED = Path(__file__).parent / "baselines"
EPOCHS = 30


def baseline(images: Any, name: str = "vgg_mini") -> nn.Module:
    """A trained network for a data set, in eval mode on the CPU.

    `images` is the training split; `name` is a function of `course_utils.networks`. For the default MiniCIFAR
    `vgg_mini` comes with the course. Anything else is trained now and kept in the user's cache folder
    (`pruning-labs` under XDG_CACHE_HOME or ~/.cache); stopped half-way, it goes on where it was.
    """
    committed = COMMITTED / f"{name}-{_kind(images)}.safetensors"
    if committed.exists() and _fits(committed, images):
        trained_on = describe(committed)["images"]
        if trained_on["fingerprint"] != images.fingerprint:
            print(
                f"This {name} was trained on {trained_on['description']}; your images are "
                f"{images.source.description}: accuracies differ slightly."
            )
        return load_network(committed)
    cached = _cache_folder() / f"{name}-{_key(images)}.safetensors"
    if cached.exists():
        try:
            return load_network(cached)
        except CheckpointError as error:
            print(f"{error} It is trained again.")
    print(f"There is no trained {name} for these images yet: it is trained once, for {EPOCHS} epochs.")
    network, history = _train(images, name, resume=cached.with_suffix(".resume"))
    if len(history) == EPOCHS:
        save_network(network, cached, history=history, images=images)
        cached.with_suffix(".resume").unlink(missing_ok=True)
        print(f"It is kept as {cached}.")
    return network


def make_committed(name: str = "vgg_mini") -> None:
    """Train the networks that come with the course, for the images found here and for synthetic ones."""
    from minicifar import Loader, MiniCIFAR

    for synthetic in (False, True):
        images = MiniCIFAR("train", synthetic=synthetic)
        path = COMMITTED / f"{name}-{_kind(images)}.safetensors"
        print(f"{path.name}: training on {images.source.description}")
        network, history = _train(images, name)
        found = evaluate(network, Loader(MiniCIFAR("test", synthetic=synthetic), batch_size=500))
        save_network(network, path, history=history, images=images, test_accuracy=found.accuracy)
        print(f"{path.name}: {found.accuracy:.2%} on the test images, {path.stat().st_size / 1e6:.2f} MB")


def _train(images: Any, name: str, resume: Path | None = None) -> tuple[nn.Module, list[dict[str, Any]]]:
    from minicifar import Loader

    make = getattr(networks, name, None)
    if make is None:
        raise ValueError(f"There is no network {name!r} in course_utils.networks.")
    network = make(classes=len(images.classes))
    if torch.cuda.is_available():
        network.cuda()
    loader = Loader(images, batch_size=64, shuffle=True, augment=True)
    history = train(network, loader, EPOCHS, label_smoothing=0.1, resume=resume)
    return network.cpu(), history


def _kind(images: Any) -> str:
    return "synthetic" if images.source.synthetic else "cifar10"


def _fits(committed: Path, images: Any) -> bool:
    """Whether these are the images of a committed network, or real ones of the same classes and number."""
    trained_on = describe(committed)["images"]
    same = trained_on["fingerprint"] == images.fingerprint
    return same or (
        not images.source.synthetic
        and trained_on["classes"] == list(images.classes)
        and trained_on["count"] == len(images.images)
    )


def _key(images: Any) -> str:
    """A short name for a data set, from its fingerprint."""
    return hashlib.sha256(images.fingerprint.encode()).hexdigest()[:16]


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pruning-labs"


if __name__ == "__main__":
    make_committed()
