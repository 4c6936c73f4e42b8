"""Judge one exercise of a lab with all its tests, visible and hidden; and the process that does so for grading.

The judge's process holds the tests and the reference answers. It is trusted, but what it is given to run (a
network that came across the wall, an ONNX file) may still be too large or too slow: so it has limits, a sandbox
of its own, and can be ended and started again.
"""

import importlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autograder.sandbox import confinement
from autograder.sandbox.channels import EXERCISE, VERDICT, frame_of, receive, send
from autograder.wall.calls import Wall, rebound
from course_utils import artifacts, checking
from course_utils.checking import Verdict, run_tests


class Answer:
    """A student's answer on the other side of the wall: called like the function that it stands for."""

    def __init__(self, wall: Wall, name: str, helpers: Mapping[str, Callable] | None = None) -> None:
        self.wall, self.__name__, self.helpers = wall, name, helpers

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the answer across the wall."""
        return self.wall.ask(args, kwargs, self.helpers, name=self.__name__)


class Answers(Mapping[str, Any]):
    """The names that a notebook holds, each an `Answer`; every test looks its answer up, and the wall begins anew."""

    def __init__(
        self, wall: Wall, names: Mapping[str, Any], helped: Mapping[str, Mapping[str, Callable]] | None = None
    ) -> None:
        self.wall, self.names, self.helped = wall, names, helped or {}

    def __getitem__(self, name: str) -> Answer:
        if name not in self.names:
            raise KeyError(name)
        self.wall.anew()
        return Answer(self.wall, name, self.helped.get(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class LabTests:
    """What judges a lab's exercises: test files, reference answers by name, and the names of composite exercises."""

    files: tuple[Path, ...]
    references: Mapping[str, Any]
    composite: frozenset[str]


def tests_in(release: Path) -> LabTests:
    """The tests and reference answers of a frozen release that was unpacked here and is on Python's path."""
    about = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    asked = [exercise for exercise in about["exercises"] if exercise["module"]]
    files = [release / "checks" / f"{kind}_{about['lab']}.py" for kind in ("test", "hidden")]
    return LabTests(
        tuple(file for file in files if file.is_file()),
        {
            exercise["name"]: getattr(importlib.import_module(exercise["module"]), exercise["name"])
            for exercise in asked
        },
        frozenset(exercise["name"] for exercise in asked if exercise["composite"]),
    )


def judge(tests: LabTests, name: str, answers: Mapping[str, Any], folder: Path, helped: bool = False) -> Verdict:
    """All tests of an exercise against `answers` → Verdict. `helped`: see `with_help`."""
    return run_tests(tests.files, name, with_help(tests, name, answers) if helped else answers, folder)


def with_help(tests: LabTests, name: str, answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Answers of which one, a composite exercise, finds the reference's functions where it calls the student's own.

    So one mistake costs once. Whoever calls these functions learns what they return: nothing but composite exercises
    may be judged after such a run.
    """
    if name not in answers:
        return answers
    helpers = {key: value for key, value in tests.references.items() if key not in tests.composite}
    if isinstance(answers, Answers):
        return Answers(answers.wall, answers.names, {name: helpers})
    return {**answers, name: rebound(answers[name], helpers)}


def take_files(files: Mapping[str, int], data: bytes, folder: Path) -> None:
    """Put the files handed in into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = 0
    for name, size in files.items():
        (folder / Path(name).name).write_bytes(data[start : start + size])
        start += size


def look_at_images() -> None:
    """Decode the images and measure the baseline, once for all judges and before any sandbox needs them."""
    from minicifar import ImagesNotFound, MiniCIFAR

    try:
        for split in ("train", "val", "test"):
            MiniCIFAR(split, download=False)
        artifacts.test_images()
    except ImagesNotFound:
        return
    child = os.fork()  # measuring starts threads, and a process that has them cannot be forked safely
    if not child:
        try:
            artifacts.measured_baseline()
            os._exit(0)
        finally:
            os._exit(1)
    if not confinement.wait_for(child):
        artifacts.measured_baseline()


Case = tuple[str, Mapping[str, Any]]  # an exercise, and answers by name


class Exercises(Iterator[Case]):
    """The exercises that are asked for on a socket, of one submission after the other.

    For the files of each submission this process forks: the copy goes on with its exercises and then ends, and with it
    all that a student's code has done to the tests' own objects, which it is given and may change.
    """

    def __init__(self, channel: socket.socket, tests: LabTests, folder: Path, call_seconds: float) -> None:
        self.channel, self.tests, self.folder = channel, tests, folder
        self.wall = Wall(channel, 0)
        self.wall.seconds = call_seconds
        self.is_copy = False

    def __iter__(self) -> "Exercises":
        """Begin: everything has been imported and collected now."""
        confinement.settle_memory()
        send(self.channel, frame_of({"ready": True}))
        return self

    def __next__(self) -> Case:
        """The next exercise that is asked for, with its answers; in the copy that is to judge it."""
        while not self.is_copy:
            try:
                sizes, data = receive(self.channel)
            except EOFError:
                raise StopIteration from None
            child = os.fork()
            self.is_copy = not child
            if self.is_copy:
                take_files(json.loads(sizes)["files"], data, self.folder)
            elif confinement.wait_for(child):
                sys.exit("the judge of a submission came to grief")
        return self.exercise()

    def exercise(self) -> Case:
        """The next exercise of this submission; after the last the process ends."""
        try:
            request = json.loads(receive(self.channel)[0])
        except EOFError:
            os._exit(0)
        if EXERCISE not in request:
            os._exit(0)
        self.wall.reset()
        name, answers = request[EXERCISE], Answers(self.wall, request["names"])
        return name, with_help(self.tests, name, answers) if request["helped"] else answers

    def tell(self, verdict: Verdict) -> None:
        """Answer what was asked for last."""
        send(self.channel, frame_of({VERDICT: verdict.as_data()}))


def run_all(exercises: Exercises) -> None:
    """Judge all that is asked for, the tests collected once; where version 0.1.0 was released, once an exercise."""
    if hasattr(checking, "run_in_turn"):
        return checking.run_in_turn(exercises.tests.files, exercises, exercises.tell, exercises.folder)
    for name, answers in exercises:
        exercises.tell(run_tests(exercises.tests.files, name, answers, exercises.folder))


def main() -> None:
    """`python -m autograder.grading.judging FD`: for the files of a submission that come in on FD, fork a judge."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(receive(channel)[0])
    limits = confinement.Confinement.from_data(settings["confinement"])
    confinement.set_limits(limits, confinement.address_space())
    folder = Path(limits.folder)
    torch.set_num_threads(1)
    look_at_images()
    confinement.keep_only(channel.fileno())
    confinement.become_nobody()
    os.chdir(folder)
    tests = tests_in(Path(settings["release"]))
    for name in list(tests.references)[:1]:  # so that everything has been imported before the first fork
        run_tests(tests.files, name, tests.references, folder)
    exercises = Exercises(channel, tests, folder / "handed-in", settings["call_seconds"])
    try:
        run_all(exercises)
    except Exception as error:
        if not exercises.is_copy:
            raise
        send(channel, frame_of({VERDICT: None, "problem": f"{type(error).__name__}: {error}"}))
    if exercises.is_copy:
        os._exit(1)


if __name__ == "__main__":
    main()
