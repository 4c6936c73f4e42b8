"""Real speed-up beside the ratio of MACs, for a VGG-16 on 32×32 images, pruned through its channel groups.

    python benchmarks/timing.py [--plot speedup.png]

Original and pruned run in turn. Every setting is timed at several keep ratios, with widths as they come and rounded up
to multiples of 8. The last line is JSON, for a VGG-16 with 34.375 % of its channels (11/32), at batch 64 unless a
name says batch_1.
"""

import json
import math
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import nn

from course_utils.command_line import run_program
from course_utils.networks import parameter_count, vgg16
from solutions import speedup
from solutions.costs import count_macs
from solutions.graph.groups import Group
from solutions.plans import channels_to_keep, l1_norms
from solutions.prunable import prunable_groups
from solutions.rounding import channels_removed
from solutions.speedup import compare
from solutions.surgery import prune
from studies.cli import one_of

SETTINGS = [*speedup.SETTINGS, *(["cuda"] if torch.cuda.is_available() else [])]
RATIOS = (0.75, 0.5, 0.34375, 0.2)
SIZE = (3, 32, 32)
THREADS = torch.get_num_threads()


def main(
    plot: Annotated[Path | None, typer.Option(help="A PNG or SVG file for the curves.")] = None,
    settings: Annotated[
        list[str], typer.Option(parser=one_of(SETTINGS), metavar="NAME", help="This setting only; repeat it for more.")
    ] = SETTINGS,
    rounds: Annotated[int, typer.Option(help="How often each pair is timed.")] = 5,
    threads: Annotated[int, typer.Option(help="Of the CPU.")] = THREADS,
) -> None:
    network = vgg16().eval()
    groups = prunable_groups(network, torch.zeros(1, *SIZE))
    whole = count_macs(network, SIZE)
    table = Table(title=f"VGG-16, batch 64 (and 1), {threads} threads: original / pruned")
    for column in (
        "keep ratio",
        "multiple of",
        "parameters",
        "MACs ratio",
        *settings,
        *(f"{s}, 1" for s in settings),
    ):
        table.add_column(column, justify="right")
    curves: dict[tuple[str, int], list[tuple[float, float]]] = {}
    figures: dict[str, float] = {}
    for ratio in RATIOS:
        for multiple in (1, 8):
            pruned = prune(network, groups, rounded_plan(network, groups, ratio, multiple))
            macs_ratio = whole / count_macs(pruned, SIZE)
            cells = [f"{ratio:g}", str(multiple), f"{parameter_count(pruned):,}", f"{macs_ratio:.2f}"]
            for batch in (64, 1):
                for setting in settings:
                    timing = compare(network, pruned, batch, setting, SIZE, rounds, threads)
                    cells.append(f"{timing.speedup:.2f} ({min(timing.ratios):.2f}–{max(timing.ratios):.2f})")
                    if batch == 64:
                        curves.setdefault((setting, multiple), []).append((macs_ratio, timing.speedup))
                    if ratio == 0.34375 and multiple == 1:
                        name = f"speedup_{setting}" + ("" if batch == 64 else "_batch_1")
                        figures |= {"macs_ratio": round(macs_ratio, 2), name: round(timing.speedup, 2)}
            table.add_row(*cells)
    Console(width=200).print(table)
    if plot:
        plotted(curves).savefig(plot, dpi=150, bbox_inches="tight")
    print(json.dumps(figures))


def rounded_plan(network: nn.Module, groups: list[Group], keep_ratio: float, multiple: int) -> dict[str, list[int]]:
    """As `l1_plan`, but as many channels more stay as make their number a multiple."""
    plan = {}
    for group in (group for group in groups if group.free):
        left = group.channels - channels_removed(group.channels, keep_ratio)
        rounded = min(math.ceil(left / multiple) * multiple, group.channels)
        plan[group.name] = channels_to_keep(group, l1_norms(network, group), rounded / group.channels)
    return plan


def plotted(curves: dict[tuple[str, int], list[tuple[float, float]]]) -> Figure:
    """Speed-up over the ratio of MACs; the dotted line is where the two are equal."""
    figure = Figure(figsize=(6, 4.5))
    axes = figure.subplots()
    for (setting, multiple), points in curves.items():
        style = {"marker": "o", "linestyle": "-"} if multiple == 1 else {"marker": "s", "linestyle": "--"}
        label = setting if multiple == 1 else f"{setting}, multiples of 8"
        colour = f"C{SETTINGS.index(setting)}"
        axes.plot(*zip(*sorted(points), strict=True), label=label, color=colour, **style)  # type: ignore[arg-type]
    most = max(macs for points in curves.values() for macs, _ in points)
    axes.plot([1, most], [1, most], ":", color="grey", label="as many times fewer MACs")
    axes.set(xscale="log", yscale="log", xlabel="MACs: original / pruned", ylabel="time: original / pruned")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, which="both")
    return figure


if __name__ == "__main__":
    run_program(main)
