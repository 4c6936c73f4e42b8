"""Prune any network step by step, through its channel groups: plans for a step, the driver, and sensitivity by group.

Prune, retrain, again: Li et al. 2016 (arXiv 1608.08710), section 3.4.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.checkpoints import load_network, save_network
from course_utils.networks import parameter_count
from course_utils.training import evaluate as evaluate_on
from course_utils.training import train
from minicifar.files import atomic
from solutions.graph.groups import Group
from solutions.graph.kept import load_groups, save_groups
from solutions.plans import channels_to_keep, groups_left, l1_norms, must_stay
from solutions.surgery import prune, silence

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
        kept = [channel for channel in range(group.channels) if (group.name, channel) not in gone]
        if len(kept) < group.channels:
            plan[group.name] = kept
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
        wanted = math.floor((1 - keep_ratio) * sum(original[name] for name in free) + 1e-9)
        gone = sum(original[group.name] - group.channels for group in groups if group.name in free)
        return lowest_everywhere(groups, scores, wanted - gone, floor)
    if scope != "layer":
        raise ValueError(f'scope is "layer" or "network", not {scope!r}.')
    plan = {}
    for group in groups:
        if group.name in free:
            kept = max(floor, original[group.name] - math.floor((1 - keep_ratio) * original[group.name] + 1e-9))
            plan[group.name] = channels_to_keep(group, scores[group.name], min(1.0, kept / group.channels))
    return plan


def prune_iteratively(
    network: nn.Module,
    groups: Sequence[Group],
    loader: Any,
    keep_ratios: Sequence[float],
    epochs: int,
    *,
    final_epochs: int | None = None,
    rank: Ranking = l1_ranking,
    scope: str = "layer",
    floor: int = 1,
    test: Any = None,
    resume: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Prune a little, retrain, and again, on any network → the pruned network and a log, one dict a step.

    After step k the share `keep_ratios[k]` of the channels that there were at the beginning is left (`scope`, `floor`:
    see `plan_step`), then follow `epochs` of training with a new optimizer (`final_epochs` after the last step);
    `settings` go to `train`. The log holds `keep_ratio`, `parameters`, and with a loader `test` the accuracy on it just
    after pruning (`pruned_accuracy`) and after retraining (`accuracy`).

    `resume` names a folder in which everything is kept: stopped, the same call goes on where it was. The network given
    is not changed; it needs a recipe (`save_network`) where `resume` is used.
    """
    lengths = [epochs] * (len(keep_ratios) - 1) + [epochs if final_epochs is None else final_epochs]
    named = {"rank": getattr(rank, "__name__", str(rank)), "scope": scope, "floor": floor}
    asked = {"network": _digest(network), "keep_ratios": list(keep_ratios), "epochs": lengths, **named, **settings}
    original = {group.name: group.channels for group in groups}
    log: list[dict[str, Any]] = []
    current, left, pruned = copy.deepcopy(network), list(groups), False
    folder = Path(resume) if resume is not None else None
    if folder is not None and (folder / "state.json").exists():
        current, left, log, pruned = _restored(folder, asked)
        current = current.to(next(network.parameters()).device)
    first, first_epoch = len(log) - pruned, getattr(loader, "epoch", 0)
    total, done = sum(lengths) * len(loader), sum(lengths[:first]) * len(loader)
    bar, start = tqdm(total=total, initial=done, disable=not progress), perf_counter()
    try:
        for step in range(first, len(keep_ratios)):
            if not pruned:
                plan = plan_step(left, rank(current, left), original, keep_ratios[step], scope, floor)
                current, left = prune(current, left, plan), groups_left(left, plan)
                log.append({"step": step + 1, "keep_ratio": keep_ratios[step], "parameters": parameter_count(current)})
                if test is not None:
                    log[-1]["pruned_accuracy"] = evaluate_on(current, test).accuracy
                _store(folder, asked, current, left, log, pruned=True)
            pruned = False
            loader.epoch = first_epoch + sum(lengths[:step])
            bar.set_description(f"step {step + 1}/{len(keep_ratios)}, {keep_ratios[step]:.0%} of the channels")
            within = folder / f"step-{step + 1}.resume" if folder is not None else None
            history = train(
                current,
                loader,
                lengths[step],
                after_step=lambda _: _tick(bar, start, done),
                resume=within,
                progress=False,
                **settings,
            )
            if len(history) < lengths[step]:
                log.pop()
                bar.write(f"Stopped in step {step + 1}." + (" The same call goes on from here." if folder else ""))
                break
            bar.update(sum(lengths[: step + 1]) * len(loader) - bar.n)  # a resumed step began in the middle
            if test is not None:
                log[-1]["accuracy"] = evaluate_on(current, test).accuracy
            _store(folder, asked, current, left, log, pruned=False)
            if within is not None:
                within.unlink(missing_ok=True)
    finally:
        bar.close()
    return current.eval(), log


def _digest(network: nn.Module) -> str:
    """A number for all the values in a network: another network has another one."""
    key = hashlib.sha256()
    for tensor in network.state_dict().values():
        key.update(tensor.detach().cpu().double().numpy().tobytes())
    return key.hexdigest()[:16]


def _tick(bar: Any, start: float, done: int) -> None:
    """One more training step: move the bar, and say when all will be done; `done` steps are of an earlier run."""
    bar.update()
    left = (perf_counter() - start) / max(bar.n - done, 1) * (bar.total - bar.n)
    bar.set_postfix_str(f"done at {datetime.now() + timedelta(seconds=left):%H:%M}", refresh=False)


def _store(
    folder: Path | None,
    asked: Mapping[str, Any],
    network: nn.Module,
    groups: Sequence[Group],
    log: list[dict[str, Any]],
    pruned: bool,
) -> None:
    """Keep a step's network, groups and log; `pruned`: it has not been retrained yet. The state file comes last."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{len(log)}-{'pruned' if pruned else 'trained'}"
    save_network(network, folder / f"{name}.safetensors")
    save_groups(groups, folder / f"{name}.json")
    with atomic(folder / "state.json") as temporary:
        temporary.write_text(json.dumps({"asked": asked, "log": log, "pruned": pruned, "name": name}), encoding="utf-8")
    for old in folder.glob("step-*"):
        if old.suffix != ".resume" and old.stem != name:
            old.unlink()


def _restored(folder: Path, asked: Mapping[str, Any]) -> tuple[nn.Module, list[Group], list[dict[str, Any]], bool]:
    """What `_store` kept. Raises ValueError when it belongs to another call."""
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if state["asked"] != json.loads(json.dumps(asked)):
        changed = [name for name in asked if state["asked"].get(name) != json.loads(json.dumps(asked[name]))]
        raise ValueError(
            f"{folder} belongs to a run with another {', '.join(changed) or 'setting'}: delete it to start afresh, or "
            "use another name."
        )
    network = load_network(folder / f"{state['name']}.safetensors")
    return network, load_groups(folder / f"{state['name']}.json"), state["log"], state["pruned"]
