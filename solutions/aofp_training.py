"""AOFP's drivers: a network is trained as always while every target is searched; surgery, and finetuning.

Ding et al., ICML 2019. At each budget of MACs that a search passes it leaves a snapshot.
"""

import copy
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.training import train
from minicifar import BatchLoader
from minicifar.files import atomic
from solutions.aofp_paths import Paths
from solutions.aofp_search import THRESHOLD, Kernels, Search
from solutions.budgets import macs_left, uses_of
from solutions.drivers import FINETUNING, SEARCHING, epochs_done, first_image
from solutions.followers import Target, targets
from solutions.graph.export import export_graph
from solutions.graph.groups import Group
from solutions.iterative import digest_of
from solutions.plans import PlanError
from solutions.prunable import prunable_groups
from solutions.surgery import prune


class _Reached(Exception):
    """The smallest budget is met: the training ends in the middle of an epoch."""


@dataclass
class Widths:
    """What a search found: `networks`, a really smaller one for each budget (share of the MACs) that was reached, with
    the weights that it had then; `last`: the network at its end; `history`: all moves, and what it was asked.
    """

    networks: dict[float, nn.Module]
    last: nn.Module
    history: dict[str, Any]

    @property
    def short(self) -> str:
        """Why the search ended short of its budgets; "" if it did not."""
        reason: str = self.history["short"]
        return reason


@dataclass
class _Run:
    """A search under way."""

    kernels: Kernels
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
                weights = copy.deepcopy(self.network.state_dict())
                self.snapshots[budget] = {"plan": plan, "weights": weights, "batch": self.batch}
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


def aofp(
    network: nn.Module,
    loader: BatchLoader,
    budget: float,
    epochs: int,
    *,
    kernels: Kernels,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
    **options: Any,
) -> tuple[nn.Module, dict[str, Any]]:
    """AOFP in `epochs` epochs: search until `budget` (a share of the MACs) is met, real surgery, finetuning.

    `kernels`: those of `solutions.aofp`, or a student's. → the narrow network, and the history of `search_widths`, to
    which `options` go, with `finetuning`: one dict an epoch, as `train` gives it. The search has what it needs, at most
    two thirds of the epochs; finetuning, with a new optimizer, has the whole epochs that are left. Where the search
    ends short of the budget, the network as far as it came is finetuned, with a warning that says why. `network` is not
    changed. `resume` names a folder: stopped, the same call goes on from there, to the same bits.
    """
    folder = None if resume is None else Path(resume)
    options = {
        "kernels": kernels,
        "seed": seed,
        "resume": folder and folder / "search",
        "progress": progress,
        **options,
    }
    found = search_widths(network, loader, [budget], 2 * epochs // 3, **options)
    if found.short:
        warnings.warn(found.short, stacklevel=2)
    finetuning = finetuned(found.last, loader, epochs, found.history, folder, progress)
    return found.last, {**found.history, "finetuning": finetuning}


def finetuned(
    narrow: nn.Module,
    loader: BatchLoader,
    epochs: int,
    history: Mapping[str, Any],
    folder: Path | None,
    progress: bool,
) -> list[dict[str, Any]]:
    """Train a network that a search found for what is left of `epochs`, in place → the history of `train`."""
    left = epochs - math.ceil(history["batches"] / len(loader))
    file = folder and folder / "finetuning.resume"
    return train(narrow, loader, left, resume=file, progress=progress, on_stop="raise", **FINETUNING)


def search_widths(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    budgets: Sequence[float],
    epochs: int,
    *,
    kernels: Kernels,
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
    number of targets). `settings` go to `train` (over those of SEARCHING); `network` is not changed. `resume` names a
    folder in which all is kept after every epoch. A search that ends short of its budgets says so, and why.
    Raises PlanError where no group qualifies, ValueError for budgets that are no shares.
    """
    if not all(0 <= budget < 1 for budget in budgets) or not budgets:
        raise ValueError(f"budgets are shares of the MACs, such as 0.5, not {list(budgets)}.")
    network = copy.deepcopy(network)
    example = first_image(network, loader)
    groups = prunable_groups(network, example, progress=progress)
    found, against = targets(network, groups, export_graph(network, example))
    if not found:
        raise PlanError("No channel group has one layer that makes it and one that reads it.")
    asked = {"budgets": list(budgets), "every": every, "theta": threshold, "warm_up": warm_up, "seed": seed}
    asked |= {"network": digest_of(network), **SEARCHING, **settings}
    searches = {}
    for number, target in enumerate(found):
        waits = warm_up + number * every // len(found)
        searches[target.name] = Search(kernels, target.group.channels, target.group.free, waits)
    uses = uses_of(network, example)
    run = _Run(
        kernels, network, groups, found, uses, sorted(budgets, reverse=True), every, threshold, seed, doubling,
        searches, Paths(network, found, kernels.damage), macs_left(network, groups, {}, uses),
    )  # fmt: skip
    folder = None if resume is None else Path(resume)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        restore(run, folder, asked)
    run.draw()
    try:
        if run.budgets[-1] not in run.snapshots:
            train_and_search(run, loader, epochs, folder, asked, progress, settings)
    finally:
        run.paths.remove()
    networks = {budget: narrowed(run, kept["plan"], kept["weights"]) for budget, kept in run.snapshots.items()}
    last = networks.get(run.budgets[-1]) or narrowed(run, run.plan(), run.network.state_dict())
    return Widths(networks, last, history_of(run, against, asked))


def train_and_search(
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

    def say_widths() -> None:
        widths = "-".join(str(len(search.alive)) for search in run.searches.values())
        bar.set_postfix_str(f"{run.left(run.plan()):.0%} of the MACs, {widths}", refresh=False)

    def after_step(_network: nn.Module) -> None:
        run.step()
        bar.update()
        if run.batch % 10 == 0:
            say_widths()
        if folder is not None and run.batch % len(loader) == 0:
            store(run, folder, run.batch // len(loader), asked)

    file = None if folder is None else folder / "training.resume"
    options = {**SEARCHING, **settings, "resume": file, "progress": False, "on_stop": "raise"}
    try:
        train(run.network, loader, epochs, after_step=after_step, **options)
    except _Reached:
        bar.update()
        bar.total = bar.n  # it was to end here: no bar that looks broken off
        say_widths()
        if folder is not None:
            store(run, folder, -1, asked)
    finally:
        bar.close()


def narrowed(run: _Run, plan: Mapping[str, Sequence[int]], weights: Mapping[str, Tensor]) -> nn.Module:
    """The really smaller network of a plan and the weights at that moment."""
    whole = copy.deepcopy(run.network)
    whole.load_state_dict(weights)
    return prune(whole, run.groups, plan).eval()


def shortfall(run: _Run) -> str:
    """Which budgets were not reached, and what the search saw last; "" if all were."""
    missing = [budget for budget in run.budgets if budget not in run.snapshots]
    if not missing:
        return ""
    pruning = [move for move in run.moves if move["pruned"]]
    last = f"The last that lost filters was {pruning[-1]['target']}" if pruning else "No target lost a filter"
    seen = [(move["v"], move["target"]) for move in run.moves[-len(run.found) :] if move["v"] is not None]
    lowest = "; the smallest damage of a half at the end was {:.3g} ({})".format(*min(seen)) if seen else ""
    return (
        f"The search ended after {run.batch} batches with {run.left(run.plan()):.0%} of the MACs, short of "
        f"{', '.join(f'{budget:.0%}' for budget in missing)}. {last}{lowest}, theta {run.threshold:g}. Give it more "
        "epochs, a larger threshold, or fewer batches a search (every)."
    )


def history_of(run: _Run, against: Mapping[str, str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """All that pictures need, as plain data."""
    return {
        "asked": dict(asked),
        "targets": {target.name: target.group.channels for target in run.found},
        "no targets": dict(against),
        "moves": run.moves,
        "batches": run.batch,
        "reached": {str(budget): snapshot["batch"] for budget, snapshot in run.snapshots.items()},
        "macs": run.left(run.plan()),
        "short": shortfall(run),
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
    done = epochs_done(folder / "training.resume")
    file = next((path for epoch in (-1, done) if (path := folder / f"searches{epoch}.pt").exists()), None)
    if file is None:
        return
    state = torch.load(file, weights_only=True)
    if json.loads(state["asked"]) != json.loads(json.dumps(dict(asked))):
        raise ValueError(f"{folder} belongs to a search with other settings: delete it, or use another name.")
    run.searches = {name: Search(run.kernels, **kept) for name, kept in state["searches"].items()}
    run.batch, run.threshold, run.moves = state["batch"], state["threshold"], state["moves"]
    run.snapshots, run.idle = state["snapshots"], set(state["idle"])
    for name, search in run.searches.items():
        run.paths.gone[name] = sorted(set(range(search.filters)) - set(search.alive) - set(run.frozen(name)))
