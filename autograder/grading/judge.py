"""The judge: the process with the tests, in a sandbox of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.course import ROOT
from autograder.sandbox import bubblewrap, channels, child
from autograder.sandbox.bubblewrap import Isolation, SandboxError
from autograder.sandbox.channels import Frame
from autograder.sandbox.limits import Limits
from course_utils.checking import Verdict


class JudgeEnded(Exception):
    """The judge's process ran out of time or memory on what a student's code gave back, or handed in."""


class Judge:
    """The process with the tests, in a sandbox of its own."""

    def __init__(self, limits: Limits, isolation: Isolation, release: Path) -> None:
        """`release`: the folder in which a frozen release was unpacked."""
        self.limits, self.isolation, self.release = limits, isolation, release
        self.process: subprocess.Popen | None = None
        self.handed_in: Frame | None = None

    def start(self) -> None:
        self.folder = child.work_folder()
        ours, theirs = socket.socketpair()
        inside = self.isolation == "bubblewrap"
        place, release = ("/tmp", "/release") if inside else (str(self.folder), str(self.release))
        command = [sys.executable, "-m", "autograder.grading.judging", str(theirs.fileno()), place, release]
        variables = bubblewrap.environment(inside, os.pathsep.join([release, str(ROOT)]))
        if inside:
            binds = ["--ro-bind", str(self.release), release]
            binds += ["--ro-bind", str(ROOT / "autograder"), str(ROOT / "autograder")]
            binds += bubblewrap.image_binds(write=True)
            command = bubblewrap.sandboxed(command, binds, variables, disk=1_000_000_000)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=variables, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        theirs.close()
        self.channel, self.waiting = ours, True
        settings: dict[str, Any] = {
            "memory": self.limits.memory_megabytes * 1_000_000,
            "cpu": -1,
            "disk": 4_000_000_000,
        }
        settings |= {"namespaces": False, "call_seconds": self.limits.call_seconds}
        channels.send(ours, (json.dumps(settings).encode(), b""))

    def ready(self) -> None:
        """Wait until the judge has imported everything and looked at the images. Raises SandboxError."""
        if self.process is not None and self.process.poll() is not None:
            self.close()
        if self.process is None:
            self.start()
        if self.waiting:
            try:
                channels.receive(self.channel, child.START_SECONDS)
            except (EOFError, TimeoutError):
                log = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.close()
                raise SandboxError(f"The judge did not start:\n{log}") from None
            self.waiting = False
            if self.handed_in:
                channels.send(self.channel, self.handed_in)

    def take(self, files: Mapping[str, bytes]) -> None:
        """Begin with the next submission: the ONNX files that were handed in."""
        if self.handed_in and self.process is not None and not self.waiting:
            with contextlib.suppress(OSError):
                channels.send(self.channel, (b"{}", b""))
        names = {name: len(data) for name, data in files.items()}
        self.handed_in = (json.dumps({"files": names}).encode(), b"".join(files.values()))
        if self.process is not None and not self.waiting:
            with contextlib.suppress(OSError):
                channels.send(self.channel, self.handed_in)

    def judge(self, wanted: Mapping[str, Any], relay: Callable[[Frame], Frame], seconds: float) -> Verdict:
        """All tests of an exercise; `relay` carries a frame to the student's side and brings the answer.

        `wanted`: the exercise, the names that the notebook holds, and whether the reference's functions help.
        `seconds`: for what the tests do themselves, between two calls.

        Raises JudgeEnded, and RuntimeError where the tests themselves are broken.
        """
        self.ready()
        try:
            channels.send(self.channel, (json.dumps(wanted).encode(), b""))
            while True:
                frame = channels.receive(self.channel, seconds)
                if frame[0].startswith(b'{"verdict"'):
                    break
                channels.send(self.channel, relay(frame), seconds)
        except TimeoutError:
            self.close()
            raise JudgeEnded(f"takes more than {seconds:.0f} s to run") from None
        except (EOFError, OSError, channels.TooLarge):
            self.close()
            raise JudgeEnded("takes too much memory to run") from None
        answer = json.loads(frame[0])
        if answer["verdict"] is None:
            raise RuntimeError(f"{wanted['exercise']}: {answer['problem']}")
        return Verdict.from_data(answer["verdict"])

    def close(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.channel.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.process = None
