"""Inside the sandbox, after the fork: what shuts one submission in, on its own.

Bubblewrap holds the warm process: no network, a read-only system, no new user namespaces. A process forked from
it gets, beyond that, namespaces of its own (processes, mounts, memory shared between processes, network), an
empty file system in memory to write to, no privileges, limits, and a filter for system calls. Linux only, called
by number through ctypes, since Python has no names for these calls.
"""

import contextlib
import ctypes
import gc
import os
import platform
import resource
import signal
import socket
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WORK = "/student"  # everything that can be written to lies in this file system

# Numbers of the kernel's interface: sched.h, mount.h, prctl.h, capability.h, seccomp.h
NEW_NAMESPACES = 0x00020000 | 0x20000000 | 0x08000000 | 0x40000000 | 0x04000000  # mount, pid, ipc, net, uts
ANY_NAMESPACE = 0x7E020080
READ_ONLY, NOSUID, NODEV, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
SET_PDEATHSIG, SET_SECCOMP, CAPBSET_DROP, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS, CAP_AMBIENT = 1, 22, 24, 36, 38, 47
CAP_AMBIENT_CLEAR_ALL, CAPABILITY_VERSION, SECCOMP_FILTER = 4, 0x20080522, 2

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # as the kernel's audit numbers them

# System calls that are refused: their names, and their numbers on x86_64 and on aarch64
REFUSED = {
    # another root folder, other namespaces
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    # mounts, in the old way and in the new
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # files by handles, which pass by the folders that hide them
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # other processes' memory and open files
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    # memory and messages that belong to no process, so that neither limits nor the end of a process touch them
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # the kernel's keyrings, which know no namespaces
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # code for the kernel, and looking into it
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    # the machine itself
    "acct": (163, 89),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "quotactl": (179, 60),
    # large interfaces in which holes were found again and again, and that nobody needs here
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
CLONE = (56, 220)  # refused with a flag for a new namespace
CLONE3 = (
    435,
    435,
)  # "no such call": its flags lie in memory, where a filter cannot look; C libraries fall back on clone


@dataclass(frozen=True)
class Confinement:
    """What a process may use: said by whoever starts it, carried out by the process itself before it does its work."""

    memory: int  # bytes of address space, beyond what it has before
    disk: int  # bytes of one file; with namespaces of all files together
    folder: str = WORK  # to work in, where it has no namespaces of its own
    cpu: int = -1  # seconds of processor time; -1: as many as it likes
    processes: int = 0  # with namespaces only
    namespaces: bool = False  # of its own

    def as_data(self) -> dict[str, Any]:
        """The settings as data for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Confinement":
        """The settings that `as_data` gave on the other side. Raises TypeError for others."""
        return cls(**data)


class ConfinementError(Exception):
    """The process could not be shut in; nothing of a submission may run in it."""


def libc() -> Any:
    """The C library, whose functions say in `errno` why they failed."""
    return ctypes.CDLL(None, use_errno=True)


def must(result: int, what: str) -> None:
    """Raise ConfinementError where a call of the C library did not return 0."""
    if result:
        raise ConfinementError(f"{what}: {os.strerror(ctypes.get_errno())}")


def possible() -> bool:
    """Whether processes can be confined one by one here: Linux on a processor whose system calls are listed."""
    return platform.system() == "Linux" and platform.machine() in ARCHITECTURES


def settle_memory() -> None:
    """What is there now stays: processes forked from here on do not look through it for garbage, and share it."""
    gc.collect()
    gc.freeze()


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


def enter(confinement: Confinement, channel: socket.socket) -> str:
    """Shut this process in → the folder to work in. Raises ConfinementError.

    With `namespaces` the caller goes on as a new process in namespaces of its own; the processes in between keep
    no end of `channel`. Without them it only gets its limits: bubblewrap is all around it, or nothing is.
    """
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    os.nice(5)  # what grades must not wait for what is graded
    before = address_space()  # later there is no /proc to read it from
    folder = confinement.folder
    if confinement.namespaces:
        must(libc().unshare(NEW_NAMESPACES), "namespaces")
        go_on_in_a_child(channel)
        folder = private_files(confinement.disk)
        drop_privileges()
        go_on_in_a_child(channel)
    set_limits(confinement, before)
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
    public = {name: Path("/proc", name).read_bytes() for name in ("cpuinfo", "meminfo", "stat")}
    must(mount(b"tmpfs", b"/proc", b"tmpfs", NOSUID | NODEV, b"size=1m,mode=755"), "/proc")
    for name, content in public.items():
        Path("/proc", name).write_bytes(content[:100_000])
    must(mount(b"none", b"/proc", None, REMOUNT | READ_ONLY | NOSUID | NODEV, None), "/proc")
    os.mkdir(f"{WORK}/lab")
    return f"{WORK}/lab"


def mounted_below(folder: str) -> list[str]:
    """The folders below a folder at which something is mounted, without those below one another."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    points = [point.encode().decode("unicode_escape") for point in points]
    uppermost: list[str] = []
    for point in sorted(point for point in points if point.startswith(f"{folder}/") and os.path.isdir(point)):
        if not any(point.startswith(f"{other}/") for other in uppermost):
            uppermost.append(point)
    return uppermost


def drop_privileges() -> None:
    """Give up every capability for good, and refuse system calls that nobody needs here."""
    library = libc()
    library.prctl(CAP_AMBIENT, CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(64):
        library.prctl(CAPBSET_DROP, capability, 0, 0, 0)
    must(library.capset(struct.pack("<II", CAPABILITY_VERSION, 0), bytes(24)), "capabilities")
    must(library.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    program = filter_program(platform.machine())
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    must(library.prctl(SET_SECCOMP, SECCOMP_FILTER, described, 0, 0), "system call filter")


def filter_program(machine: str) -> bytes:
    """The filter for the kernel (classic BPF, see seccomp(2)): each instruction is code, two jumps, a number.

    Calls of another architecture are refused, and so are those of the x32 interface, which have other numbers.
    """
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    call_at, architecture_at, flags_at = 0, 4, 16  # in what the kernel hands to the filter
    allow, no_such_call, not_permitted = 0x7FFF0000, 0x00050000 | 38, 0x00050000 | 1  # Linux's ENOSYS and EPERM
    column = list(ARCHITECTURES).index(machine)
    steps = [(load, 0, 0, architecture_at), (equal, 1, 0, ARCHITECTURES[machine]), (answer, 0, 0, not_permitted)]
    steps += [(load, 0, 0, call_at), (at_least, 0, 1, 0x40000000), (answer, 0, 0, not_permitted)]
    for call in sorted(numbers[column] for numbers in REFUSED.values()):
        steps += [(equal, 0, 1, call), (answer, 0, 0, not_permitted)]
    steps += [(equal, 0, 1, CLONE3[column]), (answer, 0, 0, no_such_call)]
    steps += [(equal, 0, 3, CLONE[column]), (load, 0, 0, flags_at), (any_bit, 0, 1, ANY_NAMESPACE)]
    steps += [(answer, 0, 0, not_permitted), (answer, 0, 0, allow)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def set_limits(confinement: Confinement, before: int) -> None:
    """Limits of this process and of all that it starts; `before`: the bytes of its `address_space` until now."""
    limits = {
        resource.RLIMIT_AS: before + confinement.memory,
        resource.RLIMIT_CPU: confinement.cpu,
        resource.RLIMIT_FSIZE: confinement.disk,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 1024,
    }
    if hasattr(resource, "RLIMIT_NPROC") and confinement.namespaces:
        limits[resource.RLIMIT_NPROC] = confinement.processes + 8
    for limit, value in limits.items():
        with contextlib.suppress(ValueError, OSError):
            later = 5 if limit == resource.RLIMIT_CPU and value >= 0 else 0  # first a signal that says why
            resource.setrlimit(limit, (value, value + later))
