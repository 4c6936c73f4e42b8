"""Inside the sandbox, after the fork: what shuts one submission in, on its own.

Bubblewrap holds the warm process: no network, a read-only system, no new user namespaces. A process forked from
it gets, beyond that, namespaces of its own (processes, mounts, memory shared between processes, network), an
empty file system in memory to write to, no privileges, limits, and a filter for system calls. Linux only, called
through ctypes, since Python has no names for these calls.
"""

import contextlib
import ctypes
import gc
import itertools
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from autograder.sandbox.system_calls import LAST, allowed, numbers

WORK = "/student"  # everything that can be written to lies in this file system

# Numbers of the kernel's interface: sched.h, mount.h, prctl.h, capability.h, seccomp.h
NEW_NAMESPACES = 0x00020000 | 0x20000000 | 0x08000000 | 0x40000000 | 0x04000000  # mount, pid, ipc, net, uts
ANY_NAMESPACE = 0x7E020080
READ_ONLY, NOSUID, NODEV, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
SET_PDEATHSIG, SET_DUMPABLE, SET_KEEPCAPS, CAPBSET_DROP, SET_CHILD_SUBREAPER = 1, 4, 8, 24, 36
SET_NO_NEW_PRIVS, CAP_AMBIENT = 38, 47
CAP_AMBIENT_CLEAR_ALL, CAPABILITY_VERSION, SECCOMP_SET_MODE_FILTER = 4, 0x20080522, 1
CAP_SETPCAP, CAP_SYS_ADMIN = 8, 21

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # as the kernel's audit numbers them

# What is refused of calls that are allowed
SOCKETS = (1, 2, 10, 16)  # local ones, IP, and those by which Linux tells of the network; others know no namespaces
OPTIONS = (4, 22)  # of prctl: hiding from who watches (PR_SET_DUMPABLE), and filters of one's own (PR_SET_SECCOMP)

ALLOW, NO_SUCH_CALL, NOT_PERMITTED = 0x7FFF0000, 0x00050000 | 38, 0x00050000 | 1  # Linux's ENOSYS and EPERM
ASK = 0x7FC00000  # the call waits for an answer from who holds the filter's other end
FILTER_WITH_LISTENER = 8

NOBODY = 65534
BY_ROOT = "PRUNING_LABS_SANDBOX_OF_ROOT"  # the environment variable that says so inside
MOST_FILES = 20_000  # in the file system of a submission: each takes memory of the kernel's own
FLAGS = {"nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21}  # of mounts


@dataclass(frozen=True)
class Confinement:
    """What a process may use: said by whoever starts it, carried out by the process itself before it does its work."""

    memory: int  # bytes of address space, beyond what it has before
    disk: int  # bytes of one file; with namespaces of all files together
    folder: str = WORK  # to work in, where it has no namespaces of its own
    cpu: int = -1  # seconds of processor time; -1: as many as it likes
    processes: int = 0  # with namespaces only
    namespaces: bool = False  # of its own
    filtered: bool = False  # only the system calls that a submission may make

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


def become_nobody(*kept: int) -> None:
    """Where root started the sandbox: go on as an account that owns nothing, with these capabilities (their numbers).

    Of the capabilities those stay that this process has. Raises ConfinementError.
    """
    if not os.environ.pop(BY_ROOT, ""):
        return
    library = libc()
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    library.prctl(SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    set_capabilities(kept)
    library.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # or /proc would belong to root
    if os.geteuid() != NOBODY:
        raise ConfinementError("this is root still")


def keep_only(*descriptors: int) -> None:
    """Close all that this process has inherited but the standard streams and these."""
    edges = [2, *sorted(descriptors), 1 << 16]
    for before, after in itertools.pairwise(edges):
        os.closerange(before + 1, after)


def set_capabilities(kept: Iterable[int]) -> None:
    """Give up all capabilities but these, given by their numbers. Raises ConfinementError."""
    header, data = struct.pack("<II", CAPABILITY_VERSION, 0), ctypes.create_string_buffer(24)
    must(libc().capget(header, data), "capabilities")
    _, permitted, *_ = struct.unpack("<6I", data.raw)
    mask = permitted & sum(1 << capability for capability in kept)
    must(libc().capset(header, struct.pack("<6I", mask, mask, 0, 0, 0, 0)), "capabilities")


class Entered(NamedTuple):
    """A process that is shut in: the folder to work in, and where refused calls are told (None: nowhere)."""

    folder: str
    listener: int | None


def enter(confinement: Confinement, channel: socket.socket) -> Entered:
    """Shut this process in. Raises ConfinementError.

    With `namespaces` the caller goes on as a new process in namespaces of its own; the processes in between keep
    no end of `channel`. Without them it only gets its limits: bubblewrap is all around it, or nothing is.
    """
    os.nice(5)  # what grades must not wait for what is graded
    if confinement.filtered:
        first_to_die()  # later there is no /proc to say so in
    before = address_space()
    folder = confinement.folder
    if confinement.namespaces:
        must(libc().unshare(NEW_NAMESPACES), "namespaces")
        go_on_in_a_child(channel)
        folder = private_files(confinement.disk)
        drop_privileges()
        go_on_in_a_child(channel)
    quieten()
    set_limits(confinement, before)
    return Entered(folder, filter_calls(told=True) if confinement.filtered else None)


def quieten() -> None:
    """Let the standard streams be /dev/null, as it is seen from here."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    if quiet > 2:
        os.close(quiet)


def first_to_die() -> None:
    """When memory runs out, the system ends this process before those that it came from."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


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
    options = f"size={disk},mode=700,nr_inodes={MOST_FILES}"
    must(mount(b"tmpfs", WORK.encode(), b"tmpfs", NOSUID | NODEV, options.encode()), "work folder")
    for node, flags in devices():
        must(mount(b"none", node.encode(), None, REMOUNT | BIND | READ_ONLY | flags, None), node)
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


def devices() -> list[tuple[str, int]]:
    """The machine's device nodes that are shown in /dev, with the flags of their mounts."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    nodes = [(fields[4], fields[5].split(",")) for fields in lines if fields[4].startswith("/dev/")]
    return [
        (node, sum(FLAGS.get(option, 0) for option in options)) for node, options in nodes if not os.path.isdir(node)
    ]


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
    """Give up every capability for good. Raises ConfinementError."""
    library = libc()
    library.prctl(CAP_AMBIENT, CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(64):
        library.prctl(CAPBSET_DROP, capability, 0, 0, 0)
    set_capabilities(())


def filter_calls(told: bool) -> int | None:
    """Refuse system calls that a submission needs not, to this process and all that it starts.

    `told`: → a descriptor at which somebody must wait for refused calls and answer them (`autograder.sandbox.refused`);
    as soon as nobody has it any more, they fail as if there were no such call. Where there is none (older kernels):
    None, and the kernel answers. Raises ConfinementError.
    """
    library = libc()
    must(library.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    call = numbers(platform.machine())["seccomp"]
    for answer, flags in [(ASK, FILTER_WITH_LISTENER)] * told + [(NOT_PERMITTED, 0)]:
        program = filter_program(platform.machine(), answer)
        code = ctypes.create_string_buffer(program, len(program))
        described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
        listener = library.syscall(call, SECCOMP_SET_MODE_FILTER, flags, described)
        if listener >= 0:
            return listener if flags else None
    raise ConfinementError(f"system call filter: {os.strerror(ctypes.get_errno())}")


def filter_program(machine: str, refused: int = NOT_PERMITTED) -> bytes:
    """The filter for the kernel (classic BPF, see seccomp(2)): each instruction is code, two jumps, a number.

    `refused`: the answer to calls that are not allowed; those of another architecture are refused, and so are those of
    the x32 interface, which have other numbers.
    """
    load, equal, above, at_least, any_bit, answer = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
    call_at, architecture_at, argument_at = 0, 4, 16  # in what the kernel hands to the filter
    known = numbers(machine)
    clone = [(any_bit, 0, 1, ANY_NAMESPACE), (answer, 0, 0, refused), (answer, 0, 0, ALLOW)]
    family = [step for kind in SOCKETS for step in ((equal, 0, 1, kind), (answer, 0, 0, ALLOW))]
    option = [step for kind in OPTIONS for step in ((equal, 0, 1, kind), (answer, 0, 0, refused))]
    looked_into = {
        "clone": clone,
        "socket": [*family, (answer, 0, 0, refused)],
        "prctl": [*option, (answer, 0, 0, ALLOW)],
    }
    steps = [(load, 0, 0, architecture_at), (equal, 1, 0, ARCHITECTURES[machine]), (answer, 0, 0, NOT_PERMITTED)]
    steps += [(load, 0, 0, call_at), (at_least, 0, 1, 0x40000000), (answer, 0, 0, NOT_PERMITTED)]
    steps += [(above, 0, 1, LAST), (answer, 0, 0, NO_SUCH_CALL)]
    # Its flags lie in memory, where a filter cannot look; C libraries fall back on clone
    steps += [(equal, 0, 1, known["clone3"]), (answer, 0, 0, NO_SUCH_CALL)]
    for name, look in looked_into.items():
        steps += [(equal, 0, len(look) + 1, known[name]), (load, 0, 0, argument_at), *look]
    for call in sorted(known[name] for name in allowed() & set(known) - set(looked_into)):
        steps += [(equal, 0, 1, call), (answer, 0, 0, ALLOW)]
    steps += [(answer, 0, 0, refused)]
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


def main() -> None:
    """`python -m autograder.sandbox.confinement COMMAND …`: shut in what is not forked, and go on as that command."""
    become_nobody()
    keep_only()
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    drop_privileges()
    if platform.machine() in ARCHITECTURES:
        filter_calls(told=False)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
