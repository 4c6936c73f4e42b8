"""Run an entry's own training code again, shut in, and see whether what it makes is as good as what was handed in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autograder.challenge.entries import LeaderboardError, read_entry, seeds_on
from autograder.challenge.measuring import Measurers, line
from autograder.course import ROOT
from autograder.grading.submissions import read_file
from autograder.sandbox import bubblewrap, child, confinement, limits
from course_utils.onnx_files.reading import LARGEST_MEGABYTES
from minicifar import load

HOLDS = 0.01  # of accuracy: what may be lost
MEMORY = 16_000_000  # kB of address space of one process
DISK = 2_000_000_000  # bytes of files, which lie in memory
PROCESSES = 64
LARGEST = LARGEST_MEGABYTES * 1_000_000

# In an empty folder: train.py SEED. What it prints is kept from the network that comes out.
SCRIPT = f"""ulimit -v {MEMORY}; cd {confinement.WORK} && cp /entry/train.py . || exit 3
"$0" train.py "$1" > log 2>&1 || {{ tail -c 2000 log >&2; exit 1; }}
test -f network.onnx || {{ tail -c 1000 log >&2; echo "It wrote no network.onnx." >&2; exit 2; }}
head -c {LARGEST + 1} network.onnx"""


class Repeated(NamedTuple):
    """One run: the accuracy of the network that came out, None with the reason where none did."""

    seed: int
    accuracy: float | None
    handed_in: float
    reason: str

    @property
    def holds(self) -> bool:
        """Whether the run came to the accuracy that was handed in, but for what may be lost."""
        return self.accuracy is not None and self.accuracy >= self.handed_in - HOLDS


def rerun(folder: Path, hours: float) -> Iterator[Repeated]:
    """Train an entry again with each of its seeds (0 if it has none), each within so many hours, and measure it.

    Its train.py runs on the processor, without network, in an empty folder with minicifar, course_utils and
    solutions to import. Raises LeaderboardError for an entry that cannot be run again, and SandboxError.
    """
    handed = read_entry(folder)
    if handed.reason or not handed.dataset:
        raise LeaderboardError(f"{folder} cannot be run again: {handed.reason or 'its card names no data set.'}")
    try:
        code = read_file(folder / "train.py")
    except OSError:
        raise LeaderboardError(
            f'{folder} has no train.py: ask the team for it (challenge.submit(…, code="train.py")).'
        ) from None
    images = load(handed.dataset, "test")
    for split in ("train", "val"):
        load(handed.dataset, split)
    with Measurers(handed.dataset, images.fingerprint, "bubblewrap", 3600) as measure:
        entry = line(handed, handed.dataset, images.fingerprint, measure)
        if entry["accuracy"] is None:
            raise LeaderboardError(f"The network.onnx in {folder} was refused: {entry['reason']}")
        for seed in seeds_on(handed.card) or [0]:
            data, reason = train_again(code, seed, hours)
            result: dict[str, Any] = measure(data) if data is not None else {"refused": reason}
            accuracy = result["measured"]["accuracy"] if "measured" in result else None
            yield Repeated(seed, accuracy, entry["accuracy"], result.get("refused", ""))


def train_again(code: bytes, seed: int, hours: float) -> tuple[bytes | None, str]:
    """What train.py wrote to network.onnx, or None and why there is nothing."""
    place = child.work_folder()
    (place / "train.py").write_bytes(code)
    (place / "passwd").write_text("student:x:65534:65534::/tmp:/bin/sh\n")
    binds = ["--ro-bind", str(place / "train.py"), "/entry/train.py"]
    binds += ["--ro-bind", str(place / "passwd"), "/etc/passwd"]
    for name in ("minicifar", "course_utils", "solutions", "studies"):
        binds += ["--ro-bind", str(ROOT / name), f"/course/{name}"]
    binds += bubblewrap.image_binds(write=False)
    threads = str(os.cpu_count() or 1)
    variables = bubblewrap.environment(True, "/course") | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    command = ["/bin/sh", "-c", SCRIPT, sys.executable, str(seed)]
    process = subprocess.Popen(
        bubblewrap.sandboxed(command, binds, variables, DISK),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    group = limits.task_group(process.pid, PROCESSES + 4 * (os.cpu_count() or 1))
    try:
        data, errors = process.communicate(timeout=hours * 3600)
    except subprocess.TimeoutExpired:
        return None, f"It was not done after {hours:g} hours."
    finally:
        process.kill()
        process.communicate()
        limits.remove_group(group)
        shutil.rmtree(place, ignore_errors=True)
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
        return None, f"train.py did not get to the end: {last[0][:300]}"
    if len(data) > LARGEST:
        return None, f"It wrote more than {LARGEST_MEGABYTES} MB."
    return data, ""
