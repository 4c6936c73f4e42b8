"""The ablation oracle: what the loss becomes without each channel. The ruler that criteria are measured with.

A channel is taken out by zeroing what the layers read of it, which is exactly what removing it does. Molchanov et al. 2016
(arXiv 1611.06440), section 2.2. The plain way runs the whole network once for every channel. Here what lies in front of
the channel is computed once; the first layer that reads it is linear, so that the channel's own share is subtracted
from its output; and many ablations of a layer run through the rest as one batch.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
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
PIECE = 128  # channels that are ablated before the result is kept
TRIAL = 8  # images on which the fast way is compared with the plain one
AGREES = 1e-4  # of the loss


def oracle(
    network: nn.Module, batches: Batches, groups: Sequence[Group], absolute: bool = True, **options: Any
) -> dict[str, Tensor]:
    """Every channel's score, {group: (channels,)}: the loss without it minus the loss of the whole network.

    `absolute`: its absolute value (the paper's oracle-abs), not the difference itself (oracle-loss). `options`: see
    `ablation_losses`.
    """
    whole, losses = ablation_losses(network, batches, groups, **options)
    changes = {name: values - whole for name, values in losses.items()}
    return {name: change.abs() for name, change in changes.items()} if absolute else changes


def ablation_losses(
    network: nn.Module,
    batches: Batches,
    groups: Sequence[Group],
    *,
    at_once: int = 128,
    resume: str | Path | None = None,
    cluster: str | None = None,
    progress: bool = True,
) -> tuple[float, dict[str, Tensor]]:
    """Mean cross-entropy of the whole network, and without each channel of the groups that can be pruned, in float64.

    `batches`: a sequence of (images, labels); the larger, the faster. `at_once`: how many images (ablations times images)
    run through the rest of the network together. `resume`: a JSON file; stopped, the same call goes on where it was.
    `cluster`: the address of a Dask scheduler, whose workers share the work. The network is as it was found afterwards.
    """
    free = [group for group in groups if group.free]
    whole = mean_loss(network, batches)
    found = kept(resume, whole, free)
    waiting = [
        (group, range(start, min(start + PIECE, group.channels)))
        for group in free
        for start in range(0, group.channels, PIECE)
        if math.isnan(found[group.name][start])
    ]
    bar = tqdm(total=sum(group.channels for group in free), disable=not progress, desc="oracle", unit="channel")
    bar.update(bar.total - sum(len(channels) for _, channels in waiting))
    with bar:
        for group, channels, losses in carried_out(network, batches, waiting, at_once, cluster):
            found[group.name][channels.start : channels.stop] = losses
            bar.update(len(channels))
            if resume is not None:
                with atomic(resume) as temporary:
                    temporary.write_text(json.dumps({"whole": whole, "losses": found}), encoding="utf-8")
    return whole, {name: torch.tensor(losses, dtype=torch.double) for name, losses in found.items()}


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
    """Inside the `with`: a GPU's convolutions in float32, not in its 19 bits of TF32, which would round the changes away."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def kept(resume: str | Path | None, whole: float, groups: Sequence[Group]) -> dict[str, list[float]]:
    """What an earlier run has found, NaN where nothing yet. Raises ValueError if it had another network or other data."""
    found = {group.name: [math.nan] * group.channels for group in groups}
    if resume is None or not Path(resume).exists():
        return found
    data = json.loads(Path(resume).read_text(encoding="utf-8"))
    same_sizes = {name: len(losses) for name, losses in data["losses"].items()} == {
        name: len(losses) for name, losses in found.items()
    }
    if not same_sizes or not math.isclose(data["whole"], whole, rel_tol=1e-6):
        raise ValueError(f"{resume} belongs to another network or other images: delete it, or use another name.")
    return data["losses"]


def carried_out(
    network: nn.Module,
    batches: Batches,
    waiting: Sequence[tuple[Group, range]],
    at_once: int,
    cluster: str | None,
) -> Iterator[tuple[Group, range, list[float]]]:
    """The losses of every piece, as they come."""
    if cluster is None:
        for group, channels in waiting:
            yield group, channels, losses_without(network, batches, group, channels, at_once)
        return
    from distributed import Client, as_completed

    with Client(cluster) as client:
        shared = client.scatter([network, list(batches)], broadcast=True)
        asked = {
            client.submit(losses_without, *shared, group, channels, at_once, pure=False): (group, channels)
            for group, channels in waiting
        }
        for future in as_completed(asked):
            yield *asked[future], future.result()


# --- one piece


def losses_without(
    network: nn.Module, batches: Batches, group: Group, channels: Sequence[int], at_once: int = 128
) -> list[float]:
    """The mean loss without each of `channels` of one group: the fast way where it can be trusted, else the plain one."""
    first, labels = batches[0][0][:TRIAL], batches[0][1][:TRIAL]
    probe = [channels[0], channels[-1]]
    try:
        with evaluating(network):
            graph = prepared(network)
        quick = rest_of_the_network(network, graph, [(first, labels)], group, probe, at_once)
        plain = naive_losses(network, [(first, labels)], group, probe)
        if np.allclose(quick, plain, rtol=AGREES, atol=AGREES):
            return rest_of_the_network(network, graph, batches, group, channels, at_once)
    except Exception:  # a network whose code cannot be traced, or does something unusual with its batch
        pass
    return naive_losses(network, batches, group, channels)


def prepared(network: nn.Module) -> fx.GraphModule:
    """A copy as a graph of single steps, with batch norms folded into convolutions."""
    graph: Any = fuse(network)
    return graph.to(memory_format=torch.channels_last)


class Keeping(fx.Interpreter):
    """Runs a graph, and keeps the values of some nodes as they were made: later steps may overwrite them in place."""

    def __init__(self, graph: fx.GraphModule, wanted: set[fx.Node]) -> None:
        super().__init__(graph)
        self.wanted, self.kept = wanted, dict[fx.Node, Any]()

    def run_node(self, n: fx.Node) -> Any:
        found = super().run_node(n)
        if n in self.wanted:
            self.kept[n] = found.clone() if isinstance(found, Tensor) else found
        return found


def naive_losses(network: nn.Module, batches: Batches, group: Group, channels: Sequence[int]) -> list[float]:
    """The plain way: for every channel a network without it, and the whole data through all of that."""
    return [
        mean_loss(silence(network, [group], {group.name: without(group, [channel])}), batches) for channel in channels
    ]


def rest_of_the_network(
    network: nn.Module, graph: fx.GraphModule, batches: Batches, group: Group, channels: Sequence[int], at_once: int
) -> list[float]:
    """The losses without each channel: the values in front of the group's readers are computed once a batch."""
    places = {name: found[0][1] for name, found in readers(network, [group]).items()}
    nodes = list(graph.graph.nodes)
    reading = {node for node in nodes if node.op == "call_module" and node.target in places}
    if {node.target for node in reading} != set(places):
        raise ValueError("a layer is hidden inside another")
    behind = followers(nodes, reading)
    wanted = {source for node in behind for source in node.all_input_nodes} - behind | reading
    per_image = followers(nodes, {node for node in nodes if node.op == "placeholder"})
    last = {source: node for node in nodes for source in node.all_input_nodes}
    modules, device = dict(graph.named_modules()), next(network.parameters()).device
    totals = torch.zeros(len(channels), dtype=torch.double)
    with evaluating(network), full_precision():
        for images, labels in batches:
            images, labels = images.to(device), labels.to(device)
            run = Keeping(graph, wanted)
            run.run(images)
            together = max(1, at_once // len(images))
            for start in range(0, len(channels), together):
                chosen = channels[start : start + together]
                outcome: dict[fx.Node, Any] = {}
                for node in nodes:
                    if node not in behind or node.op == "output":
                        continue
                    if node in reading:
                        outcome[node] = read_without(node, modules, places, chosen, run.kept, outcome)
                    else:
                        for source in node.all_input_nodes:
                            if source not in behind:
                                copies = len(chosen) if source in per_image else 1
                                outcome[source] = repeated(run.kept[source], copies)
                        outcome[node] = run_again(node, modules, outcome)
                    for source in node.all_input_nodes:
                        if last[source] is node or source not in behind:
                            outcome.pop(source, None)
                logits = outcome[graph.graph.output_node().args[0]].double()
                losses = F.cross_entropy(logits, labels.repeat(len(chosen)), reduction="none")
                totals[start : start + len(chosen)] += losses.view(len(chosen), -1).sum(1).cpu()
    return (totals / sum(len(labels) for _, labels in batches)).tolist()


def followers(nodes: Sequence[fx.Node], first: set[fx.Node]) -> set[fx.Node]:
    """The nodes whose values depend on those of `first`, and these themselves."""
    found = set(first)
    for node in nodes:
        if found.intersection(node.all_input_nodes):
            found.add(node)
    return found


def repeated(value: Any, times: int) -> Any:
    """A tensor with the images of a batch, once for each ablation; a copy, which may be overwritten."""
    return torch.cat([value] * times) if isinstance(value, Tensor) and value.ndim else value


def read_without(node: fx.Node, modules: Any, places: Any, chosen: Sequence[int], before: Any, outcome: Any) -> Tensor:
    """What a layer makes of its input without each of the chosen channels, one ablation behind the other."""
    layer, source = modules[node.target], node.args[0]
    positions = [torch.from_numpy(np.flatnonzero(places[node.target] == channel)) for channel in chosen]
    if source not in outcome and is_plain(layer):
        return without_shares(layer, before[node], before[source], [mine.to(before[node].device) for mine in positions])
    images = outcome[source].clone() if source in outcome else torch.cat([before[source]] * len(chosen))
    axis = images.ndim - 1 if isinstance(layer, nn.Linear) else 1
    for part, mine in zip(images.chunk(len(chosen)), positions, strict=True):
        part.index_fill_(axis, mine.to(images.device), 0)
    return layer(images)


def without_shares(layer: nn.Module, whole: Tensor, images: Tensor, positions: Sequence[Tensor]) -> Tensor:
    """A layer's output `whole` less what its input at each of `positions` adds: f(x without c) = f(x) - f(c) + bias.

    A convolution of a single channel is slow as a convolution, and fast as a matrix product of its patches.
    """
    if isinstance(layer, nn.Linear):
        return torch.cat([whole - images[..., mine] @ layer.weight[:, mine].T for mine in positions])
    rows = whole.permute(0, 2, 3, 1)
    found = rows.new_empty(len(positions), *rows.shape)
    for part, mine in zip(found, positions, strict=True):
        patches = F.unfold(images[:, mine], layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        weight = layer.weight[:, mine].flatten(1).T
        lines = patches.transpose(1, 2).flatten(0, 1)
        torch.addmm(rows.flatten(0, 2), lines, weight, alpha=-1, out=part.flatten(0, 2))
    return found.flatten(0, 1).permute(0, 3, 1, 2)


def run_again(node: fx.Node, modules: Any, values: Any) -> Any:
    """A node behind the group, on these values of its inputs."""
    arguments, named = fx.map_arg((node.args, node.kwargs), lambda argument: values[argument])
    if node.op == "call_module":
        return modules[node.target](*arguments, **named)
    if node.op == "call_method":
        return getattr(arguments[0], node.target)(*arguments[1:], **named)
    return node.target(*arguments, **named)
