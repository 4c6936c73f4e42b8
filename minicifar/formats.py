"""Read CIFAR images from the formats in which they are passed on.

Official batches (a folder or a tar archive of Python pickles, read only after their md5 was checked) and class
folders `train/<class>/*.png`, `test/<class>/*.jpg` (a folder, or a tar or zip archive). Archives are read in memory:
nothing is ever unpacked to the disk. Of JPEG files only the images that are needed are decoded.
"""

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from minicifar.choices import Choose
from minicifar.class_names import CLASS_NAMES, TITLES
from minicifar.errors import ChecksumWrong, ClassMissing, CutShort, MiniCIFARError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
SPLITS = ("train", "test")
OFFICIAL_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
OFFICIAL_ARCHIVES = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}

Files = dict[str, Callable[[], bytes]]  # path below the data set's folder → a function that reads the file


class Decoded(NamedTuple):
    """The images of a data set that were decoded.

    images: uint8 (N, 3, 32, 32), the training images and then the test images, each ordered by class and within
    a class by position. chosen: the indices that they have among all images of the source; None: they are all.
    per_class: the number of images in each class of the source, for "train" and "test".
    kind: "official" or "folders". lossy: True when any of them was a JPEG file.
    digest: of the whole source's content in order (of the pixels; of the file for JPEG, which decoders read slightly
    differently), whichever images were decoded.
    """

    images: np.ndarray
    per_class: dict[str, int]
    kind: str
    lossy: bool
    digest: str
    chosen: np.ndarray | None = None


def read_folder(folder: Path, dataset: str, choose: Choose | None = None) -> Decoded | None:
    """The images of `dataset` in `folder` (official batches or class folders), or None when it has none.

    `choose` says which are needed; of JPEG files no others are decoded.
    """
    if folder.name == OFFICIAL_FOLDERS[dataset]:
        return _decode_official({path.name: path.read_bytes for path in folder.iterdir()}, dataset, folder.name)
    files: Files = {}
    for path in class_folder_files(folder, dataset):
        files[path.relative_to(folder).as_posix()] = path.read_bytes
    return _decode_class_folders(files, dataset, folder.name, choose) if files else None


def class_folder_files(folder: Path, dataset: str) -> list[Path]:
    """All image files in the class folders of `dataset` below `folder`."""
    return [
        path
        for split in SPLITS
        for name in CLASS_NAMES[dataset]
        if (folder / split / name).is_dir()
        for path in (folder / split / name).iterdir()
        if _is_image(path.name)
    ]


def read_archive(path: Path, dataset: str, choose: Choose | None = None) -> Decoded | None:
    """The images of `dataset` in a zip or tar archive, plain or compressed, or None when it has none.

    `choose` says which are needed; of JPEG files no others are decoded. Raises CutShort when the archive ends early.
    """
    official: Files = {}
    folders: dict[str, Files] = defaultdict(dict)
    try:
        for parts, content in _members(path, dataset):
            if parts[-2] == OFFICIAL_FOLDERS[dataset]:
                official[parts[-1]] = content
            else:
                folders["/".join(parts[:-3])]["/".join(parts[-3:])] = content
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise CutShort(
            f"{path.name} cannot be read to its end ({error}): the archive was cut short or damaged. "
            "Copy or download it again."
        ) from error
    if official:
        return _decode_official(official, dataset, path.name)
    if folders:
        return _decode_class_folders(folders[min(folders)], dataset, path.name, choose)
    return None


def is_archive(path: Path) -> bool:
    """Is this an archive that can be read, going by its name?"""
    return path.name.endswith((".tar", ".tgz", ".tar.gz", ".zip")) and path.is_file()


def _members(path: Path, dataset: str) -> Iterator[tuple[tuple[str, ...], Callable[[], bytes]]]:
    """The parts of the name, and the content, of those members of an archive that can belong to `dataset`."""
    classes = set(CLASS_NAMES[dataset])
    for name, read in _zipped(path) if zipfile.is_zipfile(path) else _tarred(path):
        parts = PurePosixPath(name).parts
        official = len(parts) > 1 and parts[-2] == OFFICIAL_FOLDERS[dataset]
        image = len(parts) > 2 and parts[-3] in SPLITS and parts[-2] in classes and _is_image(parts[-1])
        if official or image:
            yield parts, _returns(read())


def _tarred(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The names of a tar archive's files, and what reads each before the next is asked for."""
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if content := archive.extractfile(member) if member.isfile() else None:
                yield member.name, content.read


def _zipped(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The names of a zip archive's files, and what reads each."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, partial(archive.read, member)


def _returns(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _is_png(name: str) -> bool:
    return name.lower().endswith(".png")


def _decode_class_folders(files: Files, dataset: str, where: str, choose: Choose | None = None) -> Decoded:
    """Decode PNG and JPEG files, of JPEG files only those that `choose` asks for.

    The digest that becomes the fingerprint is over pixels where they are PNG files (so that they have the fingerprint
    of the official batches), and these are all decoded for it; JPEG files are hashed as they are.
    """
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in sorted(files):
        split, label, _ = name.split("/")
        names[split, label].append(name)
    per_class = {
        split: _equal_counts({label: len(names[split, label]) for label in CLASS_NAMES[dataset]}, split, where)
        for split in SPLITS
    }
    ordered = [name for split in SPLITS for label in CLASS_NAMES[dataset] for name in names[split, label]]
    lossy = not all(map(_is_png, ordered))
    chosen = choose(per_class) if choose and lossy else None
    row_of = {index: row for row, index in enumerate(range(len(ordered)) if chosen is None else chosen.tolist())}
    images = np.empty((len(row_of), 3, 32, 32), np.uint8)
    digest = hashlib.sha256()
    progress = tqdm(ordered, desc=f"Decoding {TITLES[dataset]}", unit=" images", leave=False, delay=1, mininterval=0.5)
    for index, name in enumerate(progress):
        content, row = files[name](), row_of.get(index)
        if row is not None or _is_png(name):
            image = _decode_image(content, f"{where}: {name}")
            content = image.tobytes() if _is_png(name) else content
        if row is not None:
            images[row] = image
        digest.update(content)
    return Decoded(images, per_class, "folders", lossy, digest.hexdigest(), chosen)


def _decode_image(content: bytes, name: str) -> np.ndarray:
    """One image as uint8 (3, 32, 32)."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.size != (32, 32):
                raise MiniCIFARError(f"{name} is {image.width}x{image.height} pixels; the images must be 32x32.")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except (OSError, SyntaxError) as error:
        raise CutShort(f"{name} is no complete image ({error}). Copy it again.") from error


def _decode_official(files: Mapping[str, Callable[[], bytes]], dataset: str, where: str) -> Decoded:
    from torchvision import datasets  # takes seconds to import; needed for its list of checksums only

    official = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[dataset]
    meta = pickle.loads(_verified(files, official.meta["filename"], official.meta["md5"], where))
    classes = list(meta[official.meta["key"]])
    if classes != CLASS_NAMES[dataset]:
        raise ClassMissing(f"{where} names other classes than those of {TITLES[dataset]}: download it again.")
    images, per_class = [], {}
    for split, listed in (("train", official.train_list), ("test", official.test_list)):
        batches = [pickle.loads(_verified(files, name, md5, where), encoding="latin1") for name, md5 in listed]
        pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([batch["labels" if "labels" in batch else "fine_labels"] for batch in batches])
        counts = np.bincount(labels, minlength=len(classes))
        per_class[split] = _equal_counts(dict(zip(classes, counts.tolist(), strict=True)), split, where)
        images.append(pixels[np.argsort(labels, kind="stable")])
    together = np.concatenate(images)
    return Decoded(together, per_class, "official", False, hashlib.sha256(together.data).hexdigest())


def _verified(files: Mapping[str, Callable[[], bytes]], name: str, md5: str, where: str) -> bytes:
    """The content of an official file, after its checksum was found right: only then is it safe to unpickle."""
    if name not in files:
        raise CutShort(f"{where} has no file {name}: the copy is not complete. Copy or download it again.")
    content = files[name]()
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if checksum != md5:
        raise ChecksumWrong(
            f"{where}: {name} has the checksum (md5) {checksum}, the published file has {md5}. It is damaged or not "
            "the original, and was not opened. Delete it and download it again."
        )
    return content


def _equal_counts(counts: dict[str, int], split: str, where: str) -> int:
    """The number of images that every class of a split has."""
    missing = [label for label, count in counts.items() if not count]
    if missing:
        some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise ClassMissing(
            f"{where} has no {split} images of: {some}. Expected are folders {split}/<class>/ with PNG or JPEG files, "
            f"one for each of the {len(counts)} classes. Complete the copy, or download it again."
        )
    most = max(counts.values())
    short = [f"{label} ({count})" for label, count in counts.items() if count < most]
    if short:
        raise CutShort(
            f"{where} has fewer {split} images of {', '.join(short[:5])} than of the other classes ({most}): "
            "the copy was cut short. Copy or download it again."
        )
    return most
