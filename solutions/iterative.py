"""Prune any network step by step, through its channel groups: plans for a step, the driver, and sensitivity by group.

Prune, retrain, again: Li et al. 2016 (arXiv 1608.08710), section 3.4.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.checkpoints import load_network, save_network
from course_utils.networks import parameter_count
from course_utils.training import Diverged, OnStop, Stopped, train
from course_utils.training import evaluate as evaluate_on
from minicifar import BatchLoader
from minicifar.files import atomic
from solutions.graph.groups import Group
from solutions.graph.storage import load_groups, save_groups
from solutions.plans import channels_to_keep, groups_left, l1_norms, must_stay
from solutions.rounding import channels_removed
from solutions.surgery import prune, silence

OWN = ("network", "keep_ratios", "epochs", "rank", "scope", "floor")  # of what is asked; the rest is `train`'s
Ranking = Callable[[nn.Module, Sequence[Group]], Mapping[str, Tensor]]


def l1_ranking(network: nn.Module, groups: Sequence[Group]) -> dict[str, Tensor]:
    """The L1 norm of every channel, by its group's name, in units of the group's mean: so groups can be compared."""
    norms = {group.name: l1_norms(network, group) for group in groups}
    return {name: values / values.mean().clamp_min(1e-12) for name, values in norms.items()}


def group_sensitivity(
    network: nn.Module,
    groups: Sequence[Group],
    ratios: Sequence[float],
    evaluate: Callable[[nn.Module], float],
    rank: Ranking = l1_ranking,
) -> dict[str, list[float]]:
    """`sensitivity_scan` for any network: each channel group alone, {its name: one number for each keep ratio}."""
    scores = rank(network, groups)
    return {
        group.name: [
            evaluate(silence(network, groups, {group.name: channels_to_keep(group, scores[group.name], ratio)}))
            for ratio in ratios
        ]
        for group in groups
        if group.free
    }


def lowest_everywhere(
    groups: Sequence[Group], scores: Mapping[str, Tensor], count: int, floor: int = 1
) -> dict[str, list[int]]:
    """A plan without the `count` channels of the lowest scores in the whole network.

    At least `floor` channels stay in every group, and what `must_stay` there; where that leaves fewer than `count` to
    remove, fewer go.
    """
    candidates = []
    for group in [group for group in groups if group.free]:
        ranked = scores[group.name].tolist()
        order = sorted(range(group.channels), key=lambda channel: -ranked[channel])
        needed = must_stay(group, order)
        spare = max(0, group.channels - max(floor, len(needed)))
        lowest = [channel for channel in reversed(order) if channel not in needed][:spare]
        candidates += [(ranked[channel], group.name, channel) for channel in lowest]
    gone = {(name, channel) for _, name, channel in sorted(candidates)[: max(0, count)]}
    plan = {}
    for group in groups:
        channels = [channel for channel in range(group.channels) if (group.name, channel) not in gone]
        if len(channels) < group.channels:
            plan[group.name] = channels
    return plan


def plan_step(
    groups: Sequence[Group],
    scores: Mapping[str, Tensor],
    original: Mapping[str, int],
    keep_ratio: float,
    scope: str = "layer",
    floor: int = 1,
) -> dict[str, list[int]]:
    """A plan that leaves `keep_ratio` of the channels that there were at the beginning (`original`, by group).

    `scope`: "layer" takes the same share from every group, "network" takes the lowest wherever they are, so that the
    scores must be comparable between groups.
    """
    free = {group.name for group in groups if group.free}
    if scope == "network":
        removed = channels_removed(sum(original[name] for name in free), keep_ratio)
        gone = sum(original[group.name] - group.channels for group in groups if group.name in free)
        return lowest_everywhere(groups, scores, removed - gone, floor)
    if scope != "layer":
        raise ValueError(f'scope is "layer" or "network", not {scope!r}.')
    plan = {}
    for group in groups:
        if group.name in free:
            width = max(floor, original[group.name] - channels_removed(original[group.name], keep_ratio))
            plan[group.name] = channels_to_keep(group, scores[group.name], min(1.0, width / group.channels))
    return plan


def prune_iteratively(  # noqa: PLR0913
    network: nn.Module,
    groups: Sequence[Group],
    loader: BatchLoader,
    keep_ratios: Sequence[float],
    epochs: int,
    *,
    final_epochs: int | None = None,
    rank: Ranking = l1_ranking,
    scope: str = "layer",
    floor: int = 1,
    test: Iterable[tuple[Tensor, Tensor]] | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
    on_stop: OnStop = "return",
    **settings: Any,
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Prune a little, retrain, and again, on any network → the pruned network and a log, one dict a step.

    After step k the share `keep_ratios[k]` of the channels that there were at the beginning is left (`scope`, `floor`:
    see `plan_step`), then follow `epochs` of training with a new optimizer (`final_epochs` after the last step);
    `settings` go to `train`. The log holds `keep_ratio`, `parameters`, and with a loader `test` the accuracy on it just
    after pruning (`pruned_accuracy`) and after retraining (`accuracy`).

    `resume` names a folder in which everything is kept: stopped, the same call goes on where it was. The network given
    is not changed; it needs a recipe (`save_network`) where `resume` is used. A training that is stopped ends the run:
    the network as it is comes back, with the log of the steps before; with `on_stop="raise"`, `Stopped` or `Diverged`
    carries that log, as in `train`.
    """
    lengths = [epochs] * (len(keep_ratios) - 1) + [epochs if final_epochs is None else final_epochs]
    named = {"rank": getattr(rank, "__name__", str(rank)), "scope": scope, "floor": floor}
    asked = {"network": digest_of(network), "keep_ratios": list(keep_ratios), "epochs": lengths, **named, **settings}
    folder = None if resume is None else Path(resume)
    state = _State(copy.deepcopy(network), list(groups))
    if folder is not None and (folder / "state.json").exists():
        state = _restored(folder, asked)
        state.network.to(next(network.parameters()).device)
    original = {group.name: group.channels for group in groups}

    def plan(step: int) -> dict[str, list[int]]:
        scores = rank(state.network, state.groups)
        return plan_step(state.groups, scores, original, keep_ratios[step], scope, floor)

    _all_steps(state, plan, loader, lengths, folder, asked, test=test, progress=progress, on_stop=on_stop)
    return state.network.eval(), state.log


def _all_steps(  # noqa: PLR0913
    state: "_State",
    plan: Callable[[int], Mapping[str, Sequence[int]]],
    loader: BatchLoader,
    lengths: Sequence[int],
    folder: Path | None,
    asked: dict[str, Any],
    *,
    test: Iterable[tuple[Tensor, Tensor]] | None,
    progress: bool,
    on_stop: OnStop,
) -> None:
    """The steps that are left: prune by `plan(step)`, retrain for the step's epochs, and keep both in `folder`."""
    ratios, first, first_epoch = asked["keep_ratios"], state.retrained, getattr(loader, "epoch", 0)
    settings = {name: value for name, value in asked.items() if name not in OWN}
    total, done = sum(lengths) * len(loader), sum(lengths[:first]) * len(loader)
    bar, start = tqdm(total=total, initial=done, disable=not progress), perf_counter()
    try:
        for step in range(first, len(ratios)):
            if not state.pruned:
                state.prune(plan(step), ratios[step], test)
                _store(folder, asked, state)
            loader.epoch = first_epoch + sum(lengths[:step])
            bar.set_description(f"step {step + 1}/{len(ratios)}, {ratios[step]:.0%} of the channels")
            file = None if folder is None else folder / f"step-{step + 1}.resume"
            options: dict[str, Any] = {"resume": file, "progress": False, "on_stop": "raise", **settings}
            train(state.network, loader, lengths[step], after_step=lambda _: _tick(bar, start, done), **options)
            bar.update(sum(lengths[: step + 1]) * len(loader) - bar.n)  # a resumed step began in the middle
            state.end_step(test)
            _store(folder, asked, state)
            if file is not None:
                file.unlink(missing_ok=True)
    except (Stopped, Diverged) as end:
        bar.write(f"Stopped in step {len(state.log)}." + (" The same call goes on from here." if folder else ""))
        state.log.pop()
        if on_stop == "raise":
            end.history = state.log
            raise
    finally:
        bar.close()


@dataclass
class _State:
    """How far a run is. `pruned`: the last step of the log has not been retrained yet."""

    network: nn.Module
    groups: list[Group]
    log: list[dict[str, Any]] = field(default_factory=list)
    pruned: bool = False

    @property
    def retrained(self) -> int:
        """The number of steps that are done."""
        return len(self.log) - self.pruned

    def prune(self, plan: Mapping[str, list[int]], keep_ratio: float, test: Iterable | None) -> None:
        """The first half of a step."""
        self.network, self.groups = prune(self.network, self.groups, plan), groups_left(self.groups, plan)
        parameters = parameter_count(self.network)
        self.log.append({"step": len(self.log) + 1, "keep_ratio": keep_ratio, "parameters": parameters})
        if test is not None:
            self.log[-1]["pruned_accuracy"] = evaluate_on(self.network, test).accuracy
        self.pruned = True

    def end_step(self, test: Iterable | None) -> None:
        """After the retraining."""
        if test is not None:
            self.log[-1]["accuracy"] = evaluate_on(self.network, test).accuracy
        self.pruned = False


def digest_of(network: nn.Module) -> str:
    """A number for all the values in a network: another network has another one."""
    key = hashlib.sha256()
    for tensor in network.state_dict().values():
        key.update(tensor.detach().cpu().double().numpy().tobytes())
    return key.hexdigest()[:16]


def _tick(bar: tqdm, start: float, done: int) -> None:
    """One more training step: move the bar, and say when all will be done; `done` steps are of an earlier run."""
    bar.update()
    left = (perf_counter() - start) / max(bar.n - done, 1) * (bar.total - bar.n)
    bar.set_postfix_str(f"done at {datetime.now() + timedelta(seconds=left):%H:%M}", refresh=False)


def _store(folder: Path | None, asked: Mapping[str, Any], state: _State) -> None:
    """Keep a run's network, groups and log. The state file comes last."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{len(state.log)}-{'pruned' if state.pruned else 'trained'}"
    save_network(state.network, folder / f"{name}.safetensors")
    save_groups(state.groups, folder / f"{name}.json")
    text = json.dumps({"asked": asked, "log": state.log, "pruned": state.pruned, "name": name})
    with atomic(folder / "state.json") as temporary:
        temporary.write_text(text, encoding="utf-8")
    for old in folder.glob("step-*"):
        if old.suffix != ".resume" and old.stem != name:
            old.unlink()


def _restored(folder: Path, asked: Mapping[str, Any]) -> _State:
    """What `_store` wrote. Raises ValueError when it belongs to another call."""
    stored = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    asked = json.loads(json.dumps(asked))
    if stored["asked"] != asked:
        changed = [name for name in asked if stored["asked"].get(name) != asked[name]]
        raise ValueError(
            f"{folder} belongs to a run with another {', '.join(changed) or 'setting'}: delete it to start afresh, or "
            "use another name."
        )
    network = load_network(folder / f"{stored['name']}.safetensors")
    return _State(network, load_groups(folder / f"{stored['name']}.json"), stored["log"], stored["pruned"])
