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
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autograder.sandbox import confinement
from autograder.sandbox.channels import EXERCISE, VERDICT, Frame, frame_of, receive, send
from autograder.wall.calls import Wall, rebound
from course_utils import artifacts
from course_utils.checking import Verdict, run_tests


class Answer:
    """A student's answer on the other side of the wall: called like the function that it stands for."""

    def __init__(self, wall: Wall, name: str, helpers: Mapping[str, Callable] | None = None) -> None:
        self.wall, self.__name__, self.helpers = wall, name, helpers

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the answer across the wall."""
        return self.wall.ask(args, kwargs, self.helpers, name=self.__name__)


class Answers(Mapping[str, Any]):
    """The names that a notebook holds, each an `Answer`."""

    def __init__(self, wall: Wall, names: Mapping[str, Any]) -> None:
        self.wall, self.names = wall, names

    def __getitem__(self, name: str) -> Answer:
        if name not in self.names:
            raise KeyError(name)
        return Answer(self.wall, name)

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
    """All tests of an exercise against `answers` → Verdict.

    `helped`: a composite exercise finds the reference's functions where it calls the student's own, so that one
    mistake costs once. Whoever calls these functions learns what they return: nothing but composite exercises may
    be judged after such a run.
    """
    if helped and name in answers:
        helpers = {key: value for key, value in tests.references.items() if key not in tests.composite}
        answer = answers[name]
        helped_answer = Answer(answer.wall, name, helpers) if isinstance(answer, Answer) else rebound(answer, helpers)
        answers = {**answers, name: helped_answer}
    return run_tests(tests.files, name, answers, folder)


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


def judge_one_submission(
    channel: socket.socket, tests: LabTests, files: Frame, folder: Path, call_seconds: float
) -> None:
    """Judge exercises of one submission, as they are asked for, until the other side has no more of them."""
    take_files(json.loads(files[0])["files"], files[1], folder)
    wall = Wall(channel, 0)
    wall.seconds = call_seconds
    while EXERCISE in (request := json.loads(receive(channel)[0])):
        wall.reset()
        try:
            answers = Answers(wall, request["names"])
            verdict = judge(tests, request[EXERCISE], answers, folder, request["helped"])
            answer: dict[str, Any] = {VERDICT: verdict.as_data()}
        except Exception as error:
            answer = {VERDICT: None, "problem": f"{type(error).__name__}: {error}"}
        send(channel, frame_of(answer))


def main() -> None:
    """`python -m autograder.grading.judging FD`: for the files of a submission that come in on FD, fork a judge.

    What a student's code does to the tests' own objects (it may change what it is given) ends with that judge.
    """
    channel = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(receive(channel)[0])
    limits = confinement.Confinement.from_data(settings["confinement"])
    confinement.set_limits(limits, confinement.address_space())
    folder = Path(limits.folder)
    torch.set_num_threads(1)
    look_at_images()
    os.chdir(folder)
    tests = tests_in(Path(settings["release"]))
    for name in list(tests.references)[:1]:  # so that everything has been imported before the first fork
        run_tests(tests.files, name, tests.references, folder)
    confinement.settle_memory()
    send(channel, frame_of({"ready": True}))
    while True:
        try:
            files = receive(channel)
        except EOFError:
            return
        child = os.fork()
        if not child:
            try:
                judge_one_submission(channel, tests, files, folder / "handed-in", settings["call_seconds"])
            except EOFError:
                pass
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if confinement.wait_for(child):
            sys.exit("the judge of a submission came to grief")


if __name__ == "__main__":
    main()
