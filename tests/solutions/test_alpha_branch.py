"""Alpha-branch pruning: chains, the intermediate network, and the merge, exact to rounding or refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.noise import Noise
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils.networks import from_torchvision, resnet20, vgg_mini
from course_utils.training import Stopped
from solutions.alpha_branch import AlphaNetwork, alpha_schedule, shrink
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from solutions.graph.chains import Link, chain

TOLERANCE = 1e-10  # of the outputs' standard deviation, in float64


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights from the seed, and batch norms that do something; in float64 and evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.reset_parameters()
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                for tensor in (module.bias, module.running_mean):
                    nn.init.normal_(tensor, std=0.3)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.double().eval()


def difference(network: nn.Module, other: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        expected = other(images)
        return ((network(images) - expected).abs().max() / expected.std()).item()


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


# --- chains


def test_a_vgg_is_a_chain() -> None:
    links = chain(vgg_mini(widths=(4, 6)))
    assert links == [
        Link("features.0", ("features.1", "features.2")),
        Link("features.3", ("features.4", "features.5", "features.6", "features.7"), flattens=True),
        Link("classifier", ()),
    ]


class Forward(nn.Module):
    """Two convolutions, joined in one of the ways that are refused."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.first, self.second = how, nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.odd: nn.Module = {"groups": nn.Conv2d(4, 4, 3, groups=2), "mixes": nn.ChannelShuffle(2)}.get(
            how, nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.odd(self.first(x))
        if self.how == "function":
            y = torch.relu(y)
        if self.how == "twice":
            y = self.first(y)
        y = self.second(y)
        return y + x if self.how == "skip" else y


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("skip", "no plain chain. An additive skip"),
        ("groups", "odd is a grouped convolution"),
        ("mixes", "odd is a ChannelShuffle"),
        ("function", "relu is computed in forward"),
        ("twice", "first is used twice"),
    ],
)
def test_what_is_no_chain_is_refused_with_the_reason(how: str, says: str) -> None:
    chain(Forward("plain"))
    with pytest.raises(ValueError, match=says):
        chain(Forward(how))


def test_residual_networks_are_refused() -> None:
    for network in (resnet20(), from_torchvision("mobilenet_v2")):
        with pytest.raises(ValueError, match=r"skip|grouped"):
            AlphaNetwork(network, {})


def test_a_linear_layer_with_a_norm_behind_the_flatten_is_refused() -> None:
    with pytest.raises(ValueError, match="put it before the flatten"):
        chain(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 2)))


# --- the intermediate network


@pytest.fixture(autouse=True)
def the_same_weights_every_time() -> None:
    torch.manual_seed(0)


def test_with_alpha_1_it_is_the_original_and_with_0_the_original_has_no_say() -> None:
    original, images = lively(vgg_mini(widths=(6, 8, 8, 10))), numbers(3, 3, 32, 32)
    network = AlphaNetwork(original, kept_widths(original, 0.5)).eval()
    assert difference(network, original, images) == 0
    network.alpha = 0.0
    before = network(images).detach()
    for link in network.links[:-1]:
        nn.init.constant_(network.original.get_submodule(link.behind[0]).weight, torch.nan)
    assert torch.equal(network(images), before)


def test_outputs_move_evenly_between_the_two_where_all_is_linear() -> None:
    original = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 2, 3)).double()
    network, images, outputs = AlphaNetwork(original, {"0": 2}).double(), numbers(2, 3, 8, 8), []
    for network.alpha in (1.0, 0.25, 0.0):
        outputs.append(network(images))
    assert torch.allclose(outputs[1], 0.25 * outputs[0] + 0.75 * outputs[2])


def test_a_frozen_original_stays_until_alpha_is_0() -> None:
    original = vgg_mini(widths=(4, 4))
    network = AlphaNetwork(original, kept_widths(original, 0.5))
    network.wide_learns, network.alpha = False, 0.5
    network.train()
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is None for parameter in network.original.parameters())
    assert all(parameter.grad is not None for parameter in network.branches.parameters())
    assert torch.equal(network.original.features[1].running_mean, original.features[1].running_mean)
    network.alpha = 0.0
    network.train()
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no layer in front of another"):
        AlphaNetwork(vgg_mini(), {"classifier": 2})
    with pytest.raises(ValueError, match="keep 1 to 32"):
        AlphaNetwork(vgg_mini(), {"features.0": 33})


def test_65_percent_of_the_channels_at_once() -> None:
    assert list(kept_widths(vgg_mini(), 0.34375).values()) == [11, 11, 22, 22, 44, 44]


# --- the merge

sides = st.integers(1, 5)


@st.composite
def networks(draw: Any) -> nn.Module:
    """Chains of two to four layers: convolutions and transposed ones of all kinds, perhaps a linear layer at the end."""
    layers: list[nn.Module] = []
    channels = 3
    for _ in range(draw(st.integers(2, 4))):
        width, bias = draw(st.integers(2, 5)), draw(st.booleans())
        if draw(st.booleans()):
            kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
            padding = draw(st.integers(0, (kernel - 1) // 2))
            layers.append(nn.ConvTranspose2d(channels, width, kernel, stride, padding, bias=bias))
        else:
            kernel = (draw(sides), draw(sides))
            mode = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
            padding = tuple(size // 2 for size in kernel)
            layers.append(
                nn.Conv2d(channels, width, kernel, draw(st.integers(1, 2)), padding, bias=bias, padding_mode=mode)
            )
        middle = draw(st.sampled_from([(), (nn.BatchNorm2d,), (nn.BatchNorm2d, nn.ReLU), (nn.ReLU, nn.MaxPool2d)]))
        for kind in middle:
            settings_of = {nn.BatchNorm2d: (width,), nn.MaxPool2d: (2, 1, 1)}
            layers.append(kind(*settings_of.get(kind, ())))
        channels = width
    if draw(st.booleans()):
        side = draw(st.integers(1, 3))
        layers += [
            nn.AdaptiveAvgPool2d(side),
            nn.Flatten(),
            nn.Linear(channels * side**2, 7),
            nn.ReLU(),
            nn.Linear(7, 4),
        ]
    return nn.Sequential(*layers)


@pytest.mark.slow
@given(networks(), st.floats(0.2, 0.9), st.integers(0, 100))
@settings(deadline=None, max_examples=100)
def test_shrinking_any_chain_changes_nothing(original: nn.Module, keep_ratio: float, seed: int) -> None:
    network = lively(AlphaNetwork(original, kept_widths(original, keep_ratio)), seed)
    network.alpha = 0.0
    images = numbers(2, 3, 12, 13, seed=seed)
    assume(network(images).std() > 1e-3)  # now and then a ReLU is dead everywhere
    assert difference(shrink(network), network, images) < TOLERANCE


def test_the_shrunk_network_is_of_the_same_class_and_really_smaller() -> None:
    original = vgg_mini(widths=(6, 8))
    network = AlphaNetwork(original, {"features.0": 2, "features.3": 3}).eval()
    network.alpha = 0.0
    narrow = shrink(network)
    assert type(narrow) is type(original)
    assert {name: tuple(t.shape) for name, t in narrow.state_dict().items()} == {
        name: tuple(t.shape) for name, t in vgg_mini(widths=(2, 3)).state_dict().items()
    }
    assert original.features[0].out_channels == 6


def test_a_wide_way_that_still_counts_is_not_dropped() -> None:
    network = AlphaNetwork(vgg_mini(widths=(4, 4)), {"features.0": 2})
    network.alpha = 0.1
    with pytest.raises(ValueError, match="the original still counts"):
        shrink(network)


# --- the start, and the way from 1 to 0


def test_a_branch_that_keeps_all_channels_starts_as_the_original() -> None:
    original = lively(vgg_mini(widths=(5, 6)))
    network = AlphaNetwork(original, kept_widths(original, 1.0)).double().eval()
    start_from_ranking(network, numbers(8, 3, 32, 32))
    network.alpha = 0.0
    assert difference(network, original, numbers(3, 3, 32, 32, seed=1)) < 1e-8


def test_the_start_picks_the_strongest_filters_and_rebuilds_the_others() -> None:
    original = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 2, 1)).double()
    original[0].weight.data = torch.tensor([[1.0, 0, 0], [2, 0, 0], [0, 1.5, 0]]).double().view(3, 3, 1, 1)
    network = AlphaNetwork(original, {"0": 2}).double()
    start_from_ranking(network, numbers(4, 3, 6, 6))
    network.alpha = 0.0  # channel 0 is half of channel 1, so that two of the three are enough
    assert difference(shrink(network), original, numbers(4, 3, 6, 6, seed=1)) < TOLERANCE


@pytest.mark.parametrize("kind", ["step", "multiplicative", "exponential", "cosine"])
def test_every_schedule_falls_from_1_to_exactly_0(kind: str) -> None:
    for steps in (1, 4, 20):
        levels = alpha_schedule(kind, steps)
        assert len(levels) == steps + 1 and levels[0] == 1 and levels[-1] == 0
        assert levels == sorted(levels, reverse=True) and not [level for level in levels if 0 < level < 0.015]


def test_stopped_and_resumed_it_is_the_same_run(tmp_path: Path) -> None:
    original = vgg_mini(widths=(4, 4))
    levels, restarts = alpha_schedule("step", 3), [(1, 0.05), (1, 0.01)]
    options: dict[str, Any] = {"progress": False}

    def start() -> AlphaNetwork:
        torch.manual_seed(0)
        return AlphaNetwork(original, kept_widths(original, 0.5))

    whole = start()
    history = train_through(whole, Noise(), levels, 1, restarts, **options)
    assert [round(entry["alpha"], 3) for entry in history] == [0.667, 0.333, 0, 0]
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]

    def stop(level: float) -> None:
        if level < 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_through(start(), Noise(), levels, 1, restarts, after_level=stop, resume=tmp_path, **options)
    resumed = start()
    train_through(resumed, Noise(), levels, 1, restarts, resume=tmp_path, **options)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert copy.deepcopy(resumed).alpha == 0


def test_a_stop_in_the_second_stage_carries_what_was_done_or_returns_it() -> None:
    steps: list[int] = []

    def stop_at_third_step(_: nn.Module) -> None:
        steps.append(len(steps))
        if len(steps) == 3:
            raise KeyboardInterrupt

    network = vgg_mini(widths=(4, 4))
    levels, options = alpha_schedule("step", 3), {"after_step": stop_at_third_step, "progress": False}
    with pytest.raises(Stopped) as stop:
        train_through(AlphaNetwork(network, {}), Noise(), levels, 1, [], on_stop="raise", **options)
    steps.clear()
    history = train_through(AlphaNetwork(network, {}), Noise(), levels, 1, [], **options)
    for entries in (stop.value.history, history):
        assert [(entry["epoch"], round(entry["alpha"], 3)) for entry in entries] == [(1, 0.667)]
