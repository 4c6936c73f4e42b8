"""What one submission may use, how much of it is used, and in words what was too much."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Limits:
    """What one submission may use; seconds are wall time unless said otherwise."""

    call_seconds: float = 20.0  # one call of a student's function by a test
    exercise_seconds: float = 120.0  # all calls of an exercise's tests; and the tests' own work between two calls
    cell_seconds: float = 120.0
    notebook_seconds: float = 600.0
    cpu_seconds: int = 600  # of one process
    memory_megabytes: int = 4_000  # of all processes together
    processes: int = 32
    disk_megabytes: int = 512
    restarts: int = 3  # after so many deaths of the kernel the rest of a notebook is not run


def limits_from(settings: Mapping[str, Any]) -> Limits:
    """Limits from a configuration: those named there, in place of the usual ones. Raises ValueError."""
    usual = asdict(Limits())
    unknown = set(settings) - set(usual)
    if unknown:
        raise ValueError(f"There is no limit {sorted(unknown)[0]!r}; there are {', '.join(usual)}.")
    return Limits(**{**usual, **settings})


def processes_below(process: psutil.Process) -> list[psutil.Process]:
    """All processes that a process has started, and those that they have started."""
    with contextlib.suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []


def alive(process: psutil.Process) -> bool:
    """Whether a process has not ended yet."""
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def memory_of(processes: Iterable[psutil.Process]) -> float:
    """Megabytes that processes hold together; what several share counts once (Pss)."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))  # in units of 1024 bytes
    return total * 1024 / 1e6


def task_group(process: int, tasks: int) -> Path | None:
    """A control group for a process and all that it starts, with at most so many processes and threads.

    It needs root, and is needed by root only: for everybody else the kernel counts by user (RLIMIT_NPROC).
    """
    for parent in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        group = parent / f"pruning-labs-{process}"
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                (group / "pids.max").write_text(str(tasks))
                (group / "cgroup.procs").write_text(str(process))
            except OSError:
                group.rmdir()
                continue
            return group
    return None


def remove_group(group: Path | None) -> None:
    """Remove a control group, as soon as its last process is gone."""
    if group is None:
        return
    for _ in range(50):
        with contextlib.suppress(OSError):
            return group.rmdir()
        time.sleep(0.02)


def memory_with_shared(processes: Iterable[psutil.Process]) -> float:
    """Megabytes of processes, what they share counted for each; quicker than `memory_of`."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss / 1e6
    return total


def too_much_memory(processes: list[psutil.Process], megabytes: float) -> bool:
    """Whether processes hold more together. Mostly the quicker figure says that they do not: it is never smaller."""
    return memory_with_shared(processes) > megabytes and memory_of(processes) > megabytes


def tasks_of_machine() -> int:
    """How many processes and threads there are on this machine; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    return 0


def in_words(status: int | None, limits: Limits) -> str:
    """Why a process ended, from its wait status."""
    if status is None:
        return "it ended"
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    if code == 128 + signal.SIGXCPU:
        return f"it used more than {limits.cpu_seconds} s of processor time"
    if code in (128 + signal.SIGSEGV, 128 + signal.SIGABRT, 128 + signal.SIGBUS, 128 + signal.SIGILL):
        return f"it crashed ({signal.Signals(code - 128).name})"
    if code == 128 + signal.SIGKILL:
        return "it was ended by the system: too much memory, most likely"
    return f"it ended the process itself (exit code {code}): no os._exit, please"
