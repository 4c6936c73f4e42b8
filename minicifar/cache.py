"""Decoded images, kept between runs: `<key>.npy` (memory-mapped when read) beside `<key>.json`.

Both are written under a temporary name and moved into place, the .json last. So a reader sees a complete pair or
none, and two processes that build the same entry at once do no harm: the later one replaces it by the same bytes.
"""

import errno
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from minicifar.errors import DiskFull
from minicifar.files import atomic


def cache_folder() -> Path:
    """`minicifar` in $XDG_CACHE_HOME or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minicifar"


def load_entry(key: str) -> tuple[np.ndarray, dict[str, Any]] | None:
    """The array (memory-mapped, read-only) and the notes kept under `key`, or None."""
    path = cache_folder() / f"{key}.npy"
    try:
        notes = json.loads(path.with_suffix(".json").read_text("utf-8"))
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return (array, notes) if list(array.shape) == notes["shape"] else None


def store_entry(key: str, array: np.ndarray, notes: dict[str, Any]) -> None:
    """Keep `array` and `notes` under `key`.

    Raises DiskFull. Where the folder cannot be written at all, nothing is kept, with a warning.
    """
    path = cache_folder() / f"{key}.npy"
    text = json.dumps(notes | {"shape": list(array.shape)}, indent=1)
    try:
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        with atomic(path.with_suffix(".json")) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise_if_disk_full(error, path.parent)
        warnings.warn(f"The decoded images are not kept for the next time: {error}.", stacklevel=2)


def raise_if_disk_full(error: Exception, folder: Path) -> None:
    """Raises DiskFull when that is what `error` means."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise DiskFull(
            f"The disk is full: {folder} has no room for the images, which take about 200 MB (400 MB while they are "
            "downloaded). Make room there, or set XDG_CACHE_HOME to a folder on another disk."
        ) from error
