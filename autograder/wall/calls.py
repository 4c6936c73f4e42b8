"""The wall between tests and a student's code: what crosses it is data, in frames that hold no code.

Both sides hold a `Wall` on the two ends of a socket. A call crosses with everything that its arguments reach;
the answer brings back what the call changed in them, so that both sides keep the same picture of every list,
tensor and network that crossed. Numbers, strings and tuples cross by value (`values`). Lists, dicts, arrays, tensors
with the memory that they share (`objects`), networks (class by name, settings, weights) and optimizers (`networks`)
are numbered and rebuilt. Functions stay where they are and are called there; so does, as a `Handle` (`handles`),
whatever is none of these. `frames` packs and unpacks.

What a call does to its surroundings (global random numbers, gradients) crosses too. Both sides remember what has
crossed until the tests' side says `anew`: so a test sees whether two calls gave it the same object.

Nothing that arrives is executed: classes are looked up in a fixed list, memory is checked before it is shared.
"""

import contextlib
import socket
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from autograder.sandbox.channels import Frame, receive, send
from autograder.wall import frames
from autograder.wall.around import surround, surroundings
from autograder.wall.errors import WallError, error_as_data, error_from_data


class Wall:
    """One end. `side` is 0 where the tests are and 1 where the student's code is.

    `find(name)` gives the student's answers by name. Only side 1 lets the other side ask for names and
    attributes; side 0 answers calls of functions that it handed over, and nothing else.
    """

    def __init__(self, channel: socket.socket, side: int, find: Callable[[str], Any] | None = None) -> None:
        self.channel, self.side, self.find = channel, side, find
        self.seconds: float | None = None  # how long the other side may take for one call
        self.depth = 0  # of calls within calls
        self.while_called: Callable[[float | None], AbstractContextManager[Any]] = contextlib.nullcontext
        self.where: Callable[[BaseException], str] = lambda error: ""
        self.reset()

    def reset(self) -> None:
        """Forget everything that has crossed."""
        self.registry = frames.Registry(self.side)
        self.around: Mapping[str, Any] = {}  # the surroundings, as both sides know them
        self.forgets = False

    def anew(self) -> None:
        """What has crossed, but functions and handles, is forgotten on both sides before the next call."""
        self.forgets = True

    def pack(self, message: Mapping[str, Any], **values: Any) -> Frame:
        """A frame of a message, values, and the state of all that they reach, as far as the other side lacks it."""
        now = surroundings()
        if now != self.around:
            self.around = now
            values["around"] = tuple(now.items())
        return frames.pack(self.registry, message, values)

    def unpack(self, frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
        """The message and the values of a frame, all of it checked. Raises WallError."""
        message, values = frames.unpack(self.registry, self, frame)
        if "around" in values:
            try:
                surround(dict(values.pop("around")))
            except Exception as error:
                raise WallError(f"surroundings that cannot be ({type(error).__name__})") from None
            self.around = surroundings()
        return message, values

    @contextlib.contextmanager
    def crossing(self) -> Iterator[None]:
        """A call; what it has changed crosses until the outermost call is over."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
            if not self.depth:
                self.registry.touched.clear()

    def ask(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], helpers: Mapping[str, Any] | None = None, **target: Any
    ) -> Any:
        """Call what `target` names on the other side → its result, or its exception.

        `name`: one of the student's answers, which finds `helpers` (names → functions) in place of its own if they
        are given; `number`: a function or handle; `number` and `attribute`: an attribute of it. Until the answer
        comes, the other side's calls are answered. Raises WallError for an answer that is none.
        """
        with self.crossing():
            request = {"call": target, "seconds": self.seconds}
            if self.forgets:
                self.registry.forget()
                request[frames.FORGET], self.forgets = True, False
            send(self.channel, self.pack(request, args=args, kwargs=kwargs, helpers=helpers))
            while True:
                try:
                    message, values = self.unpack(receive(self.channel))
                except WallError:
                    self.anew()  # now the two sides may not remember the same
                    raise
                if "call" in message:
                    self.answer(message, values)
                elif "error" in message:
                    if message.get("anew"):  # the other side died, and a new one stands in its place
                        self.reset()
                    error = error_from_data(message["error"])
                    if type(error).__name__ == WallError.__name__:
                        self.anew()
                    raise error
                elif "result" in values:
                    return values["result"]
                else:
                    raise WallError("neither a call nor an answer")

    def answer(self, message: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Do what a message asks for, and send the result or the error. Raises WallError where it may not ask."""
        with self.crossing():
            try:
                frame = self.pack({}, result=self.called(message, values))
            except WallError:
                raise
            except BaseException as error:
                message = {"error": error_as_data(error, self.where(error))}
                try:
                    frame = self.pack(message)
                except Exception:  # an argument was taken apart: what became of it stays here
                    self.registry.touched.clear()
                    frame = self.pack(message)
            send(self.channel, frame)

    def called(self, message: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        """The result of the call that a message asks for, or its exception. Raises WallError where it may not ask."""
        target, args, kwargs = message["call"], values.get("args"), values.get("kwargs")
        if not (isinstance(target, dict) and isinstance(args, tuple) and isinstance(kwargs, dict)):
            raise WallError("a call without arguments")
        seconds = message.get("seconds") if self.side else None
        if self.side and "name" in target:
            function = self.answer_named(target["name"], values.get("helpers"))
        else:
            function = self.handed_over(target.get("number"))
            if "attribute" in target:
                if not self.side:
                    raise WallError("attributes are not handed over")
                with self.while_called(seconds):
                    return getattr(function, target["attribute"])
        with self.while_called(seconds):
            return function(*args, **kwargs)

    def answer_named(self, name: str, helpers: Mapping[str, Any] | None) -> Any:
        """The student's answer of a name, which finds `helpers` in place of its own if they are given."""
        assert self.find
        answer = self.find(name)
        return rebound(answer, helpers) if helpers else answer

    def handed_over(self, number: Any) -> Any:
        """The object of this side that was handed over under a number. Raises WallError if none was."""
        if number not in self.registry.lasting or number % 2 != self.side:
            raise WallError("a call of something that was never handed over")
        return self.registry.objects[number]


def rebound(function: Any, helpers: Mapping[str, Any]) -> Any:
    """A copy of a function that finds `helpers` under their names where it found its own; anything else, as it is."""
    if not isinstance(function, types.FunctionType):
        return function
    names = {**function.__globals__, **helpers}
    copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
