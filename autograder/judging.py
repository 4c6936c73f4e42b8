"""Judge one exercise of a lab with all its tests, visible and hidden; and the process that does so for grading.

The judge's process holds the tests and the reference answers. It is trusted, but what it is given to run (a
network that came across the wall, an ONNX file) may still be too large or too slow: so it has limits, a sandbox
of its own, and can be ended and started again.
"""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from autograder import confinement
from autograder.channels import receive, send
from autograder.editions import Exercise, check_files, exercises, references
from autograder.wall import Wall, rebound
from course_utils.checking import Verdict, run_tests

VERDICT = b'{"verdict"'  # how the frame with a verdict begins: all others are for the student's side


def find_exercise(lab: str, name: str) -> Exercise:
    return next(exercise for exercise in exercises(lab) if exercise.name == name)


class Answer:
    """A student's answer on the other side of the wall: called like the function that it stands for."""

    def __init__(self, wall: Wall, name: str, helpers: Mapping[str, Callable] | None = None) -> None:
        self.wall, self.__name__, self.helpers = wall, name, helpers

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
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


def judge(lab: str, name: str, answers: Mapping[str, Any], folder: Path) -> Verdict:
    """All tests of an exercise against `answers` → Verdict.

    A composite exercise is judged twice, with the student's own helpers and with the reference's, and the
    better run counts, so that one mistake costs once.
    """
    verdict = run_tests(check_files(lab), name, answers, folder)
    if verdict.passed or not find_exercise(lab, name).composite or name not in answers:
        return verdict
    helpers: dict[str, Any] = {key: value for key, value in references(lab).items() if key != name}
    helped = helped_by(answers[name], helpers)
    if helped is answers[name]:
        return verdict
    again = run_tests(check_files(lab), name, {**answers, name: helped}, folder)
    return again if again.earned > verdict.earned else verdict


def helped_by(answer: Any, helpers: Mapping[str, Any]) -> Any:
    """An answer that calls `helpers` in place of the student's own functions of those names."""
    return Answer(answer.wall, answer.__name__, helpers) if isinstance(answer, Answer) else rebound(answer, helpers)


def take_files(files: Mapping[str, int], data: bytes, folder: Path) -> None:
    """Put the files handed in into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = 0
    for name, size in files.items():
        (folder / Path(name).name).write_bytes(data[start : start + size])
        start += size


def forget_global_hooks() -> None:
    everywhere = nn.modules.module
    for hooks in (everywhere._global_forward_hooks, everywhere._global_forward_pre_hooks):
        hooks.clear()


def look_at_images() -> None:
    """Read the images once, so that they are decoded in the cache before any sandbox needs them there."""
    from minicifar import ImagesNotFound, MiniCIFAR

    for split in ("train", "val", "test"):
        try:
            MiniCIFAR(split, download=False)
        except ImagesNotFound:
            return


def main() -> None:
    """`python -m autograder.judging FD FOLDER`: judge what comes in on FD, with files kept in FOLDER."""
    channel, folder = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])
    settings = json.loads(receive(channel)[0])
    confinement.set_limits(confinement.address_space() + settings["memory"], settings)
    look_at_images()
    os.chdir(folder)
    wall = Wall(channel, 0)
    wall.seconds = settings["call_seconds"]
    send(channel, (json.dumps({"ready": True}).encode(), b""))
    while True:
        try:
            text, data = receive(channel)
        except EOFError:
            return
        message = json.loads(text)
        if "files" in message:
            take_files(message["files"], data, folder / "handed-in")
            continue
        wall.reset()
        try:
            verdict = judge(message["lab"], message["exercise"], Answers(wall, message["names"]), folder / "handed-in")
            answer: dict[str, Any] = {"verdict": verdict.as_data()}
        except Exception as error:
            answer = {"verdict": None, "problem": f"{type(error).__name__}: {error}"}
        forget_global_hooks()
        send(channel, (json.dumps(answer).encode(), b""))


if __name__ == "__main__":
    main()
