"""Criteria for whole networks, against their formulas by hand."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.graphs import groups_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils.networks import resnet20, vgg_mini
from solutions.activation_criteria import (
    activation_std_scores,
    gate_taylor_scores,
    mutual_information,
    obd_scores,
)
from solutions.criteria import apoz_scores, minimum_weight_scores, normalize_per_layer, oracle_scores, taylor_scores
from solutions.feature_maps import Maps, visit
from solutions.graph.groups import Group, Slot
from solutions.iterative import plan_step
from solutions.prunable import prunable_groups
from solutions.scoring import CRITERIA, ranking, score


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batches(sizes: tuple[int, ...] = (5, 3), seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    return [(numbers(n, 3, 32, 32, seed=seed + n), torch.arange(n) % 4) for n in sizes]


class Pair(nn.Module):
    """Two convolutions with a batch norm between, and a linear layer behind a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, stride=2)
        self.head = nn.Linear(6 * 9, 4)
        self.norm.bias.data = numbers(4)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.norm(self.first(F.max_pool2d(images, 3))))
        return self.head(F.relu(self.second(hidden))[:, :, :3, :3].flatten(1))


def by_hand(network: Pair, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What the second convolution and the head read, and the gradients there."""
    first = F.relu(network.norm(network.first(F.max_pool2d(images, 3)))).detach().requires_grad_()
    second = F.relu(network.second(first))[:, :, :3, :3]
    second.retain_grad()
    F.cross_entropy(network.head(second.flatten(1)), labels, reduction="sum").backward()
    network.zero_grad()
    assert first.grad is not None and second.grad is not None
    return [(first.detach(), first.grad), (second.detach(), second.grad)]


@pytest.fixture(scope="module")
def pair() -> Pair:
    torch.manual_seed(1)
    return Pair().eval()


@pytest.fixture(scope="module")
def groups(pair: Pair) -> Any:
    return prunable_groups(pair, torch.zeros(2, 3, 32, 32))[:2]


FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "activation mean": lambda z, _: z.mean((0, 2, 3)),
    "activation std": lambda z, _: z.std((0, 2, 3), correction=0),
    "APoZ": lambda z, _: 1 - (z == 0).double().mean((0, 2, 3)),
    "Taylor": lambda z, g: (z * g).sum((2, 3)).abs().mean(0) / z[0, 0].numel(),
    "OBD": lambda z, g: 0.5 * ((z * g).sum((2, 3)) ** 2).mean(0),
    "gate Taylor": lambda z, g: (z * g).sum((2, 3)).mean(0) ** 2,
}


@pytest.mark.parametrize("criterion", FORMULAS)
def test_a_criterion_is_its_formula_where_the_next_layer_reads(pair: Pair, groups: Any, criterion: str) -> None:
    ((images, labels),) = batches((8,))
    scores = score(pair, [(images, labels)], groups, [criterion])[criterion]
    for group, (activation, gradient) in zip(groups, by_hand(pair, images, labels), strict=True):
        expected = FORMULAS[criterion](activation.double(), gradient.double())
        torch.testing.assert_close(scores[group.name].double(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("criterion", [name for name in CRITERIA if name != "gate Taylor"])
def test_batches_of_other_sizes_give_the_same_scores(pair: Pair, groups: Any, criterion: str) -> None:
    ((images, labels),) = batches((8,))
    whole = score(pair, [(images, labels)], groups, [criterion])[criterion]
    parts = list(zip(images.split((5, 3)), labels.split((5, 3)), strict=True))
    for name, values in score(pair, parts, groups, [criterion])[criterion].items():
        torch.testing.assert_close(values, whole[name], rtol=1e-4, atol=1e-7)


def test_gate_taylor_is_a_mean_over_minibatches(pair: Pair, groups: Any) -> None:
    """Each counts once, the small one too."""
    parts = batches((4, 6), seed=3) + batches((2,), seed=9)
    alone = [score(pair, [part], groups, ["gate Taylor"])["gate Taylor"] for part in parts]
    for name, values in score(pair, parts, groups, ["gate Taylor"])["gate Taylor"].items():
        torch.testing.assert_close(values, sum(scores[name] for scores in alone) / 3, rtol=1e-4, atol=1e-9)


def test_one_pass_for_all_criteria(pair: Pair, groups: Any) -> None:
    passes = []
    hook = pair.first.register_forward_hook(lambda *_: passes.append(1))
    scores = score(pair, batches(), groups)
    hook.remove()
    assert len(passes) == 2 and set(scores) == set(CRITERIA)
    for name in CRITERIA:
        for group, values in score(pair, batches(), groups, [name])[name].items():
            assert torch.allclose(values, scores[name][group], rtol=1e-6, atol=0), name


def test_a_residual_stage_has_the_mean_over_its_tensors() -> None:
    network = resnet20().eval()
    groups = groups_of(network)
    stage = max(groups, key=lambda group: len(group.slots))
    parts: dict[int, Tensor] = {}

    def look(maps: Maps) -> None:
        if maps.group == stage.name:
            parts[maps.tensor] = taylor_scores(maps.activation, maps.gradient)

    visit(network, batches((4,)), groups, look)
    assert len(parts) >= 3
    scores = score(network, batches((4,)), groups, ["Taylor"])["Taylor"][stage.name]
    torch.testing.assert_close(scores, torch.stack(list(parts.values())).mean(0), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_as_it_was_found(pair: Pair, groups: Any, fails: bool) -> None:
    pair.train()
    pair.norm.eval()
    pair.head.weight.grad = torch.ones_like(pair.head.weight)
    before = {name: value.clone() for name, value in pair.state_dict().items()}
    data = [*batches(), (numbers(2, 3, 7, 7), torch.zeros(2, dtype=torch.long))] if fails else batches()
    if fails:
        with pytest.raises(RuntimeError):
            score(pair, data, groups)
    else:
        score(pair, data, groups)
    assert pair.training and not pair.norm.training and pair.second.training
    assert all(torch.equal(value, before[name]) for name, value in pair.state_dict().items())
    assert pair.first.weight.grad is None and torch.equal(pair.head.weight.grad, torch.ones_like(pair.head.weight))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in pair.modules())
    pair.head.weight.grad = None
    pair.eval()


def test_a_frozen_network_has_gradients_too(pair: Pair, groups: Any) -> None:
    expected = score(pair, batches(), groups, ["Taylor"])["Taylor"]
    for parameter in pair.parameters():
        parameter.requires_grad_(False)
    scores = score(pair, batches(), groups, ["Taylor"])["Taylor"]
    for parameter in pair.parameters():
        parameter.requires_grad_(True)
    assert all(torch.equal(scores[name], expected[name]) for name in expected)


def test_weights_of_a_channel_that_several_layers_make() -> None:
    network = resnet20()
    groups = groups_of(network)
    stage = max(groups, key=lambda group: len(group.slots))
    makers = [slot.parameter for slot in stage.slots if not slot.consumes and slot.parameter.endswith("weight")]
    filters = [weight for name in makers if (weight := network.get_parameter(name)).ndim == 4]
    expected = torch.stack([weight.detach().square().mean((1, 2, 3)) for weight in filters]).mean(0)
    scores = score(network, [], groups, ["minimum weight"])["minimum weight"][stage.name]
    assert len(filters) >= 3
    torch.testing.assert_close(scores, expected)


def test_random_scores_are_permutations_that_a_seed_fixes(groups: Any, pair: Pair) -> None:
    first, again, other = (score(pair, [], groups, ["random"], seed=seed)["random"] for seed in (1, 1, 2))
    for name, values in first.items():
        assert sorted(values.tolist()) == pytest.approx([(place + 1) / len(values) for place in range(len(values))])
        assert torch.equal(values, again[name])
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_prunes_any_network(criterion: str) -> None:
    network = vgg_mini(widths=(6, 8))
    groups = groups_of(network)
    scores = ranking(criterion, batches(), normalize=True)(network, groups)
    plan = plan_step(groups, scores, {group.name: group.channels for group in groups}, 0.5, scope="network")
    assert (
        sum(len(kept) for kept in plan.values()) + sum(group.channels for group in groups if group.name not in plan)
        == sum(group.channels for group in groups) - 7
    )


class Aside(nn.Module):
    """A convolution that only training uses."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.aside = vgg_mini(widths=(4, 5)), nn.Conv2d(4, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.network.features
        maps = features[:3](images)
        if self.training:
            maps = self.aside(maps)
        return self.network.classifier(features[3:](maps).flatten(1))


def test_a_group_that_evaluation_does_not_use_is_an_error() -> None:
    slots = (Slot("aside.weight", 0, np.arange(4), False), Slot("aside.weight", 1, np.arange(4), True))
    with pytest.raises(ValueError, match="aside is not used when the network is evaluated"):
        score(Aside(), batches(), [Group("aside", 4, slots)], ["Taylor"])


def test_unknown_names_and_no_data_are_errors(pair: Pair, groups: Any) -> None:
    with pytest.raises(ValueError, match="'taylor'; there are random"):
        score(pair, batches(), groups, ["taylor"])
    with pytest.raises(ValueError, match="no batch"):
        score(pair, [], groups, ["Taylor"])


# --- kernels


def test_taylor_takes_the_absolute_value_between_the_means() -> None:
    activation = torch.tensor([[[[1.0, 1.0]]], [[[1.0, 1.0]]]])  # one channel, two examples
    gradient = torch.tensor([[[[3.0, -1.0]]], [[[-4.0, 0.0]]]])
    assert taylor_scores(activation, gradient).item() == pytest.approx((1 + 2) / 2)


def test_a_channel_of_zeros_is_worth_nothing() -> None:
    activation, gradient = numbers(3, 2, 4, 4).relu(), numbers(3, 2, 4, 4, seed=1)
    activation[:, 1] = 0
    for kernel in (taylor_scores, obd_scores, gate_taylor_scores):
        assert kernel(activation, gradient)[1] == 0 < kernel(activation, gradient)[0]
    assert apoz_scores(activation)[1] == 0 == activation_std_scores(activation)[1]


def test_minimum_weight_does_not_depend_on_the_filters_size() -> None:
    assert minimum_weight_scores(torch.full((2, 3, 5, 5), -2.0)).tolist() == [4, 4]


@given(st.lists(st.floats(0, 1e4, width=32), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_normalised_layer_has_length_one_or_zero(values: list[float]) -> None:
    scores = torch.tensor(values, dtype=torch.double)
    normal = normalize_per_layer({"a": scores, "b": 3 * scores})
    assert normal["a"].norm().item() == pytest.approx(1 if scores.norm() > 0 else 0)
    torch.testing.assert_close(normal["a"], normal["b"])


def test_the_oracle_asks_once_for_each_channel_and_once_for_none() -> None:
    asked: list[list[int]] = []

    def evaluate(removed: Any) -> float:
        asked.append(list(removed))
        return 1.0 + sum((-2.0) ** channel for channel in removed)

    assert oracle_scores(evaluate, 3).tolist() == [1, 2, 4]
    assert sorted(asked) == [[], [0], [1], [2]]


def test_mutual_information_at_its_bounds() -> None:
    labels = torch.arange(400) % 4
    knows, knows_not = labels.double(), (torch.arange(400) // 4).double()
    scores = mutual_information(torch.stack([knows, knows_not, torch.ones(400).double()], 1), labels)
    assert scores[0].item() == pytest.approx(math.log(4)) and scores[2].item() == pytest.approx(0)
    assert scores[1].item() == pytest.approx(0, abs=1e-2)


def test_mutual_information_of_a_joint_distribution() -> None:
    labels = torch.tensor([0] * 50 + [1] * 50)
    means = torch.tensor([0.0] * 40 + [1.0] * 10 + [0.0] * 10 + [1.0] * 40)[:, None]
    expected = math.log(2) + 0.8 * math.log(0.8) + 0.2 * math.log(0.2)
    assert mutual_information(means, labels, bins=2).item() == pytest.approx(expected)
