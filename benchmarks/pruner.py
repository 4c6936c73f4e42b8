"""Our pruner beside Torch-Pruning on torchvision's networks, in one run.

    pip install torch-pruning; python benchmarks/pruner.py [NAME ...]

Handled: half of all channels in every group is removed, the network runs, and its classes are still all there. Times
are seconds for the analysis (ours: export, groups, trial, once; theirs: dependency graph, median of three) and for one
step at half of the channels, ranking by L1 norms included (medians of three). Whoever needs more than 14 GB of memory
has failed. The last line is JSON; ratios are ours/theirs.
"""

import json
import resource
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from helpers.torchvision_networks import SMALLEST, images, lively

from course_utils.networks import parameter_count
from solutions.graph.export import export_graph
from solutions.graph.groups import Group, channel_groups
from solutions.plans import groups_left, l1_plan
from solutions.prunable import prunable_groups
from solutions.surgery import prune

STEPS = 3
MEMORY = 14 * 10**9  # bytes; whoever wants more has failed


def seconds(call: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def ours(network: nn.Module, example: torch.Tensor) -> dict[str, float]:
    export, model = seconds(lambda: export_graph(network, example))
    reading, _ = seconds(lambda: channel_groups(model, list(network.state_dict())))
    analysis, groups = seconds(lambda: prunable_groups(network, example))
    steps = []
    for _ in range(STEPS):
        step, (pruned, _) = seconds(lambda: one_step(network, groups))
        steps.append(step)
    with torch.no_grad():
        assert pruned(example).shape == (len(example), 1000)
    left = parameter_count(pruned) / parameter_count(network)
    return {"analysis": analysis, "export": export, "reading": reading, "step": statistics.median(steps), "left": left}


def one_step(network: nn.Module, groups: list[Group]) -> tuple[nn.Module, list[Group]]:
    """The smaller network, and the groups for the step after it: the graph is not read again."""
    plan = l1_plan(network, groups, 0.5)
    return prune(network, groups, plan), groups_left(groups, plan)


def theirs(network: nn.Module, example: torch.Tensor) -> dict[str, float]:
    """Their usual recipe: MagnitudePruner with L1, half of every layer, the last linear layers left alone."""
    import copy

    import torch_pruning as tp

    steps, analyses = [], []
    for _ in range(STEPS):
        pruned = copy.deepcopy(network)
        ignored = [
            module for module in pruned.modules() if isinstance(module, nn.Linear) and module.out_features == 1000
        ]

        def analyse(pruned: Any = pruned, ignored: Any = ignored) -> Any:
            importance = tp.importance.GroupMagnitudeImportance(p=1)
            return tp.pruner.MagnitudePruner(
                pruned, example, importance=importance, pruning_ratio=0.5, ignored_layers=ignored
            )

        analysis, pruner = seconds(analyse)
        step, _ = seconds(pruner.step)
        analyses.append(analysis)
        steps.append(step)
    with torch.no_grad():
        outputs = pruned(example)
    outputs = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
    assert outputs.shape == (len(example), 1000), f"outputs of shape {tuple(outputs.shape)}"
    left = parameter_count(pruned) / parameter_count(network)
    if left > 0.999:
        raise RuntimeError("nothing was pruned")
    return {"analysis": statistics.median(analyses), "step": statistics.median(steps), "left": left}


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    table = Table(title="seconds on one thread, and parameters left at half of all channels")
    for column in ("network", "export", "reading", "analysis", "theirs", "step", "theirs", "left", "theirs"):
        table.add_column(column, justify="left" if column == "network" else "right")
    handled, handled_theirs, step_ratios, analysis_ratios = 0, 0, [], []
    names = sys.argv[1:] or SMALLEST
    for name in names:
        network, example = lively(name).float(), images(name, 1).float()
        results: list[dict[str, float] | str] = []
        for way in (ours, theirs):
            try:
                results.append(way(network, example))
            except Exception as error:
                results.append(
                    f"{type(error).__name__}: {str(error).splitlines()[0][:40]}" if str(error) else repr(error)
                )
        mine, other = results
        cells = [name]
        cells += (
            [f"{mine[key]:.2f}" for key in ("export", "reading", "analysis")] if isinstance(mine, dict) else [mine] * 3
        )
        cells.append(f"{other['analysis']:.2f}" if isinstance(other, dict) else other)
        cells.append(f"{mine['step']:.3f}" if isinstance(mine, dict) else "")
        cells.append(f"{other['step']:.3f}" if isinstance(other, dict) else "")
        cells.append(f"{mine['left']:.1%}" if isinstance(mine, dict) else "")
        cells.append(f"{other['left']:.1%}" if isinstance(other, dict) else "")
        table.add_row(*cells)
        print("  ".join(cells), file=sys.stderr, flush=True)
        handled += isinstance(mine, dict)
        handled_theirs += isinstance(other, dict)
        if isinstance(mine, dict) and isinstance(other, dict):
            step_ratios.append(mine["step"] / other["step"])
            analysis_ratios.append(mine["analysis"] / other["analysis"])
    Console(width=180).print(table)
    figures: dict[str, float] = {"networks": len(names), "handled": handled, "handled_torch_pruning": handled_theirs}
    figures["step_ratio_median"] = round(statistics.median(step_ratios), 3) if step_ratios else float("nan")
    figures["analysis_ratio_median"] = round(statistics.median(analysis_ratios), 2) if analysis_ratios else float("nan")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
