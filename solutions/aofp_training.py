"""AOFP's driver: a network is trained as always while every target is searched; at each budget it leaves a snapshot.

Ding et al., ICML 2019. The base path is the training's own forward pass, with zeros in what the followers read of
filters that are gone. The scoring path computes each follower once more, without gradient, on the first images of a
batch, without a random half of the filters that are searched: by linearity only what this half gives is computed.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.training import train
from minicifar import BatchLoader
from minicifar.files import atomic
from solutions.aofp import THRESHOLD, Search, damage
from solutions.budgets import macs_left, uses_of
from solutions.followers import Target, targets
from solutions.graph.export import export_graph
from solutions.graph.groups import Group
from solutions.plans import PlanError
from solutions.prunable import prunable_groups
from solutions.surgery import prune

SCORED = 16  # images of a batch on which damage is measured


class Paths:
    """Hooks on the followers: what is gone reads as zero (base path), and each batch's half is scored.

    `damages`: of the last forward pass in training mode, by target; `halves`: what is to be ablated in the next.
    """

    def __init__(self, network: nn.Module, found: Sequence[Target]) -> None:
        self.halves: dict[str, list[int]] = {}
        self.damages: dict[str, float] = {}
        self.gone: dict[str, list[int]] = {target.name: [] for target in found}
        self.widths = {target.name: target.group.channels for target in found}
        self.maps: dict[str, Tensor] = {}
        self.hooks = []
        for target in found:
            follower = network.get_submodule(target.follower)
            norm = network.get_submodule(target.norm) if target.norm else None
            self.hooks.append(follower.register_forward_pre_hook(self.base(target)))
            self.hooks.append(follower.register_forward_hook(self.scoring(target, norm)))

    def base(self, target: Target) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]:
        """What the follower reads, with zeros for filters that are gone."""

        def mask(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            (maps,) = inputs
            gone = self.gone[target.name]
            if gone:
                places = torch.isin(torch.from_numpy(target.channel), torch.tensor(gone)).to(maps.device)
                maps = maps * along(~places, maps, module).to(maps.dtype)
            if module.training and self.halves.get(target.name):
                self.maps[target.name] = maps.detach()[:SCORED]
            return (maps,) if gone else None

        return mask

    def scoring(self, target: Target, norm: nn.Module | None) -> Callable[[nn.Module, Any, Tensor], None]:
        """The damage of this batch's half to the follower's output behind its batch norm and activation."""

        def score(module: nn.Module, _inputs: Any, output: Tensor) -> None:
            maps = self.maps.pop(target.name, None)
            if maps is None:
                return
            half = torch.isin(torch.from_numpy(target.channel), torch.tensor(self.halves[target.name]))
            places = half.nonzero().flatten().to(maps.device)
            with torch.no_grad(), torch.autocast(maps.device.type, enabled=False):
                base = output.detach().float()
                removed = contribution(module, maps.float(), places)
                seen = base[: len(maps)]
                behind = as_normalised(norm, base, seen, seen - removed) if norm is not None else (seen, seen - removed)
                own = torch.ones(base.shape[channel_axis(module)], dtype=torch.bool)
                own[torch.tensor(self.gone.get(target.made, []), dtype=torch.int64)] = False
                base_out, ablated_out = (channels_second(module, target.activation(maps)) for maps in behind)
                self.damages[target.name] = damage(base_out, ablated_out, own)

        return score

    def remove(self) -> None:
        """Take all hooks away."""
        for hook in self.hooks:
            hook.remove()


def channel_axis(module: nn.Module) -> int:
    """Where a layer's channels lie: the last axis of a linear layer's maps, the second of a convolution's."""
    return -1 if isinstance(module, nn.Linear) else 1


def along(values: Tensor, maps: Tensor, module: nn.Module) -> Tensor:
    """A value for each channel, so that it broadcasts to a layer's maps."""
    return values if isinstance(module, nn.Linear) else values.view(-1, *[1] * (maps.ndim - 2))


def channels_second(module: nn.Module, maps: Tensor) -> Tensor:
    """The same maps with the channels on axis 1."""
    return maps.movedim(channel_axis(module), 1)


def contribution(module: nn.Module, maps: Tensor, places: Tensor) -> Tensor:
    """What some of a follower's inputs give of its output: the follower is linear, but for its bias."""
    weight = module.get_parameter("weight").detach().float().index_select(1, places)
    chosen = maps.index_select(channel_axis(module), places)
    if isinstance(module, nn.Linear):
        return F.linear(chosen, weight)
    assert isinstance(module, nn.Conv2d)
    return module._conv_forward(chosen, weight, None)


def as_normalised(norm: nn.Module, whole: Tensor, *some: Tensor) -> list[Tensor]:
    """Maps behind a batch norm that normalises by the statistics of the base path, and changes nothing."""
    mean, var = norm.running_mean, norm.running_var
    if norm.training or mean is None:
        var, mean = torch.var_mean(whole, dim=[axis for axis in range(whole.ndim) if axis != 1], correction=0)
    return [F.batch_norm(maps, mean, var, norm.weight, norm.bias, False, 0.0, norm.eps) for maps in some]  # type: ignore[arg-type]


class _Reached(Exception):
    """The smallest budget is met: the training ends in the middle of an epoch."""


@dataclass
class Widths:
    """What a search found: `networks`, a really smaller one for each budget (share of the MACs) that was reached, with
    the weights that it had then; `history`: all moves, and what it was asked.
    """

    networks: dict[float, nn.Module]
    history: dict[str, Any]


@dataclass
class _Run:
    """A search under way."""

    network: nn.Module
    groups: list[Group]
    found: list[Target]
    uses: dict[str, int]
    budgets: list[float]
    every: int
    threshold: float
    seed: int
    doubling: bool
    searches: dict[str, Search]
    paths: Paths
    macs: int = 0
    batch: int = 0
    idle: set[str] = field(default_factory=set)
    moves: list[dict[str, Any]] = field(default_factory=list)
    snapshots: dict[float, dict[str, Any]] = field(default_factory=dict)

    def plan(self, besides: Mapping[str, Sequence[int]] = {}) -> dict[str, list[int]]:
        """The channels that stay, also without some that are still there, by group."""
        plan = {}
        for target in self.found:
            alive = set(self.searches[target.name].alive) - set(besides.get(target.name, ()))
            if len(alive) < target.group.channels - len(target.group.frozen):
                plan[target.name] = sorted(alive | set(target.group.frozen))
        return plan

    def left(self, plan: Mapping[str, Sequence[int]]) -> float:
        """The share of the MACs that a plan leaves."""
        return macs_left(self.network, self.groups, plan, self.uses) / self.macs

    def draw(self) -> None:
        """The halves of the next batch."""
        for number, (name, search) in enumerate(self.searches.items()):
            seed = (self.seed * 1_000_003 + self.batch) * 1_009 + number
            self.paths.halves[name] = search.ablated(self.batch, seed)

    def step(self) -> None:
        """After a training step: the accounts, and the moves that are due. Raises _Reached at the last budget."""
        for name, amount in self.paths.damages.items():
            self.searches[name].note(self.paths.halves[name], amount)
        self.paths.damages = {}
        self.batch += 1
        for name, search in self.searches.items():
            if search.batches >= self.every:
                self.move(name, search)
        self.draw()

    def move(self, name: str, search: Search) -> None:
        """One target's move, as far as the budgets want it."""
        filters = search.move(self.batch, self.threshold)
        full = search.space == search.alive and not filters
        for budget in [budget for budget in self.budgets if budget not in self.snapshots]:
            if filters and self.left(self.plan({name: filters})) <= budget:
                needed = self.needed(name, filters, budget)
                plan = self.plan({name: filters[:needed]})
                self.snapshots[budget] = {"plan": plan, "weights": copy.deepcopy(self.network.state_dict())}
                if budget == self.budgets[-1]:
                    filters = filters[:needed]
        if filters:
            search.prune(filters)
        search.history[-1]["pruned"] = sorted(filters)
        self.paths.gone[name] = sorted(set(range(search.filters)) - set(search.alive) - set(self.frozen(name)))
        self.idle = set() if filters else self.idle | ({name} if full else set())
        entry = {**search.history[-1], "target": name, "threshold": self.threshold, "macs": self.left(self.plan())}
        self.moves.append({**entry, "widths": {name: len(one.alive) for name, one in self.searches.items()}})
        if self.budgets[-1] in self.snapshots:
            raise _Reached
        open_ones = {name for name, one in self.searches.items() if len(one.space) > 1}
        if self.doubling and open_ones and open_ones <= self.idle:
            self.threshold, self.idle = 2 * self.threshold, set()

    def frozen(self, name: str) -> list[int]:
        """The channels of a target that must stay."""
        return [channel for target in self.found if target.name == name for channel in target.group.frozen]

    def needed(self, name: str, filters: Sequence[int], budget: float) -> int:
        """How many of these filters, in this order, must go to meet a budget."""
        few, many = 0, len(filters)
        while few < many:
            middle = (few + many) // 2
            met = self.left(self.plan({name: filters[:middle]})) <= budget
            few, many = (few, middle) if met else (middle + 1, many)
        return many


def search_widths(  # noqa: PLR0913
    network: nn.Module,
    example: Any,
    loader: BatchLoader,
    budgets: Sequence[float],
    epochs: int,
    *,
    every: int = 25,
    threshold: float = THRESHOLD,
    warm_up: int = 0,
    doubling: bool = True,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> Widths:
    """Train a network, and let binary filter searches take its filters until the last of `budgets` is met.

    `budgets`: shares of the MACs, from large to small; each is met to within one filter, and leaves a really smaller
    network. `every`: batches of a search (the paper's B); `threshold`: theta, doubled whenever no target has pruned
    anything in a whole search, unless `doubling` is False. Target number i begins at batch warm_up + floor(i · every /
    number of targets). `settings` go to `train` (constant learning rate); `network` is not changed. `resume` names a
    folder in which all is kept after every epoch. A search that ends short of its budgets says so in its history.
    Raises PlanError where no group qualifies.
    """
    network = copy.deepcopy(network)
    groups = prunable_groups(network, example, progress=progress)
    found, against = targets(network, groups, export_graph(network, example))
    if not found:
        raise PlanError("No channel group has one layer that makes it and one that reads it.")
    asked = {"budgets": list(budgets), "every": every, "theta": threshold, "warm_up": warm_up, "seed": seed, **settings}
    searches = {}
    for number, target in enumerate(found):
        waits = warm_up + number * every // len(found)
        searches[target.name] = Search(target.group.channels, target.group.free, waits)
    uses = uses_of(network, example)
    run = _Run(
        network, groups, found, uses, sorted(budgets, reverse=True), every, threshold, seed, doubling, searches,
        Paths(network, found), macs_left(network, groups, {}, uses),
    )  # fmt: skip
    folder = None if resume is None else Path(resume)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        restore(run, folder, asked)
    run.draw()
    try:
        if run.budgets[-1] not in run.snapshots:
            trained(run, loader, epochs, folder, asked, progress, settings)
    finally:
        run.paths.remove()
    return Widths(narrowed(run), history_of(run, against, asked))


def trained(
    run: _Run,
    loader: BatchLoader,
    epochs: int,
    folder: Path | None,
    asked: Mapping[str, Any],
    progress: bool,
    settings: Mapping[str, Any],
) -> None:
    """The training in which all is searched: it ends at the last budget, or after its epochs."""
    bar = tqdm(total=epochs * len(loader), initial=run.batch, disable=not progress, unit="step", desc="AOFP")

    def after_step(_network: nn.Module) -> None:
        run.step()
        bar.update()
        if run.batch % 10 == 0:
            widths = "-".join(str(len(search.alive)) for search in run.searches.values())
            bar.set_postfix_str(f"{run.left(run.plan()):.0%} of the MACs, {widths}", refresh=False)
        if folder is not None and run.batch % len(loader) == 0:
            store(run, folder, run.batch // len(loader), asked)

    file = None if folder is None else folder / "training.resume"
    options = {"schedule": "constant", "lr": 0.02, **settings, "resume": file, "progress": False, "on_stop": "raise"}
    try:
        train(run.network, loader, epochs, after_step=after_step, **options)
    except _Reached:
        if folder is not None:
            store(run, folder, -1, asked)
    finally:
        bar.close()


def narrowed(run: _Run) -> dict[float, nn.Module]:
    """The really smaller network of every snapshot."""
    networks = {}
    for budget, snapshot in run.snapshots.items():
        whole = copy.deepcopy(run.network)
        whole.load_state_dict(snapshot["weights"])
        networks[budget] = prune(whole, run.groups, snapshot["plan"]).eval()
    return networks


def history_of(run: _Run, against: Mapping[str, str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """All that pictures need, as plain data."""
    return {
        "asked": dict(asked),
        "targets": {target.name: target.group.channels for target in run.found},
        "no targets": dict(against),
        "moves": run.moves,
        "batches": run.batch,
        "reached": sorted(run.snapshots, reverse=True),
        "macs": run.left(run.plan()),
    }


def store(run: _Run, folder: Path, epoch: int, asked: Mapping[str, Any]) -> None:
    """Keep the searches as they are after an epoch (-1: at the end), beside what `train` keeps of it."""
    state = {
        "asked": json.dumps(dict(asked)),
        "searches": {name: search.state() for name, search in run.searches.items()},
        **{name: getattr(run, name) for name in ("batch", "threshold", "moves", "snapshots")},
        "idle": sorted(run.idle),
    }
    with atomic(folder / f"searches{epoch}.pt") as temporary:
        torch.save(state, temporary)
    for old in folder.glob("searches*.pt"):
        if old.stem not in (f"searches{epoch}", f"searches{epoch - 1}"):
            old.unlink()


def restore(run: _Run, folder: Path, asked: Mapping[str, Any]) -> None:
    """Go on from what `store` kept of the epoch that `train` will go on from. Raises ValueError for another run's."""
    training = folder / "training.resume"
    done = len(torch.load(training, weights_only=True)["history"]) if training.exists() else 0
    file = next((path for epoch in (-1, done) if (path := folder / f"searches{epoch}.pt").exists()), None)
    if file is None:
        return
    state = torch.load(file, weights_only=True)
    if json.loads(state["asked"]) != json.loads(json.dumps(dict(asked))):
        raise ValueError(f"{folder} belongs to a search with other settings: delete it, or use another name.")
    run.searches = {name: Search(**kept) for name, kept in state["searches"].items()}
    run.batch, run.threshold, run.moves = state["batch"], state["threshold"], state["moves"]
    run.snapshots, run.idle = state["snapshots"], set(state["idle"])
    for name, search in run.searches.items():
        run.paths.gone[name] = sorted(set(range(search.filters)) - set(search.alive) - set(run.frozen(name)))
