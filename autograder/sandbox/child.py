"""A process that is started to be talked to: in a folder of its own, over a socket, with a log."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from autograder.sandbox import account, bubblewrap, channels
from autograder.sandbox.bubblewrap import Sandbox, SandboxError
from autograder.sandbox.limits import processes_below

READABLE = (
    " (Started as root, grading works under an account without rights: make Python, this project and the images "
    "readable for all, `chmod -R a+rX …`, or start it as an ordinary user.)"
)
START_SECONDS = 300.0  # for a warm process to import everything, on a crowded machine with a cold disk


def work_folder() -> Path:
    """A new temporary folder of this process; those of processes that were killed are removed."""
    for path in Path(tempfile.gettempdir()).glob("pruning-labs-*-*"):
        owner = path.name.split("-")[2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"pruning-labs-{os.getpid()}-"))


def open_to_all(folder: Path) -> None:
    """Let every account read what this process has put into a folder, whatever its own habits are (umask)."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


class Child:
    """A process with its folder, the socket to it and its log. `close` ends and removes all of it; so does `with`.

    The folder is there before the process is started, for what it is to find in it. `name` is for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = work_folder()
        self.log = self.folder / "log"
        self.channel, self.other_end = socket.socketpair()
        self.process: subprocess.Popen[bytes] | None = None

    def module(self, name: str) -> list[str]:
        """The command that runs a module of this project, which gets its end of the socket as its argument."""
        return [sys.executable, "-m", name, str(self.other_end.fileno())]

    def start(
        self, command: list[str], variables: Mapping[str, str], sandbox: Sandbox | None = None, piped: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start the process, in a sandbox if one is given. Raises SandboxError.

        `piped`: it gets no socket, and what it prints can be read from its pipes in place of the log.
        """
        passed = [] if piped else [self.other_end.fileno()]
        namespace = bubblewrap.user_namespace() if sandbox else None
        with contextlib.ExitStack() as held:
            for descriptor in bubblewrap.descriptors(namespace):
                held.callback(os.close, descriptor)
                passed.append(descriptor)
            if sandbox:
                for path in self.folder.iterdir():
                    open_to_all(path)
                command = bubblewrap.sandboxed(command, sandbox, variables, namespace)
            output = subprocess.PIPE if piped else held.enter_context(open(self.log, "wb"))
            self.process = subprocess.Popen(
                command, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=dict(variables), cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        self.other_end.close()
        return self.process

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def tell(self, data: Mapping[str, Any], buffers: bytes = b"") -> None:
        """Send a frame. Where nobody is there to read it, whoever waits for an answer learns so."""
        with contextlib.suppress(OSError):
            channels.send(self.channel, channels.frame_of(data, buffers))

    def ready(self) -> dict[str, Any]:
        """The process's first frame, which says that it has imported everything. Raises SandboxError, and closes it."""
        try:
            answer: dict[str, Any] = json.loads(channels.receive(self.channel, START_SECONDS)[0])
        except (EOFError, OSError):  # of which TimeoutError is one
            log = self.log.read_text(errors="replace")[-20_000:].strip()
            self.close()
            last = log.splitlines()[-1][:300] if log else "it ended without a word"
            hint = READABLE if account.is_root() and "ermission" in last else ""
            error = SandboxError(f"{self.name} did not start: {last}{hint}")
            error.add_note(log)
            raise error from None
        return answer

    def close(self) -> None:
        """End the process and all that it has started, and remove its folder."""
        if self.process is not None:
            started = processes_below(psutil.Process(self.process.pid)) if self.running else []
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            for process in started:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            with self.process:  # waits for it, and closes its pipes
                self.process = None
        self.channel.close()
        self.other_end.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
