"""The wall between tests and a student's code: what crosses it is data, in frames that hold no code.

Both sides hold a `Wall` on the two ends of a socket. A call crosses with everything that its arguments reach;
the answer brings back what the call changed in them, so that both sides keep the same picture of every list,
tensor and network that crossed. Numbers, strings and tuples cross by value. Lists, dicts, arrays, tensors (with
the memory that they share), networks (class by name, settings, weights) and optimizers are numbered and rebuilt.
Functions stay where they are and are called there; so does, as a `Handle`, whatever is none of these.

Nothing that arrives is executed: classes are looked up in a fixed list, memory is checked before it is shared.
"""

import builtins
import contextlib
import errno
import json
import math
import socket
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import course_utils.networks
from autograder.sandbox.channels import Frame, receive, send

LARGEST_TENSOR = 50_000_000  # elements
MOST_OBJECTS = 100_000
MOST_HOOKS = 1_000


class WallError(Exception):
    """What came across the wall is no data that can be trusted; the message says why."""


class Stays(Exception):
    """A value that cannot cross: it stays behind, and a handle stands for it."""


# --- what may cross


def _classes() -> dict[str, type[nn.Module]]:
    found = {}
    for module in (nn, course_utils.networks):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, nn.Module):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


NETWORKS = _classes()
NETWORK_TYPES = set(NETWORKS.values())
OPTIMIZERS: dict[str, Any] = {
    name: value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and name not in ("Optimizer", "LBFGS")
}
DTYPES = {str(value).removeprefix("torch."): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
FORMATS = {str(value): value for value in vars(torch).values() if isinstance(value, torch.memory_format)}
INTERNALS = {*vars(nn.Module()), "_parameters", "_buffers", "_modules"}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
ERRORS = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception) and value not in (StopIteration, StopAsyncIteration)
}


class Handle:
    """Stands for an object that lives on the other side: its attributes and methods are asked for there."""

    def __init__(self, wall: "Wall", number: int, kind: str) -> None:
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


def handle(wall: "Wall", number: int, kind: Any) -> Handle:
    """A handle whose class has the other side's name, so that messages say what came."""
    name = str(kind) if str(kind).isidentifier() and len(str(kind)) < 60 else "object"
    return type(name, (Handle,), {})(wall, number, name)


TOO_MANY = " (are too many processes running?)"  # "Resource temporarily unavailable" alone says little


def error_as_data(error: BaseException, line: str = "") -> dict[str, Any]:
    """An exception as its names (its own, and that of the built-in class that it belongs to) and text."""
    bases = [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"]
    try:
        text = str(error) + TOO_MANY * (isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN)
    except Exception:
        text = ""
    return {"name": type(error).__name__, "bases": bases, "text": text[:5000], "line": line[:500]}


def error_from_data(data: Any) -> Exception:
    """The exception that an `error_as_data` describes; always an Exception, whatever was raised there."""
    if not isinstance(data, dict):
        raise WallError("an error without a description")
    bases = data.get("bases")
    base = next((ERRORS[name] for name in bases if name in ERRORS), Exception) if isinstance(bases, list) else Exception
    if base in (UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError):
        base = ValueError
    name, text = str(data.get("name"))[:60], str(data.get("text"))[:5000]
    kind: type = base if name == base.__name__ or not name.isidentifier() else type(name, (base,), {})
    error = KeyError(_Verbatim(text)) if kind is KeyError else kind(text)
    vars(error)["cell_line"] = str(data.get("line") or "")[:500]
    return error


class _Verbatim(str):
    """KeyError shows the repr of its text, which has been a repr once already."""

    def __repr__(self) -> str:
        return str(self)


# --- the wall


class Wall:
    """One end. `side` is 0 where the tests are and 1 where the student's code is.

    `find(name)` gives the student's answers by name. Only side 1 lets the other side ask for names and
    attributes; side 0 answers calls of functions that it handed over, and nothing else.
    """

    def __init__(self, channel: socket.socket, side: int, find: Callable[[str], Any] | None = None) -> None:
        self.channel, self.side, self.find = channel, side, find
        self.seconds: float | None = None  # how long the other side may take for one call
        self.while_called: Callable[[float | None], Any] = lambda seconds: contextlib.nullcontext()
        self.where: Callable[[BaseException], str] = lambda error: ""
        self.depth = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything that has crossed."""
        self.objects: dict[int, Any] = {}
        self.numbers: dict[Any, int] = {}
        self.known: dict[int, Any] = {}  # the state that both sides know
        self.lasting: set[int] = set()
        self.next = self.side

    def forget(self) -> None:
        """Between two calls: forget data, keep functions and handles."""
        for number in [number for number in self.objects if number not in self.lasting]:
            del self.objects[number]
            self.known.pop(number, None)
        self.numbers = {key: number for key, number in self.numbers.items() if number in self.lasting}

    # calls

    @contextlib.contextmanager
    def crossing(self) -> Iterator[None]:
        """What crosses is remembered until the outermost call is over: calls back see the same objects."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
            if not self.depth:
                self.forget()

    def ask(self, args: tuple, kwargs: dict, helpers: Mapping[str, Any] | None = None, **target: Any) -> Any:
        """Call what `target` names on the other side → its result, or its exception.

        `name`: one of the student's answers, which finds `helpers` (names → functions) in place of its own if they
        are given; `number`: a function or handle; `number` and `attribute`: an attribute of it.
        """
        message = {"call": target, "seconds": self.seconds}
        with self.crossing():
            send(self.channel, self.pack(message, args=args, kwargs=kwargs, helpers=helpers))
            while True:
                message, values = self.unpack(receive(self.channel))
                if "call" in message:
                    self.answer(message, values)
                elif "error" in message:
                    if message.get("anew"):  # the other side died, and a new one stands in its place
                        self.reset()
                    raise error_from_data(message["error"])
                elif "result" in values:
                    return values["result"]
                else:
                    raise WallError("neither a call nor an answer")

    def answer(self, message: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Do what a message asks for, and send the result or the error."""
        with self.crossing():
            try:
                frame = self.pack({}, result=self.called(message, values))
            except WallError:
                raise
            except BaseException as error:
                frame = self.pack({"error": error_as_data(error, self.where(error))})
            send(self.channel, frame)

    def called(self, message: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        target, args, kwargs = message["call"], values.get("args"), values.get("kwargs")
        if not (isinstance(target, dict) and isinstance(args, tuple) and isinstance(kwargs, dict)):
            raise WallError("a call without arguments")
        seconds = message.get("seconds") if self.side else None
        if self.side and "name" in target:
            assert self.find
            function = self.find(target["name"])
            if values.get("helpers"):
                function = rebound(function, values["helpers"])
        else:
            number = target.get("number")
            if number not in self.lasting or number % 2 != self.side:
                raise WallError("a call of something that was never handed over")
            function = self.objects[number]
            if "attribute" in target:
                if not self.side:
                    raise WallError("attributes are not handed over")
                with self.while_called(seconds):
                    return getattr(function, target["attribute"])
        with self.while_called(seconds):
            return function(*args, **kwargs)

    # out

    def pack(self, message: Mapping[str, Any], **values: Any) -> Frame:
        """A frame of a message, values, and the state of all that they reach, as far as the other side lacks it.

        Where a value cannot be packed (it raises an error when it is looked at), what it reached is forgotten.
        """
        first = self.next
        try:
            return self._pack(message, values)
        except BaseException:
            for number in [number for number in self.objects if number >= first and number % 2 == first % 2]:
                self.numbers.pop(_key(self.objects.pop(number)), None)
                self.lasting.discard(number)
                self.known.pop(number, None)
            raise

    def _pack(self, message: Mapping[str, Any], values: Mapping[str, Any]) -> Frame:
        self.buffers: list[bytes] = []
        roots = {name: self.encode(value) for name, value in values.items()}
        states, done = [], set()
        while todo := [number for number in self.objects if number not in done]:
            for number in todo:
                done.add(number)
                if number in self.lasting and number in self.known:
                    continue
                state, data = self.state(self.objects[number])
                if self.known.get(number) != (state, data):
                    self.known[number] = (state, data)
                    states.append([number, state, self.buffer(data) if data is not None else None])
        body = {**message, "values": roots, "objects": states, "sizes": [len(buffer) for buffer in self.buffers]}
        return json.dumps(body).encode(), b"".join(self.buffers)

    def buffer(self, data: bytes) -> int:
        self.buffers.append(data)
        return len(self.buffers) - 1

    def encode(self, value: Any, only_data: bool = False) -> Any:
        """A value as JSON; what is numbered becomes a reference."""
        if value is None or value is True or value is False or type(value) in (str, float):
            return value
        if isinstance(value, nn.Module) and type(value) not in NETWORK_TYPES:
            return self.left_behind(value, only_data)
        if isinstance(value, (Tensor, torch.UntypedStorage, nn.Module, torch.optim.Optimizer)):
            return self.reference(value)
        if isinstance(value, torch.Size):
            return {"size": [int(size) for size in value]}
        if isinstance(value, np.generic) and value.dtype.kind in "biufc":
            return {"scalar": value.dtype.str, "buffer": self.buffer(value.tobytes())}
        if isinstance(value, bool):
            return bool(value)
        if isinstance(value, int):
            number = int(value)
            return number if abs(number) < 2**63 else {"int": hex(number)}
        if isinstance(value, float):
            return float(value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, (bytes, bytearray)):
            return {"bytes": self.buffer(bytes(value))}
        if isinstance(value, tuple):
            return {"tuple": [self.encode(item, only_data) for item in value]}
        if isinstance(value, frozenset):
            return {"frozenset": [self.encode(item, only_data) for item in value]}
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"device": str(value)}
        if isinstance(value, torch.memory_format):
            return {"format": str(value)}
        if isinstance(value, slice):
            return {"slice": [self.encode(part) for part in (value.start, value.stop, value.step)]}
        if isinstance(value, range):
            return {"range": [value.start, value.stop, value.step]}
        if value is Ellipsis:
            return {"ellipsis": None}
        if isinstance(value, (list, dict, set)) or (isinstance(value, np.ndarray) and value.dtype.kind in "biufc"):
            return self.reference(value)
        return self.left_behind(value, only_data)

    def left_behind(self, value: Any, only_data: bool) -> Any:
        if only_data:
            raise Stays
        reference = self.reference(value)
        self.lasting.add(reference["ref"])
        return reference

    def reference(self, value: Any) -> dict[str, int]:
        """The reference to a numbered object, which gets its number now if it has none."""
        key = _key(value)
        number = self.numbers.get(key)
        if number is None:
            if isinstance(value, Tensor) and not _plain(value):
                self.lasting.add(self.next)
            number = self.numbers[key] = self.next
            self.objects[number] = value
            self.next += 2
        return {"ref": number}

    def state(self, value: Any) -> tuple[Any, bytes | None]:
        """All that the other side needs to rebuild an object: JSON, and bytes or None."""
        if isinstance(value, torch.UntypedStorage):
            return {"kind": "storage"}, _bytes_of(value).numpy().tobytes()
        if isinstance(value, Tensor) and _plain(value):
            return self.tensor_state(value), None
        if isinstance(value, nn.Module) and type(value) in NETWORK_TYPES:
            return self.network_state(value), None
        if isinstance(value, torch.optim.Optimizer) and type(value).__name__ in OPTIMIZERS:
            return self.optimizer_state(value), None
        if isinstance(value, np.ndarray):
            return {"kind": "array", "dtype": value.dtype.str, "shape": list(value.shape)}, value.tobytes()
        if isinstance(value, list):
            return {"kind": "list", "items": [self.encode(item) for item in value]}, None
        if isinstance(value, set):
            return {"kind": "set", "items": [self.encode(item) for item in value]}, None
        if isinstance(value, dict):
            return {
                "kind": "dict",
                "items": [[self.encode(key), self.encode(item)] for key, item in value.items()],
            }, None
        return {"kind": "handle", "type": _name_of(value)}, None

    def tensor_state(self, tensor: Tensor) -> dict[str, Any]:
        if type(tensor) not in (Tensor, nn.Parameter):
            tensor = torch.Tensor.as_subclass(tensor, Tensor)  # what it is, not what its class says
        return {
            "kind": "tensor",
            "storage": self.reference(tensor.untyped_storage()),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "stride": list(tensor.stride()),
            "offset": tensor.storage_offset(),
            "trained": tensor.requires_grad,
            "parameter": isinstance(tensor, nn.Parameter),
            "grad": self.encode(tensor.grad if tensor.is_leaf else None),
        }

    def network_state(self, network: nn.Module) -> dict[str, Any]:
        settings = {}
        for name, value in vars(network).items():
            if name not in INTERNALS:
                with contextlib.suppress(Stays):
                    settings[name] = self.encode(value, only_data=True)
        return {
            "kind": "network",
            "class": f"{type(network).__module__}.{type(network).__qualname__}",
            "training": network.training,
            "settings": settings,
            "parameters": {name: self.encode(value) for name, value in network._parameters.items()},
            "buffers": {name: self.encode(value) for name, value in network._buffers.items()},
            "children": {name: self.encode(value) for name, value in network._modules.items()},
            "hooks": [len(getattr(network, name)) for name in HOOKS],
        }

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        groups = []
        for group in optimizer.param_groups:
            options = {name: self.encode(value) for name, value in group.items() if name != "params"}
            groups.append({"params": [self.encode(tensor) for tensor in group["params"]], "options": options})
        kept = [[self.encode(tensor), self.encode(dict(values))] for tensor, values in optimizer.state.items()]
        defaults = {name: self.encode(value) for name, value in optimizer.defaults.items()}
        about = {"class": type(optimizer).__name__, "defaults": defaults}
        return {"kind": "optimizer", **about, "groups": groups, "state": kept}

    # in

    def unpack(self, frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
        """The message and the values of a frame; objects that both sides know are brought to their new state.

        Raises WallError for anything that does not hold together.
        """
        try:
            return self._unpack(frame)
        except WallError:
            raise
        except Exception as error:
            raise WallError(f"not readable ({type(error).__name__}: {str(error)[:200]})") from None

    def _unpack(self, frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
        body = json.loads(frame[0])
        ends, self.incoming = 0, []
        for size in body["sizes"]:
            if not isinstance(size, int) or size < 0 or ends + size > len(frame[1]):
                raise WallError("buffers that are not there")
            self.incoming.append(frame[1][ends : ends + size])
            ends += size
        states = {number: (state, data) for number, state, data in body["objects"]}
        if len(states) + len(self.objects) > MOST_OBJECTS:
            raise WallError("too many objects")
        self.arriving = states
        for number, _ in states.items():
            if number not in self.objects and (not isinstance(number, int) or number % 2 == self.side):
                raise WallError("an object with a wrong number")
            if number in self.lasting:
                raise WallError("a function or handle that changes")
        for kinds in (("storage",), ("tensor",), ("network", "list", "dict", "set", "array", "handle"), ("optimizer",)):
            for number, (state, _) in states.items():
                if state["kind"] in kinds and number not in self.objects:
                    self.make(number)
        for number, (state, data) in states.items():
            self.fill(self.objects[number], state, self.incoming[data] if data is not None else None)
        for number in states:
            self.known[number] = None if number in self.lasting else self.state_now(number)
        values = {name: self.decode(node) for name, node in body["values"].items()}
        return body, values

    def state_now(self, number: int) -> Any:
        """The state of an object as this side would send it: what needs no sending as long as it stays."""
        self.buffers = []
        return self.state(self.objects[number])

    def make(self, number: int) -> Any:
        """An object for a number that has none yet, as empty as it can be."""
        if number in self.objects:
            return self.objects[number]
        state, data = self.arriving[number]
        value: Any
        match state["kind"]:
            case "storage":
                value = torch.UntypedStorage(len(self.incoming[data]))
            case "tensor":
                value = self.view(state)
                if state["parameter"]:
                    value = nn.Parameter(value, requires_grad=bool(state["trained"]))
            case "network":
                kind = NETWORKS.get(state["class"])
                if kind is None:
                    raise WallError(f"a network of the class {str(state['class'])[:80]}")
                value = object.__new__(kind)
                nn.Module.__init__(value)
            case "list":
                value = []
            case "dict":
                value = {}
            case "set":
                value = set()
            case "array":
                value = np.empty(_shape(state["shape"]), _numpy_dtype(state["dtype"]))
            case "handle":
                value = handle(self, number, state["type"])
                self.lasting.add(number)
            case "optimizer":
                groups = [{"params": [self.decode(node) for node in group["params"]]} for group in state["groups"]]
                value = OPTIMIZERS[state["class"]](groups, lr=0.1)
            case _:
                raise WallError("an object of no known kind")
        self.objects[number] = value
        self.numbers[_key(value)] = number
        return value

    def fill(self, value: Any, state: Mapping[str, Any], data: bytes | None) -> None:
        """Bring an object to the state that arrived."""
        kind = state["kind"]
        if kind == "storage" and isinstance(value, torch.UntypedStorage):
            assert data is not None
            if len(data) != value.nbytes():
                raise WallError("memory that changes its size")
            if data:
                _bytes_of(value).copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        elif kind == "tensor" and isinstance(value, Tensor):
            self.fill_tensor(value, state)
        elif kind == "network" and isinstance(value, nn.Module):
            self.fill_network(value, state)
        elif kind == "optimizer" and isinstance(value, torch.optim.Optimizer):
            self.fill_optimizer(value, state)
        elif kind == "list" and isinstance(value, list):
            value[:] = [self.decode(node) for node in state["items"]]
        elif kind == "dict" and isinstance(value, dict):
            items = {self.decode(key): self.decode(item) for key, item in state["items"]}
            value.clear()
            value.update(items)
        elif kind == "set" and isinstance(value, set):
            members = {self.decode(node) for node in state["items"]}
            value.clear()
            value.update(members)
        elif kind == "array" and isinstance(value, np.ndarray):
            assert data is not None
            arriving = np.frombuffer(data, _numpy_dtype(state["dtype"])).reshape(_shape(state["shape"]))
            if value.shape != arriving.shape or value.dtype != arriving.dtype:
                raise WallError("an array that changes its shape")
            if value.flags.writeable:
                value[...] = arriving
        elif kind != "handle":
            raise WallError("an object that changes its kind")

    def view(self, state: Mapping[str, Any]) -> Tensor:
        """A tensor on memory that has arrived; WallError where it would reach beyond it."""
        dtype, shape, stride = DTYPES[state["dtype"]], _shape(state["shape"]), _sizes(state["stride"])
        storage, offset = self.make(state["storage"]["ref"]), state["offset"]
        if not isinstance(storage, torch.UntypedStorage) or len(shape) != len(stride) or not _whole(offset):
            raise WallError("a tensor without memory")
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        itemsize = torch.empty(0, dtype=dtype).element_size()
        if math.prod(shape) and (last + 1) * itemsize > storage.nbytes():
            raise WallError("a tensor that reaches beyond its memory")
        return torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)

    def fill_tensor(self, tensor: Tensor, state: Mapping[str, Any]) -> None:
        view = self.view(state)
        same = (tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset())
        if same != (view.dtype, view.shape, view.stride(), view.storage_offset()) or _key(
            tensor.untyped_storage()
        ) != _key(view.untyped_storage()):
            tensor.data = view
        if tensor.is_leaf and tensor.requires_grad != bool(state["trained"]):
            tensor.requires_grad_(bool(state["trained"]))
        if tensor.is_leaf:
            grad = self.decode(state["grad"])
            if grad is not tensor.grad:
                tensor.grad = grad

    def fill_network(self, network: nn.Module, state: Mapping[str, Any]) -> None:
        network.training = bool(state["training"])
        settings = vars(network)
        arriving = {name: self.decode(node) for name, node in state["settings"].items()}
        for name, value in arriving.items():
            if name not in INTERNALS and not callable(value) and not callable(getattr(type(network), name, None)):
                settings[name] = value
        for place, kind in (("parameters", nn.Parameter), ("buffers", Tensor), ("children", nn.Module)):
            held = getattr(network, "_modules" if place == "children" else f"_{place}")
            arriving = {name: self.decode(node) for name, node in state[place].items()}
            if any(isinstance(value, Handle) for value in arriving.values()):
                raise WallError("a network with a layer of the notebook's own class, which cannot be rebuilt")
            if not all(value is None or isinstance(value, kind) for value in arriving.values()):
                raise WallError(f"{place} of a network that are none")
            if list(held) != list(arriving) or any(held[name] is not value for name, value in arriving.items()):
                held.clear()
                held.update(arriving)
        for name, count in zip(HOOKS, state["hooks"], strict=True):
            hooks = getattr(network, name)
            if not _whole(count) or count > MOST_HOOKS:
                raise WallError("too many hooks")
            while len(hooks) > count:
                hooks.popitem()
            while len(hooks) < count:
                hooks[-1 - len(hooks)] = _nothing

    def fill_optimizer(self, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
        if len(state["groups"]) != len(optimizer.param_groups):
            raise WallError("an optimizer with other groups")
        for group, arriving in zip(optimizer.param_groups, state["groups"], strict=True):
            group["params"] = [self.decode(node) for node in arriving["params"]]
            group.update({name: self.decode(node) for name, node in arriving["options"].items()})
        optimizer.defaults.update({name: self.decode(node) for name, node in state["defaults"].items()})
        optimizer.state.clear()
        for tensor, values in state["state"]:
            optimizer.state[self.decode(tensor)] = self.decode(values)

    def decode(self, node: Any) -> Any:
        """The value of a JSON node."""
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if not isinstance(node, dict) or not node:
            raise WallError("a value of no known kind")
        name = next(iter(node))
        value = node[name]
        match name:
            case "ref":
                if value not in self.objects and value not in self.arriving:
                    raise WallError("a reference to nothing")
                return self.make(value)
            case "tuple":
                return tuple(self.decode(item) for item in value)
            case "frozenset":
                return frozenset(self.decode(item) for item in value)
            case "size":
                return torch.Size(_shape(value))
            case "int":
                return int(value, 16)
            case "complex":
                return complex(*value)
            case "bytes":
                return self.incoming[value]
            case "scalar":
                return np.frombuffer(self.incoming[node["buffer"]], _numpy_dtype(value))[0]
            case "dtype":
                return DTYPES[value]
            case "device":
                return torch.device(value)
            case "format":
                return FORMATS[value]
            case "slice":
                return slice(*(self.decode(part) for part in value))
            case "range":
                return range(*value)
            case "ellipsis":
                return ...
        raise WallError("a value of no known kind")


def rebound(function: Any, helpers: Mapping[str, Any]) -> Any:
    """A copy of a function that finds `helpers` under their names where it found its own; others come back as they are."""
    if not isinstance(function, types.FunctionType):
        return function
    names = {**function.__globals__, **helpers}
    copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _key(value: Any) -> Any:
    """What tells an object from others for as long as it lives; views of one memory share its key."""
    if isinstance(value, torch.UntypedStorage) and value.nbytes():
        return ("memory", value.data_ptr())
    return id(value)


def _name_of(value: Any) -> str:
    """What a function calls itself; for anything else, and what will not say, its class's name."""
    with contextlib.suppress(Exception):
        if isinstance(value.__name__, str):
            return value.__name__
    return type(value).__name__


def _plain(tensor: Tensor) -> bool:
    """Whether a tensor is numbers in ordinary memory."""
    return tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized


def _bytes_of(storage: torch.UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(storage, 0, (storage.nbytes(),), (1,))


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def _sizes(sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not all(map(_whole, sizes)) or len(sizes) > 64:
        raise WallError("a shape that is none")
    return tuple(sizes)


def _shape(sizes: Any) -> tuple[int, ...]:
    if math.prod(size for size in _sizes(sizes) if size) > LARGEST_TENSOR:
        raise WallError(f"a tensor of more than {LARGEST_TENSOR:,} elements")
    return tuple(sizes)


def _numpy_dtype(name: Any) -> np.dtype:
    dtype = np.dtype(str(name))
    if dtype.kind not in "biufc":
        raise WallError("an array that holds no numbers")
    return dtype


def _nothing(*_: Any) -> None:
    """A hook in place of one that was left behind on the other side."""
