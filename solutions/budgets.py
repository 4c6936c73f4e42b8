"""What a plan leaves of a network's MACs, worked out from the plan alone, and plans that meet a budget of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from course_utils.modes import evaluating
from solutions.graph.groups import Group
from solutions.graph.tensors import tensors_of
from solutions.iterative import lowest_everywhere
from solutions.plans import Plan, PlanError, channels_to_keep, positions
from solutions.surgery import outputs

COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)


def uses_of(network: nn.Module, example: Any) -> dict[str, int]:
    """How often each value of a weight is used for one input, by the weight's name.

    Of a convolution the positions of its output (of a transposed one, of its input), of a linear layer the rows that it
    is applied to: its MACs are this number times those of its weight. A layer that runs twice counts twice. `example`:
    an input, or a tuple of them, of which the first counts the images.
    """
    names = {id(module): f"{name}.weight".lstrip(".") for name, module in network.named_modules()}
    uses: dict[str, int] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        maps = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        places = math.prod(maps.shape[:-1] if isinstance(module, nn.Linear) else maps.shape[2:])
        count = len(inputs[0]) if isinstance(module, nn.Linear) else 1
        uses[names[id(module)]] = uses.get(names[id(module)], 0) + max(1, places // count)

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, COUNTED)]
    try:
        with evaluating(network):
            outputs(network, example)
    finally:
        for hook in hooks:
            hook.remove()
    return uses


def macs_left(network: nn.Module, groups: Sequence[Group], plan: Plan, uses: Mapping[str, int]) -> int:
    """The MACs of one input that `prune` will leave: for every weight its `uses` times the size that is left of it."""
    masks = positions(groups, plan)
    shapes = {name: tensor.shape for name, tensor in tensors_of(network).items()}
    return sum(count * math.prod(sizes_left(name, shapes[name], masks)) for name, count in uses.items())


def macs_shares(network: nn.Module, groups: Sequence[Group], example: Any) -> Callable[[Plan], float]:
    """A function that gives the share of the MACs that a plan leaves; the network is run only now."""
    uses = uses_of(network, example)
    whole = macs_left(network, groups, {}, uses)
    return lambda plan: macs_left(network, groups, plan, uses) / whole


def macs_of_widths(network: nn.Module, groups: Sequence[Group], example: Any) -> Callable[[Mapping[str, int]], int]:
    """A function that gives the MACs of one input from widths alone, {group's name: channels that stay}.

    Groups without a width stay whole. Exact where each channel of a group owns as many positions of an axis as the
    others, as in all usual networks; elsewhere the most that such widths may cost.
    """
    uses = uses_of(network, example)
    shapes = {name: tensor.shape for name, tensor in tensors_of(network).items()}
    axes: dict[tuple[str, int], list[tuple[str, int, int]]] = {}  # of a weight: (group, its channels, positions of one)
    for group in groups:
        for slot in group.slots:
            _, counts = np.unique(slot.channel[slot.channel >= 0], return_counts=True)
            if slot.parameter in uses and len(counts):
                axes.setdefault((slot.parameter, slot.axis), []).append((group.name, len(counts), int(counts.min())))

    def macs(widths: Mapping[str, int]) -> int:
        total = 0
        for name, count in uses.items():
            for axis, size in enumerate(shapes[name]):
                for group, channels, positions_each in axes.get((name, axis), ()):
                    size -= positions_each * max(0, channels - widths.get(group, channels))
                count *= size
            total += count
        return total

    return macs


def sizes_left(name: str, shape: Sequence[int], masks: Mapping[tuple[str, int], np.ndarray]) -> list[int]:
    """The sizes of a tensor's axes when only those positions stay that the masks say."""
    return [int(masks[name, axis].sum()) if (name, axis) in masks else size for axis, size in enumerate(shape)]


def uniform_plan(
    network: nn.Module, groups: Sequence[Group], scores: Mapping[str, Tensor], budget: float, example: Any
) -> dict[str, list[int]]:
    """The same share of every group's channels, those of the highest scores, as many as a share of the MACs allows.

    The largest keep ratio that meets `budget`. Where several groups lose a channel at the same ratio, the last ones
    lose theirs first, so that no more than one channel separates the plan from the budget. Raises PlanError where the
    budget cannot be met.
    """
    share = macs_shares(network, groups, example)
    free = [group for group in groups if group.free]

    def plan(keep_ratio: float) -> dict[str, list[int]]:
        ratios = [min(1.0, max(0.0, keep_ratio - number * 1e-6)) for number in range(len(free))]
        return {
            group.name: channels_to_keep(group, scores[group.name], ratio)
            for group, ratio in zip(free, ratios, strict=True)
        }

    ratio = largest_within(budget, lambda ratio: share(plan(ratio)))
    return plan(ratio)


def global_plan(
    network: nn.Module, groups: Sequence[Group], scores: Mapping[str, Tensor], budget: float, example: Any
) -> dict[str, list[int]]:
    """The channels of the lowest scores in the whole network go, as few as a share of the MACs allows.

    One channel of every layer stays, and what else must (`lowest_everywhere`); groups without scores stay whole. Raises
    PlanError where the budget cannot be met.
    """
    ranked = [group for group in groups if group.name in scores]
    share = macs_shares(network, groups, example)

    def left(count: int) -> float:
        return share(lowest_everywhere(ranked, scores, count))

    few, many = 0, sum(len(group.free) for group in ranked)
    if left(many) > budget:
        raise PlanError(f"A budget of {budget:.3g} cannot be met: the least is {left(many):.3g}. Ask for more.")
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if left(middle) <= budget else (middle + 1, many)
    return lowest_everywhere(ranked, scores, many)


def at_the_floor(groups: Sequence[Group], plan: Plan) -> list[str]:
    """The groups of which a plan leaves one channel: all of their scores were below the threshold, or nearly so."""
    return [group.name for group in groups if group.channels > 1 == len(plan.get(group.name, range(group.channels)))]


def largest_within(budget: float, cost: Callable[[float], float], high: float = 1.0) -> float:
    """By bisection the largest x in 0 … `high` with cost(x) <= budget, where cost does not fall as x rises.

    Raises PlanError where even cost(0) is more.
    """
    if cost(high) <= budget:
        return high
    low = 0.0
    if cost(low) > budget:
        raise PlanError(f"A budget of {budget:.3g} cannot be met: the least is {cost(low):.3g}. Ask for more.")
    while high - low > 1e-8:
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle)
    return low
