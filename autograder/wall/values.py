"""Plain values: they cross by value, as a JSON node and, where JSON has no place for them, bytes beside it.

A kind of value is one class: which values belong to it, how they are written, and how they are read. `KINDS` is the
table of all kinds; nothing else is written or read as a value. A node is either JSON's own (None, bool, number, str)
or an object whose first key is the tag of its kind. Whatever arrives may be forged: what `decode` is given is any
JSON with that tag. It looks names up in fixed tables, makes nothing larger than what came or `LARGEST_TENSOR`, and
raises WallError, or whatever Python raises for an argument of the wrong kind, which the wall turns into a WallError.
"""

import functools
import math
from abc import ABC, abstractmethod
from types import EllipsisType, NoneType
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from autograder.wall.errors import WallError

LARGEST_TENSOR = 50_000_000  # elements
MOST_DIMENSIONS = 64
LONGEST_RANGE = 10_000_000  # numbers
LARGEST_DECIMAL = 2**63  # larger integers cross in hexadecimal: Python reads no decimals of more than 4,300 digits

DTYPES = {str(value).removeprefix("torch."): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
FORMATS = {str(value): value for value in vars(torch).values() if isinstance(value, torch.memory_format)}
NUMBERS = "biufc"  # numpy's kinds of dtypes that hold bools or numbers: no objects, texts, dates or records

Node = Any  # JSON: of this side's making where it is written, anything at all where it is read


class Outgoing(Protocol):
    """What a kind may ask of the frame that is being packed."""

    def encode(self, value: Any) -> Node:
        """The node of a value inside another."""

    def add(self, data: bytes) -> int:
        """Put bytes beside the JSON → their place."""


class Incoming(Protocol):
    """What a kind may ask of the frame that arrives."""

    def buffer(self, place: Any) -> bytes:
        """The bytes at a place beside the JSON. Raises IndexError, TypeError."""

    def decode(self, node: Node) -> Any:
        """The value of a node inside another. Raises WallError."""


class Kind(ABC):
    """A kind of plain values: its tag, the classes whose values belong to it (and their subclasses'), two functions."""

    tag: ClassVar[str]
    classes: ClassVar[tuple[type, ...]]

    def takes(self, cls: type) -> bool:
        """Whether values of a class are of this kind, provided that they are of none earlier in the table."""
        return issubclass(cls, self.classes)

    @abstractmethod
    def encode(self, value: Any, out: Outgoing) -> Node:
        """The node of a value: of what it is, whatever its class says of itself."""

    @abstractmethod
    def decode(self, node: Node, incoming: Incoming) -> Any:
        """The value of a node with this kind's tag. Raises any Exception for what is forged."""


# --- what JSON has itself, or nearly


class Literal(Kind):
    """None and bools, as they are. Nothing to check: the node is the value, and JSON holds no code."""

    tag = ""  # no tag: the node is no object
    classes: ClassVar[tuple[type, ...]] = (NoneType, bool)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return value

    def decode(self, node: Node, incoming: Incoming) -> Any:
        return node


class Text(Literal):
    """Strings, lone surrogates too. A subclass crosses as its characters."""

    classes = (str,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return str.__str__(value)


class Float(Literal):
    """Floats, infinities and NaN too. A subclass crosses as its number."""

    classes = (float,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return float(value)


class Integer(Kind):
    """Integers: as they are below `LARGEST_DECIMAL`, else in hexadecimal, which takes linear time at any length."""

    tag = "int"
    classes = (int,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        number = int(value)
        return number if abs(number) < LARGEST_DECIMAL else {"int": hex(number)}

    def decode(self, node: Node, incoming: Incoming) -> int:
        return int(node["int"], 16)


# --- Python's other values


class Complex(Kind):
    """Complex numbers, as real and imaginary part."""

    tag = "complex"
    classes = (complex,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"complex": [value.real, value.imag]}

    def decode(self, node: Node, incoming: Incoming) -> complex:
        return complex(*node["complex"])


class Bytes(Kind):
    """Bytes, and bytearrays as bytes; they travel beside the JSON. Checked: the place is one of those that came."""

    tag = "bytes"
    classes = (bytes, bytearray)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"bytes": out.add(bytes(value))}

    def decode(self, node: Node, incoming: Incoming) -> bytes:
        return incoming.buffer(node["bytes"])


class Tuple(Kind):
    """Tuples, item by item; named ones lose their names."""

    tag = "tuple"
    classes = (tuple,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"tuple": [out.encode(item) for item in value]}

    def decode(self, node: Node, incoming: Incoming) -> tuple[Any, ...]:
        return tuple(incoming.decode(item) for item in node["tuple"])


class FrozenSet(Kind):
    """Frozen sets, item by item. Checked, by Python: items that cannot be hashed are refused."""

    tag = "frozenset"
    classes = (frozenset,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"frozenset": [out.encode(item) for item in value]}

    def decode(self, node: Node, incoming: Incoming) -> frozenset[Any]:
        return frozenset(incoming.decode(item) for item in node["frozenset"])


class Slice(Kind):
    """Slices, as start, stop and step."""

    tag = "slice"
    classes = (slice,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"slice": [out.encode(part) for part in (value.start, value.stop, value.step)]}

    def decode(self, node: Node, incoming: Incoming) -> slice:
        return slice(*(incoming.decode(part) for part in node["slice"]))


class Range(Kind):
    """Ranges, as start, stop and step. Checked: three integers (by Python), at most `LONGEST_RANGE` numbers."""

    tag = "range"
    classes = (range,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        check_length(value)
        return {"range": [value.start, value.stop, value.step]}

    def decode(self, node: Node, incoming: Incoming) -> range:
        numbers = range(*node["range"])
        check_length(numbers)
        return numbers


def check_length(numbers: range) -> None:
    """Raise WallError for a range through which somebody would go for ever."""
    if (numbers.stop - numbers.start) // numbers.step > LONGEST_RANGE:
        raise WallError(f"a range of more than {LONGEST_RANGE:,} numbers")


class Dots(Kind):
    """The Ellipsis."""

    tag = "ellipsis"
    classes = (EllipsisType,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"ellipsis": None}

    def decode(self, node: Node, incoming: Incoming) -> EllipsisType:
        return ...


# --- values of torch and numpy


class Size(Kind):
    """torch.Size, as a list. Checked like a tensor's shape."""

    tag = "size"
    classes = (torch.Size,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"size": [int(size) for size in value]}

    def decode(self, node: Node, incoming: Incoming) -> torch.Size:
        return torch.Size(checked_shape(node["size"]))


class Dtype(Kind):
    """torch's dtypes, by name. Checked: looked up in the fixed table `DTYPES`."""

    tag = "dtype"
    classes = (torch.dtype,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"dtype": str(value).removeprefix("torch.")}

    def decode(self, node: Node, incoming: Incoming) -> torch.dtype:
        return DTYPES[node["dtype"]]


class Device(Kind):
    """torch's devices, by name. Checked, by torch: a name of no kind of device is refused. Nothing is put there."""

    tag = "device"
    classes = (torch.device,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"device": str(value)}

    def decode(self, node: Node, incoming: Incoming) -> torch.device:
        return torch.device(node["device"])


class MemoryFormat(Kind):
    """torch's memory formats, by name. Checked: looked up in the fixed table `FORMATS`."""

    tag = "format"
    classes = (torch.memory_format,)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"format": str(value)}

    def decode(self, node: Node, incoming: Incoming) -> torch.memory_format:
        return FORMATS[node["format"]]


class Scalar(Kind):
    """numpy's bools and numbers, as dtype and bytes. Checked: the dtype holds numbers; there are bytes for one."""

    tag = "scalar"
    classes = (np.bool_, np.number)

    def takes(self, cls: type) -> bool:
        """Not intervals of time, which numpy takes for integers; they stay behind, as its dates and records do."""
        return super().takes(cls) and not issubclass(cls, np.timedelta64)

    def encode(self, value: Any, out: Outgoing) -> Node:
        return {"scalar": value.dtype.str, "buffer": out.add(value.tobytes())}

    def decode(self, node: Node, incoming: Incoming) -> Any:
        return np.frombuffer(incoming.buffer(node["buffer"]), checked_dtype(node["scalar"]))[0]


# --- the table

# Where one class is below another (bool below int, torch.Size below tuple, some of numpy's scalars below float), it
# comes first.
KINDS: tuple[Kind, ...] = (
    Literal(), Scalar(), Size(), Integer(), Float(), Text(), Complex(), Bytes(), Tuple(), FrozenSet(),
    Slice(), Range(), Dots(), Dtype(), Device(), MemoryFormat(),
)  # fmt: skip
BY_TAG = {kind.tag: kind for kind in KINDS if kind.tag}


@functools.lru_cache(maxsize=1_000)
def kind_of(cls: type) -> Kind | None:
    """The kind of a class's values; None where they are no plain values."""
    return next((kind for kind in KINDS if kind.takes(cls)), None)


def decode(node: Node, incoming: Incoming) -> Any:
    """The value of a node. Raises WallError where no kind reads it, any Exception where it is forged."""
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    kind = BY_TAG.get(next(iter(node))) if node and isinstance(node, dict) else None
    if kind is None:
        raise WallError("a value of no known kind")
    return kind.decode(node, incoming)


# --- what arrives is checked


def is_whole(number: Any) -> bool:
    """Whether something is an integer (no bool) from 0 on."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """A list of at most 64 whole numbers, as a tuple. Raises WallError."""
    if not isinstance(sizes, list) or not all(map(is_whole, sizes)) or len(sizes) > MOST_DIMENSIONS:
        raise WallError("a shape that is none")
    return tuple(sizes)


def checked_shape(sizes: Any) -> tuple[int, ...]:
    """`checked_sizes` whose product, zeros left out, is at most `LARGEST_TENSOR`. Raises WallError."""
    shape = checked_sizes(sizes)
    if math.prod(size for size in shape if size) > LARGEST_TENSOR:
        raise WallError(f"a tensor of more than {LARGEST_TENSOR:,} elements")
    return shape


def checked_dtype(name: Any) -> "np.dtype[Any]":
    """numpy's dtype of a name. Raises WallError unless it holds numbers (objects would be addresses), TypeError."""
    dtype = np.dtype(str(name))
    if dtype.kind not in NUMBERS:
        raise WallError("an array that holds no numbers")
    return dtype
