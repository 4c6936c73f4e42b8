"""What can be pruned in a network, each channel group tried out."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import nn

from course_utils.modes import evaluating
from solutions.graph.export import export_graph, unreached
from solutions.graph.groups import Group, channel_groups
from solutions.plans import without
from solutions.surgery import outputs, prune, silence

TOLERANCE = 1e-3  # of the outputs' standard deviation
ROUNDING = 1e-5  # of the largest output: float32 sums in another order


def prunable_groups(network: nn.Module, example: Any) -> list[Group]:
    """The channel groups of a network, each tried out. Its graph is read once: `groups_left` follows what is removed.

    `example`: an input (or a tuple of inputs) that the network takes. Half of all channels are removed as a trial;
    where the smaller network does not run, or computes anything else than the whole one with those channels
    silenced, the group that is to blame is frozen and the reason kept: a size that is written in `forward`.
    """
    model = export_graph(network, example)
    groups = channel_groups(model, list(network.state_dict()))
    if hidden := unreached(network, model):
        reason = f"{', '.join(hidden[:3])} … may read it, and the graph does not show that"
        return [frozen_as_a_whole(group, reason) for group in groups]
    return tried_out(network, example, groups)


def frozen_as_a_whole(group: Group, reason: str) -> Group:
    """The same group, of which no channel may go: for this reason, where a channel has none of its own."""
    return dataclasses.replace(group, frozen={**dict.fromkeys(range(group.channels), reason), **group.frozen})


def tried_out(network: nn.Module, example: Any, groups: Sequence[Group]) -> list[Group]:
    """The same groups; those that a trial shows to be wrong are frozen."""
    if not problem_with(network, example, groups):
        return list(groups)
    tried = []
    for group in groups:
        problem = problem_with(network, example, [group])
        tried.append(frozen_as_a_whole(group, problem) if problem else group)
    if problem := problem_with(network, example, tried):
        return [frozen_as_a_whole(group, f"together with others: {problem}") for group in tried]
    return tried


def problem_with(network: nn.Module, example: Any, groups: Sequence[Group]) -> str:
    """What goes wrong when every second free channel of these groups is removed; "" if all is well."""
    plan = {group.name: without(group, group.free[1::2]) for group in groups if len(group.free) > 1}
    if not plan:
        return ""
    with evaluating(network):
        try:
            smaller = outputs(prune(network, groups, plan), example)
        except Exception as error:
            return f"the smaller network does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
        expected = outputs(silence(network, groups, plan), example)
    for pruned, silenced in zip(smaller, expected, strict=True):
        if pruned.shape != silenced.shape:
            return "the smaller network has other outputs"
        allowed = TOLERANCE * silenced.double().std(correction=0) + ROUNDING * silenced.double().abs().max()
        if (pruned.double() - silenced.double()).abs().max() > allowed:
            return "the smaller network computes something else: a size is written in its code"
    return ""
