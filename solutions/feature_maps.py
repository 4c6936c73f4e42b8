"""Scores for every channel of any network, from its filters or from its feature maps and their gradients.

A channel's feature map is taken where the next layers see it: behind batch norm, activation and pooling, as the input
of the convolutions and linear layers that read it. Channel groups say which those are. A channel that several layers
make, or several tensors hold (the stage of a residual network), has the mean of its scores there.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.modes import evaluating
from solutions.graph.groups import Group, Slot
from solutions.plans import makers

READERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)


@dataclass(frozen=True)
class Maps:
    """What one batch shows of one tensor that holds channels of a group: what `visit` shows.

    `activation` and `gradient` (of the *sum* of the examples' losses) are (N, C, H, W), C in the order of `channels`,
    which are the group's numbers; behind a flatten, a channel's features are its H. `tensor` counts the group's tensors
    in the order of the forward pass: a residual stage has several. `labels` (N,).
    """

    group: str
    tensor: int
    channels: Tensor
    activation: Tensor
    gradient: Tensor
    labels: Tensor


Batches = Iterable[tuple[Tensor, Tensor]]  # images and labels
Scores = dict[str, Tensor]  # a group's name → (channels,)
Kernel = Callable[[Tensor, Tensor], Tensor]  # (activation, gradient), both (N, C, H, W) → (C,)


class Criterion(Protocol):
    """What a tensor's channels are worth, gathered batch by batch."""

    def update(self, maps: Maps) -> None:
        """Take one more batch into account."""

    def value(self) -> Tensor:
        """The scores (C,) after all batches."""


class Mean:
    """A criterion that is a mean over examples: batches weigh as much as they have of them."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.total, self.examples = torch.zeros((), dtype=torch.double), 0

    def update(self, maps: Maps) -> None:
        """Add what the kernel makes of one batch, times its examples."""
        scores = torch.as_tensor(self.kernel(maps.activation, maps.gradient)).detach().double().cpu()
        self.total = self.total + len(maps.labels) * scores
        self.examples += len(maps.labels)

    def value(self) -> Tensor:
        """The mean over all examples, in float64."""
        return self.total / self.examples


def mean_scores(
    network: nn.Module, batches: Batches, groups: Sequence[Group], criteria: Mapping[str, Kernel]
) -> dict[str, Scores]:
    """Scores by criteria that are means over examples, {criterion: {group: (channels,)}}, in one pass over the data.

    `criteria`: functions (activation, gradient) → (C,), both (N, C, H, W) as in `Maps`; batches weigh as much as they
    have examples. The network is as it was found afterwards. Raises ValueError without any batch.
    """
    return map_scores(network, batches, groups, {name: partial(Mean, kernel) for name, kernel in criteria.items()})


def map_scores(
    network: nn.Module, batches: Batches, groups: Sequence[Group], criteria: Mapping[str, Callable[[], Criterion]]
) -> dict[str, Scores]:
    """Scores by any criteria of feature maps, {criterion: {group: (channels,)}}, all in one pass over the data.

    `criteria`: by name what makes a new `Criterion`; each tensor of each group has one of its own. Raises ValueError
    without any batch, and for a group whose channels no layer reads in evaluation mode.
    """
    channels: dict[tuple[str, int], Tensor] = {}
    running: dict[tuple[str, int], dict[str, Criterion]] = {}

    def look(maps: Maps) -> None:
        key = maps.group, maps.tensor
        if key not in running:
            channels[key] = maps.channels.cpu()
            running[key] = {name: new() for name, new in criteria.items()}
        for criterion in running[key].values():
            criterion.update(maps)

    visit(network, batches, groups, look)
    if unseen := {group.name for group in groups if group.free} - {name for name, _ in running}:
        raise ValueError(f"{sorted(unseen)[0]} is not used when the network is evaluated: leave it out of the groups.")
    return {
        name: over_tensors(groups, {key: (channels[key], by_name[name].value()) for key, by_name in running.items()})
        for name in criteria
    }


def over_tensors(groups: Sequence[Group], scores: Mapping[Any, tuple[Tensor, Tensor]]) -> Scores:
    """One score a channel from {(group, …): (its channels, their scores)}: the mean where there are several."""
    total = {group.name: torch.zeros(group.channels, dtype=torch.double) for group in groups}
    times = {group.name: torch.zeros(group.channels, dtype=torch.double) for group in groups}
    for (name, *_), (channels, values) in scores.items():
        total[name].index_add_(0, channels, values.double())
        times[name].index_add_(0, channels, torch.ones(len(channels), dtype=torch.double))
    return {name: (total[name] / times[name].clamp_min(1)).float() for name in total}


def weight_scores(network: nn.Module, groups: Sequence[Group], criterion: Callable[[Tensor], Tensor]) -> Scores:
    """Scores by a criterion of filters, (O, I, kH, kW) → (O,): no data are needed."""
    scores = {}
    for group in groups:
        for slot, tensor in makers(network, group):
            filters = tensor.float().cpu().transpose(0, slot.axis)
            values = torch.as_tensor(criterion(filters.reshape(len(filters), filters.shape[1], -1, 1))).detach()
            in_group = torch.from_numpy(slot.channel >= 0)
            scores[group.name, slot.parameter] = (torch.from_numpy(slot.channel)[in_group], values[in_group])
    return over_tensors(groups, scores)


# --- what the scores are made of


def readers(network: nn.Module, groups: Sequence[Group]) -> dict[str, list[tuple[Group, np.ndarray]]]:
    """The layers that read groups, by name: which, and the channel of every input position (-1: another group's).

    Groups that cannot be pruned are left out. Raises ValueError for one that no convolution or linear layer reads.
    """
    reading: dict[str, list[tuple[Group, np.ndarray]]] = {}
    for group in [group for group in groups if group.free]:
        layers = [slot for slot in group.slots if slot.consumes and isinstance(owner(network, slot), READERS)]
        if not layers:
            raise ValueError(f"No convolution or linear layer reads the channels of {group.name}: nothing to look at.")
        for slot in layers:
            layer = owner(network, slot)
            inputs = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
            places = np.tile(slot.channel, inputs // len(slot.channel))  # each group of a grouped convolution
            reading.setdefault(slot.parameter.rpartition(".")[0], []).append((group, places))
    return reading


def owner(network: nn.Module, slot: Slot) -> nn.Module:
    """The module that a slot's parameter belongs to."""
    return network.get_submodule(slot.parameter.rpartition(".")[0])


def visit(network: nn.Module, batches: Batches, groups: Sequence[Group], look: Callable[[Maps], None]) -> int:
    """Show `look` every tensor of every batch, in one pass forward and backward each; returns the number of examples.

    The loss is the cross-entropy. Modes, parameters' gradients and batch norms' statistics stay as they are, and no
    hook is left, also after an error. Raises ValueError without any batch.
    """
    device = next(network.parameters()).device
    layers = readers(network, groups)
    examples = 0
    with watched(network, layers) as seen, evaluating(network), torch.enable_grad():
        for images, labels in batches:
            images, labels = images.to(device).detach().requires_grad_(), labels.to(device)
            loss = F.cross_entropy(network(images), labels, reduction="sum")
            _show(network, layers, seen, loss, labels, look)
            examples += len(labels)
            seen.clear()
            del loss  # or its graph would be there during the next forward pass
    if not examples:
        raise ValueError("There was no batch to score the channels on.")
    return examples


def _show(
    network: nn.Module,
    layers: Mapping[str, Sequence[tuple[Group, np.ndarray]]],
    seen: Sequence[tuple[str, Tensor]],
    loss: Tensor,
    labels: Tensor,
    look: Callable[[Maps], None],
) -> None:
    """Show `look` the tensors that the layers have seen in one pass, each of them once for each group that it holds."""
    tensors = {id(tensor): tensor for _, tensor in seen}
    gradients = torch.autograd.grad(loss, list(tensors.values()), materialize_grads=True) if tensors else ()
    gradient_of = dict(zip(tensors, gradients, strict=True))
    shown: dict[str, list[int]] = {}
    for name, tensor in seen:
        axis = -1 if isinstance(network.get_submodule(name), nn.Linear) else 1
        for group, places in layers[name]:
            of_group = shown.setdefault(group.name, [])
            if id(tensor) not in of_group:
                channels, pair = by_channel(tensor.detach(), gradient_of[id(tensor)], axis, places)
                look(Maps(group.name, len(of_group), channels, *pair, labels))
                of_group.append(id(tensor))


def is_plain(layer: nn.Module) -> bool:
    """Whether every input channel adds a share of its own: a linear layer, or a dense convolution padded with zeros."""
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return isinstance(layer, nn.Linear)


@contextlib.contextmanager
def watched(network: nn.Module, names: Iterable[str]) -> Iterator[list[tuple[str, Tensor]]]:
    """Inside the `with`: a list to which every layer adds (its name, its input) as it runs."""
    seen: list[tuple[str, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _, inputs: seen.append((name, inputs[0]))

    hooks = [network.get_submodule(name).register_forward_pre_hook(note(name)) for name in names]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def by_channel(
    activation: Tensor, gradient: Tensor, axis: int, places: np.ndarray
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Channels, and both tensors as (N, C, H, W): positions of one channel together, everything else behind them."""
    channels, counts = np.unique(places[places >= 0], return_counts=True)
    if len(set(counts)) != 1:
        raise ValueError("A layer reads some channels more often than others; there is no feature map to speak of.")
    order = np.argsort(places, kind="stable")[-int(counts.sum()) :]
    index = torch.from_numpy(order).to(activation.device)
    shown = []
    for tensor in (activation, gradient):
        maps = tensor.movedim(axis, 1)
        if not np.array_equal(order, np.arange(maps.shape[1])):
            maps = maps.index_select(1, index)
        if maps.ndim != 4 or counts[0] > 1:
            maps = maps.reshape(len(maps), len(channels), int(counts[0]), -1)
        shown.append(maps)
    return torch.from_numpy(channels).to(activation.device), (shown[0], shown[1])
