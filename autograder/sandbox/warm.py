"""Sandboxes for code from strangers: bubblewrap around a warm process, and one confined process a submission.

What is visible inside: the system's programs and libraries, the interpreter with its packages, the lab's support
files as students have them, and the images; all read-only. Not visible: this project (tests, solutions,
gradebook), the course folder, other processes, any network.
"""

import contextlib
import json
import os
import platform
import select
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from autograder.course import ROOT
from autograder.sandbox import channels, confinement
from autograder.sandbox.channels import Frame

Isolation = Literal["bubblewrap", "process"]
START_SECONDS = 300.0  # for a warm process to import everything, on a crowded machine with a cold disk
WATCH_SECONDS = 0.04
LAST_SECONDS = 0.05  # for a submission to end by itself when nobody talks to it any more

NO_BUBBLEWRAP = """Grading runs code that strangers wrote, so it needs a sandbox, and there is none: {reason}
Install bubblewrap (Debian, Ubuntu: `sudo apt install bubblewrap`; Fedora: `sudo dnf install bubblewrap`).
Only if you trust every student: `--isolation process` grades in plain processes, and says so in the report."""


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


class SandboxError(Exception):
    """There is no sandbox, or it did not start; the message says what to do."""


class Ended(Exception):
    """The process of a submission has ended before its time; the message says why, in a student's words."""


def bubblewrap() -> str:
    """The path of `bwrap`, which works here. Raises SandboxError."""
    found = shutil.which("bwrap")
    if not found:
        raise SandboxError(NO_BUBBLEWRAP.format(reason="bubblewrap (`bwrap`) is not installed."))
    trial = [found, "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(trial, capture_output=True, text=True)
    if done.returncode:
        raise SandboxError(NO_BUBBLEWRAP.format(reason=f"bubblewrap does not work here ({done.stderr.strip()})."))
    return found


def interpreter_folders() -> list[Path]:
    """Where Python and its packages lie."""
    places = [sys.prefix, sys.base_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    return sorted({Path(place) for place in places if Path(place).is_dir()}, key=lambda path: len(path.parts))


def system_binds() -> list[str]:
    """bubblewrap's arguments for a read-only system: /usr, a few files of /etc, the interpreter, its packages."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "fonts"):
        if Path("/etc", name).exists():
            arguments += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    for place in interpreter_folders():
        if not place.is_relative_to("/usr"):
            arguments += ["--ro-bind", str(place), str(place)]
            if ROOT.is_relative_to(place):
                arguments += ["--tmpfs", str(ROOT)]
        for package in ("autograder", "solutions", "labs"):  # where the project was installed as a copy
            if (place / package).is_dir():
                arguments += ["--tmpfs", str(place / package)]
    return arguments


def image_binds(write: bool) -> list[str]:
    """Arguments for the images and the course's caches; those can be written to by the judge only."""
    arguments = []
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for name in ("minicifar", "pruning-labs"):
        (caches / name).mkdir(parents=True, exist_ok=True)
        arguments += ["--bind" if write else "--ro-bind", str(caches / name), f"/cache/{name}"]
    if root := os.environ.get("MINICIFAR_ROOT"):
        arguments += ["--ro-bind-try", root, root]
    return arguments


def environment(sandboxed: bool, packages: Path | str) -> dict[str, str]:
    """The environment variables inside; nothing of the instructor's own but where the images are."""
    kept = {name: os.environ[name] for name in ("MINICIFAR_ROOT", "MINICIFAR_SYNTHETIC") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    told = {"PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
    told |= {"PYTHONHASHSEED": "0", "MPLBACKEND": "module://matplotlib_inline.backend_inline", **threads, **kept}
    if sandboxed:
        return {**told, "HOME": "/tmp", "XDG_CACHE_HOME": "/cache", "MPLCONFIGDIR": "/tmp/matplotlib"}
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {**told, "HOME": tempfile.gettempdir(), "XDG_CACHE_HOME": caches}


def sandboxed(
    command: list[str], binds: Iterable[str], variables: Mapping[str, str], disk: int, privileges: bool = False
) -> list[str]:
    """A command inside bubblewrap, with `disk` bytes of memory to write files to.

    `privileges`: it may make namespaces for its own children (never namespaces of users).
    """
    arguments = [
        bubblewrap(),
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--uid",
        "65534",
        "--gid",
        "65534",
    ]
    arguments += [
        "--hostname",
        "lab",
        "--die-with-parent",
        "--new-session",
        "--as-pid-1",
        "--clearenv",
        "--cap-drop",
        "ALL",
    ]
    if privileges:
        arguments += ["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"]
    for name, value in variables.items():
        arguments += ["--setenv", name, value]
    memory = ["--size", str(disk), "--tmpfs"]
    arguments += [*memory, "/tmp", *system_binds(), *binds, "--proc", "/proc", "--dev", "/dev"]
    arguments += [*memory, "/dev/shm", *memory, confinement.WORK]
    arguments += ["--chdir", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*arguments, "--", *command]


def processes_below(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def memory_of(processes: Iterable[psutil.Process]) -> float:
    """Megabytes that processes hold together; what several share counts once (Pss)."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))  # in units of 1024 bytes
    return total * 1024 / 1e6


def work_folder() -> Path:
    """A new temporary folder of this process; those of processes that were killed are removed."""
    for path in Path(tempfile.gettempdir()).glob("pruning-labs-*-*"):
        owner = path.name.split("-")[2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"pruning-labs-{os.getpid()}-"))


class Warm:
    """The warm process of a lab, in its sandbox, and at most one submission at a time forked from it."""

    def __init__(self, support: Mapping[str, Path], modules: list[str], limits: Limits, isolation: Isolation) -> None:
        self.support, self.modules, self.limits, self.isolation = support, modules, limits, isolation
        self.shared = isolation == "bubblewrap" and confinement.possible()
        self.reason = ""
        self.first: list[psutil.Process] = []
        self.group: Path | None = None
        self.process: subprocess.Popen | None = None
        self.channel: socket.socket | None = None

    def start(self) -> None:
        """Start the warm process and wait until it is ready. Raises SandboxError."""
        self.folder = work_folder()
        packages = self.folder / "course"
        for name, path in {**self.support, **inside_files()}.items():
            (packages / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, packages / name)
        (self.folder / "passwd").write_text("student:x:65534:65534::/tmp:/bin/sh\n")
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "autograder.sandbox.kernel", str(theirs.fileno())]
        passed = [theirs.fileno()]
        if self.isolation == "bubblewrap":
            binds = ["--ro-bind", str(packages), "/course", "--ro-bind", str(self.folder / "passwd"), "/etc/passwd"]
            binds += image_binds(write=False)
            if not self.shared and platform.machine() in confinement.FILTERS:  # else every submission sets it itself
                (self.folder / "filter").write_bytes(confinement.filter_program(platform.machine()))
                passed.append(os.open(self.folder / "filter", os.O_RDONLY))
                binds += ["--seccomp", str(passed[-1])]
            disk = self.limits.disk_megabytes * 1_000_000
            command = sandboxed(command, binds, environment(True, "/course"), disk, self.shared)
        variables = environment(False, packages)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                command, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=variables, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        for descriptor in passed[1:]:
            os.close(descriptor)
        theirs.close()
        self.control = ours
        channels.send(ours, (json.dumps({"modules": self.modules}).encode(), b""))

    def ready(self) -> None:
        """Wait until everything is imported."""
        if self.process is None:
            self.start()
        if hasattr(self, "root"):
            return
        try:
            threads = json.loads(channels.receive(self.control, START_SECONDS)[0])["threads"]
        except (EOFError, TimeoutError):
            log = (self.folder / "log").read_text(errors="replace")[-2000:]
            self.close()
            raise SandboxError(f"The sandbox did not start:\n{log}") from None
        assert self.process
        if threads > 1:  # then a copy may wait for ever for a thread that it has not got
            warnings.warn(f"The warm process has {threads} threads: copies of it may hang.", stacklevel=2)
        self.root = psutil.Process(self.process.pid)
        if self.isolation == "bubblewrap":
            self.root = self.root.children()[0]

        self.group = task_group(self.root.pid, 3 * self.limits.processes)

    def fork(self, files: Mapping[str, bytes]) -> None:
        """A fresh process for a submission, with its files. Raises SandboxError."""
        self.end()
        if self.process is not None and self.process.poll() is not None:
            self.close()
        self.ready()
        self.reason = ""
        channel, theirs = socket.socketpair()
        self.place = self.folder / "work"
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        settings = {
            "namespaces": self.shared,
            "memory": self.limits.memory_megabytes * 1_000_000,
            "cpu": self.limits.cpu_seconds,
            "processes": self.limits.processes,
            "disk": self.limits.disk_megabytes * 1_000_000,
            "folder": str(self.place) if self.isolation == "process" else confinement.WORK,
        }
        socket.send_fds(self.control, [json.dumps({"confinement": settings}).encode()], [theirs.fileno()])
        theirs.close()
        try:
            answer = json.loads(channels.receive(channel, START_SECONDS)[0])
        except (EOFError, TimeoutError):
            answer = {"not confined": "the process ended"}
        if "not confined" in answer:
            channel.close()
            self.close()
            if not self.shared:
                raise SandboxError(f"A submission could not be shut in: {answer['not confined']}")
            self.shared = False  # then each submission gets a bubblewrap of its own
            return self.fork(files)
        self.first = processes_below(self.root)[::-1]
        self.channel = channel
        self.watch = threading.Thread(target=self.keep_watch, args=(channel,), daemon=True)
        self.watch.start()
        names = {name: len(data) for name, data in files.items()}
        channels.send(channel, (json.dumps(names).encode(), b"".join(files.values())))

    def keep_watch(self, channel: socket.socket) -> None:
        """Stop a submission that has too many processes or too much memory."""
        usual, looks = tasks_of_machine(), 0
        while channel is self.channel:
            looks += 1
            many = tasks_of_machine() > usual + self.limits.processes  # cheap to ask, so that a fork bomb stays small
            if many or looks % 5 == 0:
                running = processes_below(self.root)
                if len(running) > self.limits.processes + len(self.first):
                    self.stop(f"it started more than {self.limits.processes} processes")
                elif memory_with_shared(running) > self.limits.memory_megabytes < memory_of(running):
                    self.stop(f"it used more than {self.limits.memory_megabytes:,} MB of memory")
                usual = max(usual, tasks_of_machine() - len(running))
            time.sleep(WATCH_SECONDS)

    def stop(self, reason: str) -> None:
        """End a submission's processes, all of them."""
        self.reason = self.reason or reason
        for process in self.first:  # with the first process of a namespace the kernel ends all others at once
            with contextlib.suppress(psutil.Error):
                process.kill()
        deadline = time.monotonic() + 20
        while (running := list(filter(alive, processes_below(self.root)))) and time.monotonic() < deadline:
            for process in running:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(0.005)

    def end(self) -> int | None:
        """End the submission that runs now, if any, and make sure that nothing of it is left → its wait status."""
        if self.channel is None:
            return None
        channel, self.channel = self.channel, None
        channel.close()
        self.watch.join()
        if not select.select([self.control], [], [], LAST_SECONDS)[0]:
            self.stop("")
        try:
            status = json.loads(channels.receive(self.control, START_SECONDS)[0])["ended"]
        except (EOFError, TimeoutError):
            status = None
        self.stop("")
        if status is None or not self.shared:
            self.close()
        return status

    def exchange(self, frame: Frame, seconds: float) -> Frame:
        """Send a frame to the submission's process and wait for its answer. Raises Ended."""
        if self.channel is None:
            raise Ended("it has ended")
        try:
            channels.send(self.channel, frame, seconds)
            return channels.receive(self.channel, seconds)
        except TimeoutError:
            self.stop(f"it ran for more than {seconds:g} s and could not be interrupted: an endless loop?")
        except channels.TooLarge as error:
            self.stop(f"it gave back {error}")
        except (EOFError, OSError):
            time.sleep(0)
        reason = self.reason
        status = self.end()
        raise Ended(reason or self.reason or in_words(status, self.limits)) from None

    def close(self) -> None:
        """End the warm process, and all that came from it."""
        self.channel = None
        if self.process is not None:
            everything = processes_below(psutil.Process(self.process.pid)) if self.process.poll() is None else []
            self.process.kill()
            for process in everything:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self.process.wait()
            self.control.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            remove_group(self.group)
        self.process = None
        if hasattr(self, "root"):
            del self.root


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
    for _ in range(50):
        with contextlib.suppress(OSError):
            if group:
                group.rmdir()
            return
        time.sleep(0.02)


def inside_files() -> dict[str, Path]:
    """What of this package is inside the sandbox."""
    names = ["autograder/__init__.py"]
    names += [f"autograder/sandbox/{name}.py" for name in ("__init__", "channels", "confinement", "kernel")]
    names += [path.relative_to(ROOT).as_posix() for path in (ROOT / "autograder" / "wall").glob("*.py")]
    return {name: ROOT / name for name in names}


def memory_with_shared(processes: Iterable[psutil.Process]) -> float:
    """Megabytes of processes, what they share counted for each; quicker than `memory_of`."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss / 1e6
    return total


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
