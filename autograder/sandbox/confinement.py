"""Inside the sandbox, after the fork: what shuts one submission in, on its own.

Bubblewrap holds the warm process: no network, a read-only system, no new user namespaces. A process forked from
it gets, beyond that, namespaces of its own (processes, mounts, memory shared between processes, network), an
empty file system in memory to write to, no privileges, limits, and a filter for system calls. Linux only, called
by number through ctypes, since Python has no names for these calls.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import socket
import struct
from pathlib import Path
from typing import Any

WORK = "/student"  # everything that can be written to lies in this file system
NEW_NAMESPACES = 0x00020000 | 0x20000000 | 0x08000000 | 0x40000000 | 0x04000000  # mount, pid, ipc, net, uts
ANY_NAMESPACE = 0x7E020080
NOSUID, NODEV, BIND, PRIVATE, RECURSIVE = 2, 4, 4096, 1 << 18, 16384
SET_PDEATHSIG, CAPBSET_DROP, SET_SECCOMP, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS, CAP_AMBIENT = 1, 24, 22, 36, 38, 47

# Calls that are refused, by architecture: its audit number, then system call numbers. Namespaces and mounts, other
# processes' memory, the kernel's keyrings, loading code into the kernel, memory that belongs to no process.
ALWAYS = (425, 428, 429, 430, 431, 432, 433, 438, 442, 447)  # io_uring, the new mount calls and others: same everywhere
FILTERS = {
    "x86_64": (
        0xC000003E,
        (29, 68, 101, 155, 161, 163, 165, 166, 167, 169, 175, 176, 179, 240, 246, 248, 249, 250, 272, 298, 303, 304,
         308, 310, 311, 313, 319, 321, 323),
    ),
    "aarch64": (
        0xC00000B7,
        (39, 40, 41, 51, 60, 89, 97, 104, 105, 106, 117, 142, 180, 186, 194, 217, 218, 219, 224, 241, 264, 265, 268,
         270, 271, 273, 279, 280, 282),
    ),
}  # fmt: skip
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435


class ConfinementError(Exception):
    """The process could not be shut in; nothing of a submission may run in it."""


def libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def must(result: int, what: str) -> None:
    if result:
        raise ConfinementError(f"{what}: {os.strerror(ctypes.get_errno())}")


def possible() -> bool:
    """Whether processes can be confined one by one here: Linux on a processor whose system calls are listed."""
    return platform.system() == "Linux" and platform.machine() in FILTERS


def adopt_orphans() -> None:
    """Processes that lose their parent become children of this one, so that none gets lost."""
    if platform.system() == "Linux":
        libc().prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(child: int) -> int:
    """Wait until a child has ended, and reap all others that end meanwhile → its wait status."""
    while True:
        with contextlib.suppress(InterruptedError):
            pid, status = os.wait()
            if pid == child:
                return status


def reap() -> None:
    """Let go of children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def enter(settings: dict[str, Any], channel: socket.socket) -> str:
    """Shut this process in → the folder to work in. Raises ConfinementError.

    With `namespaces` the caller goes on as a new process in namespaces of its own; the processes in between keep
    no end of `channel`. Without them it only gets its limits: bubblewrap is all around it, or nothing is.
    """
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    os.nice(5)  # what grades must not wait for what is graded
    memory = address_space() + settings["memory"]
    folder = settings["folder"]
    if settings["namespaces"]:
        must(libc().unshare(NEW_NAMESPACES), "namespaces")
        go_on_in_a_child(channel)
        folder = private_files(settings["disk"])
        drop_privileges()
        go_on_in_a_child(channel)
    set_limits(memory, settings)
    return folder


def address_space() -> int:
    """Bytes of address space that this process has now."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return 8 << 30


def go_on_in_a_child(channel: socket.socket) -> None:
    """Fork; the parent waits for its child, ends as it ends, and everything in its namespace ends with it."""
    child = os.fork()
    if child:
        channel.close()
        status = wait_for(child)
        code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        os._exit(code)
    libc().prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def private_files(disk: int) -> str:
    """An empty file system in memory for /student, /tmp and /dev/shm; no view of processes.

    What the sandbox itself shows below /tmp (Python, or images, where they are installed there) stays visible.
    """
    mount = libc().mount
    shown = {point: os.open(point, os.O_PATH) for point in mounted_below("/tmp")}
    must(mount(b"none", b"/", None, PRIVATE | RECURSIVE, None), "private mounts")
    must(mount(b"tmpfs", WORK.encode(), b"tmpfs", NOSUID | NODEV, f"size={disk},mode=700".encode()), "work folder")
    for name, place in (("tmp", b"/tmp"), ("shm", b"/dev/shm")):
        os.mkdir(f"{WORK}/{name}")
        must(mount(f"{WORK}/{name}".encode(), place, None, BIND, None), f"/{name}")
    for point, descriptor in shown.items():
        os.makedirs(point)
        must(mount(f"/proc/self/fd/{descriptor}".encode(), point.encode(), None, BIND | RECURSIVE, None), point)
        os.close(descriptor)
    told = {name: Path("/proc", name).read_bytes() for name in ("cpuinfo", "meminfo", "stat")}
    must(mount(b"tmpfs", b"/proc", b"tmpfs", NOSUID | NODEV, b"size=1m,mode=755"), "/proc")
    for name, content in told.items():
        Path("/proc", name).write_bytes(content[:100_000])
    must(mount(b"none", b"/proc", None, 1 | 32 | NOSUID | NODEV, None), "/proc")  # read-only from here
    os.mkdir(f"{WORK}/lab")
    return f"{WORK}/lab"


def mounted_below(folder: str) -> list[str]:
    """The folders below a folder at which something is mounted, without those below one another."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    points = [point.encode().decode("unicode_escape") for point in points]
    found: list[str] = []
    for point in sorted(point for point in points if point.startswith(f"{folder}/") and os.path.isdir(point)):
        if not any(point.startswith(f"{other}/") for other in found):
            found.append(point)
    return found


def drop_privileges() -> None:
    """Give up every capability for good, and refuse system calls that nobody needs here."""
    library = libc()
    library.prctl(CAP_AMBIENT, 4, 0, 0, 0)
    for capability in range(64):
        library.prctl(CAPBSET_DROP, capability, 0, 0, 0)
    must(library.capset(struct.pack("<II", 0x20080522, 0), bytes(24)), "capabilities")
    must(library.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    program = filter_program(platform.machine())
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    must(library.prctl(SET_SECCOMP, 2, described, 0, 0), "system call filter")


def filter_program(machine: str) -> bytes:
    """The filter for the kernel (classic BPF, see seccomp(2)): each instruction is code, two jumps, a number."""
    architecture, refused = FILTERS[machine]
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, no_such_call, not_permitted = 0x7FFF0000, 0x00050000 | 38, 0x00050000 | 1
    steps = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, not_permitted), (load, 0, 0, 0)]
    steps += [(at_least, 0, 1, 0x40000000), (answer, 0, 0, not_permitted)]
    for call in (*refused, *ALWAYS):
        steps += [(equal, 0, 1, call), (answer, 0, 0, not_permitted)]
    steps += [(equal, 0, 1, CLONE3), (answer, 0, 0, no_such_call)]
    steps += [(equal, 0, 3, CLONE[machine]), (load, 0, 0, 16), (any_bit, 0, 1, ANY_NAMESPACE)]
    steps += [(answer, 0, 0, not_permitted), (answer, 0, 0, allow)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def set_limits(memory: int, settings: dict[str, Any]) -> None:
    """Limits of this process and of all that it starts."""
    wanted = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: settings["cpu"],
        resource.RLIMIT_FSIZE: settings["disk"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 1024,
    }
    if hasattr(resource, "RLIMIT_NPROC") and settings["namespaces"]:
        wanted[resource.RLIMIT_NPROC] = settings["processes"] + 8
    for limit, value in wanted.items():
        with contextlib.suppress(ValueError, OSError):
            later = 5 if limit == resource.RLIMIT_CPU and value >= 0 else 0  # first a signal that says why
            resource.setrlimit(limit, (value, value + later))
