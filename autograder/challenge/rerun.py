"""Run an entry's own training code again, shut in, and see whether what it makes is as good as what was handed in."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from autograder.authoring.frozen import frozen_path, read_frozen, version_0_1_0
from autograder.challenge.entries import LeaderboardError, read_entry, seeds_on
from autograder.challenge.measuring import Measurers, line
from autograder.course import COURSE, LIBRARIES, ROOT
from autograder.grading.submissions import read_file
from autograder.sandbox import bubblewrap, confinement, limits
from autograder.sandbox.child import Child
from course_utils import VERSION
from course_utils.onnx_files.reading import LARGEST_MEGABYTES
from minicifar import load

HOLDS = 0.01  # of accuracy: what may be lost
MEGABYTES = 16_000  # of memory, of all processes together where there are control groups
MEMORY = 1_000 * MEGABYTES  # kB of address space of one process
DISK = 2_000_000_000  # bytes of files, which lie in memory
PROCESSES = 64
LARGEST = LARGEST_MEGABYTES * 1_000_000
LAUNCHER = Path("/launcher")  # what shuts itself in, and goes on as the command that it is given
CONFINING = ["autograder/__init__.py"]
CONFINING += [f"autograder/sandbox/{name}.py" for name in ("__init__", "confinement", "system_calls")]

# In an empty folder: train.py SEED. What it prints is kept from the network that comes out.
SCRIPT = f"""ulimit -v {MEMORY}; cd {confinement.WORK} && cp /entry/train.py . || exit 3
PYTHONPATH=/course "$0" train.py "$1" > log 2>&1 || {{ tail -c 2000 log >&2; exit 1; }}
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
        """Whether the accuracy is what was handed in, but for what may be lost."""
        return self.accuracy is not None and self.accuracy >= self.handed_in - HOLDS


def rerun(folder: Path, hours: float, course: Path = COURSE) -> Iterator[Repeated]:
    """Train an entry again with each of its seeds (0 if it has none), within so many hours each, and measure it.

    Its train.py runs on the processor, without network, in an empty folder with minicifar, course_utils, solutions
    and studies to import, in the version in which it was handed in. `course`: the folder from which the challenge was
    released. Raises LeaderboardError for an entry that cannot be run again, and SandboxError.
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
    packages = packages_of(handed.card.get("version"), course)
    images = load(handed.dataset, "test")
    for split in ("train", "val"):
        load(handed.dataset, split)
    with Measurers(handed.dataset, images.fingerprint, "bubblewrap", 3600) as measure:
        entry = line(handed, handed.dataset, images.fingerprint, measure)
        if entry["accuracy"] is None:
            raise LeaderboardError(f"The network.onnx in {folder} was refused: {entry['reason']}")
        for seed in seeds_on(handed.card) or [0]:
            data, reason = train_again(code, seed, hours, packages)
            result: dict[str, Any] = measure(data) if data is not None else {"refused": reason}
            accuracy = result["measured"]["accuracy"] if "measured" in result else None
            yield Repeated(seed, accuracy, entry["accuracy"], result.get("refused", ""))


def packages_of(version: object, course: Path) -> dict[str, bytes] | None:
    """The packages of the version in which an entry was handed in, path → content; None: those of this project.

    Cards of version 0.1.0 name no version. Raises LeaderboardError where the version's packages are not there.
    """
    if version is None:
        return {name: data for name, data in version_0_1_0()[1].items() if name.split("/")[0] in LIBRARIES}
    if version == VERSION:
        return None
    path = frozen_path(course, "challenge")
    release = read_frozen(path.read_bytes()) if path.is_file() else None
    if release is None or release.version != version:
        raise LeaderboardError(
            f"The entry was handed in with version {version}, this is "
            f"{VERSION}, and {path} does not hold that version: "
            "give the course folder from which the challenge was released (--course)."
        )
    return {name: data for name, data in release.files.items() if name.split("/")[0] in LIBRARIES}


def training_binds(folder: Path) -> list[str]:
    """bubblewrap's arguments for what an entry's training sees: its code in `folder`, what it imports, the images.

    What it imports lies in `folder` too where it is not this project's own.
    """
    binds = bubblewrap.read_only(folder / "train.py", "/entry/train.py")
    for name in CONFINING:
        binds += bubblewrap.read_only(ROOT / name, LAUNCHER / name)
    binds += bubblewrap.read_only(folder / "passwd", "/etc/passwd")
    if (folder / "packages").is_dir():
        binds += bubblewrap.read_only(folder / "packages", "/course")
    else:
        binds += bubblewrap.project_binds(LIBRARIES, Path("/course"))
    return [*binds, *bubblewrap.image_binds(write=False)]


def train_again(
    code: bytes, seed: int, hours: float, packages: Mapping[str, bytes] | None = None
) -> tuple[bytes | None, str]:
    """What train.py wrote to network.onnx, or None and why there is nothing. `packages`: see `packages_of`."""
    threads = torch.get_num_threads()
    variables = bubblewrap.environment(True, f"/course{os.pathsep}{LAUNCHER}")
    variables |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with Child("The training") as child:
        (child.folder / "train.py").write_bytes(code)
        (child.folder / "passwd").write_text(bubblewrap.PASSWD)
        for name, data in (packages or {}).items():
            path = child.folder / "packages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        command = [sys.executable, "-m", confinement.__name__, "/bin/sh", "-c", SCRIPT, sys.executable, str(seed)]
        sandbox = bubblewrap.Sandbox(training_binds(child.folder), DISK)
        process = child.start(command, variables, sandbox, piped=True)
        groups = limits.control_groups(process.pid, PROCESSES + 4 * threads, MEGABYTES)
        try:
            data, errors = process.communicate(timeout=hours * 3600)
        except subprocess.TimeoutExpired:
            return None, f"It was not done after {hours:g} hours."
        finally:
            child.close()
            limits.remove_groups(groups)
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
        return None, f"train.py did not get to the end: {last[0][:300]}"
    if len(data) > LARGEST:
        return None, f"It wrote more than {LARGEST_MEGABYTES} MB."
    return data, ""
