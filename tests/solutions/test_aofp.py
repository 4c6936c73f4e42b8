"""AOFP: the four small functions, the search's moves, and a training in which scoring leaves no trace."""

import copy
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.small_networks import Net, conv
from torch import nn
from torchvision.models import mobilenet_v2, resnet18

from course_utils.networks import resnet20, vgg_mini
from course_utils.training import train
from solutions.aofp import KERNELS, credit, damage, next_move, random_half
from solutions.aofp_paths import Paths
from solutions.aofp_search import Search
from solutions.aofp_training import aofp, search_widths
from solutions.budgets import macs_left, uniform_plan, uses_of
from solutions.costs import count_macs
from solutions.followers import targets
from solutions.graph.export import export_graph
from solutions.graph.groups import Group
from solutions.iterative import l1_ranking
from solutions.plans import PlanError
from solutions.prunable import prunable_groups
from solutions.surgery import prune


class Batches:
    """The same random images in every epoch, as a loader."""

    def __init__(self, count: int = 6, size: int = 20, side: int = 8) -> None:
        chance = torch.Generator().manual_seed(1)
        self.batches = [
            (torch.randn(size, 3, side, side, generator=chance), torch.randint(4, (size,), generator=chance))
            for _ in range(count)
        ]
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


def chain() -> nn.Module:
    """A small network of which both convolutions are targets, with a batch norm between them and flatten at the end."""
    layers = conv(3, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 12), nn.BatchNorm2d(12), nn.ReLU()
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, 4))


# --- the four functions


def test_every_filter_is_drawn_equally_often_and_never_twice() -> None:
    space = [3, 5, 8, 13, 21]
    halves = [random_half(space, seed) for seed in range(4000)]
    assert all(len(half) == len(set(half)) == 2 and half == sorted(half) for half in halves)
    counts = Counter(filter for half in halves for filter in half)
    assert set(counts) == set(space)
    assert max(abs(count - 1600) for count in counts.values()) < 5 * (4000 * 0.4 * 0.6) ** 0.5  # five sigmas
    assert random_half(space, 7) == random_half(space, 7) and random_half([4], 0) == []


def test_damage_is_relative_and_of_the_channels_that_are_there() -> None:
    base, ablated = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    mask = torch.tensor([1, 0, 1])
    kept = [0, 2]
    expected = ((base - ablated)[:, kept] ** 2).sum() / (base[:, kept] ** 2).sum()
    assert damage(base, ablated, mask) == pytest.approx(expected.item())
    assert damage(5 * base, 5 * ablated, mask) == pytest.approx(expected.item())
    assert damage(base[..., 0, 0], base[..., 0, 0], mask) == 0 == damage(0 * base, 0 * base, mask)


def test_credit_goes_to_what_was_ablated() -> None:
    totals, counts = torch.zeros(4), torch.zeros(4, dtype=torch.int64)
    credit(totals, counts, [1, 3], 0.5)
    credit(totals, counts, [1], 0.25)
    assert totals.tolist() == [0, 0.75, 0, 0.5] and counts.tolist() == [0, 2, 0, 1]


@pytest.mark.parametrize(
    ("space", "threshold", "pruned", "following"),
    [
        ([0, 1, 2, 3, 4, 5], 0.35, [0, 2, 4], [1, 3, 5]),
        ([0, 1, 2, 3, 4, 5], 0.3, [], [0, 2, 4]),
        ([0, 2, 4], 0.2, [0], [1, 2, 3, 4, 5]),
        ([0, 2, 4], 0.1, [], [0, 1, 2, 3, 4, 5]),
        ([3], 9.0, [], [3]),
    ],
    ids=["prunes", "looks closer", "prunes one, then all", "gives up", "one filter"],
)
def test_the_moves_of_a_search(space: list[int], threshold: float, pruned: list[int], following: list[int]) -> None:
    scores = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.3, torch.inf])
    assert next_move(scores, [0, 1, 2, 3, 4, 5], space, threshold) == (pruned, following)


def test_a_search_of_hand_made_damages_makes_these_moves_and_no_others() -> None:
    """Four filters of which only the last matters: two go, then one, and one is left."""
    search = Search(KERNELS, 4, [0, 1, 2, 3])
    widths = []
    for batch in range(40):
        half = search.ablated(batch, batch)
        search.note(half, 1.0 if 3 in half else 0.0)
        if search.batches == 8:
            search.prune(search.move(batch, 0.5))
            widths.append((len(search.space), len(search.alive)))
    assert widths == [(2, 2), (1, 1), (1, 1), (1, 1), (1, 1)] and search.alive == [3]
    assert [len(entry["pruned"]) for entry in search.history] == [2, 1, 0, 0, 0]


def test_what_was_never_drawn_matters_most() -> None:
    search = Search(KERNELS, 4, [0, 1, 2, 3])
    search.note([0, 1], 0.5)
    assert search.scores().tolist() == [0.5, 0.5, torch.inf, torch.inf]


# --- targets


def found_in(network: nn.Module, side: int = 32) -> tuple[set[str], dict[str, str]]:
    example = torch.randn(1, 3, side, side)
    found, against = targets(network, prunable_groups(network, example), export_graph(network, example))
    return {target.name for target in found}, against


def test_the_targets_of_a_residual_network_are_the_inner_layers_of_its_blocks() -> None:
    found, against = found_in(resnet20(widths=(4, 8, 12)).eval())
    assert len(found) == 9 and all(name.endswith("conv1") for name in found)
    assert "an addition ties them" in against["conv1"]


def test_the_targets_of_torchvisions_networks() -> None:
    found, _ = found_in(resnet18(num_classes=4).eval())
    assert found == {f"layer{stage}.{block}.conv1" for stage in range(1, 5) for block in (0, 1)}
    found, _ = found_in(mobilenet_v2(num_classes=4).eval())
    assert {"features.2.conv.0.0", "features.17.conv.0.0", "features.18.0"} <= found
    assert not any(name.endswith("conv.1.0") for name in found), "a depthwise convolution makes nothing"


def test_what_stands_behind_a_follower() -> None:
    layers = conv(3, 4), nn.ReLU(), conv(4, 6), nn.BatchNorm2d(6), nn.SiLU(), conv(6, 5), nn.Hardswish()
    network = nn.Sequential(*layers, conv(5, 4), nn.LeakyReLU(0.2), conv(4, 2)).eval()
    example = torch.randn(1, 3, 8, 8)
    found, _ = targets(network, prunable_groups(network, example), export_graph(network, example))
    assert [target.norm for target in found] == ["3", "", "", ""]
    x = torch.linspace(-4, 4, 9)
    expected = [nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.2), nn.Identity()]
    for target, activation in zip(found, expected, strict=True):
        assert torch.allclose(target.activation(x), activation(x))


# --- budgets


def test_macs_of_a_plan_are_those_of_the_pruned_network() -> None:
    for network in (vgg_mini(widths=(4, 6, 8, 10)), resnet20(widths=(4, 8, 12))):
        example = torch.randn(2, 3, 32, 32)
        groups, uses = prunable_groups(network.eval(), example), uses_of(network, example)
        assert macs_left(network, groups, {}, uses) == count_macs(network, (3, 32, 32))
        plan = {group.name: group.free[:-1] for group in groups if len(group.free) > 1}
        assert macs_left(network, groups, plan, uses) == count_macs(prune(network, groups, plan), (3, 32, 32))


# --- training


def test_scoring_leaves_no_trace() -> None:
    """With theta 0 the weights and running statistics are those of plain training, bit for bit."""
    network, loader = chain(), Batches(count=10)
    plain = copy.deepcopy(network)
    train(plain, loader, 5, lr=0.02, schedule="constant", progress=False)
    whole = search_widths(network, loader, [0.0], 5, every=5, threshold=0.0, progress=False, kernels=KERNELS)
    assert whole.networks == {} and whole.history["batches"] == 50 and len(whole.history["moves"]) > 10
    searched = copy.deepcopy(network)
    paths = prepared(searched)
    for name in paths.halves:
        paths.halves[name] = [0, 1]
    train(searched, Batches(count=10), 5, lr=0.02, schedule="constant", progress=False)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, searched.state_dict()[name]), name


def prepared(network: nn.Module) -> Paths:
    """A network with hooks on its followers, on which every target has an empty half."""
    example = torch.randn(2, 3, 8, 8).to(next(network.parameters()).dtype)
    found, _ = targets(network, prunable_groups(network.eval(), example), export_graph(network, example))
    paths = Paths(network, found, damage)
    paths.halves = {target.name: [] for target in found}
    return paths


def test_damage_by_linearity_is_that_of_a_second_pass() -> None:
    network = chain().train()
    paths = prepared(network)
    network.train()
    images = torch.randn(16, 3, 8, 8)
    paths.halves = {"0": [1, 4, 6], "3": [0, 11]}
    before = copy.deepcopy(network.state_dict())
    network(images)
    paths.remove()
    twin = copy.deepcopy(network)
    twin.load_state_dict(before)
    for name, half, first, norm in (("0", [1, 4, 6], 3, 4), ("3", [0, 11], 8, None)):
        maps = twin[:first](images).detach()
        zeroed = maps.clone()
        places = half if first == 3 else [4 * channel + pixel for channel in half for pixel in range(4)]
        zeroed[:, places] = 0
        outputs = [twin[first](given).detach() for given in (maps, zeroed)]
        if norm:
            var, mean = torch.var_mean(outputs[0], dim=(0, 2, 3), correction=0)
            weight, bias = twin[norm].weight.detach(), twin[norm].bias.detach()
            outputs = [nn.functional.batch_norm(one, mean, var, weight, bias).relu() for one in outputs]
        expected = ((outputs[0] - outputs[1]) ** 2).sum() / (outputs[0] ** 2).sum()
        assert paths.damages[name] == pytest.approx(expected.item(), rel=1e-4)


def test_the_masked_network_is_the_narrow_one() -> None:
    network = chain().double().eval()
    images = torch.randn(4, 3, 8, 8).double()
    groups: list[Group] = prunable_groups(network, images)
    masked = copy.deepcopy(network)
    paths = prepared(masked)
    paths.gone = {"0": [2, 5], "3": [0, 7, 8]}
    plan = {"0": [0, 1, 3, 4, 6, 7], "3": [1, 2, 3, 4, 5, 6, 9, 10, 11]}
    narrow = prune(network, groups, plan)
    with torch.no_grad():
        ours, theirs = masked(images), narrow(images)
    assert float((ours - theirs).abs().max() / theirs.std()) < 1e-10


def test_a_budget_is_met_to_within_one_filter_and_leaves_a_snapshot() -> None:
    network = chain()
    found = search_widths(network, Batches(), [0.7, 0.4], 40, every=4, threshold=0.5, progress=False, kernels=KERNELS)
    assert sorted(found.networks) == [0.4, 0.7]
    whole = count_macs(network, (3, 8, 8))
    for budget, narrow in found.networks.items():
        share = count_macs(narrow, (3, 8, 8)) / whole
        largest = max(8 * 3 * 9 * 64 / 8 + 12 * 9 * 64, 8 * 9 * 64 + 4 * 4) / whole  # what one filter takes with it
        assert budget - largest < share <= budget
        assert torch.isfinite(narrow(torch.randn(2, 3, 8, 8))).all()
    assert all(moved["macs"] <= 1 for moved in found.history["moves"])
    assert count_macs(network, (3, 8, 8)) == whole


def test_a_stopped_search_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def run(folder: Path | None, epochs: int) -> tuple[dict[float, nn.Module], dict]:
        torch.manual_seed(3)
        network = chain()
        settings = {"every": 4, "threshold": 0.4, "kernels": KERNELS, "progress": False, "resume": folder}
        found = search_widths(network, Batches(), [0.01], epochs, **settings)
        return found.networks, found.history

    class Interrupted(Exception):
        pass

    whole = run(tmp_path / "whole", 6)[1]
    torch.manual_seed(3)
    network, seen = chain(), []

    class Ending(Batches):
        def __iter__(self):
            seen.append(1)
            if len(seen) == 4:
                raise Interrupted
            return iter(self.batches)

    with pytest.raises(Interrupted):
        search_widths(
            network, Ending(), [0.01], 6,
            every=4, threshold=0.4, progress=False, kernels=KERNELS, resume=tmp_path / "parts",
        )  # fmt: skip
    again = run(tmp_path / "parts", 6)[1]
    assert again["moves"] == whole["moves"] and again["batches"] == whole["batches"]
    ends = [
        torch.load(tmp_path / name / "training.resume", weights_only=True)["network"] for name in ("whole", "parts")
    ]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
    with pytest.raises(ValueError, match="other settings"):
        search_widths(
            chain(), Batches(), [0.02], 6,
            every=4, threshold=0.4, progress=False, kernels=KERNELS, resume=tmp_path / "parts",
        )  # fmt: skip


def test_theta_doubles_where_nothing_goes_and_only_then() -> None:
    def thresholds(doubling: bool) -> list[float]:
        found = search_widths(
            chain(), Batches(), [0.2], 12,
            every=2, threshold=1e-6, doubling=doubling, progress=False, kernels=KERNELS,
        )  # fmt: skip
        return sorted({move["threshold"] for move in found.history["moves"]})

    assert thresholds(doubling=False) == [1e-6]
    raised = thresholds(doubling=True)
    assert len(raised) > 1 and raised[1] == 2e-6


def test_a_network_without_targets_is_refused() -> None:
    network = Net(lambda n, x: n.a(x).mean((2, 3)), a=conv(3, 4))
    with pytest.raises(PlanError, match="No channel group has one layer"):
        search_widths(network, Batches(), [0.5], 1, progress=False, kernels=KERNELS)


def test_the_halves_of_a_depthwise_block_are_scored_at_what_the_follower_reads() -> None:
    layers = conv(3, 8), nn.BatchNorm2d(8), nn.ReLU6(), conv(8, 8, groups=8), nn.BatchNorm2d(8), nn.ReLU6()
    network = nn.Sequential(
        *layers, conv(8, 6, 1), nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )
    paths = prepared(network)
    assert set(paths.halves) == {"0", "6"}
    network.train()
    paths.halves["0"] = [1, 2]
    network(torch.randn(4, 3, 8, 8))
    assert 0 < paths.damages["0"] < 10 and "6" not in paths.damages


def test_scoring_in_the_precision_of_the_training_differs_by_its_rounding_only() -> None:
    network = chain().train()
    paths = prepared(network)
    network.train()
    images = torch.randn(16, 3, 8, 8)
    damages = []
    for enabled in (False, True):
        paths.halves = {"0": [1, 4, 6], "3": [0, 11]}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            network(images)
        damages.append(dict(paths.damages))
    exact, rounded = damages
    assert all(rounded[name] == pytest.approx(exact[name], rel=0.05) for name in exact)


def test_a_frozen_batch_norm_scores_by_its_running_statistics() -> None:
    network = chain()
    paths = prepared(network)
    network.train()
    for layer in (network[1], network[4]):
        layer.eval()
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
    images = torch.randn(16, 3, 8, 8)
    paths.halves = {"0": [2, 3], "3": []}
    with torch.no_grad():
        network(images)
        paths.remove()
        maps = network[:3](images)
        without = maps.clone()
        without[:, [2, 3]] = 0
        whole, ablated = network[3:6](maps), network[3:6](without)
    assert paths.damages["0"] == pytest.approx(damage(whole, ablated, torch.ones(12)), rel=1e-4)


# --- the driver


def test_searched_cut_and_finetuned_in_so_many_epochs(tmp_path: Path) -> None:
    torch.manual_seed(4)
    network = chain()
    before = copy.deepcopy(network.state_dict())
    options = {"kernels": KERNELS, "every": 3, "threshold": 0.5, "progress": False}
    narrow, history = aofp(network, Batches(), 0.6, 12, **options)
    assert count_macs(narrow, (3, 8, 8)) <= 0.6 * count_macs(network, (3, 8, 8))
    searching = -(-history["batches"] // 6)
    assert 0 < searching <= 8 and len(history["finetuning"]) == 12 - searching and history["short"] == ""
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert json.loads(json.dumps(history))["targets"] == {"0": 8, "3": 12}

    kept, again = (aofp(network, Batches(), 0.6, 12, resume=tmp_path, **options)[0] for _ in range(2))
    for name, tensor in narrow.state_dict().items():
        assert torch.equal(tensor, kept.state_dict()[name]) and torch.equal(tensor, again.state_dict()[name])


def test_a_search_that_ends_short_says_why_and_is_finetuned_as_far_as_it_came() -> None:
    with pytest.warns(UserWarning, match=r"short of 10%\. .* Give it more epochs, a larger threshold"):
        narrow, history = aofp(
            chain(), Batches(), 0.1, 6, kernels=KERNELS, every=3, threshold=1e-9, doubling=False, progress=False
        )
    assert history["macs"] == 1 and "No target lost a filter" in history["short"]
    assert count_macs(narrow, (3, 8, 8)) == count_macs(chain(), (3, 8, 8))


@pytest.mark.parametrize("budgets", [[], [1.5], [0.5, -0.1]])
def test_budgets_that_are_no_shares_are_refused(budgets: list[float]) -> None:
    with pytest.raises(ValueError, match="budgets are shares of the MACs"):
        search_widths(chain(), Batches(), budgets, 1, progress=False, kernels=KERNELS)


def test_a_folder_of_another_networks_search_is_refused(tmp_path: Path) -> None:
    options = {"kernels": KERNELS, "every": 3, "threshold": 0.5, "progress": False, "resume": tmp_path}
    search_widths(chain(), Batches(), [0.6], 8, **options)
    with pytest.raises(ValueError, match="other settings"):
        search_widths(chain(), Batches(), [0.6], 8, **options)


# --- plans under a budget of MACs


@pytest.mark.parametrize("make", [lambda: resnet20(widths=(6, 8, 10)), lambda: vgg_mini(widths=(12, 12, 20))])
@pytest.mark.parametrize("budget", [0.9, 0.5, 0.13])
def test_uniform_widths_meet_a_budget_to_within_one_filter(make: Callable[[], nn.Module], budget: float) -> None:
    network, images = make().eval(), torch.randn(2, 3, 32, 32)
    groups = [group for group in prunable_groups(network, images, progress=False) if group.free]
    scores = l1_ranking(network, groups)
    plan = uniform_plan(network, groups, scores, budget, images)
    whole = count_macs(network, (3, 32, 32))
    assert count_macs(prune(network, groups, plan), (3, 32, 32)) <= budget * whole
    ratios = [len(plan[group.name]) / group.channels for group in groups]
    assert all(abs(first - second) < 1 / 6 for first in ratios for second in ratios)
    more = []
    for group in groups:
        left = [channel for channel in range(group.channels) if channel not in plan[group.name]]
        bigger = {**plan, group.name: sorted([*plan[group.name], *left[:1]])}
        more.append(count_macs(prune(network, groups, bigger), (3, 32, 32)) / whole)
    assert max(more) > budget


def test_a_budget_below_one_filter_a_layer_is_refused() -> None:
    network, images = vgg_mini(widths=(4, 4)).eval(), torch.randn(2, 3, 32, 32)
    groups = prunable_groups(network, images, progress=False)
    with pytest.raises(PlanError, match="cannot be met: the least is"):
        uniform_plan(network, groups, l1_ranking(network, groups), 0.01, images)
