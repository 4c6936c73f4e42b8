"""The challenge's rules: who stands before whom, what a number is, which entries no other beats."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers.board_entries import DATES_IN_THREE_ZONES, entry, refused
from hypothesis import given
from hypothesis import strategies as st

from course_utils.challenge.ranking import finite_number, moment, order, pareto_front, ranked, standing, status_of


def places(*entries: dict[str, Any]) -> list[tuple[int | None, str]]:
    return [(place, line["team"]) for place, line in ranked(entries)]


def test_of_equal_entries_the_earlier_stands_first_by_the_time_and_not_by_its_text() -> None:
    entries = [entry(team, date=date) for team, date in DATES_IN_THREE_ZONES.items()]
    assert places(*entries) == places(*reversed(entries)) == [(1, "c"), (2, "b"), (3, "a")]


def test_a_lower_score_leads_then_a_higher_accuracy() -> None:
    entries = entry("dear", 0.2, 0.99), entry("cheap", 0.1, 0.85), entry("cheap and better", 0.1, 0.86)
    assert [team for _, team in places(*entries)] == ["cheap and better", "cheap", "dear"]


def test_those_that_do_not_qualify_follow_by_accuracy_and_refused_ones_come_last() -> None:
    entries = refused("broken", "no"), entry("bad", 0.01, 0.3), entry("close", 0.5, 0.83), entry("good", 9.0, 0.84)
    assert places(*entries) == [(1, "good"), (None, "close"), (None, "bad"), (None, "broken")]


def test_a_status_that_nobody_knows_counts_as_refused() -> None:
    assert order(entry("us", status="winner"))[0] == order(refused("us", "no"))[0]


def test_an_entry_without_any_value_has_its_place_too() -> None:
    assert places({"team": "us"}, entry("them")) == [(1, "them"), (None, "us")]


@pytest.mark.parametrize(("accuracy", "status"), [(0.84, "qualified"), (0.8399, "not qualified")])
def test_an_entry_qualifies_from_the_threshold_on(accuracy: float, status: str) -> None:
    assert status_of(accuracy, 0.84) == status


@pytest.mark.parametrize(
    ("date", "utc"),
    [
        ("2026-11-02T10:00:00+02:00", "2026-11-02T08:00:00+00:00"),
        ("2026-11-02T10:00", "2026-11-02T10:00:00+00:00"),
        ("2026-11-02", "2026-11-02T00:00:00+00:00"),
    ],
)
def test_dates_are_compared_in_utc(date: str, utc: str) -> None:
    time = moment(date)
    assert time is not None and time.isoformat() == utc


@pytest.mark.parametrize("date", ["", None, "yesterday", 20261102, "0001-01-01T00:00+14:00", ["2026-11-02"]])
def test_what_is_no_date_is_none(date: Any) -> None:
    assert moment(date) is None


@pytest.mark.parametrize("value", [0, -1, 2.5, np.float32(0.5), np.int64(3), Fraction(1, 2)])
def test_a_finite_number_is_pythons_own(value: Any) -> None:
    number = finite_number(value)
    assert number == value and type(number) in (int, float)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1", None, [1], 1j, 10**400])
def test_what_is_no_finite_number_is_none(value: Any) -> None:
    assert finite_number(value) is None


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8))))
def test_no_point_of_the_front_is_beaten_and_all_others_are(points: list[tuple[float, float]]) -> None:
    def beaten(point: tuple[float, float]) -> bool:
        return any(cost <= point[0] and accuracy >= point[1] and (cost, accuracy) != point for cost, accuracy in points)

    front = pareto_front(points)
    assert sorted(front) == [n for n, point in enumerate(points) if not beaten(point)]
    assert [points[n] for n in front] == sorted(points[n] for n in front)


def test_the_newest_of_equal_entries_is_told_that_it_comes_after_the_others() -> None:
    mine = entry("us", date="2026-11-03T09:00:00+01:00")
    table = standing(mine, [entry("them", date="2026-11-03T08:30:00+01:00")], 0.84)
    assert [row[:2] for row in table.rows] == [("them: them's network", "1"), ("→ us: us's network", "2")]
