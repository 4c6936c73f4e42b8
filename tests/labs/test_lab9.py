"""Lab 9: its search calls what the student writes, and its pictures show what they are given."""

from typing import Any

import ipywidgets as widgets
import pytest
import torch
from helpers.noise import Noise
from matplotlib.figure import Figure

from course_utils.networks import vgg_mini
from course_utils.pictures import aofp_plots
from course_utils.pictures.search_explorer import accounts, batches_of, search_explorer, sentence
from solutions.aofp import KERNELS, credit, damage, next_move, random_half
from solutions.aofp_search import Kernels
from solutions.aofp_training import search_widths


def move(batch: int, target: str, space: list[int], pruned: list[int], widths: dict[str, int], v: float) -> Any:
    seen = [[space[: len(space) // 2], 0.25], [space[len(space) // 2 :], 0.5]]
    entry = {"batch": batch, "target": target, "space": space, "pruned": pruned, "widths": widths, "v": v}
    return {**entry, "seen": seen, "scores": [0.25] * len(space), "threshold": 0.1, "macs": 0.9}


HISTORY = {
    "targets": {"a": 4, "b": 6},
    "batches": 12,
    "moves": [
        move(2, "a", [0, 1, 2, 3], [0, 1], {"a": 2, "b": 6}, 0.05),
        move(3, "b", [0, 1, 2, 3, 4, 5], [], {"a": 2, "b": 6}, 0.2),
        move(5, "b", [1, 2, 4], [4], {"a": 2, "b": 5}, 0.05),
        move(9, "a", [2, 3], [], {"a": 2, "b": 5}, 0.3),
    ],
}


def lines(drawing: Figure) -> dict[str, list[tuple[float, float]]]:
    return {
        str(line.get_label()): list(zip(*line.get_data(), strict=True))
        for line in drawing.axes[0].get_lines()
        if not str(line.get_label()).startswith("_")
    }


def test_the_search_calls_what_the_student_writes() -> None:
    calls = dict.fromkeys(("random_half", "damage", "credit", "next_move"), 0)

    def counting(name: str) -> Any:
        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return getattr(KERNELS, name)(*arguments)

        return call

    mine = Kernels(*(counting(name) for name in calls))
    network, settings = vgg_mini(widths=(6, 8)), {"every": 3, "threshold": 0.5, "progress": False}
    own = search_widths(network, Noise(4), [0.6], 6, kernels=mine, **settings)
    given = search_widths(
        network, Noise(4), [0.6], 6, kernels=Kernels(random_half, damage, credit, next_move), **settings
    )
    assert min(calls.values()) > 0 and own.history["moves"] == given.history["moves"]


def test_the_steps_of_the_filters_that_are_left() -> None:
    drawn = lines(aofp_plots.filters_left(HISTORY))
    assert drawn["a"] == [(0, 1), (2, 0.5), (12, 0.5)]
    assert drawn["b"] == [(0, 1), (5, pytest.approx(5 / 6)), (12, pytest.approx(5 / 6))]


def test_the_widths_after_so_many_batches() -> None:
    assert aofp_plots.widths_at(HISTORY, 1) == {"a": 4, "b": 6}
    assert aofp_plots.widths_at(HISTORY, 4) == {"a": 2, "b": 6}
    assert aofp_plots.widths_at(HISTORY, 12) == {"a": 2, "b": 5}
    drawing = aofp_plots.widths_over_time(HISTORY, every=5)
    shown = [[y for _, y in zip(*line.get_data(), strict=True)] for line in drawing.axes[0].get_lines()[:4]]
    assert shown == [[4, 6], [2, 5], [2, 5], [2, 5]]


def test_the_explorer_keeps_the_accounts_batch_by_batch() -> None:
    first = HISTORY["moves"][1]
    assert batches_of(HISTORY, "b") == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert accounts(first, 1, 6, credit).tolist() == [0.25] * 3 + [float("inf")] * 3
    assert accounts(first, 2, 6, credit).tolist() == [0.25] * 3 + [0.5] * 3
    assert "v = 0.200</b>" not in sentence(first, 3, 0.25, False)
    assert "≥ theta = 0.1" in sentence(first, 3, 0.25, True) and "3 lowest are searched next" in sentence(
        first, 3, 0.2, True
    )
    assert "the lowest goes" in sentence(HISTORY["moves"][2], 1, 0.25, True)
    assert "all are searched again" in sentence(HISTORY["moves"][3], 1, 0.25, True)


def test_the_explorer_moves_and_a_search_without_an_end_is_told() -> None:
    explorer = search_explorer(HISTORY, "b", credit)
    assert isinstance(explorer, widgets.VBox)
    slider, words = explorer.children[0].children[1], explorer.children[1]
    assert slider.max == 3
    slider.value = 3
    assert "the lowest goes" in words.value
    nothing = search_explorer({**HISTORY, "moves": []}, "b", credit)
    assert "No search of b has come to an end yet" in nothing.value


def test_random_halves_find_what_each_filter_is_worth() -> None:
    """Of damages that add up, a filter's mean is its own worth and 7/15 of all others', up to chance."""
    worth = torch.rand(16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    totals, counts = torch.zeros(16, dtype=torch.float64), torch.zeros(16)
    for seed in range(2000):
        half = random_half(list(range(16)), seed)
        credit(totals, counts, half, worth[half].sum().item())
    expected = worth + 7 / 15 * (worth.sum() - worth)
    chance = worth.std() * (7 * 8 / 15) ** 0.5 / 1000**0.5
    assert ((totals / counts - expected).abs() < 5 * chance).all()
