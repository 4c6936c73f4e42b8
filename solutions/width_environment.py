"""AMC's environment: an episode walks through a network's layers and decides how many channels of each stay.

He et al. 2018 (arXiv 1802.03494), with gymnasium's interface, so that any library's agent can be put in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from course_utils.modes import evaluating
from solutions.budgets import COUNTED, macs_of_widths
from solutions.graph.groups import Group
from solutions.plans import PlanError, highest, l1_norms, makers, must_stay
from solutions.reconstruction import Reconstruction
from solutions.rounding import channels_removed
from solutions.surgery import outputs

LOWER = 0.05  # the least keep ratio of a layer
# macs: what would be saved without the layer, its readers' share included (the largest 1); saved, left: shares of all
# MACs, so far and what later layers can still give; last: the share kept in the layer before, as it was clipped.
FEATURES = (
    "layer",
    "kind",
    "filters",
    "inputs",
    "height",
    "width",
    "stride",
    "kernel",
    "MACs",
    "saved",
    "left",
    "last",
)

ClippedAction = Callable[..., int]
Reward = Callable[..., float]
Value = Callable[[Sequence[int], Mapping[str, Sequence[int]], int], float]


class Judge:
    """What plans are worth: `reward` of the network that `Reconstruction` makes of each, on validation images.

    With `pay`, the reward gets the network's MACs, too. Each plan is evaluated once; `values` keeps what was found, by
    widths.
    """

    def __init__(
        self, rebuilt: Reconstruction, images: Tensor, labels: Tensor, reward: Reward, pay: bool = False
    ) -> None:
        self.rebuilt, self.images, self.labels, self.reward, self.pay = rebuilt, images, labels, reward, pay
        self.values: dict[tuple[int, ...], float] = {}

    def __call__(self, widths: Sequence[int], plan: Mapping[str, Sequence[int]], macs: int) -> float:
        """The plan's value; `widths` name it."""
        key = tuple(widths)
        if key not in self.values:
            with torch.inference_mode():
                logits = self.rebuilt(plan)(self.images)
                self.values[key] = float(self.reward(logits, self.labels, *([macs] if self.pay else [])))
        return self.values[key]


class WidthEnvironment(gymnasium.Env):
    """One episode: for each layer, in order, a keep ratio between `lower` and 1; at the end the plan's value.

    An observation holds `FEATURES`, each scaled to 0 … 1. Every action is clipped (`clipped_action`) to the most with
    which `budget`, a share of the MACs, can still be met, so that every episode ends within it. Within a layer the
    channels with the highest L1 norms stay. `judge(widths, plan, macs)` → the last step's reward; all others give 0.
    `info` holds the widths so far, and at the end the `plan` and its `macs`. Raises PlanError for a budget below what
    all layers have at their least.
    """

    def __init__(
        self,
        network: nn.Module,
        groups: Sequence[Group],
        judge: Value,
        budget: float,
        example: Tensor,
        *,
        clipped_action: ClippedAction,
        lower: float = LOWER,
    ) -> None:
        self.all_groups = groups
        self.groups = [group for group in groups if group.free]
        self.judge, self.clipped_action = judge, clipped_action
        self.scores = {group.name: l1_norms(network, group) for group in self.groups}
        self.whole = [group.channels for group in self.groups]
        self.least = [least_of(group, lower) for group in self.groups]
        self.by_name = macs_of_widths(network, groups, example)
        self.budget = budget * self.macs(self.whole)
        if self.macs(self.least) > self.budget:
            share = self.macs(self.least) / self.macs(self.whole)
            raise PlanError(
                f"A budget of {budget:.3g} cannot be met with a keep ratio of {lower:g} and more in every layer: the "
                f"least is {share:.3g}. Ask for more, or for a smaller `lower`."
            )
        self.shapes = shapes_of(network, self.groups, example)
        self.alone = [self.macs(self.whole) - self.macs(replaced(self.whole, n, 0)) for n in range(len(self.whole))]
        self.lower = lower
        self.observation_space = Box(0.0, 1.0, (len(FEATURES),), np.float32)
        self.action_space = Box(lower, 1.0, (1,), np.float32)
        self.widths: list[int] = []
        self.last = 1.0

    def macs(self, widths: Sequence[int]) -> int:
        """The MACs of a network whose layers have these widths."""
        return self.by_name({group.name: width for group, width in zip(self.groups, widths, strict=True)})

    def plan(self, widths: Sequence[int]) -> dict[str, list[int]]:
        """The channels that stay at these widths: those with the highest L1 norms."""
        return {
            group.name: highest(group, self.scores[group.name], width)
            for group, width in zip(self.groups, widths, strict=True)
        }

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a new episode → the first layer's observation, and what there is to say."""
        super().reset(seed=seed)
        self.widths, self.last = [], 1.0
        return self.observation(), {"widths": []}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Decide one layer → the next one's observation, the reward, whether all are decided, False, and `info`.

        Raises ValueError where `clipped_action` gives fewer channels than the least, or more than there are.
        """
        layer, wanted = len(self.widths), float(np.asarray(action).reshape(-1)[0])
        whole = [*self.widths, *self.whole[layer:]]
        kept = int(self.clipped_action(wanted, layer, whole, self.least, self.macs, self.budget))
        if not self.least[layer] <= kept <= self.whole[layer]:
            raise ValueError(
                f"clipped_action gave {kept} channels for layer {layer}: {self.least[layer]} to {self.whole[layer]} "
                "are possible."
            )
        self.widths.append(kept)
        self.last = kept / self.whole[layer]
        info: dict[str, Any] = {"widths": list(self.widths)}
        done = len(self.widths) == len(self.whole)
        if not done:
            return self.observation(), 0.0, False, False, info
        info |= {"plan": self.plan(self.widths), "macs": self.macs(self.widths)}
        return self.observation(), self.judge(self.widths, info["plan"], info["macs"]), True, False, info

    def value(self, widths: Sequence[int]) -> float:
        """What a plan of these widths is worth, without an episode."""
        return self.judge(list(widths), self.plan(widths), self.macs(widths))

    def observation(self) -> np.ndarray:
        """What the agent sees before it decides the next layer; behind the last one that layer again."""
        layer = min(len(self.widths), len(self.whole) - 1)
        total = self.macs(self.whole)
        saved = total - self.macs([*self.widths, *self.whole[len(self.widths) :]])
        left = total - self.macs([*self.whole[: layer + 1], *[0] * (len(self.whole) - layer - 1)])
        numbers = [layer / max(1, len(self.whole) - 1), *self.shapes[layer], self.alone[layer] / max(self.alone)]
        numbers += [saved / total, left / total, self.last]
        return np.clip(np.array(numbers, dtype=np.float32), 0, 1)


def replaced(widths: Sequence[int], place: int, width: int) -> list[int]:
    """Widths with another number at one place."""
    return [width if number == place else old for number, old in enumerate(widths)]


def least_of(group: Group, lower: float) -> int:
    """The fewest channels of a group: its share `lower`, rounded as everywhere, and what must stay."""
    needed = len(must_stay(group, range(group.channels)))
    return max(1, needed, group.channels - channels_removed(group.channels, lower))


def shapes_of(network: nn.Module, groups: Sequence[Group], example: Tensor) -> list[list[float]]:
    """Of each group's first layer: kind, filters, inputs, height, width, stride and kernel; the largest are 1."""
    sizes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            sizes.setdefault(name, tuple(output.shape[2:]))

        return hook

    layers = [name for name, module in network.named_modules() if isinstance(module, COUNTED)]
    hooks = [network.get_submodule(name).register_forward_hook(note(name)) for name in layers]
    try:
        with evaluating(network):
            outputs(network, example)
    finally:
        for hook in hooks:
            hook.remove()
    rows = []
    for group in groups:
        slot, weight = makers(network, group)[0]
        name = slot.parameter.rpartition(".")[0]
        layer: Any = network.get_submodule(name)
        height, width = [*sizes.get(name, ()), 1, 1][:2]
        stride = max(np.atleast_1d(getattr(layer, "stride", 1)).tolist())
        kernel = max([*weight.shape[2:], 1])
        inputs = weight.shape[1 - slot.axis] if slot.axis < 2 else 1
        rows.append(
            [float(isinstance(layer, nn.Linear)), weight.shape[slot.axis], inputs, height, width, stride, kernel]
        )
    largest = np.maximum(np.array(rows, dtype=float).max(axis=0), 1)
    scaled: list[list[float]] = (np.array(rows, dtype=float) / largest).tolist()
    return scaled
