"""The warm process of a lab: it imports everything once, and every submission gets a confined copy of it."""

import contextlib
import json
import os
import select
import shutil
import socket
import threading
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import psutil

from autograder.course import ROOT
from autograder.sandbox import channels, confinement, refused
from autograder.sandbox.bubblewrap import (
    PASSWD,
    Isolation,
    Sandbox,
    SandboxError,
    environment,
    image_binds,
    read_only,
)
from autograder.sandbox.channels import CONFINED, ENDED, NOT_CONFINED, Frame, frame_of
from autograder.sandbox.child import START_SECONDS, Child
from autograder.sandbox.confinement import Confinement
from autograder.sandbox.limits import (
    Limits,
    alive,
    control_groups,
    in_words,
    may_hold_much,
    memory_of,
    memory_of_groups,
    processes_below,
    remove_groups,
    tasks_of_machine,
)

WATCH_SECONDS = 0.04
LAST_SECONDS = 0.05  # for a submission to end by itself when nobody talks to it any more
ENDING_SECONDS = 3.0  # for one that has hung up: a process of many pages takes its time to end, and its status says why


class Ended(Exception):
    """The process of a submission has ended before its time; the message says why, in a student's words."""


class NotConfined(SandboxError):
    """A submission's process could not be shut in."""


class Warm:
    """The warm process of a lab, in its sandbox, and at most one submission at a time forked from it."""

    def __init__(self, support: Mapping[str, Path], modules: list[str], limits: Limits, isolation: Isolation) -> None:
        self.support, self.modules, self.limits, self.isolation = support, modules, limits, isolation
        # Whether one bubblewrap is for all submissions, in namespaces of their own: tried until that is refused.
        self.shared = isolation == "bubblewrap" and confinement.possible()
        self.child: Child | None = None
        self.root: psutil.Process | None = None  # the warm process itself; None until it is ready
        self.groups: list[Path] = []
        # The submission that runs now:
        self.channel: socket.socket | None = None
        self.first: list[psutil.Process] = []  # what its namespace begins with, innermost first
        self.watch: threading.Thread | None = None
        self.reason = ""  # why it was stopped
        self.listener: int | None = None  # where its refused system calls wait
        self.refused: Counter[str] = Counter()  # their names, of all processes of one submission

    def start(self) -> None:
        """Start the warm process. Raises SandboxError."""
        self.child = child = Child("The sandbox")
        packages = child.folder / "course"
        for name, path in {**self.support, **inside_files()}.items():
            (packages / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, packages / name)
        (child.folder / "passwd").write_text(PASSWD)
        command = child.module("autograder.sandbox.kernel")
        sandbox, variables = None, environment(False, packages)
        if self.isolation == "bubblewrap":
            disk = self.limits.disk_megabytes * 1_000_000
            sandbox = Sandbox(warm_binds(child.folder), disk, self.shared)
            variables = environment(True, "/course")
        child.start(command, variables, sandbox)
        child.tell({"modules": self.modules})

    def ready(self) -> None:
        """Wait until everything is imported; start it first if it is not there. Raises SandboxError."""
        if self.child is not None and not self.child.running:
            self.close()
        if self.child is None:
            self.start()
        if self.root is not None:
            return
        assert self.child is not None and self.child.process is not None
        threads = self.child.ready()["threads"]
        if threads > 1:  # then a copy may wait for ever for a thread that it has not got
            warnings.warn(f"The warm process has {threads} threads: copies of it may hang.", stacklevel=2)
        self.root = psutil.Process(self.child.process.pid)
        if self.isolation == "bubblewrap":
            self.root = self.root.children()[0]
        self.groups = control_groups(self.root.pid, 3 * self.limits.processes, self.limits.memory_megabytes)

    def fork(self, files: Mapping[str, bytes]) -> None:
        """A fresh process for a submission, with its files. Raises SandboxError."""
        self.end()
        try:
            channel = self.confined_copy()
        except NotConfined:
            if not self.shared:
                raise
            self.shared = False  # then each submission gets a bubblewrap of its own
            channel = self.confined_copy()
        self.channel, self.reason = channel, ""
        self.first = self.processes()[::-1]
        self.watch = threading.Thread(target=self.keep_watch, args=(channel,), daemon=True)
        self.watch.start()
        names = {name: len(data) for name, data in files.items()}
        channels.send(channel, frame_of(names, b"".join(files.values())))

    def confined_copy(self) -> socket.socket:
        """Fork the warm process; the copy shuts itself in → a socket to it. Raises SandboxError."""
        self.ready()
        assert self.child is not None
        work = self.child.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        settings = Confinement(
            memory=self.limits.memory_megabytes * 1_000_000,
            disk=self.limits.disk_megabytes * 1_000_000,
            folder=str(work) if self.isolation == "process" else confinement.WORK,
            cpu=self.limits.cpu_seconds,
            processes=self.limits.processes,
            namespaces=self.shared,
            filtered=self.isolation == "bubblewrap" and confinement.possible(),
        )
        channel, theirs = socket.socketpair()
        socket.send_fds(self.child.channel, [json.dumps(settings.as_data()).encode()], [theirs.fileno()])
        theirs.close()
        try:
            answer = json.loads(channels.receive(channel, START_SECONDS)[0])
        except (EOFError, TimeoutError):
            answer = {NOT_CONFINED: "the process ended"}
        if NOT_CONFINED in answer:
            channel.close()
            self.close()
            raise NotConfined(f"A submission could not be shut in: {answer[NOT_CONFINED]}")
        if answer[CONFINED]:
            _, (self.listener,), _, _ = socket.recv_fds(channel, 1, 1)
        return channel

    def keep_watch(self, channel: socket.socket) -> None:
        """Stop a submission that has too many processes or too much memory."""
        usual, looks = tasks_of_machine(), 0
        while channel is self.channel:
            looks += 1
            many = tasks_of_machine() > usual + self.limits.processes  # cheap to ask, so that a fork bomb stays small
            if many or looks % 5 == 0:
                running = self.processes()
                if len(running) > self.limits.processes + len(self.first):
                    self.stop(f"it started more than {self.limits.processes} processes")
                elif self.too_much_memory(running):
                    self.stop(f"it used more than {self.limits.memory_megabytes:,} MB of memory")
                usual = max(usual, tasks_of_machine() - len(running))
            self.wait_and_refuse(WATCH_SECONDS)

    def too_much_memory(self, running: list[psutil.Process]) -> bool:
        """Whether these processes, of one submission, hold more together than they may."""
        allowed = self.limits.memory_megabytes
        if (counted := memory_of_groups(self.groups)) is not None:
            return counted > allowed
        return may_hold_much(running, allowed) and memory_of(running) > allowed

    def wait_and_refuse(self, seconds: float) -> None:
        """Wait so long, and refuse the system calls that the submission makes meanwhile."""
        end = time.monotonic() + seconds
        listeners = [self.listener] if self.listener is not None else []
        while (left := end - time.monotonic()) > 0:
            for listener in select.select(listeners, [], [], left)[0]:
                if not refused.refuse(listener, self.refused):  # nobody is there any more, who could make a call
                    time.sleep(min(WATCH_SECONDS, max(0.0, end - time.monotonic())))

    def processes(self) -> list[psutil.Process]:
        """The processes of the submission that runs now."""
        return processes_below(self.root) if self.root is not None else []

    def stop(self, reason: str) -> None:
        """End a submission's processes, all of them."""
        self.reason = self.reason or reason
        for process in self.first:  # with the first process of a namespace the kernel ends all others at once
            with contextlib.suppress(psutil.Error):
                process.kill()
        deadline = time.monotonic() + 20
        while (running := list(filter(alive, self.processes()))) and time.monotonic() < deadline:
            for process in running:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(0.005)

    def end(self, seconds: float = LAST_SECONDS) -> int | None:
        """End the submission that runs now, if any, and make sure that nothing of it is left → its wait status.

        `seconds`: how long it may take to end by itself.
        """
        if self.channel is None or self.child is None:
            return None
        self.hang_up()
        if not select.select([self.child.channel], [], [], seconds)[0]:
            self.stop("")
        status: int | None
        try:
            status = json.loads(channels.receive(self.child.channel, START_SECONDS)[0])[ENDED]
        except (EOFError, TimeoutError):
            status = None
        self.stop("")
        if status is None or not self.shared:
            self.close()
        return status

    def hang_up(self) -> None:
        """Talk no longer to the submission that runs now, and watch it no longer."""
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.close()
        if self.watch is not None:
            self.watch.join()
        self.watch = None
        if self.listener is not None:
            os.close(self.listener)  # what calls now is told that there is no such call
        self.listener = None

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
            pass  # it has ended by itself, or the watch has stopped it
        reason = self.reason
        status = self.end(LAST_SECONDS if reason else ENDING_SECONDS)
        raise Ended(reason or self.reason or in_words(status, self.limits)) from None

    def close(self) -> None:
        """End the warm process, and all that came from it."""
        self.hang_up()
        if self.child is not None:
            self.child.close()
        remove_groups(self.groups)
        self.child, self.root, self.groups = None, None, []


def warm_binds(folder: Path) -> list[str]:
    """bubblewrap's arguments for what the warm process sees: what it finds in `folder`, and the images."""
    return [*read_only(folder / "course", "/course"), *read_only(folder / "passwd", "/etc/passwd"), *image_binds(False)]


def inside_files() -> dict[str, Path]:
    """What of this package is inside the sandbox."""
    modules = ("__init__", "channels", "confinement", "kernel", "system_calls")
    names = ["autograder/__init__.py", *(f"autograder/sandbox/{name}.py" for name in modules)]
    names += [path.relative_to(ROOT).as_posix() for path in (ROOT / "autograder" / "wall").glob("*.py")]
    return {name: ROOT / name for name in names}
