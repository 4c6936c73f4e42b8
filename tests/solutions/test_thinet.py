"""ThiNet: contributions, greedy selection, least squares, and whole networks."""

import copy
from typing import Any

import pytest
import torch
from helpers.graphs import groups_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils.networks import resnet20, vgg_mini
from solutions.iterative import l1_ranking, plan_step
from solutions.next_layer import next_layer, sampled_patches
from solutions.prunable import prunable_groups
from solutions.ranks import average_ranks, spearman
from solutions.surgery import prune
from solutions.thinet import (
    channels_to_remove,
    least_squares_scale,
    rescale_inputs,
    sample_contributions,
    thinet,
    thinet_step,
)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive_greedy(contributions: Tensor, count: int) -> list[int]:
    """Algorithm 1 as it stands in the paper: every candidate tried in every step."""
    removed: list[int] = []
    for _ in range(count):
        waiting = [channel for channel in range(contributions.shape[1]) if channel not in removed]
        costs = [contributions.double()[:, [*removed, channel]].sum(1).square().sum().item() for channel in waiting]
        removed.append(waiting[costs.index(min(costs))])
    return removed


# --- the kernels


def test_contributions_add_up_to_the_output_without_its_bias() -> None:
    conv, images = nn.Conv2d(5, 1, 3, bias=True), numbers(7, 5, 3, 3)
    contributions = sample_contributions(images, conv.weight.detach().expand(7, -1, -1, -1))
    expected = conv(images).flatten() - conv.bias
    torch.testing.assert_close(contributions.sum(1), expected.detach())


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 9))
@settings(deadline=None, max_examples=50)
def test_the_fast_greedy_chooses_as_the_naive_one(seed: int, samples: int, channels: int) -> None:
    contributions = numbers(samples, channels, seed=seed)
    assert channels_to_remove(contributions, channels) == naive_greedy(contributions, channels)


def test_of_equal_channels_the_first_goes() -> None:
    assert channels_to_remove(torch.ones(4, 3), 2) == [0, 1]
    assert channels_to_remove(torch.zeros(4, 3), 3) == [0, 1, 2]


def test_no_more_channels_go_than_there_are() -> None:
    with pytest.raises(ValueError, match="5 channels cannot go: there are 3"):
        channels_to_remove(numbers(5, 3), 5)


def test_channels_that_cancel_go_together() -> None:
    first, other = numbers(50), 1.1 * numbers(50, seed=1)
    contributions = torch.stack([first, other, -1.3 * first], 1)
    assert contributions.square().sum(0).argsort().tolist() == [0, 1, 2]
    assert channels_to_remove(contributions, 3) == [0, 2, 1]


def test_least_squares_is_exact_where_it_can_be() -> None:
    contributions = numbers(40, 3)
    target = contributions @ torch.tensor([2.0, -1.0, 0.5])
    torch.testing.assert_close(least_squares_scale(contributions, target), torch.tensor([2.0, -1.0, 0.5]))


@pytest.mark.parametrize(("samples", "dead"), [(50, 0), (50, 2), (4, 0), (3, 1)])
def test_no_other_scale_does_better(samples: int, dead: int) -> None:
    contributions = numbers(samples, 9)
    contributions[:, 3 : 3 + dead] = 0
    kept = contributions[:, :6]
    scale = least_squares_scale(kept, contributions.sum(1))
    error = (contributions.sum(1) - kept @ scale).square().sum()
    assert torch.isfinite(scale).all() and (scale[3 : 3 + dead] == 1).all()
    for seed in range(20):
        other = scale + 0.01 * numbers(6, seed=seed)
        assert error <= (contributions.sum(1) - kept @ other).square().sum() + 1e-9
    assert error <= (contributions.sum(1) - kept.sum(1)).square().sum() + 1e-9


def test_rescaling_the_inputs_is_scaling_the_feature_maps() -> None:
    scale, images = torch.tensor([2.0, 0.0, -1.0]), numbers(2, 3, 4, 4)
    scaled = images * scale[:, None, None]
    for layer in (nn.Conv2d(3, 5, 3), nn.Sequential(nn.Flatten(), nn.Linear(48, 5))):
        expected = layer(scaled)
        rescale_inputs(layer[1] if isinstance(layer, nn.Sequential) else layer, scale)
        torch.testing.assert_close(layer(images), expected)


# --- samples of a network


def contributions_to(*arguments: Any, **options: Any) -> Tensor:
    return sample_contributions(*sampled_patches(*arguments, **options))


class Chain(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 6, 3, **options)
        self.head = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.second(self.first(images).relu()).relu().mean((2, 3)))


@pytest.mark.parametrize(
    "options", [{}, {"padding": 1}, {"stride": 2, "padding": (2, 0)}, {"dilation": (1, 2), "padding": 3}]
)
def test_every_sample_is_a_number_of_the_output(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network, images = Chain(**options), numbers(3, 3, 12, 12)
    outputs: list[Tensor] = []
    hook = network.second.register_forward_hook(lambda *seen: outputs.append(seen[2].detach()))
    contributions = contributions_to(network, "second", 4, images, locations=20)
    hook.remove()
    assert contributions.shape == (60, 4)
    possible = (outputs[0] - network.second.bias.detach()[:, None, None]).flatten(1)
    for image, sums in enumerate(contributions.sum(1).view(3, 20)):
        assert (possible[image][:, None] - sums).abs().min(0).values.max() < 1e-5
    assert len({round(value, 4) for value in contributions.sum(1).tolist()}) > 30, "many places and filters"
    assert not network.second._forward_pre_hooks


def test_samples_of_a_linear_layer_behind_a_flatten() -> None:
    network, images = vgg_mini(widths=(4, 5)).eval(), numbers(6, 3, 32, 32)
    inputs: list[Tensor] = []
    head = network.get_submodule("classifier") if hasattr(network, "classifier") else list(network.modules())[-1]
    assert isinstance(head, nn.Linear)
    hook = head.register_forward_pre_hook(lambda _, seen: inputs.append(seen[0].detach()))
    name = next(name for name, module in network.named_modules() if module is head)
    contributions = contributions_to(network, name, 5, images, locations=3)
    hook.remove()
    possible = (inputs[0] @ head.weight.detach().T)[:, None, :]
    assert (possible - contributions.sum(1).view(6, 3, 1)).abs().min(2).values.max() < 1e-5


# --- whole networks


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = vgg_mini(widths=(8, 8, 12, 12)).train()
    for seed in range(5):
        network(numbers(32, 3, 32, 32, seed=seed))
    return network.eval()


@pytest.fixture(scope="module")
def groups(network: nn.Module) -> Any:
    return groups_of(network)


def test_all_channels_kept_is_the_same_network(network: nn.Module, groups: Any) -> None:
    pruned, left = thinet(network, groups, numbers(8, 3, 32, 32), 1.0, progress=False)
    images = numbers(4, 3, 32, 32, seed=9)
    torch.testing.assert_close(pruned(images), network(images))
    assert [group.channels for group in left] == [group.channels for group in groups]


def test_it_prunes_every_layer_of_a_vgg_and_leaves_the_original_alone(network: nn.Module, groups: Any) -> None:
    before = copy.deepcopy(network.state_dict())
    pruned, left = thinet(network, groups, numbers(8, 3, 32, 32), 0.5, progress=False)
    assert [group.channels for group in left if group.free] == [4, 4, 6, 6]
    assert pruned(numbers(2, 3, 32, 32)).shape == (2, 4)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_before_retraining_it_is_closer_to_the_original_than_l1(network: nn.Module, groups: Any) -> None:
    images, unseen = numbers(60, 3, 32, 32, seed=11), numbers(64, 3, 32, 32, seed=12)
    sizes = {group.name: group.channels for group in groups}
    by_l1 = prune(network, groups, plan_step(groups, l1_ranking(network, groups), sizes, 0.5))
    errors = []
    for pruned in (
        thinet(network, groups, images, 0.5, progress=False)[0],
        thinet(network, groups, images, 0.5, rescale=False, progress=False)[0],
        by_l1,
    ):
        with torch.no_grad():
            errors.append((pruned(unseen) - network(unseen)).square().mean().item())
    assert errors[0] < errors[1] < errors[2]


def test_the_lowest_of_a_ranking_can_go_and_be_made_up_for(network: nn.Module, groups: Any) -> None:
    def rank(_: nn.Module, groups: Any) -> dict[str, Tensor]:
        return {group.name: torch.arange(group.channels, 0, -1.0) for group in groups}

    images = numbers(60, 3, 32, 32, seed=11)
    last = [group for group in groups if group.free][
        -1
    ]  # read by the classifier: the samples are the network's outputs
    rescaled, kept = thinet_step(network, groups, last, images, 0.5, rank=rank, locations=50)
    plain, same = thinet_step(network, groups, last, images, 0.5, rank=rank, rescale=False)
    assert kept == same == [0, 1, 2, 3, 4, 5]
    with torch.no_grad():
        errors = [(pruned(images) - network(images)).square().sum().item() for pruned in (rescaled, plain)]
    assert errors[0] < 0.5 * errors[1]


def test_inside_residual_blocks_only() -> None:
    network = resnet20(widths=(4, 6, 8), classes=4).eval()
    groups = groups_of(network)
    inside = {group.name for group in groups if next_layer(network, group)}
    assert inside == {f"stages.{stage}.{block}.conv1" for stage in range(3) for block in range(3)}
    pruned, left = thinet(network, groups, numbers(4, 3, 32, 32), 0.5, progress=False)
    assert pruned(numbers(2, 3, 32, 32)).shape == (2, 4)
    before = {group.name: group.channels for group in groups}
    for group in left:
        assert group.channels == (before[group.name] // 2 if group.name in inside else before[group.name])
    stage = next(group for group in groups if group.free and group.name not in inside)
    with pytest.raises(ValueError, match="one plain layer"):
        thinet_step(network, groups, stage, numbers(4, 3, 32, 32), 0.5)


class Tokens(nn.Module):
    """A linear layer that reads the channels of every position."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mix, self.head = nn.Conv2d(3, 4, 8, stride=8), nn.Linear(4, 5), nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.mix(self.conv(images).flatten(2).transpose(1, 2)).relu().mean(1))


def test_layers_that_read_in_another_order_are_left_alone() -> None:
    grouped = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=4), nn.Conv2d(8, 5, 1), nn.Flatten(), nn.Linear(180, 4)
    )
    readers = {group.name: next_layer(grouped, group) for group in prunable_groups(grouped, torch.zeros(2, 3, 8, 8))}
    assert readers["0"] == readers["1"] == "" and readers["2"] == "4"
    tokens = Tokens()
    for group in prunable_groups(tokens, torch.zeros(2, 3, 32, 32)):
        if name := next_layer(tokens, group):
            with pytest.raises(ValueError, match="3 axes"):
                sampled_patches(tokens, name, group.channels, numbers(2, 3, 32, 32))
            break
    else:
        pytest.fail("no group is read by a linear layer")


def test_at_least_one_channel_stays(network: nn.Module, groups: Any) -> None:
    _, kept = thinet_step(network, groups, groups[0], numbers(4, 3, 32, 32), 0.0)
    assert len(kept) == 1


# --- ranks


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert average_ranks(torch.tensor([10.0, 20.0, 20.0, 5.0])).tolist() == [2, 3.5, 3.5, 1]


def test_spearman_sees_only_the_order() -> None:
    values = numbers(50)
    assert spearman(values, values.exp()) == pytest.approx(1)
    assert spearman(values, -values) == pytest.approx(-1)
    first, second = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([2.0, 1.0, 4.0, 3.0])
    assert spearman(first, second) == pytest.approx(1 - 6 * 4 / (4 * 15))


def test_spearman_of_other_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        spearman(torch.ones(3), torch.ones(4))
