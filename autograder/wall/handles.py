"""Handles: what is neither a value nor an object with a state stays where it is, and is asked from the other side."""

import contextlib
from typing import Any

from autograder.wall.objects import Arrival, Asking, IncomingObjects, Kind, OutgoingObjects, State

LONGEST_NAME = 60  # characters


class Handle:
    """Stands for an object that lives on the other side: its attributes and methods are asked for there."""

    def __init__(self, wall: Asking, number: int, kind: str) -> None:
        vars(self).update(_wall=wall, _number=number, _kind=kind)

    def __repr__(self) -> str:
        return f"<{self._kind} in the notebook>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._wall.ask(args, kwargs, number=self._number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._wall.ask((), {}, number=self._number, attribute=name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self!r} can be asked, not changed")


class HandleKind(Kind):
    """Everything else: a number, and what it calls itself.

    Checked: the name is cut, and "object" unless it is an identifier; it serves for messages only. A handle that has
    crossed lasts longer than the call, and never changes.
    """

    name = "handle"
    cls = object

    def takes(self, cls: type) -> bool:
        """Handles of this side; but whatever is of no other kind crosses as one, too."""
        return issubclass(cls, Handle)

    def state(self, value: Any, out: OutgoingObjects) -> tuple[State, None]:
        return {"type": _name_of(value)}, None

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> Handle:
        name = str(arrival.state["type"])
        name = name if name.isidentifier() and len(name) < LONGEST_NAME else "object"
        cls: type[Handle] = type(name, (Handle,), {})  # the other side's name, so that messages say what came
        return cls(incoming.wall, arrival.number, name)

    def fill(self, value: Any, arrival: Arrival, incoming: IncomingObjects) -> None:
        """Nothing: what both sides know, and has become none of the kinds there, stays here as it was."""


def _name_of(value: Any) -> str:
    """What a function calls itself; for anything else, and what will not say, its class's name."""
    with contextlib.suppress(Exception):
        if isinstance(value.__name__, str):
            return value.__name__
    return type(value).__name__
