"""The ablation oracle: what the loss becomes without each channel. The ruler that criteria are measured with.

A channel is taken out by zeroing what the layers read of it, which is exactly what removing it does. Molchanov et al.
2016 (arXiv 1611.06440), section 2.2. The plain way runs the whole network once for every channel. The fast way computes
once what lies in front of the channel; the first layer that reads it is linear, so that the channel's own share is
subtracted from its output; and many ablations of a layer run through the rest as one batch.
"""

import contextlib
import copy
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse
from tqdm.auto import tqdm

from course_utils.modes import evaluating
from minicifar.files import atomic
from solutions.feature_maps import is_plain, readers
from solutions.graph.groups import Group
from solutions.plans import without
from solutions.surgery import silence

Batches = Sequence[tuple[Tensor, Tensor]]
PIECE = 128  # channels that are ablated before the result is stored
TRIAL = 8  # images on which the fast way is compared with the plain one
AGREES = 1e-4  # of the loss


class NotReplayable(Exception):
    """A network with which the fast way cannot be gone; the message says why."""


def oracle(network: nn.Module, batches: Batches, groups: Sequence[Group], **options: Any) -> dict[str, Tensor]:
    """Every channel's score, {group: (channels,)}: | loss without it - loss of the whole network |.

    The paper's oracle-abs. `options`: see `ablation_losses`, which gives the losses themselves.
    """
    whole, losses = ablation_losses(network, batches, groups, **options)
    return {name: (values - whole).abs() for name, values in losses.items()}


def ablation_losses(
    network: nn.Module,
    batches: Batches,
    groups: Sequence[Group],
    *,
    at_once: int = 128,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[float, dict[str, Tensor]]:
    """Mean cross-entropy of the whole network, and without each channel of the groups that can be pruned, in float64.

    `batches`: a sequence of (images, labels); the larger, the faster. `at_once`: how many images (ablations times
    images) run through the rest of the network together. `resume`: a JSON file; stopped, the same call goes on where it
    was. The network is as it was found afterwards. Where only the plain, slow way can be gone a warning says why.
    """
    free = [group for group in groups if group.free]
    whole = mean_loss(network, batches)
    losses = stored_losses(resume, whole, free)
    waiting = [
        (group, range(start, min(start + PIECE, group.channels)))
        for group in free
        for start in range(0, group.channels, PIECE)
        if math.isnan(losses[group.name][start])
    ]
    ablations = Ablations(network, batches, at_once)
    bar = tqdm(total=sum(group.channels for group in free), disable=not progress, desc="oracle", unit="channel")
    bar.update(bar.total - sum(len(channels) for _, channels in waiting))
    with bar:
        for group, channels in waiting:
            losses[group.name][channels.start : channels.stop] = ablations.losses_without(group, channels)
            bar.update(len(channels))
            if resume is not None:
                with atomic(resume) as temporary:
                    temporary.write_text(json.dumps({"whole": whole, "losses": losses}), encoding="utf-8")
    return whole, {name: torch.tensor(values, dtype=torch.double) for name, values in losses.items()}


def mean_loss(network: nn.Module, batches: Batches) -> float:
    """The mean cross-entropy over all examples."""
    device, total = next(network.parameters()).device, 0.0
    with evaluating(network), full_precision():
        for images, labels in batches:
            logits = network(images.to(device)).double()
            total += F.cross_entropy(logits, labels.to(device), reduction="sum").item()
    if not batches:
        raise ValueError("The oracle needs at least one batch.")
    return total / sum(len(labels) for _, labels in batches)


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Inside the `with`: a GPU's convolutions in float32, not in TF32's 19 bits, which would round the changes away."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def stored_losses(resume: str | Path | None, whole: float, groups: Sequence[Group]) -> dict[str, list[float]]:
    """What an earlier run has stored, NaN where nothing yet. Raises ValueError if it had another network or images."""
    losses = {group.name: [math.nan] * group.channels for group in groups}
    if resume is None or not Path(resume).exists():
        return losses
    stored = json.loads(Path(resume).read_text(encoding="utf-8"))
    sizes = {name: len(values) for name, values in stored["losses"].items()}
    if sizes != {group.name: group.channels for group in groups} or not math.isclose(
        stored["whole"], whole, rel_tol=1e-6
    ):
        raise ValueError(f"{resume} belongs to another network or other images: delete it, or use another name.")
    return stored["losses"]


def naive_losses(network: nn.Module, batches: Batches, group: Group, channels: Sequence[int]) -> list[float]:
    """The plain way: for every channel a network without it, and the whole data through all of that."""
    return [
        mean_loss(silence(network, [group], {group.name: without(group, [channel])}), batches) for channel in channels
    ]


class Ablations:
    """The losses of a network without single channels: the fast way where it can be trusted, else the plain one.

    It is trusted where it gives what the plain way gives for two channels and a few images. If not, the first reason
    is a warning; whatever else goes wrong is an error.
    """

    def __init__(self, network: nn.Module, batches: Batches, at_once: int = 128) -> None:
        self.network, self.batches, self.at_once = network, batches, at_once
        self.graph: fx.GraphModule | None = None
        self.warned = False
        try:
            self.graph = prepared(network)
        except NotReplayable as reason:
            self._warn(reason)

    def losses_without(self, group: Group, channels: Sequence[int]) -> list[float]:
        """The mean loss without each of some channels of one group."""
        if self.graph is not None:
            try:
                self._try_out(self.graph, group, [channels[0], channels[-1]])
            except NotReplayable as reason:
                self._warn(reason)
            else:
                return replayed_losses(self.graph, self.batches, places_of(self.network, group), channels, self.at_once)
        return naive_losses(self.network, self.batches, group, channels)

    def _try_out(self, graph: fx.GraphModule, group: Group, channels: Sequence[int]) -> None:
        """Raises NotReplayable unless both ways give the same for a few images."""
        images, labels = self.batches[0]
        few = [(images[:TRIAL], labels[:TRIAL])]
        fast = replayed_losses(graph, few, places_of(self.network, group), channels, self.at_once)
        if not np.allclose(fast, naive_losses(self.network, few, group, channels), rtol=AGREES, atol=AGREES):
            raise NotReplayable("run for several ablations at once it gives other numbers (does it mix its images?)")

    def _warn(self, reason: NotReplayable) -> None:
        if not self.warned:
            name = type(self.network).__name__
            warnings.warn(f"The oracle of this {name} takes the plain, slow way: {reason}.", stacklevel=3)
        self.warned = True


# --- the fast way


def prepared(network: nn.Module) -> fx.GraphModule:
    """A copy as a graph of single steps, in evaluation mode, with batch norms folded into convolutions.

    Raises NotReplayable for a network that torch.fx cannot trace.
    """
    copied = copy.deepcopy(network).eval()
    try:
        traced = fx.symbolic_trace(copied)
    except Exception as error:  # of the network's own code, on a stand-in for a tensor: it may be any
        problem = f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error) else type(error).__name__
        raise NotReplayable(f"torch.fx cannot trace it ({problem})") from error
    graph: Any = fuse(traced, inplace=True, no_trace=True)
    return graph.to(memory_format=torch.channels_last)


def places_of(network: nn.Module, group: Group) -> dict[str, np.ndarray]:
    """The layers that read a group, by name, with the channel of every input position; NotReplayable without any."""
    try:
        return {name: read[0][1] for name, read in readers(network, [group]).items()}
    except ValueError as error:
        raise NotReplayable(str(error).rstrip(".")) from error


def replayed_losses(
    graph: fx.GraphModule, batches: Batches, places: Mapping[str, np.ndarray], channels: Sequence[int], at_once: int
) -> list[float]:
    """The mean loss without each of the channels that layers read at `places`, of a network that is `prepared`."""
    replay, device = Replay(graph, places), next(graph.parameters()).device
    totals = torch.zeros(len(channels), dtype=torch.double)
    with torch.no_grad(), full_precision():
        for images, labels in batches:
            images, labels = images.to(device), labels.to(device)
            replay.load(images)
            together = max(1, at_once // len(images))
            for start in range(0, len(channels), together):
                chosen = channels[start : start + together]
                logits = replay.run(chosen).double()
                losses = F.cross_entropy(logits, labels.repeat(len(chosen)), reduction="none")
                totals[start : start + len(chosen)] += losses.view(len(chosen), -1).sum(1).cpu()
    return (totals / sum(len(labels) for _, labels in batches)).tolist()


class Keeping(fx.Interpreter):
    """Runs a graph, and keeps the values of some nodes as they were made: later steps may overwrite them in place."""

    def __init__(self, graph: fx.GraphModule, nodes: set[fx.Node]) -> None:
        super().__init__(graph)
        self.nodes, self.values = nodes, dict[fx.Node, Any]()

    def run_node(self, n: fx.Node) -> Any:
        """The value of a node, from those of its inputs in `env`."""
        value = super().run_node(n)
        if n in self.nodes:
            self.values[n] = value.clone() if isinstance(value, Tensor) else value
        return value


class Replay:
    """Runs a graph for a batch of images, and then again and again what lies behind the layers that read some channels.

    `places`: the layers, with the channel of every input position. Raises NotReplayable where they are no steps of the
    graph.
    """

    def __init__(self, graph: fx.GraphModule, places: Mapping[str, np.ndarray]) -> None:
        nodes = list(graph.graph.nodes)
        self.places, self.output = places, graph.graph.output_node().args[0]
        self.reading = {node for node in nodes if node.op == "call_module" and node.target in places}
        if hidden := set(places) - {node.target for node in self.reading}:
            raise NotReplayable(f"{min(hidden)} is hidden inside another layer, or not used at all")
        if odd := [node.target for node in self.reading if len(node.args) != 1 or node.kwargs]:
            raise NotReplayable(f"{min(odd)} is not called with its input alone")
        self.behind = followers(nodes, self.reading)
        if self.output not in self.behind:
            raise NotReplayable(f"the outputs do not depend on {min(places)}")
        self.steps = [node for node in nodes if node in self.behind and node.op != "output"]
        self.per_image = followers(nodes, {node for node in nodes if node.op == "placeholder"})
        in_front = {source for node in self.steps for source in node.all_input_nodes} - self.behind
        self.interpreter = Keeping(graph, in_front | self.reading)
        self.images = 0

    def load(self, images: Tensor) -> None:
        """Run the whole graph for these images, and keep what its last part needs."""
        self.images = len(images)
        self.interpreter.run(images)

    def run(self, chosen: Sequence[int]) -> Tensor:
        """The logits without each of the chosen channels, one ablation of all images behind the other."""
        values = self.interpreter.env = {}
        for node in self.steps:
            if node in self.reading:
                values[node] = self._read_without(node, chosen)
            else:
                values[node] = self._run_again(node, len(chosen))
            for used in self.interpreter.user_to_last_uses.get(node, ()):
                values.pop(used, None)
        logits = values[self.output]
        if len(logits) != len(chosen) * self.images:
            raise NotReplayable("its outputs are not as many as its images when several ablations run at once")
        return logits

    def _run_again(self, node: fx.Node, times: int) -> Any:
        """A step behind the readers; what it takes from in front of them is there once for each ablation."""
        values = self.interpreter.env
        in_front = [source for source in node.all_input_nodes if source not in self.behind]
        for source in in_front:
            values[source] = repeated(self.interpreter.values[source], times if source in self.per_image else 1)
        try:
            return self.interpreter.run_node(node)
        except (
            RuntimeError,
            ValueError,
            IndexError,
        ) as error:  # of the network's own step, with more images than usual
            raise NotReplayable(f"{node.name} does not run for several ablations at once ({error})") from error
        finally:
            for source in in_front:
                del values[source]

    def _read_without(self, node: fx.Node, chosen: Sequence[int]) -> Tensor:
        """What a layer makes of its input without each of the chosen channels."""
        layer, source = self.interpreter.submodules[str(node.target)], node.args[0]
        before, values = self.interpreter.values, self.interpreter.env
        device = before[node].device
        read_at = [torch.from_numpy(np.flatnonzero(self.places[str(node.target)] == channel)) for channel in chosen]
        positions = [places.to(device) for places in read_at]
        if source not in self.behind and is_plain(layer):
            return without_shares(layer, before[node], before[source], positions)
        images = values[source].clone() if source in self.behind else torch.cat([before[source]] * len(chosen))
        axis = images.ndim - 1 if isinstance(layer, nn.Linear) else 1
        for part, places in zip(images.chunk(len(chosen)), positions, strict=True):
            part.index_fill_(axis, places, 0)
        return layer(images)


def followers(nodes: Sequence[fx.Node], first: set[fx.Node]) -> set[fx.Node]:
    """The nodes whose values depend on those of `first`, and these themselves."""
    depending = set(first)
    for node in nodes:
        if depending.intersection(node.all_input_nodes):
            depending.add(node)
    return depending


def repeated(value: Any, times: int) -> Any:
    """A tensor with the images of a batch, once for each ablation; a copy, which may be overwritten."""
    return torch.cat([value] * times) if isinstance(value, Tensor) and value.ndim else value


def without_shares(layer: nn.Module, whole: Tensor, images: Tensor, positions: Sequence[Tensor]) -> Tensor:
    """A layer's output `whole` less what its input at each of `positions` adds: f(x without c) = f(x) - f(c) + bias.

    A convolution of a single channel is slow as a convolution, and fast as a matrix product of its patches.
    """
    if isinstance(layer, nn.Linear):
        return torch.cat([whole - images[..., places] @ layer.weight[:, places].T for places in positions])
    rows = whole.permute(0, 2, 3, 1)
    left = rows.new_empty(len(positions), *rows.shape)
    for part, places in zip(left, positions, strict=True):
        patches = F.unfold(images[:, places], layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        weight = layer.weight[:, places].flatten(1).T
        lines = patches.transpose(1, 2).flatten(0, 1)
        torch.addmm(rows.flatten(0, 2), lines, weight, alpha=-1, out=part.flatten(0, 2))
    return left.flatten(0, 1).permute(0, 3, 1, 2)
