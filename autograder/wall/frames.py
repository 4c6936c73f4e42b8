"""Frames: what one message carries over the wall, packed on one side and unpacked on the other.

A frame is JSON (the message, the nodes of its values, the states of numbered objects, the sizes of the buffers) and
the buffers, one after another. `Registry` is what an end of the wall remembers of the objects that have crossed.
Everything in a frame that arrives may be forged; `unpack` is where it is checked, with the kinds of `values`,
`objects`, `networks` and `handles`.
"""

import functools
import itertools
import json
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from autograder.sandbox.channels import Frame
from autograder.wall import values
from autograder.wall.errors import Stays, WallError
from autograder.wall.handles import HandleKind
from autograder.wall.networks import Network, Optimizer
from autograder.wall.objects import Array, Arrival, Asking, Dict, Kind, List, Set, State, Storage, TensorKind, identity
from autograder.wall.values import Node

MOST_OBJECTS = 100_000
FORGET = "forget"  # in a message of the tests' side: what has crossed before is forgotten first

HANDLE = HandleKind()
STAGES: tuple[tuple[Kind, ...], ...] = (  # all kinds of objects, in the order in which those of one frame are made
    (Storage(),),
    (TensorKind(),),  # on storages
    (Network(), List(), Dict(), Set(), Array(), HANDLE),
    (Optimizer(),),  # of tensors, which its `make` looks at
)
KINDS = {kind.name: kind for stage in STAGES for kind in stage}


def kind_of(value: Any) -> Kind:
    """The kind as which an object crosses: a handle where it belongs to no other."""
    kind = _kind_of_class(type(value))  # type: ignore[arg-type]  # classes are hashable, mypy
    return kind if kind.crosses(value) else HANDLE


@functools.lru_cache(maxsize=1_000)
def _kind_of_class(cls: type) -> Kind:
    return next((kind for kind in KINDS.values() if kind.takes(cls)), HANDLE)


Known = tuple[State, bytes | None, list[bytes]]  # of an object: state, its bytes, and those of the values in it


class Registry:
    """The numbered objects of one end. The tests' side, 0, gives even numbers, and the student's side, 1, odd ones."""

    def __init__(self, side: int) -> None:
        self.side, self.next = side, side
        self.objects: dict[int, Any] = {}
        self.numbers: dict[Any, int] = {}  # by identity
        self.known: dict[int, Known | None] = {}  # the state that both sides know; None of what lasts
        self.lasting: set[int] = set()  # functions and handles, which outlive a call and never change
        self.touched: dict[int, None] = {}  # numbers that crossed in the present call, in the order of their crossing

    def number_of(self, value: Any) -> int:
        """The number of an object, given now if it has none. Raises WallError where there are too many."""
        number = self.numbers.get(identity(value))
        if number is None:
            if len(self.objects) >= MOST_OBJECTS:
                raise WallError(f"more than {MOST_OBJECTS:,} lists, dicts and other objects at once")
            number = self.next
            self.add(number, value)
            self.next += 2
        return number

    def add(self, number: int, value: Any) -> None:
        """Remember an object under a number."""
        self.objects[number] = value
        self.numbers[identity(value)] = number

    def forget(self) -> None:
        """Forget data, keep functions and handles."""
        self.touched.clear()
        self.objects = {number: value for number, value in self.objects.items() if number in self.lasting}
        self.numbers = {key: number for key, number in self.numbers.items() if number in self.lasting}
        self.known = {number: state for number, state in self.known.items() if number in self.lasting}

    def forget_own(self, first: int) -> None:
        """Forget what this side has numbered from `first` on: it has not crossed."""
        for number in [number for number in self.objects if number >= first and number % 2 == self.side]:
            self.numbers.pop(identity(self.objects.pop(number)), None)
            self.lasting.discard(number)
            self.known.pop(number, None)
            self.touched.pop(number, None)

    def check_numbers(self, numbers: Collection[Any]) -> None:
        """Raise WallError unless objects may arrive under these numbers.

        They may where they are not too many, and each is new and the other side's, or known; functions and handles,
        once known, never arrive again.
        """
        if len(numbers) + len(self.objects) > MOST_OBJECTS:
            raise WallError("too many objects")
        for number in numbers:
            if number not in self.objects and (not isinstance(number, int) or number % 2 == self.side):
                raise WallError("an object with a wrong number")
            if number in self.lasting:
                raise WallError("a function or handle that changes")


# --- out


@dataclass(frozen=True)
class Packing:
    """A frame that is being packed: the buffers so far. `data_only`: what would become a handle raises Stays."""

    registry: Registry
    buffers: list[bytes] = field(default_factory=list)
    data_only: bool = False

    def only_data(self) -> "Packing":
        """The same frame, where `encode` raises Stays for what would become a handle."""
        return replace(self, data_only=True)

    def add(self, data: bytes) -> int:
        """Put bytes beside the JSON → their place."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    def encode(self, value: Any) -> Node:
        """A value as JSON; what is numbered becomes a reference. What is of no kind is handed over, to last."""
        kind = values.kind_of(type(value))  # type: ignore[arg-type]  # classes are hashable, mypy
        if kind is not None:
            return kind.encode(value, self)
        handle = kind_of(value) is HANDLE
        if handle and self.data_only:
            raise Stays
        reference = self.reference(value)
        if handle:
            self.registry.lasting.add(reference["ref"])
        return reference

    def reference(self, value: Any) -> Node:
        """The node that refers to an object, which gets its number now if it has none."""
        number = self.registry.number_of(value)
        self.registry.touched.setdefault(number)
        return {"ref": number}

    def state(self, value: Any) -> Known:
        """The state of an object, with the name of its kind; its bytes; the bytes of the values in it."""
        kind, first = kind_of(value), len(self.buffers)
        state, data = kind.state(value, self)
        return {"kind": kind.name, **state}, data, self.buffers[first:]

    def news(self) -> tuple[list[list[Any]], dict[int, Known]]:
        """What the other side lacks of the objects that crossed in this call, and of all that they reach.

        → for the frame: number, state and place of the bytes of each; to remember: what both sides know then.
        """
        registry, states, news = self.registry, [], dict[int, Known]()
        todo = deque(registry.touched)
        while todo:
            number, reached = todo.popleft(), len(registry.touched)
            if number in registry.lasting and number in registry.known:
                continue
            state, data, beside = self.state(registry.objects[number])
            todo.extend(itertools.islice(registry.touched, reached, None))  # what it reaches, and nothing did before
            if registry.known.get(number) != (state, data, beside):
                news[number] = (state, data, beside)
                states.append([number, state, self.add(data) if data is not None else None])
        return states, news


def pack(registry: Registry, message: Mapping[str, Any], roots: Mapping[str, Any]) -> Frame:
    """A frame of a message, values, and the state of all that they reach, as far as the other side lacks it.

    Where a value cannot be packed (it raises an error when it is looked at), nothing of the frame is remembered.
    """
    first, packing = registry.next, Packing(registry)
    try:
        nodes = {name: packing.encode(value) for name, value in roots.items()}
        states, news = packing.news()
        sizes = [len(buffer) for buffer in packing.buffers]
        text = json.dumps({**message, "values": nodes, "objects": states, "sizes": sizes})
    except BaseException:
        registry.forget_own(first)
        raise
    registry.known.update(news)
    return text.encode(), b"".join(packing.buffers)


# --- in


@dataclass
class Unpacking:
    """A frame that arrives: its buffers, and the objects that came with it, by number, which have been checked.

    `wall` is what the handles in it will ask.
    """

    registry: Registry
    wall: Asking
    buffers: list[bytes]
    arrivals: dict[int, Arrival]

    def buffer(self, place: Any) -> bytes:
        """The bytes at a place. Raises IndexError, TypeError."""
        data: bytes = self.buffers[place]
        return data

    def decode(self, node: Node) -> Any:
        """The value of a JSON node: of a plain kind, or an object that is known or came. Raises WallError."""
        if not isinstance(node, dict) or next(iter(node), None) != "ref":
            return values.decode(node, self)
        if node["ref"] not in self.registry.objects and node["ref"] not in self.arrivals:
            raise WallError("a reference to nothing")
        return self.make(node["ref"])

    def make(self, number: Any) -> Any:
        """The object of a number, made now if there is none yet. Raises WallError, KeyError where none came."""
        self.registry.touched.setdefault(number)
        if number not in self.registry.objects:
            arrival = self.arrivals[number]
            self.registry.add(number, arrival.kind.make(arrival, self))
            if arrival.kind is HANDLE:
                self.registry.lasting.add(number)
        return self.registry.objects[number]

    def make_all(self) -> None:
        """Make an object for every number that has none yet, stage by stage."""
        for stage in STAGES:
            for number, arrival in self.arrivals.items():
                if arrival.kind in stage:
                    self.make(number)

    def fill_all(self) -> None:
        """Bring all objects that came to their state, and remember what this side would send of them."""
        for number, arrival in self.arrivals.items():
            value = self.registry.objects[number]
            if not isinstance(value, arrival.kind.cls):
                raise WallError("an object that changes its kind")
            arrival.kind.fill(value, arrival, self)
        for number in self.arrivals:
            lasts = number in self.registry.lasting
            self.registry.known[number] = None if lasts else Packing(self.registry).state(self.registry.objects[number])


def unpack(registry: Registry, wall: Asking, frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
    """The message and the values of a frame; objects that both sides know are brought to their new state.

    Raises WallError for anything that does not hold together.
    """
    try:
        body = json.loads(frame[0])
        if registry.side and body.get(FORGET):
            registry.forget()
        buffers = _cut(frame[1], body["sizes"])
        arrivals = {
            number: Arrival(number, _kind_named(state["kind"]), state, buffers[data] if data is not None else None)
            for number, state, data in body["objects"]
        }
        registry.check_numbers(arrivals)
        unpacking = Unpacking(registry, wall, buffers, arrivals)
        unpacking.make_all()
        unpacking.fill_all()
        return body, {name: unpacking.decode(node) for name, node in body["values"].items()}
    except WallError:
        raise
    except Exception as error:
        raise WallError(f"not readable ({type(error).__name__}: {str(error)[:200]})") from None


def _cut(data: bytes, sizes: Any) -> list[bytes]:
    """Bytes cut into buffers of these sizes. Raises WallError where there are not so many."""
    buffers, end = [], 0
    for size in sizes:
        if not isinstance(size, int) or size < 0 or end + size > len(data):
            raise WallError("buffers that are not there")
        buffers.append(data[end : end + size])
        end += size
    return buffers


def _kind_named(name: Any) -> Kind:
    """The kind of object of a name. Raises WallError."""
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise WallError("an object of no known kind")
    return kind
