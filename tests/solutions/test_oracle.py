"""The ablation oracle: the fast way gives the numbers of the plain one."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import MobileNetV2

from course_utils.networks import resnet20, vgg_mini
from solutions import oracle as oracles
from solutions.graph.groups import Group
from solutions.oracle import Ablations, ablation_losses, naive_losses, oracle, places_of, prepared, replayed_losses
from solutions.plans import groups_left
from solutions.prunable import prunable_groups
from solutions.surgery import prune


def lively(network: nn.Module) -> nn.Module:
    """Batch norms with numbers of their own, in float64."""
    chance = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor += torch.randn(tensor.shape, generator=chance) / 3
    return network.double().eval()


def batches(*sizes: int, side: int = 32) -> list[tuple[Tensor, Tensor]]:
    chance = torch.Generator().manual_seed(1)
    draw = [torch.randn(n, 3, side, side, generator=chance, dtype=torch.double) for n in sizes]
    return [(images, torch.arange(len(images)) % 4) for images in draw]


def groups_of(network: nn.Module, side: int = 32) -> list[Group]:
    return [group for group in prunable_groups(network, torch.zeros(2, 3, side, side).double()) if group.free]


class Branches(nn.Module):
    """A concatenation, a grouped and a transposed convolution, an addition, in-place steps, and a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3, stride=4), nn.Conv2d(3, 6, 1, stride=4, padding=1)
        self.norm = nn.BatchNorm2d(10)
        self.grouped = nn.Conv2d(10, 8, 3, padding=1, groups=2)
        self.wrapped = nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular")
        self.up = nn.ConvTranspose2d(8, 5, 2, stride=2)
        self.head = nn.Linear(5 * 16, 4)

    def forward(self, images: Tensor) -> Tensor:
        left = self.left(images)
        joined = torch.cat([left, self.right(images)[:, :, : left.shape[2], : left.shape[3]]], 1)
        hidden = torch.relu_(self.norm(joined))
        hidden = self.grouped(hidden)
        hidden = hidden + self.wrapped(torch.relu(hidden))
        return self.head(nn.functional.adaptive_avg_pool2d(self.up(hidden).relu(), 4).flatten(1))


class InPlace(nn.Module):
    """Every step overwrites what the one before it made."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bn1 = nn.Conv2d(3, 4, 3, stride=3), nn.BatchNorm2d(4)
        self.second, self.bn2 = nn.Conv2d(4, 6, 3, stride=2), nn.BatchNorm2d(6)
        self.third, self.bn3, self.relu = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.relu(self.bn1(self.first(images)), inplace=True)
        maps = self.bn2(self.second(maps)).relu_()
        more = self.bn3(self.third(maps))
        more += maps
        return self.head(self.relu(more).mean((2, 3)))


@pytest.mark.parametrize(
    ("make", "side"),
    [
        (InPlace, 32),
        (lambda: vgg_mini(widths=(6, 8, 8, 10)), 32),
        (lambda: resnet20(widths=(4, 6, 8), classes=4), 32),
        (Branches, 32),
        (lambda: MobileNetV2(4, inverted_residual_setting=[[1, 16, 1, 1], [6, 24, 2, 2]]), 32),
    ],
)
def test_the_fast_way_gives_the_numbers_of_the_plain_one(make: Any, side: int) -> None:
    torch.manual_seed(0)
    network, data = lively(make()), batches(3, 2, side=side)
    for group in groups_of(network, side)[:6]:
        channels = range(0, group.channels, max(1, group.channels // 4))
        plain = naive_losses(network, data, group, channels)
        fast = replayed_losses(prepared(network), data, places_of(network, group), channels, at_once=8)
        assert len(fast) == len(plain)
        assert fast == pytest.approx(plain, rel=1e-10, abs=1e-12), group.name


def test_the_plain_way_is_only_a_trial_of_two_channels(
    network: nn.Module, groups: list[Group], monkeypatch: Any
) -> None:
    asked: list[int] = []

    def counted(network: nn.Module, data: Any, group: Group, channels: Any) -> list[float]:
        asked.append(len(channels))
        return naive_losses(network, data, group, channels)

    monkeypatch.setattr(oracles, "naive_losses", counted)
    oracle(network.float(), [(images.float(), labels) for images, labels in batches(4)], groups, progress=False)
    network.double()
    assert asked == [2] * len(groups)


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = vgg_mini(widths=(4, 4))

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images if images.abs().max() > 0 else images + 0)


class CountsItsBatch(nn.Module):
    """Its output depends on how many images there are: batches of ablations would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.network = vgg_mini(widths=(4, 4))

    def forward(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        return logits - logits.mean(0)


class ReadsItsBatchSize(nn.Module):
    """It asks in front how many images there are, and arranges its outputs by that."""

    def __init__(self) -> None:
        super().__init__()
        self.network = vgg_mini(widths=(4, 4))

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).view(images.shape[0], -1)


def within(group: Group, name: str = "network") -> Group:
    """The same group of a network that has this name inside another one."""
    slots = [type(slot)(f"{name}.{slot.parameter}", slot.axis, slot.channel, slot.consumes) for slot in group.slots]
    return Group(group.name, group.channels, tuple(slots))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Untraceable, "torch.fx cannot trace it .TraceError"),
        (CountsItsBatch, "other numbers"),
        (ReadsItsBatchSize, "not as many as its images"),
    ],
)
def test_where_the_fast_way_cannot_be_trusted_the_plain_one_is_taken_and_said_once(make: Any, reason: str) -> None:
    network, data = lively(make()), batches(4)
    groups = [within(group) for group in groups_of(lively(vgg_mini(widths=(4, 4))))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ablations = Ablations(network, data)
        for group in groups:
            assert ablations.losses_without(group, [0, 2]) == naive_losses(network, data, group, [0, 2])
    assert len(groups) == 2 and len(caught) == 1
    assert re.search(f"{make.__name__} takes the plain, slow way: .*{reason}", str(caught[0].message))


def test_a_layer_that_is_no_step_of_the_trace_takes_the_plain_way(network: nn.Module, groups: list[Group]) -> None:
    class Leaf(nn.Module):
        """As every module of torch.nn is: the trace does not look into it."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            return self.network(images)

    Leaf.__module__ = "torch.nn.modules"
    hiding, data = nn.Sequential(Leaf()), batches(4)
    with pytest.warns(UserWarning, match=r"0\.network\.\S+ is hidden inside another layer"):
        losses = Ablations(hiding, data).losses_without(within(groups[0], "0.network"), [0, 2])
    assert losses == pytest.approx(naive_losses(network, data, groups[0], [0, 2]))


def test_a_mistake_in_the_fast_way_surfaces(network: nn.Module, groups: list[Group], monkeypatch: Any) -> None:
    def mistaken(*_: Any) -> Tensor:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(oracles, "without_shares", mistaken)
    with pytest.raises(RuntimeError, match="a mistake"):
        oracle(network, batches(4), groups, progress=False)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return lively(vgg_mini(widths=(5, 6)))


@pytest.fixture(scope="module")
def groups(network: nn.Module) -> list[Group]:
    return groups_of(network)


def test_a_score_is_the_absolute_change_of_the_loss(network: nn.Module, groups: list[Group]) -> None:
    data = batches(4)
    whole, losses = ablation_losses(network, data, groups, progress=False)
    scores = oracle(network, data, groups, progress=False)
    for name, values in losses.items():
        assert torch.equal(scores[name], (values - whole).abs())
    assert any((values < whole).any() for values in losses.values()), "a case in which the sign matters"


def test_the_network_stays_as_it_is(network: nn.Module, groups: list[Group]) -> None:
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    oracle(network, batches(4), groups, progress=False)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.eval()


def test_the_last_channel_of_a_layer_and_frozen_ones_have_a_loss_too() -> None:
    network, data = lively(vgg_mini(widths=(3, 4))), batches(4)
    groups = groups_of(network)
    group = groups[0]
    narrow, left = prune(network, groups, {group.name: [1]}), groups_left(groups, {group.name: [1]})
    _, losses = ablation_losses(narrow, data, left[:1], progress=False)
    assert losses[group.name].shape == (1,) and torch.isfinite(losses[group.name]).all()
    frozen = Group(group.name, group.channels, group.slots, {2: "a reason"})
    _, losses = ablation_losses(network, data, [frozen], progress=False)
    assert losses[frozen.name].tolist() == pytest.approx(naive_losses(network, data, group, range(3)))


def test_stopped_it_goes_on_where_it_was(
    network: nn.Module, groups: list[Group], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(oracles, "PIECE", 2)
    pieces: list[Any] = []

    losses_without = Ablations.losses_without

    def stops(self: Ablations, group: Group, channels: Any) -> list[float]:
        pieces.append((group.name, list(channels)))
        if len(pieces) == 4:
            raise KeyboardInterrupt
        return losses_without(self, group, channels)

    monkeypatch.setattr(Ablations, "losses_without", stops)
    path, data = tmp_path / "oracle.json", batches(4)
    with pytest.raises(KeyboardInterrupt):
        ablation_losses(network, data, groups, resume=path, progress=False)
    assert sum(value == value for losses in json.loads(path.read_text())["losses"].values() for value in losses) == 5
    _, losses = ablation_losses(network, data, groups, resume=path, progress=False)
    assert pieces[3] == pieces[4] and len(pieces) == 7
    _, afresh = ablation_losses(network, data, groups, progress=False)
    assert all(torch.equal(losses[name], afresh[name]) for name in afresh)


def test_another_networks_results_are_refused(network: nn.Module, groups: list[Group], tmp_path: Path) -> None:
    ablation_losses(network, batches(4), groups, resume=tmp_path / "oracle.json", progress=False)
    with pytest.raises(ValueError, match="another network or other images"):
        ablation_losses(network, batches(3), groups, resume=tmp_path / "oracle.json", progress=False)


def test_without_data_there_is_an_error(network: nn.Module, groups: list[Group]) -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        oracle(network, [], groups)
