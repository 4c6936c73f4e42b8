"""The studies of pruning while training, at a size that takes seconds: all runs, once each, and what is drawn of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from course_utils.networks import vgg_mini
from course_utils.pictures import slimming_plots, sparsity_plots, study_plots
from course_utils.records import Scales, SlimmingResult, SlimmingStudy, SparsityResult, SparsityStudy, Study, read_study
from minicifar import MiniCIFAR
from solutions.while_training import absorbed_bias
from studies import slimming, sparsity


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for study in (slimming, sparsity):
        monkeypatch.setattr(study, "load", lambda _name, split: MiniCIFAR(split, R=250, synthetic=True))
        monkeypatch.setattr(study, "trained", lambda *_: vgg_mini(widths=(6, 8)).eval())
        monkeypatch.setattr(study, "HALF_DONE", tmp_path / "half done")
    (tmp_path / "half done").mkdir()
    return tmp_path


def test_zeros_by_every_method_and_setting_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparsity, "SETTINGS", {method: settings[:1] for method, settings in sparsity.SETTINGS.items()})
    made, way = [], sparsity.made
    monkeypatch.setattr(sparsity, "made", lambda *a: made.append(a[:2]) or way(*a))
    for _ in range(2):
        sparsity.main(small / "zeros.jsonl", seeds=[0], epochs=1, retraining=3)
    results = read_study(small / "zeros.jsonl").of(SparsityResult)
    assert [result.method for result in results] == list(sparsity.SETTINGS) and len(made) == len(results)
    assert {result.method: result.sparsity for result in results}["magnitude"] == pytest.approx(0.8, abs=0.01)
    assert {result.method: result.sparsity for result in results}["feedback"] == pytest.approx(0.8, abs=0.01)
    assert [layer for layer, _ in results[0].by_layer] == ["features.0", "features.3", "classifier"]
    assert (small / "zeros.png").exists() and "came back" in (small / "zeros.md").read_text()


def test_slimming_at_every_strength_and_budget_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slimming, "BUDGETS", (0.5, 0.25))
    for _ in range(2):
        slimming.main(small / "slim.jsonl", strengths=[0.01, 0.1], seeds=[0], epochs=1, searching=4)
    study = read_study(small / "slim.jsonl")
    runs = [(result.strength, result.budget) for result in study.of(SlimmingResult)]
    assert runs == [(strength, budget) for strength in (0.01, 0.1) for budget in slimming.BUDGETS]
    assert [(record.strength, record.epoch) for record in study.of(Scales)] == [
        (0.01, 0),
        (0.01, 4),
        (0.1, 0),
        (0.1, 4),
    ]
    assert all(result.inside < 1e-5 <= result.border for result in study.of(SlimmingResult) if result.border)
    assert (small / "slim.png").exists() and "off at the border" in (small / "slim.md").read_text()


def test_absorption_is_off_only_where_a_tap_falls_on_padding() -> None:
    conv, constant = torch.nn.Conv2d(2, 1, 3, padding=1, bias=False), torch.tensor([1.0, 0.0])
    conv.weight.data = torch.ones(1, 2, 3, 3)
    maps = torch.randn(1, 2, 4, 4)
    inside, border = slimming.error_of(conv, constant, maps, torch.tensor([-1.0, 1.0]))
    assert absorbed_bias(conv, constant).item() == 9 and inside == 0
    missing = torch.tensor([5.0, 3, 3, 5, 3, 3, 3, 3, 5, 3, 3, 5])  # taps on padding, at the twelve border positions
    assert border == pytest.approx(missing.square().mean().sqrt().item() / torch.tensor([-1.0, 1.0]).std().item())


def test_tables_and_pictures_of_hand_made_results() -> None:
    about = SparsityStudy(images="these", network="n", epochs=1, retraining=3)
    results = [
        SparsityResult("feedback", 0.9, seed, 0.9, 0.8 + seed / 100, (("a", 0.5), ("b", 0.95)), 1200) for seed in (0, 1)
    ]
    study: Any = Study(about, [*results, SparsityResult("AutoPrune", 2e-4, 0, 0.7, 0.8, (("a", 0.4), ("b", 0.8)), 7)])
    rows = sparsity_plots.sparsity_table(study).rows
    assert rows[0] == ("feedback", "90%", "90.0 ± 0.0", "80.5 ± 0.7", "50", "95", "1,200")
    assert len(sparsity_plots.sparsity_curves(study).axes) == 2
    slim: Any = Study(
        SlimmingStudy(images="these", network="n", epochs=1, searching=1),
        [SlimmingResult(0.01, 0.5, 0, (3, 4), 0.8, 0.25, 0.75, 0.0, 0.05)],
    )
    table = slimming_plots.slimming_table(slim)
    assert table.rows == [("0.01", "50%", "80.0", "25.0", "75.0", "0", "0.05", "3-4")]


def test_pictures_of_a_history() -> None:
    image = SimpleNamespace(source=SimpleNamespace(synthetic=False))
    history = [
        {"epoch": epoch, "scales": {"a": [1.0, 1 / epoch], "b": [0.1]}, "thresholds": {"a": 0.1 * epoch, "b": 0.2},
         "sparsities": {"a": 0.5, "b": 0.6}, "sparsity": 0.55, "died": 5, "returned": epoch}
        for epoch in range(1, 9)
    ]  # fmt: skip
    assert len(slimming_plots.scales_picture(history, image).axes) == 6
    lines = slimming_plots.thresholds_picture(history, images=image).axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines][1] == [0.2] * 8
    bars = slimming_plots.comings_and_goings(history, image).axes[0].patches
    assert sum(bar.get_height() for bar in bars) == sum(range(1, 9)) - 8 * 5


def test_the_studies_that_come_with_the_course_have_all_runs_of_their_seeds() -> None:
    zeros = study_plots.recorded_study("sparsity").of(SparsityResult)
    settings = {(method, setting) for method, settings in sparsity.SETTINGS.items() for setting in settings}
    for seed in (0, 1, 2):
        assert {(result.method, result.setting) for result in zeros if result.seed == seed} == settings
    slimmed = study_plots.recorded_study("slimming").of(SlimmingResult)
    for seed in (0, 1, 2):
        runs = [(result.strength, result.budget) for result in slimmed if result.seed == seed]
        assert runs == [(strength, budget) for strength in slimming.STRENGTHS for budget in slimming.BUDGETS]
