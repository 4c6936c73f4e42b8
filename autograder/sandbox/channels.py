"""Frames on a socket: some JSON, some bytes, and how long both are. Nothing is read beyond a limit."""

import socket
import struct
import time

LARGEST_FRAME = 256_000_000  # bytes
LARGEST_TEXT = 64_000_000
HEADER = struct.Struct("<IQ")  # bytes of JSON, bytes of buffers

Frame = tuple[bytes, bytes]


class TooLarge(Exception):
    """A frame larger than what is read; the message says how large."""


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
    found = bytearray(size)
    view, have = memoryview(found), 0
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
    return found
