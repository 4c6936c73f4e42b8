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

CGROUPS = Path("/sys/fs/cgroup")
HARD = 1.25  # of the memory allowed: where the kernel itself ends processes, before the watch has looked again
MOST_DESCRIPTORS = 1024  # of one process
FEW_DESCRIPTORS = 100  # of all processes together: what can wait in them is no more than some 40 MB


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


DAY = 86_400.0
RANGES: dict[str, tuple[float, float]] = {  # of what a limit may be
    "call_seconds": (0.1, DAY),
    "exercise_seconds": (0.1, DAY),
    "cell_seconds": (0.1, DAY),
    "notebook_seconds": (1, 7 * DAY),
    "cpu_seconds": (1, 7 * DAY),
    "memory_megabytes": (100, 1_000_000),
    "processes": (1, 10_000),
    "disk_megabytes": (1, 1_000_000),
    "restarts": (0, 1_000),
}


def limits_from(settings: Mapping[str, Any]) -> Limits:
    """Limits from a configuration: those named there, in place of the usual ones. Raises ValueError.

    Numbers may be text, as they are on the command line.
    """
    usual = asdict(Limits())
    unknown = set(settings) - set(usual)
    if unknown:
        raise ValueError(f"There is no limit {sorted(map(str, unknown))[0]!r}; there are {', '.join(usual)}.")
    given: dict[str, Any] = {name: number_for(name, value, type(usual[name])) for name, value in settings.items()}
    return Limits(**{**usual, **given})


def number_for(name: str, value: Any, kind: type) -> float:
    """A limit's number, whole where `kind` is int. Raises ValueError, which says what it may be."""
    least, most = RANGES[name]
    try:
        number = float(value)
        if not isinstance(value, bool) and least <= number <= most and number == kind(number):
            return kind(number)  # type: ignore[no-any-return]
    except (TypeError, ValueError, OverflowError):
        pass
    what = "a whole number" if kind is int else "a number"
    raise ValueError(f"{name} cannot be {value!r}: it is {what} from {least:,.10g} to {most:,.10g}.")


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


# --- memory: of control groups where there are any, else of each process and of what waits in its sockets


def control_groups(process: int, tasks: int, megabytes: float | None = None) -> list[Path]:
    """Control groups for a process and all that it starts: at most so many tasks, and so much memory of all kinds.

    They need root. For others the kernel counts tasks by user (RLIMIT_NPROC), and memory is watched from outside.
    """
    limit = int(HARD * 1_000_000 * megabytes) if megabytes else "max"
    if (CGROUPS / "cgroup.controllers").is_file():
        places: dict[Path, dict[str, Any]] = {CGROUPS: {"pids.max": tasks, "memory.max": limit}}
    else:
        places = {CGROUPS / "pids": {"pids.max": tasks}}
        if megabytes:
            places[CGROUPS / "memory"] = {"memory.limit_in_bytes": limit}
    groups = []
    for parent, values in places.items():
        remove_stale(parent)
        group = parent / f"pruning-labs-{process}"
        with contextlib.suppress(OSError):
            group.mkdir()
            for file, value in values.items():
                with contextlib.suppress(OSError):  # what is not counted here
                    (group / file).write_text(str(value))
            try:
                (group / "cgroup.procs").write_text(str(process))
                groups.append(group)
            except OSError:  # it would count nothing, as if nothing were used
                group.rmdir()
    return groups


def remove_stale(parent: Path) -> None:
    """Remove the control groups of graders that were killed."""
    for group in parent.glob("pruning-labs-*"):
        process = group.name.rpartition("-")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            with contextlib.suppress(OSError):
                group.rmdir()


def remove_groups(groups: Iterable[Path]) -> None:
    """Remove control groups, as soon as their last process is gone."""
    for group in groups:
        for _ in range(50):
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.02)


def memory_of_groups(groups: Iterable[Path]) -> float | None:
    """Megabytes that control groups count, without files of the disk that are kept at hand; None where none counts.

    With them the kernel counts all that it holds for processes: what waits in sockets and pipes, files in memory.
    """
    for group in groups:
        for file, prefix in (("memory.current", ""), ("memory.usage_in_bytes", "total_")):
            with contextlib.suppress(OSError, ValueError, KeyError):
                used = int((group / file).read_text())
                about = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                return (used - sum(int(about[f"{prefix}{kind}_file"]) for kind in ("active", "inactive"))) / 1e6
    return None


def memory_of(processes: Iterable[psutil.Process]) -> float:
    """Megabytes that processes hold together: what several share counts once (Pss), with what may wait in sockets.

    A process that cannot be looked into counts with all that it maps, and with as many sockets as it may have.
    """
    total, sockets, hidden = 0, set[str](), 0
    for process in processes:
        folder = Path(f"/proc/{process.pid}")
        try:
            lines = (folder / "smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
            names = [os.readlink(file.path) for file in os.scandir(folder / "fd")]
            sockets |= {name for name in names if name.startswith(("socket:", "pipe:"))}
        except (FileNotFoundError, ProcessLookupError, StopIteration):
            continue  # it has ended
        except OSError:
            hidden += MOST_DESCRIPTORS
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return (total + (len(sockets) + hidden) * most_in_a_socket()) / 1e6


def most_in_a_socket() -> int:
    """Bytes that can wait in one socket: twice the largest buffer that may be asked for."""
    with contextlib.suppress(OSError, ValueError):
        return 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
    return 425_984


def may_hold_much(processes: Iterable[psutil.Process], megabytes: float) -> bool:
    """Whether it is worth while to ask `memory_of`, which takes longer: for as much, or for many descriptors."""
    total, descriptors = 0.0, 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss / 1e6  # what is shared counts for each, so this is never less
            try:
                descriptors += process.num_fds()
            except psutil.AccessDenied:
                descriptors += MOST_DESCRIPTORS
    return total > megabytes or descriptors > FEW_DESCRIPTORS


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
