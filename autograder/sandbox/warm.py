"""The warm process of a lab: it imports everything once, and every submission gets a confined copy of it."""

import contextlib
import json
import os
import platform
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import psutil

from autograder.course import ROOT
from autograder.sandbox import channels, confinement
from autograder.sandbox.bubblewrap import Isolation, SandboxError, environment, image_binds, sandboxed
from autograder.sandbox.channels import Frame
from autograder.sandbox.child import START_SECONDS, work_folder
from autograder.sandbox.limits import (
    Limits,
    alive,
    in_words,
    memory_of,
    memory_with_shared,
    processes_below,
    remove_group,
    task_group,
    tasks_of_machine,
)

WATCH_SECONDS = 0.04
LAST_SECONDS = 0.05  # for a submission to end by itself when nobody talks to it any more


class Ended(Exception):
    """The process of a submission has ended before its time; the message says why, in a student's words."""


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


def inside_files() -> dict[str, Path]:
    """What of this package is inside the sandbox."""
    names = ["autograder/__init__.py"]
    names += [f"autograder/sandbox/{name}.py" for name in ("__init__", "channels", "confinement", "kernel")]
    names += [path.relative_to(ROOT).as_posix() for path in (ROOT / "autograder" / "wall").glob("*.py")]
    return {name: ROOT / name for name in names}
