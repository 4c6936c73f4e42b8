"""The study of criteria: its loader, its table, and one curve."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.graphs import groups_of
from helpers.noise import Noise

from course_utils.networks import vgg_mini
from course_utils.pictures import study_plots
from course_utils.records import Correlation, CriteriaStudy, Curve, Study, read_study
from solutions.scoring import CRITERIA
from studies import criteria
from studies.criteria import CURVES, LEFT, STEPS, FewBatches, correlations, curve, ranking_by

ABOUT = CriteriaStudy(images="these", network="vgg_mini", epochs=25)


def test_few_batches_go_on_where_they_stopped() -> None:
    few = FewBatches(Noise(3), 2)
    first, second, third = (list(few) for _ in range(3))
    every = [images for images, _ in Noise(3)]
    for shown, expected in ((first, [0, 1]), (second, [2, 0]), (third, [1, 2])):
        assert len(shown) == len(few) == 2
        assert all(torch.equal(images, every[batch]) for (images, _), batch in zip(shown, expected, strict=True))


def test_a_criterion_that_is_the_oracle_agrees_with_it() -> None:
    ruler = {"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([4.0, 9.0, 6.0])}
    other_units = {"a": 1000 * ruler["a"], "b": ruler["b"]}
    backwards = {name: -values for name, values in ruler.items()}
    scores = {"same": ruler, "other units": other_units, "backwards": backwards}
    same, other, reverse = correlations(scores, ruler, seed=3)
    assert (same.criterion, same.seed, same.per_layer, same.all_layers) == ("same", 3, 1, 1)
    assert other.per_layer == 1 > other.all_layers
    assert other.normalized == same.normalized
    assert (reverse.per_layer, reverse.all_layers) == (-1, -1)


def test_the_table_has_the_mean_of_the_seeds_beside_the_paper_and_the_best_first() -> None:
    random = [Correlation(seed, "random", 0.0, 0.1, 0.1) for seed in (0, 1)]
    taylor_scores = [Correlation(0, "Taylor", 0.6, 0.2, 0.7), Correlation(1, "Taylor", 0.8, 0.0, 0.7)]
    table = study_plots.criteria_table(Study(ABOUT, [*random, *taylor_scores]))
    taylor = ("Taylor", "0.70 (0.60 … 0.80)", "0.73", "0.10 (0.00 … 0.20)", "0.14", "0.70 (0.70 … 0.70)", "0.73")
    assert table.rows[0] == taylor
    assert table.rows[1][0] == "random" and table.rows[1][2] == ""


@pytest.mark.parametrize("criterion", ["random", "Taylor", "oracle"])
def test_a_curve_goes_down_to_few_filters(criterion: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(criteria, "STEPS", 3)
    monkeypatch.setattr(criteria, "MINIBATCHES", 2)
    network, batches = vgg_mini(widths=(6, 8)), list(Noise(3))
    groups = groups_of(network)
    points = curve(network, groups, Noise(3), Noise(3), ranking_by(criterion, batches, 0))
    assert [round(left, 2) for left, _, _ in points] == [1.0, 0.72, 0.43, 0.15]
    assert points[0][1] == 1 and all(before[1] > after[1] > 0 for before, after in itertools.pairwise(points))
    assert all(0 <= accuracy <= 1 for _, _, accuracy in points)
    study = Study(ABOUT, [Curve(criterion, seed, points) for seed in (0, 1)])
    assert [len(axis.get_lines()) for axis in study_plots.criteria_curves(study).axes] == [1, 1]


@pytest.fixture
def small_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study's main on noise, a tiny network and two curves."""
    images = SimpleNamespace(fingerprint="these", classes=range(4), source=SimpleNamespace(synthetic=True))
    monkeypatch.setattr(criteria, "load", lambda *_: images)
    monkeypatch.setattr(criteria, "Loader", lambda *_, **__: Noise(2))
    monkeypatch.setattr(criteria, "scoring_batches", lambda *_: list(Noise(2)))
    monkeypatch.setattr(criteria, "trained", lambda *_: vgg_mini(widths=(4, 4)))
    for name, value in {"STEPS": 2, "MINIBATCHES": 1, "CURVES": ("random", "L1")}.items():
        monkeypatch.setattr(criteria, name, value)


def test_the_study_goes_on_where_it_was(small_study: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    criteria.main(path, seeds=[0])
    first = read_study(path).records
    monkeypatch.delattr(criteria, "score")
    monkeypatch.delattr(criteria, "curve")
    criteria.main(path, seeds=[0])
    assert read_study(path).records == first and len(first) == len(CRITERIA) + 2
    assert path.with_suffix(".png").exists()


def test_a_new_criterion_is_added_to_a_seed_that_was_measured(
    small_study: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(criteria, "CRITERIA", ["random", "L1"])
    criteria.main(path, seeds=[0])
    first = read_study(path).records
    monkeypatch.setattr(criteria, "CRITERIA", ["random", "Taylor", "L1"])
    criteria.main(path, seeds=[0])
    assert read_study(path).records[: len(first)] == first
    assert [record.criterion for record in read_study(path).records[len(first) :]] == ["Taylor"]


@pytest.mark.parametrize("name", ["criteria", "criteria_vgg16"])
def test_the_correlations_that_come_with_the_course_are_whole(name: str) -> None:
    records = study_plots.recorded_study(name).of(Correlation)
    runs = [(record.seed, record.criterion) for record in records]
    assert sorted(runs) == sorted(itertools.product(range(3), CRITERIA))


def test_the_curves_that_come_with_the_course_are_whole() -> None:
    curves = study_plots.recorded_study("criteria").of(Curve)
    runs = [(curve.criterion, curve.seed) for curve in curves]
    assert sorted(runs) == sorted(itertools.product(CURVES, range(3)))
    assert all(len(curve.points) == STEPS + 1 and curve.points[-1][0] == LEFT for curve in curves)
