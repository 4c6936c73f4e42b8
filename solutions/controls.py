"""Controls: what a method that finds widths must be better than."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from course_utils import networks
from solutions.plans import PlanError
from solutions.rounding import channels_removed
from solutions.schedules import narrow_twin
from solutions.width_environment import WidthEnvironment, replaced

RATIOS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)  # of the sensitivity curves


def narrow_control(pruned: nn.Module, seed: int) -> nn.Module:
    """A network with the shapes of `pruned` and random weights, drawn by the rule by which the course's networks are.

    `narrow_twin` draws each layer by its own rule, and that is another one: after two epochs with the poster's settings
    the two differed by up to eleven points, which would be counted for or against pruning. On any device the same.
    """
    twin = narrow_twin(copy.deepcopy(pruned).cpu(), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks.draw_convolutions(twin)
    return twin.to(next(pruned.parameters()).device)


def greedy_widths(env: WidthEnvironment, ratios: Sequence[float] = RATIOS) -> tuple[list[int], int]:
    """Widths from sensitivity curves alone (lab 4) → one a layer, and how many plans were evaluated.

    First every layer alone at every keep ratio. Then, step by step, the layer goes down to its next ratio where the
    reward falls least for each of the MACs that are saved, by its own curve and as if the others did not matter, until
    the budget is met. Raises PlanError where even the lowest ratios do not meet it.
    """
    levels = [[width - channels_removed(width, ratio) for ratio in sorted(ratios, reverse=True)] for width in env.whole]
    levels = [[max(low, width) for width in column] for low, column in zip(env.least, levels, strict=True)]
    curves = [[env.value(replaced(env.whole, layer, width)) for width in column] for layer, column in enumerate(levels)]
    start = env.value(env.whole)
    place, widths = [-1] * len(levels), list(env.whole)
    while env.macs(widths) > env.budget:
        candidates = []
        for layer, column in enumerate(levels):
            if place[layer] + 1 < len(column):
                next_widths = replaced(widths, layer, column[place[layer] + 1])
                saved = env.macs(widths) - env.macs(next_widths)
                before = curves[layer][place[layer]] if place[layer] >= 0 else start
                price = (before - curves[layer][place[layer] + 1]) / max(saved, 1)
                candidates.append((price, layer, next_widths))
        if not candidates:
            raise PlanError(f"Keep ratios down to {min(ratios):g} do not meet the budget: give smaller ones.")
        _, layer, widths = min(candidates)
        place[layer] += 1
    return widths, len({tuple(replaced(env.whole, n, w)) for n, column in enumerate(levels) for w in column})
