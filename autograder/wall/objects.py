"""Numbered objects: they have a state that both sides keep the same, and a number by which values refer to them.

A kind of object is one class with three functions: `state`, all that the other side needs; `make`, an object for a
number that has none yet, as empty as can be; `fill`, to bring an object to the state that arrived. Made first and
filled later, objects may refer to each other in circles. Here are memory, what lies in it, and containers;
`networks` and `handles` have the rest, and `frames` the table of all.

A state that arrives may be forged: any JSON that names the kind. Memory is as large as the bytes that came, and every
tensor is checked to lie within it. `make` and `fill` raise WallError, or whatever Python, numpy or torch raise for an
argument of the wrong kind, which the wall turns into a WallError.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from autograder.wall.errors import WallError
from autograder.wall.values import (
    DTYPES,
    NUMBERS,
    Incoming,
    Node,
    Outgoing,
    checked_dtype,
    checked_shape,
    checked_sizes,
    is_whole,
)

State = dict[str, Node]
NumberArray = np.ndarray[Any, np.dtype[Any]]
MOST_HOOKS = 1_000  # of one sort, on one tensor or layer


class Asking(Protocol):
    """The end of a wall, as handles need it."""

    def ask(self, args: tuple[Any, ...], kwargs: dict[str, Any], **target: Any) -> Any:
        """Call what `target` names on the other side → its result, or its exception."""


class OutgoingObjects(Outgoing, Protocol):
    """What a kind of object may ask of the frame that is being packed."""

    def reference(self, value: Any) -> Node:
        """The node that refers to an object; its state crosses too, if the other side lacks it."""

    def only_data(self) -> Outgoing:
        """The same frame, where `encode` raises Stays for what would become a handle."""


class IncomingObjects(Incoming, Protocol):
    """What a kind of object may ask of the frame that arrives."""

    wall: Asking

    def make(self, number: Any) -> Any:
        """The object of a number, made now if there is none yet. Raises WallError or KeyError."""


class Kind(ABC):
    """A kind of numbered objects; `cls` is what an object of this kind is an instance of."""

    name: ClassVar[str]
    cls: ClassVar[type]

    def takes(self, cls: type) -> bool:
        """Whether objects of a class are of this kind, whatever they say of themselves."""
        return issubclass(cls, self.cls)

    def crosses(self, value: Any) -> bool:
        """Whether an object of this kind can cross; if not, a handle does."""
        return True

    @abstractmethod
    def state(self, value: Any, out: OutgoingObjects) -> tuple[State, bytes | None]:
        """All that the other side needs to rebuild an object: JSON, and bytes or None."""

    @abstractmethod
    def make(self, arrival: "Arrival", incoming: IncomingObjects) -> Any:
        """An object as empty as can be. Raises any Exception for what is forged."""

    @abstractmethod
    def fill(self, value: Any, arrival: "Arrival", incoming: IncomingObjects) -> None:
        """Bring an object, an instance of `cls`, to the state that arrived. Raises any Exception for what is forged."""


@dataclass(frozen=True)
class Arrival:
    """An object as it arrived: its number, kind and state, and the bytes that belong to it, if any."""

    number: int
    kind: Kind
    state: Mapping[str, Node]
    data: bytes | None

    def buffer(self) -> bytes:
        """The bytes. Raises WallError where none came."""
        if self.data is None:
            raise WallError("an object without its bytes")
        return self.data


# --- memory and what lies in it


class Storage(Kind):
    """The memory of tensors, as bytes. Checked: it is as large as the bytes that came, and never changes its size."""

    name = "storage"
    cls = torch.UntypedStorage

    def state(self, value: torch.UntypedStorage, out: OutgoingObjects) -> tuple[State, bytes]:
        return {}, memory_of(value).numpy().tobytes()

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> torch.UntypedStorage:
        return torch.UntypedStorage(len(arrival.buffer()))

    def fill(self, value: torch.UntypedStorage, arrival: Arrival, incoming: IncomingObjects) -> None:
        data = arrival.buffer()
        if len(data) != value.nbytes():
            raise WallError("memory that changes its size")
        if data:
            memory_of(value).copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))


class TensorKind(Kind):
    """Tensors of numbers in ordinary memory: where they lie in which storage, whether they are trained, the gradient.

    So does whether its memory was made in inference mode, and of a Parameter's hooks how many there are. Those on
    torch's device "meta" cross without any memory. A subclass crosses as what it is, a Tensor or Parameter.

    Checked: dtype in `DTYPES`, shape and strides whole and of one length, at most `LARGEST_TENSOR` elements, no element
    beyond the storage; at most `MOST_HOOKS` hooks, and those made here do nothing. torch checks that gradients fit.
    """

    name = "tensor"
    cls = Tensor

    def crosses(self, value: Tensor) -> bool:
        """Not every tensor: sparse and quantized ones, and those on another device, stay behind."""
        return value.layout is torch.strided and value.device.type in ("cpu", "meta") and not value.is_quantized

    def state(self, value: Tensor, out: OutgoingObjects) -> tuple[State, None]:
        if type(value) not in (Tensor, nn.Parameter):
            value = torch.Tensor.as_subclass(value, Tensor)  # what it is, not what its class says
        state = {
            "storage": None if value.is_meta else out.reference(value.untyped_storage()),
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
            "stride": list(value.stride()),
            "offset": value.storage_offset(),
            "trained": value.requires_grad,
            "parameter": isinstance(value, nn.Parameter),
            "inference": value.is_inference(),
            "grad": out.encode(value.grad if value.is_leaf else None),
            "hooks": len(value._backward_hooks or ()) if value.is_leaf else 0,
        }
        return state, None

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> Tensor:
        with torch.inference_mode(bool(arrival.state["inference"])):
            tensor = _view(arrival, incoming)
            if arrival.state["parameter"]:
                return nn.Parameter(tensor, requires_grad=bool(arrival.state["trained"]))
            return tensor

    def fill(self, value: Tensor, arrival: Arrival, incoming: IncomingObjects) -> None:
        trained, inference = bool(arrival.state["trained"]), bool(arrival.state["inference"])
        with torch.inference_mode(inference):
            view = _view(arrival, incoming)
            if _place(value) != _place(view) or value.is_inference() != inference:
                value.data = view
        if value.is_leaf and not value.is_inference():
            if value.requires_grad != trained:
                value.requires_grad_(trained)
            grad = incoming.decode(arrival.state["grad"])
            if grad is not value.grad:
                value.grad = grad
            if trained and (arrival.state["hooks"] or value._backward_hooks):
                if value._backward_hooks is None:
                    value._backward_hooks = {}
                fill_hooks(value._backward_hooks, arrival.state["hooks"])


def fill_hooks(hooks: MutableMapping[int, Any], count: Node) -> None:
    """As many hooks as there are on the other side; those made here do nothing. Raises WallError if too many."""
    if not is_whole(count) or count > MOST_HOOKS:
        raise WallError("too many hooks")
    while len(hooks) > count:
        hooks.popitem()
    while len(hooks) < count:
        hooks[-1 - len(hooks)] = _nothing


def _nothing(*_: Any) -> None:
    """A hook in place of one that was left behind on the other side."""


class Array(Kind):
    """numpy's arrays of numbers: dtype, shape and bytes. Each has memory of its own on the other side.

    Checked: the dtype holds numbers, at most `LARGEST_TENSOR` elements, as many bytes as they need; neither dtype nor
    shape ever change.
    """

    name = "array"
    cls = np.ndarray

    def crosses(self, value: NumberArray) -> bool:
        """Not every array: those of objects, texts, dates and records stay behind."""
        return value.dtype.kind in NUMBERS

    def state(self, value: NumberArray, out: OutgoingObjects) -> tuple[State, bytes]:
        return {"dtype": value.dtype.str, "shape": list(value.shape)}, value.tobytes()

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> NumberArray:
        return np.empty_like(self._arrived(arrival))

    def fill(self, value: NumberArray, arrival: Arrival, incoming: IncomingObjects) -> None:
        arrived = self._arrived(arrival)
        if value.shape != arrived.shape or value.dtype != arrived.dtype:
            raise WallError("an array that changes its shape")
        if value.flags.writeable:
            value[...] = arrived

    def _arrived(self, arrival: Arrival) -> NumberArray:
        shape = checked_shape(arrival.state["shape"])
        return np.frombuffer(arrival.buffer(), checked_dtype(arrival.state["dtype"])).reshape(shape)


def memory_of(storage: torch.UntypedStorage) -> Tensor:
    """The bytes of a storage as a uint8 tensor on the same memory."""
    return torch.empty(0, dtype=torch.uint8).set_(storage, 0, (storage.nbytes(),), (1,))


def identity(value: Any) -> Any:
    """What tells an object from others for as long as it lives: views of one memory have one storage."""
    if isinstance(value, torch.UntypedStorage) and value.nbytes():
        return ("memory", value.data_ptr())
    return id(value)


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """Where a tensor lies, in which memory."""
    layout = (tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset())
    return (*layout, None if tensor.is_meta else identity(tensor.untyped_storage()))


def _view(arrival: Arrival, incoming: IncomingObjects) -> Tensor:
    """The tensor that a state describes, on memory that has arrived. Raises WallError where it reaches beyond it."""
    state = arrival.state
    dtype, shape, stride = DTYPES[state["dtype"]], checked_shape(state["shape"]), checked_sizes(state["stride"])
    if state["storage"] is None:
        return torch.empty_strided(shape, stride, dtype=dtype, device="meta")
    storage, offset = incoming.make(state["storage"]["ref"]), state["offset"]
    if not isinstance(storage, torch.UntypedStorage) or len(shape) != len(stride) or not is_whole(offset):
        raise WallError("a tensor without memory")
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if math.prod(shape) and (last + 1) * dtype.itemsize > storage.nbytes():
        raise WallError("a tensor that reaches beyond its memory")
    return torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)


# --- containers


class List(Kind):
    """Lists, item by item; a subclass crosses as a list. There is nothing to check but the items."""

    name = "list"
    cls = list

    def state(self, value: list[Any], out: OutgoingObjects) -> tuple[State, None]:
        return {"items": [out.encode(item) for item in value]}, None

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> list[Any]:
        return []

    def fill(self, value: list[Any], arrival: Arrival, incoming: IncomingObjects) -> None:
        value[:] = [incoming.decode(item) for item in arrival.state["items"]]


class Dict(Kind):
    """Dicts, pair by pair, in their order; keys are any values that cross. Checked, by Python: keys can be hashed."""

    name = "dict"
    cls = dict

    def state(self, value: dict[Any, Any], out: OutgoingObjects) -> tuple[State, None]:
        return {"items": [[out.encode(key), out.encode(item)] for key, item in value.items()]}, None

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> dict[Any, Any]:
        return {}

    def fill(self, value: dict[Any, Any], arrival: Arrival, incoming: IncomingObjects) -> None:
        items = {incoming.decode(key): incoming.decode(item) for key, item in arrival.state["items"]}
        value.clear()
        value.update(items)


class Set(Kind):
    """Sets, member by member. Checked, by Python: members can be hashed."""

    name = "set"
    cls = set

    def state(self, value: set[Any], out: OutgoingObjects) -> tuple[State, None]:
        return {"items": [out.encode(member) for member in value]}, None

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> set[Any]:
        return set()

    def fill(self, value: set[Any], arrival: Arrival, incoming: IncomingObjects) -> None:
        members = {incoming.decode(member) for member in arrival.state["items"]}
        value.clear()
        value.update(members)
