"""Terminal, CSV, JSON, page and the teams' notebooks put entries into the same order, with the same places."""

import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from helpers.board_entries import DATES_IN_THREE_ZONES, entry, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.challenge.board import as_table, board, write_board
from course_utils.challenge.ranking import standing

Places = list[tuple[str, str]]  # a place ("" where there is none) and a team
DATES = ["", *DATES_IN_THREE_ZONES.values(), "2026-11-02T09:30", "2026-11-02T08:00:00Z", "yesterday"]


class BoardIn(HTMLParser):
    """The block of data in a leaderboard's page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inside, self.text = False, ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = dict(attrs).get("type") == "application/json"

    def handle_data(self, data: str) -> None:
        self.text += data if self.inside else ""


def outputs(entries: Sequence[dict[str, Any]]) -> dict[str, Places]:
    """What each output says of the places, by the name of the output."""
    ranking = board(entries, "minicifar", "A few images.")
    places: dict[str, Places] = {}
    table = as_table(ranking)
    cells = zip(table.columns[0].cells, table.columns[1].cells, strict=True)
    places["terminal"] = [(str(place).replace("–", ""), str(title).partition(":")[0]) for place, title in cells]
    with tempfile.TemporaryDirectory() as folder:
        page = write_board(ranking, Path(folder)).read_text(encoding="utf-8")
        rows = csv.DictReader((Path(folder) / "leaderboard.csv").read_text(encoding="utf-8-sig").splitlines())
        places["CSV"] = [(row["place"], row["team"]) for row in rows]
        data = json.loads((Path(folder) / "leaderboard.json").read_text(encoding="utf-8"))["entries"]
    places["JSON"] = numbered(data)
    shown = json.loads(BoardIn(page).text)["entries"]
    places["page"] = [(f"{line['place'] or ''}", line["team"]) for line in shown]
    for mine in data:  # each team's own notebook
        if mine["accuracy"] is not None:
            lines = standing(mine, [other for other in data if other is not mine], 0.84).rows
            seen = [(place.replace("–", ""), title.removeprefix("→ ").partition(":")[0]) for title, place, *_ in lines]
            places[f"notebook of {mine['team']}"] = seen
    return places


def numbered(entries: Sequence[Mapping[str, Any]]) -> Places:
    return [(str(n) if line["status"] == "qualified" else "", line["team"]) for n, line in enumerate(entries, start=1)]


def test_three_equal_entries_from_three_time_zones() -> None:
    entries = [entry(team, date=date) for team, date in DATES_IN_THREE_ZONES.items()]
    for places in outputs(entries).values():
        assert places == [("1", "c"), ("2", "b"), ("3", "a")]


ENTRY = st.builds(
    lambda score, accuracy, date: entry("", score, accuracy, date=date),
    st.sampled_from([0.1, 0.2]),
    st.sampled_from([0.83, 0.85, 0.86]),
    st.sampled_from(DATES),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ENTRY | st.just(refused("", "no")), max_size=6))
def test_all_outputs_give_the_same_order(entries: list[dict[str, Any]]) -> None:
    entries = [line | {"team": f"team {n}"} for n, line in enumerate(entries)]
    forward, reverse = outputs(entries), outputs(entries[::-1])
    for name, places in forward.items():
        assert places == forward["JSON"] == reverse[name], name
