"""The studies of widths, at a size that takes seconds: every way meets its budget, and a study goes on where it was."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.noise import Noise
from torch import nn

from course_utils.networks import parameter_count, resnet20, vgg_mini
from course_utils.pictures import aofp_plots, budget_plots, study_plots
from course_utils.records import (
    Agreement,
    BudgetResult,
    BudgetStudy,
    RedesignResult,
    RedesignStudy,
    RedesignTime,
    Study,
    read_study,
)
from solutions.followers import targets
from solutions.graph.export import export_graph
from solutions.prunable import prunable_groups
from studies import budgets, oracle_agreement, redesign
from studies.budgets import METHODS, Task

IMAGES: Any = SimpleNamespace(
    fingerprint="these",
    classes=range(4),
    source=SimpleNamespace(description="Noise.", synthetic=False, kind="noise", path=None),
)


GATED = "pruning from scratch"
ATTENTION, AMC = ([name, f"{name}'s widths, from scratch"] for name in ("attention", "AMC"))
LEARNED_OR_SEARCHED = [*ATTENTION, *AMC, "random search", "greedy", GATED, "LASSO", "ThiNet"]
TRAIN_THEMSELVES = ("slimming", "soft thresholds", "feedback", GATED)  # drivers that finetune themselves


@pytest.fixture(autouse=True)
def quick_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EPISODES", 5), ("SEARCHING_EPOCHS", 2), ("GATE_EPOCHS", 2), ("VALIDATION", 2)):
        monkeypatch.setattr(budgets, name, value)


def task_of(network: nn.Module, folder: Path) -> Task:
    example = torch.zeros(2, 3, 32, 32)
    groups = prunable_groups(network, example, progress=False)
    found, _ = targets(network, groups, export_graph(network, example))
    names, search = {target.name for target in found}, {"every": 2, "threshold": 0.5}
    held = next(iter(Noise(1)))
    return Task(network, groups, names, Noise(4), Noise(1), held, [0.7, 0.5], 1, 6, 0, folder, search)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Task]:
    networks = {"chain": vgg_mini(widths=(6, 8)).eval(), "residual": resnet20(widths=(4, 6, 8), classes=4).eval()}
    return {name: task_of(network, tmp_path_factory.mktemp(name)) for name, network in networks.items()}


@pytest.mark.parametrize("network", ["chain", "residual"])
@pytest.mark.parametrize("method", METHODS)
def test_every_way_meets_its_budget_in_the_same_epochs(
    method: str, network: str, tasks: dict[str, Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, trained = tasks[network], []
    train = budgets.fully_trained

    def noting(narrow: nn.Module, loader: Any, epochs: int, **options: Any) -> nn.Module:
        trained.append(epochs)
        return train(narrow, loader, epochs, **options)

    monkeypatch.setattr(budgets, "fully_trained", noting)
    narrow, before, batches, cost, evaluations = METHODS[method](task, 0.5)
    assert task.share(narrow) <= 0.5 < task.share(task.network) == 1
    scratch, whole = "from scratch" in method, method in TRAIN_THEMSELVES
    searching = -(-batches // 4) if method in ("AOFP", "attention") else 7 if method == GATED else 6 if whole else 0
    assert (before is None) == (scratch or whole) and sum(trained) + searching == (7 if scratch else 6)
    assert (batches > 0) == (whole or "AOFP" in method or method == "attention") and 0 < cost < 14
    assert (evaluations > 0) == (method in ("AMC", "random search", "greedy"))


def test_a_study_of_budgets_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(budgets, "load", lambda *_: IMAGES)
    monkeypatch.setattr(budgets, "Loader", lambda *_, **__: Noise(2))
    monkeypatch.setattr(budgets, "trained", lambda *_: vgg_mini(widths=(6, 8)).eval())
    monkeypatch.setattr(budgets, "HALF_DONE", tmp_path)
    for method, way in list(METHODS.items()):
        monkeypatch.setitem(METHODS, method, lambda task, budget, way=way: made.append(budget) or way(task, budget))
    path, pages = tmp_path / "results.jsonl", tmp_path / "pages"
    pages.mkdir()
    for _ in range(2):
        budgets.main(path, budgets=[0.6], seeds=[0], epochs=1, retraining=6, every=2, threshold=0.5, pages=pages)
    results = read_study(path).of(BudgetResult)
    assert [result.method for result in results] == [name for name in METHODS if "inside" not in name]
    assert len(made) == len(results) and all(len(result.widths) == 2 for result in results)
    text = (pages / "results.md").read_text()
    assert "AOFP's widths, from scratch" in text and (pages / "results.png").stat().st_size > 1000


def test_the_table_of_budgets() -> None:
    about = BudgetStudy(images="these", network="n", epochs=1, retraining=6, every=2, threshold=0.5)
    results = [
        BudgetResult("AOFP", 0.5, seed, 0.5, 0.8 + 0.1 * seed, 0.49, 0.4, (3, 4), 10 + seed, 5.0) for seed in (0, 1)
    ]
    table = budget_plots.budget_table(Study(about, list(results)))
    assert table.rows == [("50%", "AOFP", "50.0 ± 0.0", "85.0 ± 7.1", "40.0%", "3-4", "10", "5.0")]


def test_aofp_beside_the_oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_agreement, "load", lambda *_: IMAGES)
    monkeypatch.setattr(oracle_agreement, "Loader", lambda *_, **__: Noise(2))
    monkeypatch.setattr(oracle_agreement, "MOMENTS", (1, 3))
    monkeypatch.setattr(oracle_agreement, "trained", lambda *_: vgg_mini(widths=(6, 8)).eval())
    monkeypatch.setattr(oracle_agreement, "scoring_batches", lambda *_: list(Noise(1)))
    path = tmp_path / "agreement.jsonl"
    for _ in range(2):
        oracle_agreement.main(path, seeds=[0])
    records = read_study(path).of(Agreement)
    assert [(record.layer, [batch for batch, _ in record.points]) for record in records] == [
        ("features.0", [1, 3]), ("features.3", [1, 3])
    ]  # fmt: skip
    assert all(-1 <= value <= 1 for record in records for _, value in (*record.points, *record.to_alone))
    assert records[0].oracle_passes == 15 * oracle_agreement.IMAGES


def test_what_scoring_an_image_costs() -> None:
    """All but the first convolution are followers, and half of each is computed."""
    network, example = vgg_mini(widths=(6, 8)).eval(), torch.zeros(2, 3, 32, 32)
    found, _ = targets(network, prunable_groups(network, example, progress=False), export_graph(network, example))
    followers = 6 * 8 * 9 * 32 * 32 + 32 * 4
    share = oracle_agreement.scored_share(network, found, oracle_agreement.uses_of(network, example))
    assert share == pytest.approx(0.5 * followers / (followers + 3 * 6 * 9 * 32 * 32))


def test_four_networks_of_a_redesign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redesign, "load", lambda *_: IMAGES)
    monkeypatch.setattr(redesign, "Loader", lambda *_, **__: Noise(4))
    monkeypatch.setattr(redesign, "HALF_DONE", tmp_path)
    monkeypatch.setattr(redesign, "FIRST", 1)
    monkeypatch.setattr(redesign, "LATER", 6)
    monkeypatch.setattr("solutions.speedup.LEAST_SECONDS", 0.001)
    monkeypatch.setattr(redesign, "SEARCH", {"every": 2, "threshold": 0.5})
    small = lambda **options: resnet20(widths=(4, 6, 8), **options)  # noqa: E731
    monkeypatch.setattr(redesign.networks, "resnet20", small)
    path = tmp_path / "redesign.jsonl"
    for _ in range(2):
        redesign.main(path, seeds=[0])
    results = {result.network: result for result in read_study(path).of(RedesignResult)}
    assert list(results) == list(redesign.NETWORKS)
    assert results["scaled"].widths == (5, 5, 5, 8, 8, 8, 10, 10, 10) and results["original"].widths[0] == 4
    assert results["pruned"].macs <= results["original"].macs < results["scaled"].macs
    assert results["from scratch"].widths == results["pruned"].widths
    times = read_study(path).of(RedesignTime)
    assert len(times) == 8 and all(time.images_per_second > 0 for time in times)
    assert path.with_suffix(".png").stat().st_size > 1000


def test_the_table_of_a_redesign() -> None:
    about = RedesignStudy(images="these", network="n", inner=1.25, epochs=2)
    results = [RedesignResult("original", seed, 0.8, 2_000_000, (4, 4)) for seed in (0, 1)]
    times = [RedesignTime("original", 0, "torch", 1000.0, 1.0)]
    table = budget_plots.redesign_table(Study(about, [*results, *times]))
    assert table.rows == [("original", "80.0 ± 0.0", "2.0", "1,000 (1.00)", "")]


def test_inner_layers_are_so_many_times_as_wide() -> None:
    network = resnet20(widths=(4, 6, 8), inner=1.25)
    assert redesign.inner_widths(network) == (5, 5, 5, 8, 8, 8, 10, 10, 10)
    assert parameter_count(resnet20(inner=1.0)) == parameter_count(resnet20()) == 272_474


def test_the_studies_that_come_with_the_course_have_all_runs_of_their_seeds() -> None:
    study = study_plots.recorded_study("budgets")
    for method in (method for method in METHODS if "inside" not in method):
        runs = {(result.budget, result.seed) for result in study.of(BudgetResult) if result.method == method}
        if method in LEARNED_OR_SEARCHED:
            assert runs >= {(0.25, 0), (0.05, 0)}
        else:
            assert runs == {(budget, seed) for budget in budgets.BUDGETS for seed in (0, 1, 2)}
    assert {record.seed for record in study_plots.recorded_study("aofp_agreement").of(Agreement)} == {0, 1, 2}
    residual = [(r.method, r.budget, r.seed) for r in study_plots.recorded_study("budgets_resnet20").of(BudgetResult)]
    lab9 = [method for method in METHODS if "AOFP" in method or "uniform" in method]
    assert sorted(residual) == sorted((method, budget, 0) for method in lab9 for budget in (0.5, 0.25))
    redesigned = study_plots.recorded_study("redesign").of(RedesignResult)
    seeds = {result.seed for result in redesigned}
    assert seeds == {0, 1, 2} and len(redesigned) == len(redesign.NETWORKS) * len(seeds)


def test_the_agreement_is_drawn_beside_its_cost() -> None:
    drawing = aofp_plots.agreement_curves(study_plots.recorded_study("aofp_agreement"))
    assert len(drawing.axes) == 2 and drawing.axes[0].get_ylabel() == "rank correlation"
