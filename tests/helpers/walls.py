"""Walls with a student's side in a thread of this process, as the kernel runs it in one of its own."""

import contextlib
import inspect
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autograder.sandbox.channels import receive, send
from autograder.wall.calls import Wall
from autograder.wall.errors import WallError, error_as_data
from course_utils.explaining import cell_line


def student(channel: socket.socket, names: Mapping[str, Any]) -> None:
    """The student's side of a wall, as the kernel runs it."""
    wall = Wall(channel, 1, lambda name: names[name])
    files = {value.__code__.co_filename for value in names.values() if inspect.isfunction(value)}
    wall.where = lambda error: cell_line(error.__traceback__, files)
    while True:
        try:
            frame = receive(channel)
            wall.answer(*wall.unpack(frame))
        except WallError as error:
            with contextlib.suppress(OSError):  # who asked may have left with the beginning of the answer
                send(channel, wall.pack({"error": error_as_data(error)}))
        except (EOFError, OSError):
            return


@contextlib.contextmanager
def open_walls() -> Iterator[Callable[[Mapping[str, Any]], Wall]]:
    """A function that puts names behind a new wall → the tests' side; all walls are closed at the end."""
    with contextlib.ExitStack() as sockets:

        def build(names: Mapping[str, Any]) -> Wall:
            ours, theirs = (sockets.enter_context(end) for end in socket.socketpair())
            threading.Thread(target=student, args=(theirs, names), daemon=True).start()
            return Wall(ours, 0)

        yield build
