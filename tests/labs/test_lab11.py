"""Lab 11: its trainings and searches call what the student writes, its explorer and pictures show what they are given."""

from typing import Any

import pytest
from helpers.counting import counted

from course_utils.networks import vgg_mini
from course_utils.pictures import width_plots
from course_utils.pictures.width_explorer import Rival, width_explorer
from course_utils.records import BudgetResult, BudgetStudy, Study
from minicifar import Loader, MiniCIFAR
from solutions import learned_widths
from solutions.amc import best_of, environment, search
from solutions.attention import pcas


@pytest.fixture
def loader() -> Loader:
    images = MiniCIFAR("train", n_classes=4, R=250, synthetic=True)
    return Loader(images, batch_size=20, shuffle=True, augment=True)


def test_attention_calls_what_the_student_writes(loader: Loader) -> None:
    calls, mine = counted(learned_widths, ("attention_gate", "mean_importance"))
    pcas(vgg_mini(widths=(6, 8)), loader, 0.5, 2, searching=1, progress=False, **mine)
    assert calls == {"attention_gate": 2 * 2 * len(loader), "mean_importance": 2}  # of two layers, in two passes


def test_the_search_calls_what_the_student_writes(loader: Loader) -> None:
    calls, mine = counted(learned_widths, ("clipped_action", "reward"))
    env = environment(vgg_mini(widths=(6, 8)), loader, next(iter(loader)), 0.5, progress=False, **mine)
    log = search(env, None, 5, progress=False)
    assert calls == {"clipped_action": 2 * 5, "reward": len({tuple(one["widths"]) for one in log})}


def explorer() -> tuple[Any, Any, Any]:
    layers = {"features.0": 8, "features.3": 4}
    rival = Rival("the agent's", [4, 2], -0.5)
    shown = width_explorer(layers, [1, 1], lambda w: sum(w) / 12, lambda w: -1.0 / sum(w), 0.7, rival)
    board, words = shown.children  # type: ignore[attr-defined]
    sliders, bars = board.children
    return sliders.children, bars, words


def test_the_explorer_begins_with_the_rivals_plan_and_says_what_each_costs() -> None:
    sliders, bars, words = explorer()
    assert [slider.value for slider in sliders] == [4, 2] and [slider.min for slider in sliders] == [1, 1]
    assert "50.0% of the MACs" in words.value and "-0.167" in words.value
    assert bars.value.count("<rect") == 4 and bars.value.count("<line") == 2


def test_the_explorer_says_when_the_agent_is_beaten_and_when_a_plan_does_not_count() -> None:
    sliders, _, words = explorer()
    assert "beaten it</b>: 4-2" in words.value
    sliders[0].value = 8
    assert "more than the 70% that count" in words.value and "beaten it</b>: 4-2" in words.value
    sliders[0].value = 6
    assert "beaten it</b>: 6-2 with -0.125" in words.value


def study() -> Study[BudgetStudy]:
    about = BudgetStudy(images="i", network="n", epochs=1, retraining=1, every=1, threshold=0.1)
    rows = [
        ("AMC", 0.8, (4, 2)),
        ("AMC", 0.9, (2, 4)),
        ("greedy", 0.7, (8, 1)),
        ("AMC's widths, from scratch", 0.5, (4, 2)),
    ]
    results = [
        BudgetResult(method, 0.25, seed, None, accuracy, 0.25, 0.3, widths, 0, 1.0)
        for seed, (method, accuracy, widths) in enumerate(rows)
    ]
    return Study(about, list(results))


def test_width_shares_are_means_over_the_seeds() -> None:
    assert width_plots.width_shares(study(), 0.25, [8, 4]) == {"AMC": [0.375, 0.75], "greedy": [1.0, 0.25]}


def test_the_map_of_widths_names_the_rows_that_all_its_panels_have() -> None:
    records = study()
    records.records.append(BudgetResult("AMC", 0.05, 0, None, 0.5, 0.05, 0.1, (1, 1), 0, 1.0))
    drawing = width_plots.width_map(records, {"features.0": 8, "features.3": 4}, budgets=(0.25, 0.05))
    assert [label.get_text() for label in drawing.axes[0].get_yticklabels()] == ["AMC"]
    assert [text.get_text() for text in drawing.axes[1].texts] == ["12", "25"]


def test_winners_are_in_order() -> None:
    table = width_plots.winners(study(), ["greedy", "AMC", "random search"], [0.25])
    assert table.rows == [("25%", "AMC 85.0, greedy 70.0")]


def test_the_best_so_far_never_falls_in_the_picture() -> None:
    log = [{"value": value} for value in (-3.0, -1.0, -2.0, -0.5)]
    drawing = width_plots.learning_curves({"AMC": log, "random search": log[:2]}, {"uniform": -0.75})
    best = drawing.axes[1].lines[0].get_ydata()
    assert list(best) == [-3.0, -1.0, -1.0, -0.5]
    assert best_of(log)["value"] == -0.5


def test_the_most_important_channels_are_drawn_first() -> None:
    line, cut = width_plots.importance_picture({"f": [0.25, 1.0, 0.5]}, {"f": [1]}).axes[0].lines
    assert list(line.get_ydata()) == [width_plots.SHUT, 0.5, 0.75]
    assert list(cut.get_ydata()) == [0.5, 0.5]
