"""Frames on a socket: some JSON, some bytes, and how long both are. Nothing is read beyond a limit.

Every frame is told from others on its socket by one key of its JSON:

    grader → warm process       modules, then confinement (not a frame, but JSON beside a socket's descriptor)
    warm process → grader       threads when it is ready, `ENDED` (a wait status) after each submission
    grader → submission         files, then do: `RUN` or `KNOW`, or what comes from the wall
    submission → grader         `CONFINED` (if true, a descriptor follows: `refused`) or `NOT_CONFINED`, then an answer
                                to each
    grader → judge              confinement, then for each submission files, `EXERCISE` (any number of them), nothing
    judge → grader              ready, then `VERDICT` or what goes to the wall
    leaderboard → measurer      confinement, then the bytes of one ONNX file after the other
    measurer → leaderboard      ready, then measured or refused

What crosses the wall (calls, results, errors: `autograder.wall`) the grader hands on as it is.
"""

import json
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

LARGEST_FRAME = 256_000_000  # bytes
LARGEST_TEXT = 64_000_000
HEADER = struct.Struct("<IQ")  # bytes of JSON, bytes of buffers

RUN, KNOW = "run", "know"  # what a submission's process is asked to do
CONFINED, NOT_CONFINED, ENDED = "confined", "not confined", "ended"
EXERCISE, VERDICT = "exercise", "verdict"

Frame = tuple[bytes, bytes]


class TooLarge(Exception):
    """A frame larger than what is read; the message says how large."""


def frame_of(data: Mapping[str, Any], buffers: bytes = b"") -> Frame:
    """A frame of some data as JSON, and of bytes."""
    return json.dumps(data).encode(), buffers


def begins_with(frame: Frame, key: str) -> bool:
    """Whether `key` is the first of a frame's JSON; without reading it, which may be many megabytes."""
    return frame[0].startswith(f'{{"{key}"'.encode())


def send(channel: socket.socket, frame: Frame, seconds: float | None = None) -> None:
    """Send one frame (JSON, buffers); OSError when the other side is gone, TimeoutError when it does not read."""
    channel.settimeout(seconds)
    channel.sendall(HEADER.pack(len(frame[0]), len(frame[1])))
    channel.sendall(frame[0])
    channel.sendall(frame[1])


def receive(channel: socket.socket, seconds: float | None = None) -> Frame:
    """The next frame. Raises EOFError when the other side is gone, TimeoutError, TooLarge."""
    end = None if seconds is None else time.monotonic() + seconds
    text, buffers = HEADER.unpack(exactly(channel, HEADER.size, end))
    if text > LARGEST_TEXT or text + buffers > LARGEST_FRAME:
        raise TooLarge(f"more than {LARGEST_FRAME // 1_000_000} MB at once")
    return bytes(exactly(channel, text, end)), bytes(exactly(channel, buffers, end))


def exactly(channel: socket.socket, size: int, end: float | None) -> bytearray:
    """The next `size` bytes, which must be there at `end` (of `time.monotonic`). Raises EOFError, TimeoutError."""
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        try:
            count = channel.recv_into(view[have:])
        except ConnectionError:
            count = 0
        if not count:
            raise EOFError("the other side is gone")
        have += count
    return data
