"""The judge: the process with the tests, in a sandbox of its own."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from autograder.course import ROOT
from autograder.sandbox import channels
from autograder.sandbox.bubblewrap import Isolation, environment, image_binds, project_binds, sandboxed
from autograder.sandbox.channels import VERDICT, Frame, begins_with, frame_of
from autograder.sandbox.child import Child
from autograder.sandbox.confinement import Confinement
from autograder.sandbox.limits import Limits
from course_utils.checking import Verdict

DISK = 1_000_000_000  # bytes of memory to write files to
LARGEST_FILE = 4_000_000_000  # bytes


class JudgeEnded(Exception):
    """The judge's process ran out of time or memory on what a student's code gave back, or handed in."""


def judge_binds() -> list[str]:
    """bubblewrap's arguments for what the judge sees: this project, and the images, whose caches it fills."""
    return [*project_binds(("minicifar", "course_utils", "solutions", "labs", "autograder")), *image_binds(write=True)]


class Judge:
    """The process with the tests, in a sandbox of its own."""

    def __init__(self, limits: Limits, isolation: Isolation) -> None:
        self.limits, self.isolation = limits, isolation
        self.child: Child | None = None
        self.listens = False  # it has imported everything, and takes files
        self.files: Mapping[str, bytes] | None = None  # of the submission that is judged now

    def start(self) -> None:
        """Start the process, if there is none. Raises SandboxError."""
        if self.child is not None:
            return
        self.child = child = Child("The judge")
        inside = self.isolation == "bubblewrap"
        command, variables = child.module("autograder.grading.judging"), environment(inside, ROOT)
        if inside:
            command = sandboxed(command, judge_binds(), variables, DISK)
        child.start(command, variables)
        limits = Confinement(
            memory=self.limits.memory_megabytes * 1_000_000,
            disk=LARGEST_FILE,
            folder="/tmp" if inside else str(child.folder),
        )
        child.tell({"confinement": limits.as_data(), "call_seconds": self.limits.call_seconds})

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

        `task`: lab, exercise, the names that the notebook holds, and whether the reference's functions help.
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
            raise RuntimeError(f"{task['lab']}, {task['exercise']}: {answer['problem']}")
        return Verdict.from_data(answer[VERDICT])

    def close(self) -> None:
        """End the process, and all that it has started."""
        if self.child is not None:
            self.child.close()
        self.child, self.listens = None, False
