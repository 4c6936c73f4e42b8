"""The process that measures the challenge's entries: in a sandbox, each entry in a fork with limits of its own.

An ONNX file is data, but whoever made it may have made it to crash or to fill what reads it.
"""

import json
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from autograder.sandbox import confinement
from autograder.sandbox.channels import frame_of, receive, send
from course_utils.challenge.entry import measure
from course_utils.onnx_files.reading import OnnxFileError
from minicifar import ImageSet, load


def measured(data: bytes, folder: Path, test: ImageSet, validation: ImageSet, secret: str) -> dict[str, Any]:
    """{"measured": what `challenge.measure` found}, or {"refused": why not}."""
    path = folder / "network.onnx"
    path.write_bytes(data)
    try:
        return {"measured": measure(path, test, validation, secret)}
    except OnnxFileError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": "network.onnx takes too much memory."}
    except Exception as error:
        print(traceback.format_exc(), file=sys.stderr)
        return {"refused": f"network.onnx cannot be measured ({type(error).__name__})."}


def main() -> None:
    """`python -m autograder.challenge.measure_entry FD`: measure every file that comes in on FD, to the last."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(receive(channel)[0])
    limits = confinement.Confinement.from_data(settings["confinement"])
    torch.set_num_threads(1)
    test, validation = (load(settings["dataset"], split, download=False) for split in ("test", "val"))
    confinement.keep_only(channel.fileno())
    confinement.become_nobody()
    confinement.set_limits(limits, confinement.address_space())
    send(channel, frame_of({"ready": test.fingerprint}))
    while True:
        try:
            _, data = receive(channel)
        except EOFError:
            return
        child = os.fork()
        if not child:
            try:
                send(channel, frame_of(measured(data, Path(limits.folder), test, validation, settings["secret"])))
                os._exit(0)
            finally:
                os._exit(1)
        if confinement.wait_for(child):
            send(channel, frame_of({"refused": "network.onnx made what measures it crash."}))


if __name__ == "__main__":
    main()
