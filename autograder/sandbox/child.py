"""A process that is started for others to talk to: in a folder of its own, over a socket, with a log."""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

START_SECONDS = 300.0  # for a warm process to import everything, on a crowded machine with a cold disk


def work_folder() -> Path:
    """A new temporary folder of this process; those of processes that were killed are removed."""
    for path in Path(tempfile.gettempdir()).glob("pruning-labs-*-*"):
        owner = path.name.split("-")[2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"pruning-labs-{os.getpid()}-"))
