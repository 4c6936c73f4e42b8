"""Networks and optimizers: numbered objects made of a class that is looked up in a fixed table, settings and tensors.

Nothing of the student's is executed: a network is made without its class's `__init__`, an optimizer with nothing but
tensors and a learning rate.
"""

import contextlib
import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

import course_utils.networks
from autograder.wall.errors import Stays, WallError
from autograder.wall.handles import Handle
from autograder.wall.objects import Arrival, IncomingObjects, Kind, OutgoingObjects, State, fill_hooks
from autograder.wall.values import Node

NETWORKS: dict[str, type[nn.Module]] = {
    f"{value.__module__}.{value.__qualname__}": value
    for module in (nn, course_utils.networks)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, nn.Module)
}
NETWORK_CLASSES = set(NETWORKS.values())
OPTIMIZERS: dict[str, Any] = {
    name: value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and name not in ("Optimizer", "LBFGS")
}
NOT_COMPUTED = {  # what a class may have of its own and still compute what the one above it does
    "__init__", "__module__", "__doc__", "__qualname__", "__annotations__", "__firstlineno__", "__static_attributes__",
    "__dict__", "__weakref__", "__parameters__", "extra_repr", "__repr__",
}  # fmt: skip
INTERNALS = {*vars(nn.Module()), "_parameters", "_buffers", "_modules"}  # of a network: no settings
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
PARTS: dict[str, tuple[str, type]] = {  # name in the state → attribute of a network, and the class of what is in there
    "parameters": ("_parameters", nn.Parameter),
    "buffers": ("_buffers", Tensor),
    "children": ("_modules", nn.Module),
}


@functools.lru_cache(maxsize=1_000)
def known_class(cls: type) -> type[nn.Module] | None:
    """The class of `NETWORKS` as which networks of a class cross: itself, or the nearest above that computes the same.

    A class of the notebook's computes the same if it only has another `__init__`, and names that the one above it has
    not; None if it computes anything else.
    """
    base = next((above for above in cls.__mro__ if above in NETWORK_CLASSES), None)
    own = {name for above in cls.__mro__[: cls.__mro__.index(base)] for name in vars(above)} if base else set()
    return base if not any(hasattr(base, name) for name in own - NOT_COMPUTED) else None


class Network(Kind):
    """Layers of torch and networks of the course: class by name, mode, settings, parameters, buffers, children.

    One of the notebook's own class that computes what a known class does crosses as that (`known_class`). Settings are
    the instance's other attributes that are data; what is not, such as a `forward` that somebody put there, stays
    behind. Of hooks only how many there are crosses: tests see whether some were left behind.

    Checked: the class is one of `NETWORKS`, exactly; it is made empty, without its `__init__`. A setting is no
    function or handle, hides no method, is none of `INTERNALS`. Parameters, buffers and children are what they are
    called, or None. At most `MOST_HOOKS` hooks; those made here do nothing.
    """

    name = "network"
    cls = nn.Module

    def takes(self, cls: type) -> bool:
        """Not every network: one whose own class says how it computes stays behind."""
        return issubclass(cls, nn.Module) and known_class(cls) is not None  # type: ignore[arg-type]  # see frames.kind_of

    def state(self, value: nn.Module, out: OutgoingObjects) -> tuple[State, None]:
        settings, data = {}, out.only_data()
        for name, setting in vars(value).items():
            if name not in INTERNALS:
                with contextlib.suppress(Stays):
                    settings[name] = data.encode(setting)
        cls = known_class(type(value))  # type: ignore[arg-type]
        assert cls
        state = {
            "class": f"{cls.__module__}.{cls.__qualname__}",
            "training": value.training,
            "settings": settings,
        }
        for part, (attribute, _) in PARTS.items():
            state[part] = {name: out.encode(member) for name, member in getattr(value, attribute).items()}
        state["not saved"] = sorted(value._non_persistent_buffers_set)
        return {**state, "hooks": [len(getattr(value, name)) for name in HOOKS]}, None

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> nn.Module:
        cls = NETWORKS.get(arrival.state["class"])
        if cls is None:
            raise WallError(f"a network of the class {str(arrival.state['class'])[:80]}")
        network: nn.Module = object.__new__(cls)
        nn.Module.__init__(network)
        return network

    def fill(self, value: nn.Module, arrival: Arrival, incoming: IncomingObjects) -> None:
        value.training = bool(arrival.state["training"])
        self._fill_settings(value, arrival.state["settings"], incoming)
        for part, (attribute, cls) in PARTS.items():
            arrived = {name: incoming.decode(node) for name, node in arrival.state[part].items()}
            self._fill_part(part, getattr(value, attribute), arrived, cls)
        value._non_persistent_buffers_set = set(value._buffers) & set(arrival.state["not saved"])
        for name, count in zip(HOOKS, arrival.state["hooks"], strict=True):
            fill_hooks(getattr(value, name), count)

    def _fill_settings(self, network: nn.Module, nodes: Mapping[str, Node], incoming: IncomingObjects) -> None:
        settings = {name: incoming.decode(node) for name, node in nodes.items()}
        for name, setting in settings.items():
            method = callable(getattr(type(network), name, None))
            if name not in INTERNALS and not callable(setting) and not method:
                vars(network)[name] = setting

    def _fill_part(self, part: str, members: dict[str, Any], arrived: dict[str, Any], cls: type) -> None:
        if any(isinstance(member, Handle) for member in arrived.values()):
            raise WallError("a network with a layer of the notebook's own class, which cannot be rebuilt")
        if not all(member is None or isinstance(member, cls) for member in arrived.values()):
            raise WallError(f"{part} of a network that are none")
        if list(members) != list(arrived) or any(members[name] is not member for name, member in arrived.items()):
            members.clear()
            members.update(arrived)


class Optimizer(Kind):
    """torch's optimizers: class by name, groups of parameters with their options, what it remembers of each parameter.

    Checked: the class is one of `OPTIMIZERS`; torch checks that it optimizes tensors. The number of groups never
    changes.
    """

    name = "optimizer"
    cls = torch.optim.Optimizer

    def takes(self, cls: type) -> bool:
        """Not every optimizer: LBFGS stays behind, and the notebook's own where none of torch's is called so."""
        return super().takes(cls) and cls.__name__ in OPTIMIZERS

    def state(self, value: torch.optim.Optimizer, out: OutgoingObjects) -> tuple[State, None]:
        groups = []
        for group in value.param_groups:
            options = {name: out.encode(option) for name, option in group.items() if name != "params"}
            groups.append({"params": [out.encode(tensor) for tensor in group["params"]], "options": options})
        memory = [[out.encode(tensor), out.encode(dict(values))] for tensor, values in value.state.items()]
        defaults = {name: out.encode(default) for name, default in value.defaults.items()}
        return {"class": type(value).__name__, "defaults": defaults, "groups": groups, "state": memory}, None

    def make(self, arrival: Arrival, incoming: IncomingObjects) -> torch.optim.Optimizer:
        groups = [{"params": [incoming.decode(node) for node in group["params"]]} for group in arrival.state["groups"]]
        optimizer: torch.optim.Optimizer = OPTIMIZERS[arrival.state["class"]](groups, lr=0.1)
        return optimizer

    def fill(self, value: torch.optim.Optimizer, arrival: Arrival, incoming: IncomingObjects) -> None:
        groups = arrival.state["groups"]
        if len(groups) != len(value.param_groups):
            raise WallError("an optimizer with other groups")
        for group, arrived in zip(value.param_groups, groups, strict=True):
            group["params"] = [incoming.decode(node) for node in arrived["params"]]
            group.update({name: incoming.decode(node) for name, node in arrived["options"].items()})
        value.defaults.update({name: incoming.decode(node) for name, node in arrival.state["defaults"].items()})
        value.state.clear()
        for tensor, memory in arrival.state["state"]:
            value.state[incoming.decode(tensor)] = incoming.decode(memory)
