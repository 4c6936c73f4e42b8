"""Inside the sandbox: run a notebook's cells, and answer calls of its functions.

A warm process imports what the lab imports, once. For every submission it forks a process that is confined
(`autograder.sandbox.confinement`), gets the files handed in, runs cells with IPython and answers calls that come
across the wall. Nothing here is secret or trusted: a student's code can do all that this module can.
"""

# mypy: allow-untyped-calls
# (IPython's functions have no types, nor has torch's `backward`.)

import base64
import contextlib
import importlib
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from autograder.sandbox import confinement
from autograder.sandbox.channels import CONFINED, ENDED, KNOW, NOT_CONFINED, RUN, Frame, frame_of, receive, send
from autograder.sandbox.confinement import Confinement, ConfinementError
from autograder.wall.calls import Wall
from autograder.wall.errors import WallError, error_as_data

try:
    from course_utils.explaining import cell_line
except ImportError:  # a release from before

    def cell_line(trace: Any, files: Any = ()) -> str:  # type: ignore[misc]
        """Nothing: messages do without the line."""
        return ""


MOST_OUTPUT = 8_000_000  # characters a cell
MOST_FRAMES = 10  # of a traceback's beginning, and of its end
MOST_ERRORS = 10  # of those that led to one another
SWITCH_SECONDS = 1e-4  # so long a thread left spinning keeps the interpreter at a time: Python's 5 ms add up


class TimeLimit(BaseException):
    """Raised in a student's code when its time is up. Not an Exception: `except Exception` must not stop it."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimit in the code below after so many seconds."""

    def stop(*_: Any) -> None:
        raise TimeLimit(f"this ran for more than {seconds:g} s: an endless loop?")

    if not seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Outputs:
    """The outputs of the cell that runs now, as nbformat has them, up to a limit."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.size = 0
        self.cut = False

    def clear(self) -> None:
        """Forget all outputs."""
        self.outputs, self.size, self.cut = [], 0, False

    def add(self, output: dict[str, Any], size: int) -> None:
        """One more output of so many characters, or a note in its place where that is too much."""
        self.size += size
        if self.size <= MOST_OUTPUT:
            self.outputs.append(output)
        elif not self.cut:
            self.cut = True
            note = f"\n(This cell wrote more than {MOST_OUTPUT // 1_000_000} MB; the rest is left out.)\n"
            self.outputs.append({"output_type": "stream", "name": "stderr", "text": note})

    def text(self, name: str, text: str) -> None:
        """Text on the stream of this name; it joins what was written there just before."""
        last = self.outputs[-1] if self.outputs else {}
        if last.get("output_type") == "stream" and last.get("name") == name and self.size + len(text) <= MOST_OUTPUT:
            last["pieces"].append(text)
            self.size += len(text)
        else:
            self.add({"output_type": "stream", "name": name, "pieces": [text]}, len(text))

    def data(self, kind: str, data: dict[str, Any], count: int | None = None) -> None:
        """A result (with its execution count) or a picture: MIME type → text, or bytes."""
        plain = {
            mime: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for mime, value in data.items()
            if isinstance(value, (str, bytes))
        }
        output: dict[str, Any] = {"output_type": kind, "data": plain, "metadata": {}}
        if kind == "execute_result":
            output["execution_count"] = count
        self.add(output, sum(len(value) for value in plain.values()))

    def error(self, name: str, text: str, lines: list[str], size: int) -> None:
        """An error, with its traceback."""
        self.add({"output_type": "error", "ename": name, "evalue": text, "traceback": lines}, size)

    def taken(self) -> list[dict[str, Any]]:
        """The outputs, which are gone from here then."""
        outputs = self.outputs
        for output in outputs:
            if "pieces" in output:
                output["text"] = "".join(output.pop("pieces"))
        self.clear()
        return outputs


class Stream:
    """Standard output or standard error of a cell."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, name: str, outputs: Outputs) -> None:
        self.name, self.outputs = name, outputs

    def write(self, text: str) -> int:
        """Add text to the cell's outputs."""
        self.outputs.text(self.name, str(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Add lines to the cell's outputs."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing waits here."""

    def isatty(self) -> bool:
        """Nobody sits at a terminal."""
        return False

    def fileno(self) -> int:
        """The descriptor that a process has for this stream."""
        return {"stdout": 1, "stderr": 2}[self.name]


def shorten(error: BaseException | None) -> None:
    """Leave the first and the last frames of tracebacks only: IPython takes 10 s over those of an endless recursion."""
    for _ in range(MOST_ERRORS):
        if error is None:
            return
        frames, trace = [], error.__traceback__
        while trace:
            frames.append(trace)
            trace = trace.tb_next
        if len(frames) > 2 * MOST_FRAMES:
            frames[MOST_FRAMES - 1].tb_next = frames[-MOST_FRAMES]
        error = error.__cause__ or error.__context__
    if error is not None:
        error.__cause__ = error.__context__ = None


class Publisher(DisplayPublisher):
    """What is displayed goes to the shell's outputs."""

    def publish(self, data: Any, metadata: Any = None, source: Any = None, **_: Any) -> None:
        """Show something: MIME type → text, or bytes."""
        self.shell.outputs.data("display_data", data)

    def clear_output(self, wait: bool = False) -> None:
        """Forget what the cell has shown so far."""
        self.shell.outputs.clear()


class Hook(DisplayHook):
    """The value of a cell's last line goes to the shell's outputs."""

    shell: "Shell"

    def __call__(self, result: Any = None) -> None:
        """Show a value, unless the line ends with a semicolon."""
        if result is not None and not self.quiet():
            data, _ = self.compute_format_data(result)
            self.update_user_ns(result)
            self.shell.outputs.data("execute_result", data, self.prompt_count)


class Shell(InteractiveShell):
    """An IPython shell whose results, pictures and errors go to `outputs`."""

    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)

    def __init__(self, outputs: Outputs, **options: Any) -> None:
        self.outputs = outputs
        super().__init__(**options)

    def showtraceback(self, *args: Any, **options: Any) -> None:
        """Show the present error, its tracebacks shortened."""
        shorten(sys.exc_info()[1])
        super().showtraceback(*args, **options)

    def _showtraceback(self, kind: Any, error: Any, lines: Any) -> None:
        text = str(error)[:20_000]
        shown = [line[:20_000] for line in "\n".join(map(str, lines)).splitlines()[-60:]]
        self.outputs.error(kind.__name__, text, shown, len(text))

    def _tee(self, channel: str) -> Any:
        return contextlib.nullcontext()  # IPython would keep a copy of everything that is written

    def enable_gui(self, gui: Any = None) -> None:
        """There is no screen."""


def new_shell() -> Shell:
    """The shell of this process; from here on all that is printed goes to its outputs, too."""
    outputs = Outputs()
    config = Config()
    config.HistoryManager.enabled = False
    sys.stdout, sys.stderr = Stream("stdout", outputs), Stream("stderr", outputs)
    shell = Shell.instance(outputs, config=config)
    shell.user_ns["__name__"] = "__main__"
    with contextlib.suppress(ImportError):
        from matplotlib_inline.backend_inline import configure_inline_support, flush_figures

        configure_inline_support(shell, os.environ["MPLBACKEND"])
        with contextlib.suppress(ValueError):
            shell.events.unregister("post_execute", flush_figures)
        shell.events.register("post_execute", flush_figures)
    return shell


def values(shell: Shell) -> dict[str, Any]:
    """The names that the notebook holds now, each with what differs when its value is another one.

    Functions themselves: the next may get the number of one that is gone. Numbers of all else, which may be large.
    """
    return {
        name: value if isinstance(value, FunctionType) else id(value) for name, value in list(shell.user_ns.items())
    }


def run_cell(shell: Shell, message: Mapping[str, Any]) -> Frame:
    """Run a cell → its outputs, whether it failed, and its execution count."""
    try:
        with time_limit(message["seconds"]):
            failed = not shell.run_cell(message["source"], store_history=True).success
    except BaseException as error:
        failed, text = True, str(error)
        shell.outputs.error(type(error).__name__, text, [text], size=0)
    return frame_of({"outputs": shell.outputs.taken(), "failed": failed, "count": shell.execution_count - 1})


def answer_call(side: Wall, frame: Frame) -> None:
    """Answer a call that came across the wall."""
    try:
        side.answer(*side.unpack(frame))
    except WallError as error:
        send(side.channel, side.pack({"error": error_as_data(error)}))


def serve(channel: socket.socket) -> None:
    """Run cells and answer calls until the other side hangs up. Processes that student code forks get no say."""
    os.register_at_fork(after_in_child=channel.close)
    shell = new_shell()
    streams = sys.stdout, sys.stderr

    def find(answer: str) -> Any:
        if answer not in shell.user_ns:
            raise LookupError(answer)
        return shell.user_ns[answer]

    side = Wall(channel, 1, find)
    side.while_called, side.where = time_limit, lambda error: cell_line(error.__traceback__)
    defined: dict[str, Any] = {}  # name → the number of the cell that defined it last
    while True:
        try:
            frame = receive(channel)
        except EOFError:
            return
        message = json.loads(frame[0])
        sys.stdout, sys.stderr = streams  # a cell may have put others there
        sys.setswitchinterval(SWITCH_SECONDS)
        if message.get("do") == RUN:
            before = values(shell)
            send(channel, run_cell(shell, message))
            defined.update(
                {name: message["cell"] for name, value in values(shell).items() if before.get(name) != value}
            )
        elif message.get("do") == KNOW:
            side.reset()
            names = [name for name in message["names"] if name in shell.user_ns]
            send(channel, frame_of({name: defined.get(name) for name in names}))
        else:
            answer_call(side, frame)
            shell.outputs.clear()


def write_files(files: dict[str, int], data: bytes) -> None:
    """Write the files handed in into the current folder."""
    start = 0
    for name, size in files.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            continue
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[start : start + size])
        start += size


def import_ahead(modules: list[str]) -> None:
    """Import what the notebooks import, and do once what imports more when it is first done.

    One thread only: a process that has more cannot be forked safely.
    """
    for module in ["IPython.core.interactiveshell", "matplotlib_inline.backend_inline", "matplotlib.pyplot", *modules]:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    import torch
    from matplotlib.figure import Figure
    from torch import nn

    torch.set_num_threads(1)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    nn.functional.cross_entropy(network(torch.zeros(2, 3, 4, 4)), torch.tensor([0, 1])).backward()
    if "torch.optim" in modules:  # the first optimizer imports PyTorch's compiler, which takes a second
        torch.optim.SGD(network.parameters(), lr=0.1).step()
    figure = Figure()
    figure.subplots().set_title("ready")
    figure.savefig(io.BytesIO())


def start_one(control: socket.socket, confined: Confinement, channel: socket.socket) -> None:
    """In a fresh process: shut oneself in, take the files, and serve."""
    control.close()
    try:
        entered = confinement.enter(confined, channel)
        os.chdir(entered.folder)
    except (ConfinementError, OSError) as error:
        send(channel, frame_of({NOT_CONFINED: str(error)}))
        return
    send(channel, frame_of({CONFINED: entered.listener is not None}))
    if entered.listener is not None:
        socket.send_fds(channel, [b"."], [entered.listener])
        os.close(entered.listener)
    files, data = receive(channel)
    write_files(json.loads(files), data)
    serve(channel)


def main() -> None:
    """`python -m autograder.sandbox.kernel FD`: the warm process, which forks a process for every request on FD."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(receive(control)[0])
    confinement.keep_only(control.fileno())
    confinement.become_nobody(confinement.CAP_SETPCAP, confinement.CAP_SYS_ADMIN)
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    import_ahead(settings["modules"])
    confinement.adopt_orphans()
    confinement.settle_memory()
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    send(control, frame_of({"threads": threads}))
    while True:
        try:
            text, (descriptor,), _, _ = socket.recv_fds(control, 65_536, 1)
        except (OSError, ValueError):
            return
        if not text:
            return
        channel = socket.socket(fileno=descriptor)
        confinement.reap()
        child = os.fork()
        if not child:
            try:
                start_one(control, Confinement.from_data(json.loads(text)), channel)
            finally:
                os._exit(0)
        channel.close()
        send(control, frame_of({ENDED: confinement.wait_for(child)}))


if __name__ == "__main__":
    main()
