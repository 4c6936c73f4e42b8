"""What the methods share that prune while training: their settings, their folders, and how they end."""

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.training import train
from minicifar import BatchLoader, LabelledImages, Source
from minicifar.files import write_text
from solutions.absorption import absorb
from solutions.graph.groups import Group
from solutions.surgery import prune

SEARCHING: dict[str, Any] = {"lr": 0.02, "schedule": "constant", "label_smoothing": 0.1}  # for `train`, while pruning
FINETUNING: dict[str, Any] = {"lr": 0.1, "label_smoothing": 0.1}  # and afterwards


def first_image(network: nn.Module, loader: BatchLoader) -> Tensor:
    """One of a loader's images, on the network's device; the loader's epoch and the random numbers stay as they are."""
    return first_batches(network, loader, 1)[0][:1]


def first_batches(network: nn.Module, loader: BatchLoader, count: int) -> list[Tensor]:
    """The images of the first batches, as `first_image`."""
    with torch.random.fork_rng(devices=[]):
        batches = [images for images, _ in itertools.islice(once(loader), count)]
    device = next(network.parameters()).device
    return [images.to(device) for images in batches]


def once(loader: BatchLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of a loader's next epoch, whose number stays as it is."""
    epoch = loader.epoch
    for batch in loader:
        loader.epoch = epoch
        yield batch


def searching_epochs(epochs: int, asked: int | None = None) -> int:
    """How many of a method's epochs prune: as many as asked for, or two thirds, rounded up. The others finetune."""
    return math.ceil(2 * epochs / 3) if asked is None else min(asked, epochs)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers, such as dropout's, from a seed of their own; the global ones go on as if nothing had happened."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def opened(resume: str | Path | None, asked: Mapping[str, Any]) -> Path | None:
    """The folder of a run, made if need be, in which a file says what was asked of it.

    Raises ValueError where something else was: a stopped run goes on only with the same call.
    """
    if resume is None:
        return None
    folder, text = Path(resume), json.dumps(dict(asked), indent=1)
    file = folder / "asked.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    before = json.loads(file.read_text(encoding="utf-8"))
    changed = [name for name, value in json.loads(text).items() if before.get(name) != value]
    if changed:
        raise ValueError(
            f"{folder} belongs to a run with another {', '.join(changed)}: delete it, or use another name."
        )
    return folder


def epochs_done(file: Path | None) -> int:
    """How many epochs a training has behind it that goes on from a file."""
    return 0 if file is None or not file.exists() else len(torch.load(file, weights_only=True)["history"])


def narrowed(
    network: nn.Module,
    groups: Sequence[Group],
    plan: Mapping[str, Sequence[int]],
    loader: BatchLoader,
    epochs: int,
    *,
    absorbed_bias: Callable[[nn.Module, Tensor], Tensor] | None,
    folder: Path | None,
    progress: bool,
) -> tuple[nn.Module, dict[str, Any]]:
    """The end of a run: constants absorbed (where `absorbed_bias` is given), real surgery, finetuning.

    → the narrow network and what the history says of it: `plan`; `unabsorbed`, the layers that could absorb nothing
    and why; `finetuning`, one dict an epoch as `train` gives it.
    """
    unabsorbed: dict[str, str] = {}
    if absorbed_bias is not None:
        network, unabsorbed = absorb(network, groups, plan, first_image(network, loader), absorbed_bias)
    narrow = prune(network, groups, plan)
    file = folder and folder / "finetuning.resume"
    finetuning = train(narrow, loader, epochs, resume=file, progress=progress, on_stop="raise", **FINETUNING)
    about = {"plan": {name: list(map(int, stay)) for name, stay in plan.items()}, "unabsorbed": unabsorbed}
    return narrow.eval(), {**about, "finetuning": finetuning}


@dataclass(frozen=True)
class Part:
    """Some of a data set's images, as a data set."""

    images: Tensor
    labels: Tensor
    classes: Sequence[str]
    split: str
    source: Source
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)


def held_out(data: LabelledImages, share: float, seed: int) -> tuple[Part, Part]:
    """A data set in two: floor(share · n) of each class's n images, drawn at random, are held out → (the rest, these).

    The order of the images stays. The same seed gives the same parts.
    """
    chance = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(data), dtype=torch.bool)
    for label in data.labels.unique():
        places = (data.labels == label).nonzero().flatten()
        count = int(share * len(places) + 1e-9)
        held[places[torch.randperm(len(places), generator=chance)[:count]]] = True
    rest, out = (
        Part(data.images[part], data.labels[part], data.classes, data.split, data.source, data.fingerprint)
        for part in (~held, held)
    )
    return rest, out
