"""What can be pruned in a network, read from its ONNX graph: channel groups, for any network that exports.

Every axis of every parameter gets *marks*, one for each position. They travel through the graph with the data:
a convolution hands on those of its filters, a flatten repeats each for all pixels, a concatenation puts them one
behind the other. Where two must agree (the sides of an addition, a feature map and the input slice that reads it)
they are tied. What is tied in the end is one *channel*: it is removed everywhere, or nowhere. Where an operator
does anything else with a channel, that channel is frozen, and the reason is kept.

    python -m solutions.graph resnet18 graph.svg

writes a picture of a network of torchvision or of the course. After Martineau's poster on pruning from the ONNX
graph; the groups are those that DepGraph (Fang et al. 2023, arXiv 2301.12900) finds from autograd's graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from solutions.graph.reading import Reading, Span
from solutions.graph.remedies import remedies
from solutions.graph.rules import RULES


class PlanError(ValueError):
    """A plan that cannot be carried out, or a network that cannot be pruned; the message says why."""


@dataclass(frozen=True)
class Slot:
    """The positions of a group's channels along one axis of a parameter or buffer.

    `channel[i]` is the channel of position i, -1 where that is another group's. `consumes`: what is read from
    the channel there, not what makes or carries it.
    """

    parameter: str
    axis: int
    channel: np.ndarray
    consumes: bool


@dataclass(frozen=True, repr=False)
class Group:
    """Channels that are chosen from together, because the same layers make them.

    `frozen`: channel → why it must stay; all others can be removed. `network`: the `digest` of the network that they
    belong to, "" where it is not known.
    """

    name: str
    channels: int
    slots: tuple[Slot, ...]
    frozen: Mapping[int, str] = field(default_factory=dict)
    network: str = ""

    def __repr__(self) -> str:
        makers = sum(not slot.consumes for slot in self.slots)
        places = f"{makers} places make or carry them, {len(self.slots) - makers} read them"
        why = f"; {'; '.join([*self.reasons, *remedies(self.reasons)])}" if self.frozen else ""
        return f"Group({self.name}: {self.channels} channels, {len(self.free)} can go; {places}{why})"

    @property
    def free(self) -> list[int]:
        """The channels that can be removed."""
        return [channel for channel in range(self.channels) if channel not in self.frozen]

    @property
    def reasons(self) -> list[str]:
        """Why channels are frozen, each reason once."""
        return list(dict.fromkeys(self.frozen.values()))


# --- groups


def channel_groups(model: onnx.ModelProto, parameters: Sequence[str] | None = None) -> list[Group]:
    """The channel groups of a graph, in the order in which their channels are made.

    `parameters`: the names of all of the network's parameters and buffers (all initializers if not given).
    """
    reading = Reading(model, parameters)
    for node in model.graph.node:
        reading.follow(node, RULES)
    for output in model.graph.output:
        reading.freeze_all([reading.values[output.name]], "it is an output of the network")
    return resolved(reading)


def resolved(reading: Reading) -> list[Group]:
    """The groups that follow from a reading: tied marks are a channel, channels that one layer makes are a group."""
    channel = components(reading.count, reading.tied)
    made, read = marked(reading.count, reading.made), marked(reading.count, reading.read)
    one = components(reading.count, reading.combined)
    read = np.isin(one, one[read])
    makers = [span for span in reading.spans if span.size and made[span.marks].all()]
    owner = owners(channel, makers)
    drafts = drafted(makers, channel, owner)
    for span in reading.spans:
        members = channel[span.marks]
        for root in np.unique(owner[members]):
            if root in drafts:
                drafts[root].occupy(span, members, consumes=bool(read[span.marks].any()))
    frozen, is_read = frozen_channels(reading, channel), set(channel[read].tolist())
    return [draft.group(frozen, is_read) for draft in drafts.values()]


def marked(count: int, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """True at each of the `count` marks that is in one of the arrays."""
    flags = np.zeros(count, dtype=bool)
    for marks in arrays:
        flags[marks] = True
    return flags


def frozen_channels(reading: Reading, channel: np.ndarray) -> dict[int, str]:
    """The channels that must stay, each with the first reason that was met."""
    frozen: dict[int, str] = {}
    for marks, reason in reading.frozen:
        for member in np.unique(channel[marks]).tolist():
            frozen.setdefault(member, reason)
    return frozen


def owners(channel: np.ndarray, makers: Sequence[Span]) -> np.ndarray:
    """Of every channel the first one of its group: one layer makes them, or layers that have a channel in common."""
    chains = [channel[span.marks] for span in makers]
    return components(len(channel), [np.stack([np.full(len(own), own[0]), own]) for own in chains])


@dataclass
class Draft:
    """A group that is being put together; `numbers`: channel of the reading → its number in the group."""

    name: str
    numbers: dict[int, int] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list)

    def occupy(self, span: Span, members: np.ndarray, consumes: bool) -> None:
        """Add the slot of a parameter's axis, along which `members` are the channels of the reading."""
        places = np.array([self.numbers.get(member, -1) for member in members.tolist()])
        if (places >= 0).any():
            self.slots.append(Slot(span.parameter, span.axis, places, consumes))

    def group(self, frozen: Mapping[int, str], is_read: set[int]) -> Group:
        """The group, with what must stay: channels that are frozen, and those that nothing reads."""
        why = {number: frozen[member] for member, number in self.numbers.items() if member in frozen}
        unread = [number for member, number in self.numbers.items() if member not in is_read]
        why = {**why, **{number: "nothing reads it" for number in unread if number not in why}}
        return Group(self.name, len(self.numbers), tuple(self.slots), why)


def drafted(makers: Sequence[Span], channel: np.ndarray, owner: np.ndarray) -> dict[int, Draft]:
    """The groups of what makes channels, by owner: named after the first, channels numbered as they are made.

    A weight that makes channels along two of its axes (a tied one) gives its name to the first of the two groups.
    """
    drafts: dict[int, Draft] = {}
    taken: set[str] = set()
    for span in makers:
        members = channel[span.marks].tolist()
        first, name = int(owner[members[0]]), span.parameter.removesuffix(".weight")
        if first not in drafts:
            drafts[first] = Draft(name if name not in taken else f"{name} along axis {span.axis}")
            taken.add(drafts[first].name)
        for member in members:
            drafts[first].numbers.setdefault(member, len(drafts[first].numbers))
    return drafts


def components(count: int, edges: Sequence[np.ndarray]) -> np.ndarray:
    """The smallest number that each of `count` numbers is joined to by `edges`, arrays (2, n): by pointer jumping."""
    root = np.arange(count)
    if not edges:
        return root
    first, second = np.concatenate(edges, axis=1)
    while True:
        lower = np.minimum(root[first], root[second])
        before = root.copy()
        np.minimum.at(root, root[first], lower)
        np.minimum.at(root, root[second], lower)
        root = root[root]
        if (root == before).all():
            return root
