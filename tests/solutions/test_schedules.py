"""Sensitivity, schedules, iterative pruning and the narrow twin."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.graphs import groups_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils.networks import parameter_count, resnet20, vgg_mini
from course_utils.pictures import study_plots
from course_utils.records import MomentStudy, Study, open_study, read_study
from course_utils.training import Diverged, Evaluation, Stopped
from solutions.controls import narrow_control
from solutions.graph.groups import Group
from solutions.iterative import group_sensitivity, l1_ranking, lowest_everywhere, plan_step, prune_iteratively
from solutions.prunable import prunable_groups
from solutions.schedules import cubic_sparsity, narrow_twin, prune_and_reset, sensitivity_scan
from solutions.surgery import prune
from studies import when_to_prune
from studies.when_to_prune import Series, carry_out, spread

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Batches:
    """Four batches of noise, others in every epoch; stops with KeyboardInterrupt at a given batch, once."""

    def __init__(self, stop_at: int = -1) -> None:
        self.epoch, self.stop_at, self.given = 0, stop_at, 0

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Any:
        chance = torch.Generator().manual_seed(self.epoch)
        self.epoch += 1
        for _ in range(4):
            if self.given == self.stop_at:
                self.stop_at = -1
                raise KeyboardInterrupt
            self.given += 1
            yield torch.randn(8, 3, 32, 32, generator=chance), torch.arange(8) % 4


@pytest.fixture
def network() -> nn.Module:
    return lively(vgg_mini(widths=(8, 8, 12, 12)))


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    return groups_of(vgg_mini(widths=(8, 8, 12, 12)))


def lively(network: nn.Module) -> nn.Module:
    """Batch norms with biases, so that a silent filter is not a silent channel."""
    chance = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data = torch.randn(module.bias.shape, generator=chance)
    return network.eval()


def total(network: nn.Module) -> float:
    with torch.no_grad():
        return network.eval()(IMAGES).double().abs().sum().item()


def widths(network: nn.Module) -> list[int]:
    return [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]


# --- where


def test_the_scan_by_hand_is_the_scan_by_groups(network: nn.Module, groups: list[Group]) -> None:
    by_hand = sensitivity_scan(network, [1.0, 0.5, 0.25], total)
    by_groups = group_sensitivity(network, groups, [1.0, 0.5, 0.25], total)
    assert list(by_hand) == list(by_groups)
    assert all(by_hand[name] == pytest.approx(by_groups[name], rel=1e-5) for name in by_hand)


def test_at_keep_ratio_1_a_scan_sees_the_whole_network(network: nn.Module) -> None:
    assert {value for values in sensitivity_scan(network, [1.0, 1.0], total).values() for value in values} == {
        total(network)
    }


def test_the_network_is_as_it_was_even_after_an_error(network: nn.Module) -> None:
    before, calls = copy.deepcopy(network.state_dict()), []

    def fails_at_the_third(_: nn.Module) -> float:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError
        return 0.0

    with pytest.raises(RuntimeError):
        sensitivity_scan(network, [0.5, 0.25], fails_at_the_third)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_residual_network_is_scanned_by_its_groups() -> None:
    network = resnet20(widths=(4, 6, 8), classes=4).eval()
    results = group_sensitivity(network, groups_of(network), [1.0, 0.5], total)
    assert len(results) == 3 + 9 and all(values[0] == total(network) != values[1] for values in results.values())


# --- how fast


@settings(deadline=None)
@given(st.floats(-10, 10), st.floats(0.1, 10), st.floats(0.01, 1), st.lists(st.floats(-20, 30), min_size=2))
def test_the_cubic_schedule_rises_ever_more_slowly(
    begin: float, length: float, final: float, steps: list[float]
) -> None:
    end = begin + length
    values = [cubic_sparsity(step, begin, end, final) for step in sorted(steps)]
    assert values == sorted(values) and values[0] >= 0 and values[-1] <= final
    assert cubic_sparsity(begin, begin, end, final) == 0 and cubic_sparsity(end, begin, end, final) == final
    assert cubic_sparsity(begin + length / 2, begin, end, final) == pytest.approx(7 / 8 * final)


@pytest.mark.parametrize(
    ("steps", "epochs", "expected"),
    [(1, 10, ([0.4], 10, 10)), (3, 10, ([0.8, 0.6, 0.4], 3, 4)), (4, 2, ([0.7, 0.4], 1, 1))],
)
def test_equal_steps_use_all_epochs(steps: int, epochs: int, expected: tuple[list[float], int, int]) -> None:
    ratios, between, last = spread(0.4, steps, epochs)
    assert (pytest.approx(ratios), between, last) == expected
    assert between * (len(ratios) - 1) + last == epochs


# --- plans


def test_the_lowest_channels_go_wherever_they_are(groups: list[Group]) -> None:
    scores = {group.name: torch.arange(1.0, group.channels + 1) for group in groups}
    plan = lowest_everywhere(groups, scores, 5)
    free = [group for group in groups if group.free]
    removed = {group.name: group.channels - len(plan.get(group.name, range(group.channels))) for group in free}
    assert sum(removed.values()) == 5 and set(removed.values()) == {1, 2}
    assert all(plan[name] == list(range(gone, gone + len(plan[name]))) for name, gone in removed.items() if gone)


def test_scores_are_compared_as_they_are(groups: list[Group]) -> None:
    scores = {group.name: torch.arange(1.0, group.channels + 1) for group in groups}
    scores[groups[1].name] /= 100
    assert lowest_everywhere(groups, scores, 5) == {groups[1].name: [5, 6, 7]}


def test_l1_norms_are_ranked_in_units_of_their_groups_mean(network: nn.Module, groups: list[Group]) -> None:
    for values in l1_ranking(network, groups).values():
        assert values.mean().item() == pytest.approx(1)


@pytest.mark.parametrize("floor", [1, 3])
def test_a_floor_stays_in_every_group(groups: list[Group], floor: int) -> None:
    scores = {group.name: torch.ones(group.channels) for group in groups}
    scores[groups[0].name][:] = torch.arange(8.0)
    plan = lowest_everywhere(groups, scores, 10_000, floor)
    assert {len(plan[group.name]) for group in groups if group.free} == {floor}
    assert plan[groups[0].name] == list(range(8 - floor, 8))


class Joined(nn.Module):
    """Two convolutions, concatenated and added to a third: one group, and each of the three needs a channel of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.whole, self.left, self.right = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.end = nn.Conv2d(8, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.end(self.whole(images) + torch.cat([self.left(images), self.right(images)], dim=1))


def test_no_layer_of_a_group_is_emptied() -> None:
    network = Joined()
    groups = prunable_groups(network, IMAGES)
    scores = {group.name: torch.arange(1.0, group.channels + 1) for group in groups}
    plan = lowest_everywhere(groups, scores, 4)
    assert plan == {groups[0].name: [3, 5, 6, 7]}
    assert prune(network, groups, plan)(IMAGES).shape == (4, 2, 32, 32)


def test_a_keep_ratio_that_rises_again_removes_nothing(network: nn.Module, groups: list[Group]) -> None:
    original = {group.name: 2 * group.channels for group in groups}
    assert plan_step(groups, l1_ranking(network, groups), original, 0.9, "network") == {}


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_a_step_leaves_the_share_that_was_asked_for(network: nn.Module, groups: list[Group], scope: str) -> None:
    original = {group.name: group.channels for group in groups}
    plan = plan_step(groups, l1_ranking(network, groups), original, 0.5, scope)
    assert sum(len(kept) for kept in plan.values()) == 20
    if scope == "layer":
        assert [len(kept) for kept in plan.values()] == [4, 4, 6, 6]


def test_an_unknown_scope_is_an_error(network: nn.Module, groups: list[Group]) -> None:
    with pytest.raises(ValueError, match="layer"):
        plan_step(groups, l1_ranking(network, groups), {}, 0.5, "model")


# --- iterative pruning


def run(network: nn.Module, groups: list[Group], loader: Batches, **options: Any) -> tuple[nn.Module, list[dict]]:
    options = {"keep_ratios": [0.75, 0.5], "epochs": 2, "lr": 0.05, "progress": False, **options}
    return prune_iteratively(network, groups, loader, **options)


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_each_step_leaves_its_share_and_is_noted(network: nn.Module, groups: list[Group], scope: str) -> None:
    before = copy.deepcopy(network.state_dict())
    pruned, log = run(network, groups, Batches(), scope=scope, test=Batches(), final_epochs=1)
    assert sum(widths(pruned)) == 20 and log[-1]["parameters"] == parameter_count(pruned)
    assert [entry["keep_ratio"] for entry in log] == [0.75, 0.5]
    assert all(0 <= entry[key] <= 1 for entry in log for key in ("pruned_accuracy", "accuracy"))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_any_ranking_decides(network: nn.Module, groups: list[Group]) -> None:
    def last_first(_: nn.Module, groups: Any) -> dict[str, Tensor]:
        return {group.name: torch.arange(float(group.channels)).flip(0) + 1 for group in groups}

    pruned, _ = run(network, groups, Batches(), rank=last_first, keep_ratios=[0.5], epochs=0)
    assert torch.equal(pruned.features[0].weight, network.features[0].weight[:4])


def test_a_residual_network_is_pruned_step_by_step() -> None:
    network = resnet20(widths=(4, 6, 8), classes=4)
    pruned, _ = run(network, groups_of(network), Batches(), epochs=1)
    assert pruned(IMAGES).shape == (4, 4) and widths(pruned)[0] == 2


def test_every_step_has_a_new_optimizer(network: nn.Module, groups: list[Group], monkeypatch: Any) -> None:
    made: list[torch.optim.Optimizer] = []
    real = torch.optim.SGD

    def noted(*args: Any, **options: Any) -> torch.optim.Optimizer:
        made.append(real(*args, **options))
        return made[-1]

    monkeypatch.setattr(torch.optim, "SGD", noted)
    pruned, _ = run(network, groups, Batches())
    assert len(made) == 2
    known = {id(parameter) for group in made[-1].param_groups for parameter in group["params"]}
    assert known == {id(parameter) for parameter in pruned.parameters()}


@pytest.mark.parametrize("stop_at", [0, 5, 9, 14])
def test_stopped_and_resumed_is_the_same_as_undisturbed(
    network: nn.Module, groups: list[Group], tmp_path: Path, stop_at: int
) -> None:
    expected, log = run(network, groups, Batches())
    run(network, groups, Batches(stop_at), resume=tmp_path / "run")
    again, same_log = run(network, groups, Batches(), resume=tmp_path / "run")
    assert same_log == log and widths(again) == widths(expected)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in expected.state_dict().items())


def test_a_finished_run_is_only_read(network: nn.Module, groups: list[Group], tmp_path: Path) -> None:
    run(network, groups, Batches(), resume=tmp_path / "run")
    loader = Batches()
    run(network, groups, loader, resume=tmp_path / "run")
    assert loader.given == 0


def test_another_call_may_not_go_on(network: nn.Module, groups: list[Group], tmp_path: Path) -> None:
    run(network, groups, Batches(), resume=tmp_path / "run", epochs=1)
    with pytest.raises(ValueError, match="another epochs"):
        run(network, groups, Batches(), resume=tmp_path / "run")


def test_another_network_is_another_run(network: nn.Module, groups: list[Group], tmp_path: Path) -> None:
    run(network, groups, Batches(), resume=tmp_path / "run")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    with pytest.raises(ValueError, match="another network"):
        run(network, groups, Batches(), resume=tmp_path / "run")


def test_a_stopped_run_without_a_folder_gives_back_what_there_is(network: nn.Module, groups: list[Group]) -> None:
    pruned, log = run(network, groups, Batches(stop_at=10))
    assert len(log) == 1 and widths(pruned) == [4, 4, 6, 6]


def test_with_raise_a_stop_carries_the_log(network: nn.Module, groups: list[Group]) -> None:
    with pytest.raises(Stopped) as stop:
        run(network, groups, Batches(stop_at=10), on_stop="raise")
    assert [entry["step"] for entry in stop.value.history] == [1]


def test_with_raise_a_loss_that_is_no_number_is_no_stop(network: nn.Module, groups: list[Group]) -> None:
    with pytest.raises(Diverged) as end:
        run(network, groups, Batches(), lr=1e30, on_stop="raise")
    assert end.value.history == []


# --- a new optimizer, and the control


def test_the_new_optimizer_has_settings_and_no_memory(network: nn.Module) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    network(IMAGES).sum().backward()
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.02
    pruned, fresh = prune_and_reset(network, optimizer, 0.5)
    assert widths(pruned) == [4, 4, 6, 6] and not fresh.state
    assert [fresh.param_groups[0][name] for name in ("lr", "momentum", "weight_decay")] == [0.02, 0.9, 1e-4]


@pytest.mark.parametrize("make", [vgg_mini, resnet20])
def test_a_twin_has_the_shapes_and_nothing_else(make: Any) -> None:
    network = make()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    twin, same, other = narrow_twin(network, 5), narrow_twin(network, 5), narrow_twin(network, 6)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in twin.named_parameters():
        assert value.shape == network.get_parameter(name).shape and torch.equal(value, same.get_parameter(name))
        if value.ndim > 1:
            assert not torch.equal(value, network.get_parameter(name))
            assert not torch.equal(value, other.get_parameter(name))


def series(setting: str = "good", **options: Any) -> Series:
    images: Any = SimpleNamespace(classes=range(4))
    return Series("vgg_mini", setting, 0, images, **{"epochs": 3, **options})


def moment_study() -> Study[MomentStudy]:
    return Study(MomentStudy(images="these"))


def test_the_study_runs_every_moment_and_goes_on_where_it_was(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(when_to_prune, "Loader", lambda *_, **__: Batches())
    monkeypatch.setattr(when_to_prune, "BEGINS", {"at the beginning": 0, "later": 1})
    path, about = tmp_path / "r.jsonl", MomentStudy(images="these")
    carry_out(series(), open_study(path, about), Batches(), (0.5,))
    first = read_study(path).records
    with monkeypatch.context() as within:
        within.delattr(when_to_prune, "evaluate")
        carry_out(series(), open_study(path, about), Batches(), (0.5,))
    study = read_study(path)
    assert study.records == first and len(first) == 6
    curves = study_plots.study_curves(study, "vgg_mini", "good")
    assert list(curves) == [
        "unpruned",
        "from scratch",
        *(f"{when}, {n}" for when in ("at the beginning", "later") for n in ("1 step", "4 steps")),
    ]
    assert {share for label, runs in curves.items() for share in runs if label != "unpruned"} == {
        round(73_332 / 289_508, 5)
    }
    assert study_plots.when_to_prune({"small": curves}).axes[0].get_legend() is not None


def test_with_a_constant_rate_a_longer_training_goes_on_from_a_shorter_one(monkeypatch: Any) -> None:
    monkeypatch.setattr(when_to_prune, "Loader", lambda *_, **__: Batches())
    judged: list[nn.Module] = []
    monkeypatch.setattr(when_to_prune, "evaluate", lambda network, _: judged.append(network) or Evaluation(0, 0))
    for begins in ({"later": 1}, {}):
        monkeypatch.setattr(when_to_prune, "BEGINS", begins)
        carry_out(series("poster"), moment_study(), Batches(), (0.5,) if begins else ())
    unpruned, alone = judged[0], judged[-1]
    for name, tensor in unpruned.state_dict().items():
        assert torch.equal(tensor, alone.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["poster", "good"])
def test_networks_that_are_there_are_not_trained_again(setting: str, monkeypatch: Any, tmp_path: Path) -> None:
    loaders: list[Batches] = []
    monkeypatch.setattr(when_to_prune, "Loader", lambda *_, **__: loaders.append(Batches()) or loaders[-1])
    monkeypatch.setattr(when_to_prune, "BEGINS", {"later": 1})
    judged: list[nn.Module] = []
    monkeypatch.setattr(when_to_prune, "evaluate", lambda network, _: judged.append(network) or Evaluation(0, 0))
    for _ in range(2):
        carry_out(series(setting, folder=tmp_path), moment_study(), Batches(), (0.5,))
    first, second = judged[:4], judged[4:]
    for network, again in zip(first, second, strict=True):
        assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())
    half = len(loaders) // 2
    assert sum(loader.given for loader in loaders[half:]) < sum(loader.given for loader in loaders[:half])


def test_the_control_is_drawn_like_the_networks_of_the_course() -> None:
    network = vgg_mini(seed=3)
    before = torch.get_rng_state()
    twin, again, other = (narrow_control(network, seed) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    for position in (0, 3, 7, 10, 14, 17):
        weight, theirs = twin.features[position].weight, network.features[position].weight
        assert weight.std().item() == pytest.approx(
            theirs.std().item(), rel=0.15
        )  # PyTorch's own rule: off by a third at least
        assert torch.equal(weight, again.features[position].weight) and not torch.equal(weight, theirs)
        assert not torch.equal(weight, other.features[position].weight)


@pytest.mark.parametrize("setting", ["poster", "good"])
@pytest.mark.parametrize("network", ["vgg_mini", "resnet20"])
def test_the_study_that_comes_with_the_course_is_whole(network: str, setting: str) -> None:
    curves = study_plots.study_curves(study_plots.recorded_study("when_to_prune"), network, setting)
    assert len(curves) == 2 + 3 * 2
    for label, runs in curves.items():
        assert [len(accuracies) for accuracies in runs.values()] == [3] * (1 if label == "unpruned" else 3), label


def test_a_study_that_is_stopped_keeps_no_half_result(monkeypatch: Any) -> None:
    monkeypatch.setattr(when_to_prune, "Loader", lambda *_, **__: Batches(stop_at=9))
    monkeypatch.setattr(when_to_prune, "BEGINS", {"at the beginning": 0})
    study = moment_study()
    with pytest.raises(Stopped):
        carry_out(series(), study, Batches())
    assert study.records == []


def test_another_ranking_is_another_run(network: nn.Module, groups: list[Group], tmp_path: Path) -> None:
    def backwards(network: nn.Module, groups: Any) -> dict[str, Tensor]:
        return {name: -values for name, values in l1_ranking(network, groups).items()}

    network.recipe = vgg_mini(widths=(8, 8, 12, 12)).recipe
    run(network, groups, Batches(), resume=tmp_path / "run")
    with pytest.raises(ValueError, match="another rank"):
        run(network, groups, Batches(), resume=tmp_path / "run", rank=backwards)


def test_the_driver_shows_when_it_will_be_done(network: nn.Module, groups: list[Group], capsys: Any) -> None:
    run(network, groups, Batches(), progress=True)
    assert "done at" in capsys.readouterr().err
