"""The judge: the process with the tests, in a sandbox of its own."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.course import ROOT
from autograder.sandbox import channels
from autograder.sandbox.bubblewrap import Isolation, Sandbox, environment, image_binds, project_binds
from autograder.sandbox.channels import EXERCISE, VERDICT, Frame, begins_with, frame_of
from autograder.sandbox.child import Child
from autograder.sandbox.confinement import Confinement
from autograder.sandbox.limits import Limits
from course_utils.checking import Verdict
from course_utils.expect import SECRET

DISK = 1_000_000_000  # bytes of memory to write files to
LARGEST_FILE = 4_000_000_000  # bytes
INSIDE = "/release"  # where the frozen release lies in the sandbox


class JudgeEnded(Exception):
    """The judge's process ran out of time or memory on what a student's code gave back, or handed in."""


def judge_binds(release: Path) -> list[str]:
    """bubblewrap's arguments for what the judge sees: the frozen release, what judges, the images and their caches."""
    return ["--ro-bind", str(release), INSIDE, *project_binds(("autograder",)), *image_binds(write=True)]


class Judge:
    """The process with the tests, in a sandbox of its own."""

    def __init__(self, limits: Limits, isolation: Isolation, release: Path, secret: str = "") -> None:
        """`release`: the folder in which a frozen release was unpacked; `secret`: the course's."""
        self.limits, self.isolation, self.release, self.secret = limits, isolation, release, secret
        self.child: Child | None = None
        self.listens = False  # it has imported everything, and takes files
        self.files: Mapping[str, bytes] | None = None  # of the submission that is judged now

    def start(self) -> None:
        """Start the process, if there is none. Raises SandboxError."""
        if self.child is not None:
            return
        self.child = child = Child("The judge")
        inside = self.isolation == "bubblewrap"
        release = INSIDE if inside else str(self.release)
        command = child.module("autograder.grading.judging")
        variables = environment(inside, os.pathsep.join([release, str(ROOT)])) | {SECRET: self.secret}
        child.start(command, variables, Sandbox(judge_binds(self.release), DISK) if inside else None)
        limits = Confinement(
            memory=self.limits.memory_megabytes * 1_000_000,
            disk=LARGEST_FILE,
            folder="/tmp" if inside else str(child.folder),
        )
        settings = {"confinement": limits.as_data(), "call_seconds": self.limits.call_seconds, "release": release}
        child.tell(settings)

    def ready(self) -> Child:
        """The process, when it has imported everything and looked at the images. Raises SandboxError."""
        if self.child is not None and not self.child.running:
            self.close()
        self.start()
        assert self.child is not None
        if not self.listens:
            self.child.ready()
            self.listens = True
            self.hand_in()
        return self.child

    def take(self, files: Mapping[str, bytes]) -> None:
        """Begin with the next submission: the ONNX files that were handed in."""
        if self.child is not None and self.listens and self.files is not None:
            self.child.tell({})  # no more exercises of the last one
        self.files = files
        self.hand_in()

    def hand_in(self) -> None:
        """Give the files to the process, as soon as it listens."""
        if self.child is not None and self.listens and self.files is not None:
            sizes = {name: len(data) for name, data in self.files.items()}
            self.child.tell({"files": sizes}, b"".join(self.files.values()))

    def judge(self, task: Mapping[str, Any], relay: Callable[[Frame], Frame], seconds: float) -> Verdict:
        """All tests of an exercise; `relay` carries a frame to the student's side and brings the answer.

        `task`: the exercise, the names that the notebook holds, and whether the reference's functions help.
        `seconds`: for what the tests do themselves, between two calls.

        Raises JudgeEnded, and RuntimeError where the tests themselves are broken.
        """
        channel = self.ready().channel
        try:
            channels.send(channel, frame_of(task))
            while not begins_with(frame := channels.receive(channel, seconds), VERDICT):
                channels.send(channel, relay(frame), seconds)
        except TimeoutError:
            self.close()
            raise JudgeEnded(f"takes more than {seconds:.0f} s to run") from None
        except (EOFError, OSError, channels.TooLarge):
            self.close()
            raise JudgeEnded("takes too much memory to run") from None
        answer = json.loads(frame[0])
        if answer[VERDICT] is None:
            raise RuntimeError(f"{task[EXERCISE]}: {answer['problem']}")
        return Verdict.from_data(answer[VERDICT])

    def close(self) -> None:
        """End the process, and all that it has started."""
        if self.child is not None:
            self.child.close()
        self.child, self.listens = None, False
