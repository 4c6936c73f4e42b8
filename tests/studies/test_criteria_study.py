"""The study of criteria: its loader, its table, and one curve."""

import itertools
from typing import Any

import pytest
import torch
from helpers.graphs import groups_of
from helpers.noise import Noise

from course_utils.networks import vgg_mini
from course_utils.pictures import study_plots
from solutions.scoring import CRITERIA
from studies import criteria
from studies.criteria import CURVES, LEFT, STEPS, FewBatches, correlations, curve, ranking_by


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
    found = correlations({"same": ruler, "other units": other_units, "backwards": backwards}, ruler)
    assert found["same"][:2] == [1, 1]
    assert found["other units"][0] == 1 > found["other units"][1]
    assert found["other units"][2] == found["same"][2]
    assert found["backwards"][:2] == [-1, -1]


def test_the_table_has_the_mean_of_the_seeds_beside_the_paper_and_the_best_first() -> None:
    seeds = {
        "0": {"random": [0.0, 0.1, 0.1], "Taylor": [0.6, 0.2, 0.7]},
        "1": {"random": [0.0, 0.1, 0.1], "Taylor": [0.8, 0.0, 0.7]},
    }
    table = study_plots.criteria_table({"correlations": seeds})
    taylor = ("Taylor", "0.70 (0.60 … 0.80)", "0.73", "0.10 (0.00 … 0.20)", "0.14", "0.70 (0.70 … 0.70)", "0.73")
    assert table.rows[0] == taylor
    assert table.rows[1][0] == "random" and table.rows[1][2] == ""


@pytest.mark.parametrize("criterion", ["random", "Taylor", "oracle"])
def test_a_curve_goes_down_to_few_filters(criterion: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(criteria, "Loader", lambda *_, **__: Noise(3))
    monkeypatch.setattr(criteria, "STEPS", 3)
    monkeypatch.setattr(criteria, "MINIBATCHES", 2)
    network, batches = vgg_mini(widths=(6, 8)), list(Noise(3))
    groups = groups_of(network)
    points = curve(network, groups, None, Noise(3), ranking_by(criterion, batches, 0), 0, "cpu")
    assert [round(left, 2) for left, _, _ in points] == [1.0, 0.72, 0.43, 0.15]
    assert points[0][1] == 1 and all(before[1] > after[1] > 0 for before, after in itertools.pairwise(points))
    assert all(0 <= accuracy <= 1 for _, _, accuracy in points)
    found = {"curves": {f"{criterion} | {seed}": points for seed in (0, 1)}}
    assert [len(axis.get_lines()) for axis in study_plots.criteria_curves(found).axes] == [1, 1]


@pytest.mark.parametrize("name", ["criteria", "criteria_vgg16"])
def test_the_correlations_that_come_with_the_course_are_whole(name: str) -> None:
    found = study_plots.recorded_study(name)["correlations"]
    assert list(found) == ["0", "1", "2"]
    assert all(list(of_seed) == list(CRITERIA) for of_seed in found.values())


def test_the_curves_that_come_with_the_course_are_whole() -> None:
    found = study_plots.recorded_study("criteria")
    assert sorted(found["curves"]) == sorted(f"{criterion} | {seed}" for criterion in CURVES for seed in (0, 1, 2))
    assert all(len(points) == STEPS + 1 and points[-1][0] == LEFT for points in found["curves"].values())
