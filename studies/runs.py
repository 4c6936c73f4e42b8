"""What studies share: trained networks kept as files, results written as they come, and runs that are cut into pieces."""

import contextlib
import copy
import json
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils import networks
from course_utils.checkpoints import load_network, save_network
from course_utils.training import train
from minicifar import Loader
from minicifar.files import atomic
from solutions.schedules import narrow_twin


def kept_path(folder: Path, name: str, images: Any) -> Path:
    """Where a network that was trained on these images is kept: in a folder of theirs, so that no other images' is taken."""
    return folder / re.sub(r"[^\w.=-]+", "_", images.fingerprint) / f"{name}.safetensors"


def trained(
    name: str, images: Any, seed: int, epochs: int, device: str, folder: Path, batch_size: int = 64
) -> nn.Module:
    """A network of the course, trained from this seed; kept in `folder`, and resumed there."""
    path = kept_path(folder, f"{name}-{epochs}epochs-batches{batch_size}-seed{seed}", images)
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


def fully_trained(network: nn.Module, loader: Any, epochs: int, **options: Any) -> nn.Module:
    """The network after all of `epochs`: a training that was stopped is no result, and raises KeyboardInterrupt."""
    if len(train(network, loader, epochs, **options)) < epochs:
        raise KeyboardInterrupt
    return network


def narrow_control(pruned: nn.Module, seed: int) -> nn.Module:
    """A network with the shapes of `pruned` and random weights, drawn by the rule by which the course's networks are.

    `narrow_twin` draws each layer by its own rule, and that is another one: after two epochs with the poster's settings
    the two differed by up to eleven points, which would be counted for or against pruning. On any device the same.
    """
    twin = narrow_twin(copy.deepcopy(pruned).cpu(), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks.draw_convolutions(twin)
    return twin.to(next(pruned.parameters()).device)


def read_results(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """The results in a file, those of an empty study if there is none: {**about, "results": {…}}.

    Raises ValueError where the file says something else of what it is about: other images, another network.
    """
    if not path.exists():
        return {**about, "results": {}}
    found = json.loads(path.read_text(encoding="utf-8"))
    if changed := [name for name in about if found.get(name) != about[name]]:
        raise ValueError(
            f"{path} was made with another {changed[0]} ({found.get(changed[0])}, not {about[changed[0]]}): give another file."
        )
    return found


def keep_results(path: Path, found: Mapping[str, Any]) -> None:
    """Write all results, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


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
