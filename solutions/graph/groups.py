"""What can be pruned in a network, read from its ONNX graph: channel groups, for any network that exports.

Every axis of every parameter gets *marks*, one for each position. They travel through the graph with the data:
a convolution hands on those of its filters, a flatten repeats each for all pixels, a concatenation puts them one
behind the other. Where two must agree (the sides of an addition, a feature map and the input slice that reads it)
they are tied. What is tied in the end is one *channel*: it is removed everywhere, or nowhere. Where an operator
does anything else with a channel, that channel is frozen, and the reason is kept.

    python -m solutions.graph.groups resnet18 graph.svg

writes a picture of a network of torchvision or of the course. After Martineau's poster on pruning from the ONNX
graph; the groups are those that DepGraph (Fang et al. 2023, arXiv 2301.12900) finds from autograd's graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from solutions.graph.reading import Reading
from solutions.graph.rules import RULES


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


@dataclass(frozen=True)
class Group:
    """Channels that are chosen from together, because the same layers make them.

    `frozen`: channel → why it must stay; all others can be removed.
    """

    name: str
    channels: int
    slots: tuple[Slot, ...]
    frozen: Mapping[int, str] = field(default_factory=dict)

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

    `parameters`: which initializers are parameters or buffers of the network (all of them if not given).
    """
    reading = Reading(model, parameters)
    for node in model.graph.node:
        reading.follow(node, RULES)
    for output in model.graph.output:
        reading.freeze_all([reading.values[output.name]], "it is an output of the network")
    return resolved(reading)


def resolved(reading: Reading) -> list[Group]:
    """The groups that follow from a reading: tied marks are channels, channels that one layer makes are a group."""
    channel = components(reading.count, reading.tied)
    frozen: dict[int, str] = {}
    for marks, reason in reading.frozen:
        for one in np.unique(channel[marks]):
            frozen.setdefault(int(one), reason)
    made = np.zeros(reading.count, dtype=bool)
    read = np.zeros(reading.count, dtype=bool)
    for flags, places in ((made, reading.made), (read, reading.read)):
        for marks in places:
            flags[marks] = True
    is_read = set(channel[read].tolist())

    # What one layer makes is one group; groups that share a channel are one.
    chains = []
    for _, _, start, size in reading.ranges:
        if size and made[start : start + size].all():
            own = channel[start : start + size]
            chains.append(np.stack([np.full(size, own[0]), own]))
    owner = components(reading.count, chains)
    makers = {int(owner[channel[start]]): None for _, _, start, size in reading.ranges if size and made[start]}

    members: dict[int, list[int]] = {root: [] for root in makers}
    names: dict[int, str] = {}
    for name, _, start, size in reading.ranges:
        if size and made[start : start + size].all():
            root = int(owner[channel[start]])
            names.setdefault(root, name.removesuffix(".weight"))
            members[root] += channel[start : start + size].tolist()
    order = {root: {one: index for index, one in enumerate(dict.fromkeys(found))} for root, found in members.items()}
    slots: dict[int, list[Slot]] = {root: [] for root in members}
    for name, axis, start, size in reading.ranges:
        own = channel[start : start + size]
        for root in np.unique(owner[own]).tolist():
            if root in order:
                places = np.array([order[root].get(int(one), -1) for one in own])
                if (places >= 0).any():
                    consumes = bool(read[start : start + size].any())
                    slots[root].append(Slot(name, axis, places, consumes))
    groups = []
    for root, found in order.items():
        why = {index: frozen[one] for one, index in found.items() if one in frozen}
        why |= {index: "nothing reads it" for one, index in found.items() if one not in is_read and one not in frozen}
        groups.append(Group(names[root], len(found), tuple(slots[root]), why))
    return groups


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
