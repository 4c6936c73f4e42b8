"""Where the images come from: a root, the cache, a download; or, when asked for, synthetic ones."""

import hashlib
import os
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minicifar import synthetic
from minicifar.cache import cache_folder, load_entry, raise_if_disk_full, store_entry
from minicifar.choices import Choose, MiniChoice
from minicifar.class_names import CLASS_NAMES, TITLES
from minicifar.errors import ImagesNotFound
from minicifar.formats import (
    OFFICIAL_ARCHIVES,
    OFFICIAL_FOLDERS,
    Decoded,
    class_folder_files,
    is_archive,
    read_archive,
    read_folder,
)

Read = Callable[[Path, str, Choose | None], Decoded | None]  # `read_folder` or `read_archive`

OFFLINE_CHOICES = (
    "Without a network there are two choices: set MINICIFAR_ROOT (or root=…) to a folder or archive with the images "
    "(official batches, or train/<class>/ and test/<class>/ with PNG or JPEG files), or ask for synthetic images with "
    "synthetic=True or MINICIFAR_SYNTHETIC=1."
)


@dataclass(frozen=True)
class Source:
    """Which images these are.

    dataset: "cifar10" or "cifar100". kind: "official", "folders" or "synthetic". description: a sentence for people.
    fingerprint: a short hash of the content, the same for every copy of the same images.
    """

    dataset: str
    kind: str
    description: str
    fingerprint: str

    @property
    def synthetic(self) -> bool:
        """Drawn from a seed, not photographs."""
        return self.kind == "synthetic"


class Images(NamedTuple):
    """The images of a source that are needed.

    images: uint8 (N, 3, 32, 32), training images first, ordered by class and position. per_class: how many the whole
    source has of each class, in "train" and "test". chosen: the indices that `images` have in the whole source,
    ascending; None where they are all of it.
    """

    source: Source
    classes: list[str]
    images: np.ndarray
    per_class: dict[str, int]
    chosen: np.ndarray | None = None

    def at(self, indices: np.ndarray) -> np.ndarray:
        """A copy of the images with these indices in the whole source: uint8 (*indices.shape, 3, 32, 32)."""
        rows = indices if self.chosen is None else np.searchsorted(self.chosen, indices)
        return self.images[rows]


def find_images(
    dataset: str, root: str | Path | None, synthetic: bool, download: bool, choice: MiniChoice | None = None
) -> Images:
    """The images of `dataset` ("cifar10" or "cifar100") from the first source that has them.

    With a `choice` they may be no more than those which it needs.

    `root`, or the environment's MINICIFAR_ROOT; what was downloaded earlier; a download. Synthetic images come only
    when asked for, by the argument or (unless there is a `root`) by MINICIFAR_SYNTHETIC=1.

    Raises ImagesNotFound, and CutShort, ChecksumWrong or ClassMissing for a source that is damaged.
    """
    asked_by_environment = os.environ.get("MINICIFAR_SYNTHETIC", "") not in ("", "0") and root is None
    if synthetic or asked_by_environment:
        return _synthetic_images(dataset, "synthetic=True" if synthetic else "MINICIFAR_SYNTHETIC=1")
    title = TITLES[dataset]
    if root is not None:
        if images := _images_in_root(Path(root), dataset, choice):
            return images
        raise ImagesNotFound(f"There are no {title} images in {root}. {OFFLINE_CHOICES}")
    tried = []
    if place := os.environ.get("MINICIFAR_ROOT"):
        if images := _images_in_root(Path(place), dataset, choice):
            return images
        tried.append(f"MINICIFAR_ROOT ({place}) holds none")
        warnings.warn(f"MINICIFAR_ROOT ({place}) holds no {title} images: looking elsewhere.", stacklevel=3)
    else:
        tried.append("MINICIFAR_ROOT is not set")
    if images := _from_cache(f"{dataset}-download", dataset, ""):
        return images
    tried.append(f"nothing was downloaded to {cache_folder()} earlier")
    if download:
        try:
            return _downloaded_images(dataset)
        except (OSError, RuntimeError) as error:
            raise_if_disk_full(error, cache_folder())
            tried.append(f"the download failed ({error})")
    else:
        tried.append("a download was not allowed (download=False)")
    raise ImagesNotFound(f"No {title} images found: {'; '.join(tried)}. {OFFLINE_CHOICES}")


def _images_in_root(root: Path, dataset: str, choice: MiniChoice | None) -> Images | None:
    for place, files, read in _candidates(root.expanduser().resolve(), dataset):
        key = _identity(dataset, place, files)
        if images := _from_cache(key, dataset, place.name, choice):
            return images
        if decoded := read(place, dataset, choice and choice.needed):
            return _keep(key, dataset, decoded, place.name, choice)
    return None


def _candidates(root: Path, dataset: str) -> Iterator[tuple[Path, list[Path], Read]]:
    """Places below `root` that may hold the images, the files that they consist of, and how to read them."""
    if root.is_file():
        yield root, [root], read_archive
    if not root.is_dir():
        return
    inside = sorted(root.iterdir())
    folders = [root, *(path for path in inside if path.is_dir())]
    for folder in folders:
        if folder.name == OFFICIAL_FOLDERS[dataset]:
            yield folder, sorted(folder.iterdir()), read_folder
    for folder in folders:
        if files := class_folder_files(folder, dataset):
            yield folder, files, read_folder
    others = set(OFFICIAL_ARCHIVES.values()) - {OFFICIAL_ARCHIVES[dataset]}
    archives = [path for path in inside if is_archive(path) and path.name not in others]
    for path in sorted(archives, key=lambda path: path.name != OFFICIAL_ARCHIVES[dataset]):
        yield path, [path], read_archive


def _identity(dataset: str, place: Path, files: list[Path]) -> str:
    """A key that changes when the files at `place` do: from their paths, sizes and times."""
    digest = hashlib.sha256(str(place).encode())
    for path in sorted(files):
        stat = path.stat()
        digest.update(f"{path.relative_to(place)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return f"{dataset}-{digest.hexdigest()[:16]}"


def _from_cache(key: str, dataset: str, name: str, choice: MiniChoice | None = None) -> Images | None:
    """What is kept of a source: all of its images, or at least those of the `choice`."""
    chosen = None
    entry = load_entry(key)
    if entry is None and choice is not None and (entry := load_entry(f"{key}-{choice.key}")):
        chosen = choice.needed(entry[1]["per_class"])
    if entry is None:
        return None
    images, notes = entry
    source = _source(dataset, notes["kind"], notes["lossy"], notes["digest"], name)
    return Images(source, CLASS_NAMES[dataset], images, notes["per_class"], chosen)


def _keep(key: str, dataset: str, decoded: Decoded, name: str, choice: MiniChoice | None = None) -> Images:
    """Keep what was decoded; a part of a source under a key of its own, so that it is never taken for the whole."""
    notes = {field: getattr(decoded, field) for field in ("kind", "lossy", "digest", "per_class")}
    if choice is not None and decoded.chosen is not None:
        key = f"{key}-{choice.key}"
    store_entry(key, decoded.images, notes)
    source = _source(dataset, decoded.kind, decoded.lossy, decoded.digest, name)
    return Images(source, CLASS_NAMES[dataset], decoded.images, decoded.per_class, decoded.chosen)


def _source(dataset: str, kind: str, lossy: bool, digest: str, name: str) -> Source:
    """The description names a file but not its folder: it is copied into checkpoints and artifacts."""
    title = TITLES[dataset]
    if kind == "official":
        description = f"{title}, the official images" + (f", from {name}." if name else ", downloaded.")
    else:
        description = f"{title}, class folders of {'JPEG' if lossy else 'PNG'} files, from {name}"
        description += ": a lossy copy, so accuracies are not to be compared with published ones." if lossy else "."
    return Source(dataset, kind, description, f"{dataset}-{digest[:12]}")


def _downloaded_images(dataset: str) -> Images:
    from torchvision import datasets  # takes seconds to import
    from torchvision.datasets.utils import download_url

    official = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[dataset]
    cache_folder().mkdir(parents=True, exist_ok=True)
    patience = socket.getdefaulttimeout()
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="download-") as folder:
        try:
            socket.setdefaulttimeout(30)
            download_url(official.url, folder, official.filename, official.tgz_md5)
        finally:
            socket.setdefaulttimeout(patience)
        decoded = read_archive(Path(folder) / official.filename, dataset)
    if decoded is None:
        raise ImagesNotFound(f"The archive at {official.url} holds no {TITLES[dataset]} images.")
    return _keep(f"{dataset}-download", dataset, decoded, "")


def _synthetic_images(dataset: str, asked_by: str) -> Images:
    classes = len(CLASS_NAMES[dataset])
    fingerprint = f"synthetic-v{synthetic.VERSION}-seed{synthetic.SEED}-{classes}classes"
    source = Source(
        dataset,
        "synthetic",
        f"Synthetic images made by minicifar ({asked_by}): patterns drawn from a seed, not {TITLES[dataset]}.",
        fingerprint,
    )
    if entry := load_entry(fingerprint):
        images, _ = entry
    else:
        images = synthetic.draw_images(classes)
        store_entry(fingerprint, images, {"kind": "synthetic"})
    return Images(source, synthetic.class_names(classes), images, synthetic.per_class(classes))
