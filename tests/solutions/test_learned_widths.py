"""Widths that are learned or searched: the small functions, and the methods on small networks."""

import copy
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from helpers.small_networks import NETWORKS, Net, conv
from helpers.stopped_runs import goes_on_to_the_same_bits, lively, without_times
from hypothesis import given, settings
from hypothesis import strategies as some
from sklearn.linear_model import Lasso
from torch import Tensor, nn

from course_utils.networks import mobile_mini, resnet20, vgg_mini
from minicifar import Loader, MiniCIFAR
from solutions import amc as amc_module
from solutions.amc import amc, environment, search
from solutions.attention import Gated, importance, pcas
from solutions.budgets import macs_left, macs_of_widths, uses_of
from solutions.controls import greedy_widths
from solutions.costs import count_macs
from solutions.ddpg import Agent
from solutions.lasso import contribution_products, lasso, lasso_channels, lasso_layer
from solutions.learned_widths import attention_gate, clipped_action, lasso_step, mean_importance, reward
from solutions.next_layer import next_layer
from solutions.plans import PlanError, groups_left, highest, l1_norms
from solutions.prunable import prunable_groups
from solutions.pruning_from_scratch import add_gates, pruned_from_scratch
from solutions.reconstruction import Reconstruction, least_squares_weight, reestimate_statistics
from solutions.surgery import prune
from solutions.width_environment import FEATURES, WidthEnvironment

SIZE = (3, 32, 32)
SEARCHING = {"clipped_action": clipped_action, "reward": reward}


@pytest.fixture(scope="module")
def images() -> MiniCIFAR:
    return MiniCIFAR("train", n_classes=4, R=125, synthetic=True)


@pytest.fixture
def loader(images: MiniCIFAR) -> Loader:
    return Loader(images, batch_size=32, shuffle=True, augment=True)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small_vgg() -> nn.Module:
    return vgg_mini(widths=(6, 8, 8, 10))


def small_resnet() -> nn.Module:
    return resnet20(widths=(4, 6, 8))


# --- the small functions


def test_a_gate_by_hand() -> None:
    down, up = nn.Linear(2, 1), nn.Linear(1, 2)
    for layer, weight, bias in ((down, [[1.0, -2.0]], [0.5]), (up, [[1.0], [-1.0]], [0.0, 4.0])):
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    maps = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]], [[[0.0, 0.0]], [[5.0, 5.0]]]])  # means (2, 0) and (0, 5)
    expected = torch.tensor([[2.5, 1.5], [0.0, 4.0]]).sigmoid()  # the second image's inner number is below 0
    torch.testing.assert_close(attention_gate(maps, down, up), expected)


def test_every_image_counts_the_same_whatever_its_batch() -> None:
    gates = [torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.5]]), torch.tensor([[0.0, 0.5]])]
    assert mean_importance(gates).tolist() == [0.75, 0.25]


def chain_macs(widths: Any) -> int:
    """Of a chain whose layers read what the one before makes, 3 channels at first and 5 classes at the end."""
    whole = [3, *widths, 5]
    return sum(a * b for a, b in pairwise(whole))


@given(
    ratios=some.lists(some.floats(0, 1), min_size=1, max_size=4),
    whole=some.lists(some.integers(1, 12), min_size=4, max_size=4),
    budget=some.floats(0.05, 1.0),
)
def test_a_clipped_action_is_the_largest_that_leaves_a_way_to_the_budget(
    ratios: list[float], whole: list[int], budget: float
) -> None:
    least = [max(1, width // 4) for width in whole]
    target = budget * chain_macs(whole)
    widths = list(whole)
    for layer, ratio in enumerate(ratios):
        kept = clipped_action(ratio, layer, tuple(widths), least, chain_macs, target)
        wanted = [k for k in range(least[layer], whole[layer] + 1) if k <= max(ratio * whole[layer] + 1, 1)]
        fits = [k for k in wanted if chain_macs([*widths[:layer], k, *least[layer + 1 :]]) <= target]
        rounded = whole[layer] - int((1 - ratio) * whole[layer] + 1e-9)
        assert kept == max([k for k in fits if k <= rounded], default=least[layer])
        widths[layer] = kept


def test_rewards_are_minus_the_loss_or_minus_the_error_times_the_logarithm_of_the_macs() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.5, 0.0]])
    labels = torch.tensor([0, 1, 1, 0])
    loss = -torch.tensor([(logits[n] - logits[n].logsumexp(0))[label] for n, label in enumerate(labels)]).mean()
    assert reward(logits, labels) == pytest.approx(-loss.item(), rel=1e-6)
    assert reward(logits, labels, macs=1000) == pytest.approx(-0.25 * np.log(1000))
    assert reward(logits, labels, macs=1) == 0


def test_steps_over_all_channels_end_where_scikit_learns_lasso_does() -> None:
    x, y = numbers(60, 7), numbers(60, seed=1)
    x[:, 3] = 0
    beta = torch.zeros(7, dtype=torch.float64)
    for _, channel in product(range(200), range(7)):
        beta = lasso_step(x, y, beta, channel, 0.05)
    expected = Lasso(alpha=0.05, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y).coef_
    np.testing.assert_allclose(beta.numpy(), expected, atol=1e-8)
    assert 0 < np.count_nonzero(expected) < 6 and beta[3] == 0


# --- attention


@pytest.mark.parametrize("make", [small_vgg, small_resnet, lambda: mobile_mini(widths=(6, 6, 8, 8))])
def test_gates_change_little_at_first_and_the_frozen_network_not_at_all(
    make: Callable[[], nn.Module], loader: Loader
) -> None:
    network = lively(make())
    groups = prunable_groups(network, torch.randn(1, *SIZE), progress=False)
    before = copy.deepcopy(network.state_dict())
    gated = Gated(network, groups, attention_gate)
    batch = next(iter(loader))[0]
    with torch.no_grad():
        plain, with_gates = network.eval()(batch), gated(batch)
    assert 0 < (with_gates - plain).abs().mean() < 0.3 * plain.std()
    optimizer = torch.optim.SGD([p for p in gated.parameters() if p.requires_grad], lr=1.0)
    gated.train()
    gated(batch).square().mean().backward()
    optimizer.step()
    frozen = gated.network.state_dict()
    assert all(torch.equal(frozen[name], tensor) for name, tensor in before.items())
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    assert all(up.bias.grad.abs().sum() > 0 for _, up in gated.gates.values())


def test_importance_does_not_depend_on_the_order_of_the_images_nor_on_the_batches(images: MiniCIFAR) -> None:
    network = lively(small_resnet())
    gated = Gated(network, prunable_groups(network, torch.randn(1, *SIZE), progress=False), attention_gate)
    for parameter in gated.gates.parameters():
        parameter.data.normal_(generator=torch.Generator().manual_seed(1))
    one = importance(gated, Loader(images, batch_size=64), mean_importance)
    other = importance(gated, Loader(images, batch_size=33, shuffle=True, seed=4), mean_importance)
    for name, scores in one.items():
        torch.testing.assert_close(scores, other[name], atol=1e-5, rtol=0)
        assert scores.std() > 0


def test_a_gate_multiplies_what_every_reader_of_a_group_with_several_makers_sees() -> None:
    """Two convolutions make one sum; two read it: by the same gate, each its own maps, and the mean counts."""
    network = Net(
        lambda n, x: (lambda joined: n.c(joined) + n.d(joined.relu()))(n.a(x) + n.b(x)),
        a=conv(3, 4), b=conv(3, 4), c=conv(4, 2), d=conv(4, 2),
    )  # fmt: skip
    groups = prunable_groups(network, torch.randn(2, 3, 8, 8), progress=False)
    gated = Gated(network, groups, lambda maps, down, up: maps.mean((2, 3)).abs())
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        joined = network.a(x) + network.b(x)
        given = [joined.mean((2, 3)).abs(), joined.relu().mean((2, 3)).abs()]
        expected = network.c(joined * given[0][..., None, None]) + network.d(joined.relu() * given[1][..., None, None])
        torch.testing.assert_close(gated(x), expected)
        scores = importance(gated, [(x, torch.zeros(2))], mean_importance)
    (name,) = scores
    torch.testing.assert_close(scores[name], torch.stack(given).mean((0, 1)))


def test_a_gate_that_reads_behind_a_flatten_takes_all_pixels_of_a_channel() -> None:
    network, example = NETWORKS["small_vgg"].make()
    groups = prunable_groups(network, example, progress=False)
    gated = Gated(
        network, groups, lambda maps, down, up: (torch.arange(maps.shape[1]) > 1).float().expand(len(maps), -1)
    )
    closed = {group.name: list(range(2, group.channels)) for group in groups if group.free}
    with torch.no_grad():
        torch.testing.assert_close(gated(example), prune(network, groups, closed)(example), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (lambda maps, down, up: maps, "is asked"),
        (lambda maps, down, up: attention_gate(maps, down, up).detach(), "cannot learn"),
    ],
)
def test_gates_of_another_shape_or_without_gradients_are_told(gate: Any, words: str, loader: Loader) -> None:
    with pytest.raises(ValueError, match=words):
        pcas(small_vgg(), loader, 0.5, 1, attention_gate=gate, mean_importance=mean_importance, progress=False)


# --- least squares, and statistics anew


def test_least_squares_are_those_of_torch_where_there_are_enough_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solutions.reconstruction.RIDGE", 1e-12)
    x, y, kept = numbers(80, 9), numbers(80, 4, seed=1), torch.tensor([0, 2, 5, 8])
    fitted = least_squares_weight(x.T @ x, x.T @ y, kept, torch.zeros(4, 4))
    torch.testing.assert_close(fitted, torch.linalg.lstsq(x[:, kept], y).solution.T, atol=1e-6, rtol=1e-6)


def test_where_samples_say_nothing_the_weight_stays_as_it_was() -> None:
    x = numbers(50, 5)
    x[:, 1], x[:, 3] = 0, x[:, 2]
    weight = numbers(3, 5, seed=2)
    fitted = least_squares_weight(x.T @ x, x.T @ (x @ weight.T), torch.arange(5), weight)
    torch.testing.assert_close(fitted, weight)


def test_with_all_channels_a_rebuilt_network_is_the_original_up_to_its_statistics() -> None:
    network, example = NETWORKS["small_vgg"].make()
    groups = prunable_groups(network, example, progress=False)
    batches = [torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    reestimate_statistics(network, batches)
    rebuilt = Reconstruction(network, groups, batches)
    with torch.no_grad():
        torch.testing.assert_close(rebuilt({})(batches[0]), network(batches[0]))


def test_least_squares_and_new_statistics_bring_outputs_nearer_to_the_originals() -> None:
    network, example = NETWORKS["small_vgg"].make()
    groups = prunable_groups(network, example, progress=False)
    batches = [torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    reestimate_statistics(network, batches)
    plan = {group.name: highest(group, l1_norms(network, group), group.channels // 2) for group in groups if group.free}
    plain = prune(network, groups, plan)
    with torch.no_grad():
        far = [(one(batches[0]) - network(batches[0])).square().mean() for one in
               (plain, Reconstruction(network, groups, batches)(plan))]  # fmt: skip
    assert far[1] < 0.7 * far[0]


def test_new_statistics_are_the_means_over_the_batches_and_nothing_else_changes() -> None:
    network = lively(small_vgg())
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = [torch.randn(8, *SIZE, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    reestimate_statistics(network, batches)
    conv_1, norm = network.features[0], network.features[1]
    with torch.no_grad():
        means = torch.stack([conv_1(batch).mean((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(norm.running_mean, means, atol=1e-5, rtol=1e-4)
    changed = {
        name.rpartition(".")[2]
        for name, tensor in network.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed <= {"running_mean", "running_var", "num_batches_tracked"}
    assert norm.momentum == 0.1 and not any(module.training for module in network.modules())


# --- LASSO


def test_products_of_contributions_are_those_of_the_definition() -> None:
    inputs, weight, target = numbers(20, 12), numbers(5, 12, seed=1), numbers(20, 5, seed=2)
    gram, cross = contribution_products(inputs, weight, target, 4)
    blocks = weight.view(5, 4, 3) / weight.view(5, 4, 3).square().sum((0, 2), keepdim=True).sqrt()
    each = torch.einsum("sck,ock->cso", inputs.view(20, 4, 3), blocks).flatten(1)
    torch.testing.assert_close(gram, each @ each.T)
    torch.testing.assert_close(cross, each @ target.flatten())


def lasso_by_scikit_learn(x: Tensor, y: Tensor, count: int) -> set[int]:
    """The channels of the first solution on a fine path that has `count` of them; an empty set where none has."""
    most = float((x.T @ y).abs().max()) / len(y)
    for strength in np.geomspace(most, most / 1e4, 400):
        beta = Lasso(alpha=strength, fit_intercept=False, tol=1e-10, max_iter=100_000).fit(x, y).coef_
        if np.count_nonzero(beta) == count:
            return set(np.flatnonzero(beta))
    return set()


@pytest.mark.parametrize("count", [1, 3, 5, 7])
def test_lasso_keeps_the_channels_that_scikit_learns_path_has(count: int) -> None:
    x, y = numbers(50, 8), numbers(50, seed=5)
    kept = lasso_channels(x.T @ x, x.T @ y, count)
    assert len(kept) == count and set(kept) == (lasso_by_scikit_learn(x, y, count) or set(kept))


def test_dead_channels_go_first_and_of_two_that_say_the_same_one_is_enough() -> None:
    x = numbers(60, 6)
    x[:, 2], x[:, 5] = 0, x[:, 1]
    y = x.sum(dim=1)
    gram, cross = x.T @ x, x.T @ y
    assert 2 not in lasso_channels(gram, cross, 5)
    four = lasso_channels(gram, cross, 4)
    assert 2 not in four and len({1, 5}.intersection(four)) == 1
    assert lasso_channels(gram, cross, 6) == list(range(6))
    assert len(lasso_channels(torch.zeros(4, 4).double(), torch.zeros(4).double(), 2)) == 2


def test_a_doubled_network_loses_nothing_when_half_of_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every channel twice: least squares give the one that stays what the other said."""
    monkeypatch.setattr("solutions.reconstruction.RIDGE", 1e-12)
    first = conv(3, 4)
    wide = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
    wide[0].weight.data = torch.cat([first.weight.data] * 2)
    wide[0].bias.data = torch.cat([first.bias.data] * 2)
    wide[2].weight.data = torch.cat([wide[2].weight.data[:, :4], 3 * wide[2].weight.data[:, :4]], dim=1)
    wide.double()
    images = numbers(40, 3, 8, 8)
    groups = prunable_groups(wide, images[:1], progress=False)
    narrow, kept = lasso_layer(wide, wide, groups, groups[0], images, 0.5, locations=64, seed=0)
    assert sorted(channel % 4 for channel in kept) == [0, 1, 2, 3], "both of a pair stayed"
    torch.testing.assert_close(narrow(images), wide(images), atol=1e-6, rtol=1e-6)


def test_the_second_layer_makes_up_for_what_the_first_one_lost() -> None:
    """Its targets come from the original network: its outputs are nearer to it than with targets of the pruned one."""
    network, _ = NETWORKS["small_vgg"].make()
    images = numbers(200, 3, 8, 8).float()
    groups = prunable_groups(network, images[:1], progress=False)
    first, kept = lasso_layer(network, network, groups, groups[0], images, 0.5, locations=64, seed=0)
    left = groups_left(groups, {groups[0].name: kept})
    far = []
    for original in (network, first):
        narrow, _ = lasso_layer(original, first, left, left[1], images, 0.5, locations=64, seed=0)
        name = next_layer(network, groups[1])
        outs = [one(images) for one in (watched_output(network, name), watched_output(narrow, name))]
        far.append((outs[0] - outs[1]).square().mean().item())
    assert far[0] < far[1]


def watched_output(network: nn.Module, name: str) -> Callable[[Tensor], Tensor]:
    """What a layer of a network gives for images."""

    def run(images: Tensor) -> Tensor:
        seen: list[Tensor] = []
        hook = network.get_submodule(name).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        with torch.no_grad():
            network.eval()(images)
        hook.remove()
        return seen[0]

    return run


def test_lasso_prunes_what_one_layer_reads_and_leaves_stages_whole(loader: Loader) -> None:
    network = lively(small_resnet())
    images = next(iter(loader))[0]
    groups = prunable_groups(network, images[:1], progress=False)
    narrow, left = lasso(network, groups, images, 0.5, progress=False)
    before, after = ({group.name: group.channels for group in of} for of in (groups, left))
    inner = [name for name in before if name.endswith("conv1") and "." in name]
    assert all(after[name] == before[name] // 2 for name in inner)
    assert all(after[name] == before[name] for name in before if name not in inner)
    assert narrow(images).isfinite().all()


# --- budgets of MACs by widths


@pytest.mark.parametrize("make", [small_vgg, small_resnet, lambda: mobile_mini(widths=(6, 6, 8, 8))])
def test_macs_of_widths_are_those_of_the_plan(make: Callable[[], nn.Module]) -> None:
    network, example = make(), torch.zeros(1, *SIZE)
    groups = prunable_groups(network, example, progress=False)
    by_widths, uses = macs_of_widths(network, groups, example), uses_of(network, example)
    chance = np.random.default_rng(0)
    for _ in range(20):
        widths = {group.name: int(chance.integers(1, group.channels + 1)) for group in groups if group.free}
        plan = {g.name: highest(g, l1_norms(network, g), widths[g.name]) for g in groups if g.free}
        widths = {name: len(stay) for name, stay in plan.items()}
        assert by_widths(widths) == macs_left(network, groups, plan, uses)
        assert by_widths(widths) == count_macs(prune(network, groups, plan), SIZE)


# --- AMC


def environment_of(network: nn.Module, budget: float, lower: float = 0.05, **options: Any) -> WidthEnvironment:
    example = torch.zeros(1, *SIZE)
    groups = prunable_groups(network, example, progress=False)
    judged = options.pop("judge", lambda widths, *_: -float(sum(widths)))
    return WidthEnvironment(network, groups, judged, budget, example, clipped_action=clipped_action, lower=lower)


ENVIRONMENTS = {
    name: environment_of(make(), 0.3)
    for name, make in (
        ("vgg", small_vgg),
        ("resnet", small_resnet),
        ("mobile", lambda: mobile_mini(widths=(6, 6, 8, 8))),
    )
}


@settings(max_examples=60, deadline=None)
@given(data=some.data(), name=some.sampled_from(sorted(ENVIRONMENTS)))
def test_no_episode_is_over_the_budget_or_below_the_lower_bounds(data: Any, name: str) -> None:
    env = ENVIRONMENTS[name]
    env.reset()
    done = False
    while not done:
        action = data.draw(some.floats(0, 1))
        observation, _, done, cut, info = env.step(np.array([action]))
        assert env.observation_space.contains(observation) and not cut
    assert info["macs"] <= env.budget
    assert all(low <= width for low, width in zip(env.least, info["widths"], strict=True))
    assert [len(stay) for stay in info["plan"].values()] == info["widths"]


def test_actions_of_one_keep_as_much_as_the_budget_allows() -> None:
    env = environment_of(small_vgg(), 1.0)
    env.reset()
    for _ in env.whole:
        *_, info = env.step([1.0])
    assert info["widths"] == env.whole


def test_the_environment_is_one_of_gymnasium() -> None:
    with pytest.warns(UserWarning, match="range"):  # ratios lie between 0 and 1, and it would like -1 to 1
        check_env(environment_of(small_vgg(), 0.5), skip_render_check=True)


def test_observations_say_what_was_decided() -> None:
    env = environment_of(small_vgg(), 1.0)
    first, _ = env.reset()
    second, *_ = env.step([0.5])
    saved, last = FEATURES.index("saved"), FEATURES.index("last")
    assert first[saved] == 0 and first[last] == 1
    kept = env.widths[0]
    assert second[last] == pytest.approx(kept / env.whole[0])
    assert second[saved] == pytest.approx(1 - env.macs([kept, *env.whole[1:]]) / env.macs(env.whole))


def test_a_budget_below_the_lower_bounds_is_refused() -> None:
    with pytest.raises(PlanError, match="smaller `lower`"):
        environment_of(small_vgg(), 0.05, lower=0.5)


def test_a_clipped_action_out_of_range_is_told() -> None:
    env = environment_of(small_vgg(), 0.5)
    env.clipped_action = lambda *_: 99
    env.reset()
    with pytest.raises(ValueError, match="gave 99 channels"):
        env.step([0.5])


def test_a_plan_is_evaluated_once(loader: Loader) -> None:
    calls = []

    def counting(logits: Tensor, labels: Tensor) -> float:
        calls.append(len(labels))
        return reward(logits, labels)

    env = environment(
        small_vgg(), loader, next(iter(loader)), 0.5, clipped_action=clipped_action, reward=counting, progress=False
    )
    for ratio in (0.3, 0.3, 0.6):
        env.reset()
        done = False
        while not done:
            *_, done, _, _ = env.step([ratio])
    assert len(calls) == 2


def test_images_of_some_classes_only_must_not_judge(images: MiniCIFAR, loader: Loader) -> None:
    held = next(iter(Loader(images, batch_size=20)))  # in order of their classes
    with pytest.raises(ValueError, match="3 of the 4 classes are not among"):
        environment(small_vgg(), loader, held, 0.5, progress=False, **SEARCHING)


def test_a_search_without_a_budget_pays_for_its_macs(loader: Loader) -> None:
    seen = []

    def noting(logits: Tensor, labels: Tensor, macs: int) -> float:
        seen.append(macs)
        return reward(logits, labels, macs)

    options: dict[str, Any] = {"clipped_action": clipped_action, "reward": noting, "pay": True, "progress": False}
    env = environment(small_vgg(), loader, next(iter(loader)), 1.0, **options)
    (one,) = search(env, None, 1, progress=False)
    assert seen == [one["macs"]] and env.value(env.whole) < 0 and seen[1] == env.macs(env.whole)


def test_the_agent_learns_which_of_two_layers_matters() -> None:
    """Only the first layer's channels bring anything: after some hundred episodes its ratio is larger."""
    env = environment_of(vgg_mini(widths=(10, 10)), 1.0, judge=lambda widths, *_: widths[0] / 10 - widths[1] / 10)
    agent = Agent(env.observation_space.shape[0], env.lower, seed=0)
    log = search(env, agent, 250, progress=False)
    late = np.array([one["widths"] for one in log[-25:]]).mean(axis=0)
    assert late[0] > 7 and late[1] < 4


def test_the_value_after_the_last_step_is_nothing() -> None:
    """With one step an episode the critic learns reward - baseline, whatever the slow networks say."""
    agent = Agent(2, 0.05, seed=0)
    agent.slow_critic[-1].bias.data.fill_(100.0)
    for _ in range(300):
        agent.remember([torch.zeros(2), torch.ones(2)], [0.5], 1.0)
        agent.slow_critic[-1].bias.data.fill_(100.0)
    assert agent.baseline == pytest.approx(1.0)
    assert abs(agent.critic(torch.tensor([0.0, 0.0, 0.5])).item()) < 0.2


@pytest.mark.parametrize("with_agent", [True, False])
def test_a_stopped_search_goes_on_to_the_same_episodes(with_agent: bool, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(amc_module, "EVERY", 5)

    def carried_out(episodes: int, judge: Any, file: Path | None = None) -> Any:
        env = environment_of(small_vgg(), 0.4)
        env.judge = judge
        agent = Agent(env.observation_space.shape[0], env.lower, seed=2) if with_agent else None
        return search(env, agent, episodes, seed=2, resume=file, progress=False)

    class Valued:
        def __init__(self, stop_after: int = 10**9) -> None:
            self.values: dict[Any, float] = {}
            self.left = stop_after

        def __call__(self, widths: Any, *_: Any) -> float:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return -float(np.std(widths))

    whole = carried_out(30, Valued())
    with pytest.raises(KeyboardInterrupt):
        carried_out(30, Valued(stop_after=17), tmp_path / "search.resume")
    assert carried_out(30, Valued(), tmp_path / "search.resume") == whole


def test_greedy_takes_from_the_layer_that_minds_least_and_meets_the_budget() -> None:
    env = environment_of(small_vgg(), 0.5, judge=lambda widths, *_: -10.0 * (widths[0] < 6) - 0.01 * (8 - widths[1]))
    widths, evaluations = greedy_widths(env)
    assert widths[0] == 6 and env.macs(widths) <= env.budget
    assert evaluations <= 10 * len(env.whole)


# --- pruning from scratch


@pytest.mark.parametrize("make", [small_vgg, small_resnet])
def test_open_gates_change_nothing_and_closed_ones_silence_their_channels(make: Callable[[], nn.Module]) -> None:
    network = lively(make()).eval()
    groups = prunable_groups(network, torch.randn(1, *SIZE), progress=False)
    gated = copy.deepcopy(network)
    gates = add_gates(gated, groups)
    x = torch.randn(3, *SIZE)
    with torch.no_grad():
        for gate in gates.values():
            gate.fill_(1.0)
        torch.testing.assert_close(gated(x), network(x))
    trained = {id(p) for p in gated.parameters() if p.requires_grad}
    assert trained == {id(gate) for gate in gates.values()}


# --- the drivers


def searched(network: nn.Module, loader: Loader, **options: Any) -> Any:
    held = next(iter(Loader(loader.dataset, batch_size=40, shuffle=True)))
    return amc(network, loader, held, 0.4, 2, episodes=6, **SEARCHING, **options)


DRIVERS: dict[str, Callable[..., tuple[nn.Module, dict[str, Any]]]] = {
    "attention": lambda *a, **o: pcas(
        *a, 0.4, 3, searching=2, attention_gate=attention_gate, mean_importance=mean_importance, **o
    ),
    "AMC": searched,
    "random search": lambda *a, **o: searched(*a, at_random=True, **o),
    "pruning from scratch": lambda *a, **o: pruned_from_scratch(*a, 0.4, 3, searching=2, **o),
}


@pytest.mark.parametrize("name", DRIVERS)
def test_a_stopped_run_goes_on_to_the_same_bits(name: str, loader: Loader, tmp_path: Path) -> None:
    goes_on_to_the_same_bits(DRIVERS[name], small_vgg(), loader, tmp_path)


@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize("make", [small_resnet, lambda: mobile_mini(widths=(6, 6, 8, 8))])
def test_budgets_are_met_on_residual_and_depthwise_networks(
    name: str, make: Callable[[], nn.Module], loader: Loader
) -> None:
    network = make()
    narrow, history = DRIVERS[name](network, loader, progress=False)
    share = count_macs(narrow, SIZE) / count_macs(network, SIZE)
    assert share <= 0.4 and (share > 0.2 or name == "random search")
    assert history["plan"] and history["finetuning"]


def test_pruning_from_scratch_does_not_look_at_the_weights(loader: Loader) -> None:
    network, other = vgg_mini(widths=(6, 8), seed=0), vgg_mini(widths=(6, 8), seed=1)
    ends = []
    for one in (network, other):
        loader.epoch = 0
        ends.append(pruned_from_scratch(one, loader, 0.4, 2, searching=1, seed=3, progress=False)[1])
    assert without_times(ends[0]) == without_times(ends[1])
