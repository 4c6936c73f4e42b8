"""The leaderboard's page: what it holds, and what it does in a real Chromium (`apt install chromium`)."""

import base64
import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers.board_entries import DATES_IN_THREE_ZONES, board, entry, refused

from autograder.challenge.page import board_data, page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)><!--",
    "\"'`${alert(3)}{{ policy }}{{ board }}",
    "\u202eesrever \u2066 شبكة \u2028 \u2029 \x00 \ud800 🙂",
    "=" + "m" * 10_000,
    "__proto__",
]


CLASS = board(
    entry("Zeros", 0.02, 0.86, parameters=90_000, date="2030-05-03", method="ThiNet", weight_bits=4.6, megabytes=2),
    entry("ants", 0.004, 0.845, parameters=7_000, date="2030-05-09T08:00", val_accuracy=0.99, nonzero=7_000, macs=1e6),
    entry(
        "ants",
        0.11,
        0.85,
        name="early",
        date="2030-05-01",
        claims=[{"what": "score", "claimed": 0.1, "measured": 0.11}],
    ),
    entry("ants", 0.03, 0.83, name="binary", date="2030-05-05T09:30+02:00", weight_bits=1.0),
    entry("Ωmega", 0.02, 0.86, name="copy", date="2030-05-04", same_as=["Zeros's network"], method="10 rounds"),
    entry("bees", 1.2, 0.91, parameters=2_000_000, method="9 rounds", macs=300_000_000, megabytes=None),
    refused("bees", "the operator Loop is not allowed"),
)


def crowd(count: int) -> dict[str, Any]:
    chance = random.Random(0)
    entries = [
        entry(
            f"team {n % 40}",
            10 ** chance.uniform(-3, 0),
            chance.uniform(0.8, 0.92),
            name=f"entry {n}",
            parameters=chance.randrange(10_000, 1_000_000),
            macs=chance.randrange(10**6, 10**8),
        )
        for n in range(count)
    ]
    return board(*entries)


class Tags(HTMLParser):
    """The tags of a page, and what stands inside its style and each type of script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.inside: dict[str, str] = {}
        self.kind = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.kind = dict(attrs).get("type") or tag

    def handle_endtag(self, tag: str) -> None:
        self.kind = ""

    def handle_data(self, data: str) -> None:
        self.inside[self.kind] = self.inside.get(self.kind, "") + data


def data_in(html: str) -> dict[str, Any]:
    return json.loads(Tags(html).inside["application/json"])


def test_the_fronts_of_a_board_made_by_hand() -> None:
    data = board_data(CLASS)
    name = [row["name"] for row in data["entries"]]
    fronts = {
        cost: {kind: [name[n] for n in front] for kind, front in both.items()} for cost, both in data["fronts"].items()
    }
    assert fronts["score"]["qualified"] == ["ants's network", "Zeros's network", "copy", "bees's network"]
    assert fronts["macs"]["all"] == ["ants's network", "Zeros's network", "copy", "bees's network"]
    below = board_data(board(entry("ann", 0.5, 0.9), entry("ben", 0.1, 0.6), refused("cem", "no")))
    assert below["fronts"]["score"] == {"all": [1, 0], "qualified": [0]}


def test_qualified_entries_come_first_by_score_and_of_equal_ones_the_earlier() -> None:
    rows = board_data(CLASS)["entries"]
    names = ["ants's network", "Zeros's network", "copy", "early", "bees's network", "binary", "bees's network"]
    assert [row["name"] for row in rows] == names
    assert [row["place"] for row in rows] == [1, 2, 3, 4, 5, None, None]
    assert [row["status"] for row in rows[-2:]] == ["not qualified", "refused"]


def test_hostile_text_stays_inside_the_block_of_data() -> None:
    fields = ("name", "method", "reason", "date", "hash", "status", "dataset")
    claims = [{"what": text, "claimed": text, "measured": 0.5} for text in HOSTILE]
    entries = [
        entry(text, same_as=HOSTILE, claims=claims, seeds=HOSTILE, **dict.fromkeys(fields, text)) for text in HOSTILE
    ]
    html = page(board(*entries) | {"images": HOSTILE[1], "dataset": HOSTILE[0]})
    plain = page(board())
    assert Tags(html).tags == Tags(plain).tags and Tags(html).attributes == Tags(plain).attributes
    block = Tags(html).inside["application/json"]
    assert block.isascii() and not set("<>&") & set(block)
    assert {row["team"] for row in data_in(html)["entries"]} == set(HOSTILE), "what was said is kept, letter by letter"
    assert {row["status"] for row in data_in(html)["entries"]} == {"refused"}
    assert len(html.encode()) > 10_000, "the page can be written as UTF-8"


def test_the_page_forbids_every_script_but_its_own_and_all_network() -> None:
    html = page(CLASS)
    policy = next(value for _, value in Tags(html).attributes if value and value.startswith("default-src"))
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(Tags(html).inside[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert (
        policy.startswith("default-src 'none';")
        and "require-trusted-types-for 'script'" in policy
        and "unsafe" not in policy
    )
    assert Tags(html).tags.count("script") == 2
    assert not {"src", "href", "style", "srcdoc", "action"} & {name for name, _ in Tags(html).attributes}
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(|innerHTML|insertAdjacent|document\.write|eval\(|Function\(", html
    )


def test_the_same_board_gives_the_same_bytes_whatever_the_order_of_its_entries() -> None:
    assert page(CLASS) == page(CLASS | {"entries": CLASS["entries"][::-1]})


def test_every_entry_is_in_the_page_and_missing_values_are_null() -> None:
    rows = data_in(page(crowd(300)))["entries"]
    assert {row["name"] for row in rows} == {f"entry {n}" for n in range(300)}
    odd = entry(
        "ann", float("nan"), 0.9, parameters=10**400, macs="many", megabytes=True, date="yesterday", status=None
    )
    for row in data_in(page({"entries": [{}, odd]}))["entries"]:
        assert (row["score"], row["parameters"], row["macs"], row["megabytes"], row["time"]) == (None,) * 5
        assert row["status"] == "refused"
    assert data_in(page({}))["entries"] == []


def test_only_claims_that_differ_from_what_was_measured_are_kept() -> None:
    agree, differ = ({"what": "accuracy", "claimed": value, "measured": 0.85} for value in (0.85, "very good"))
    assert data_in(page(board(entry("ann", claims=[agree, differ]))))["entries"][0]["claims"] == [differ]


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Any]]:
    """A board's page in Chromium; fails at the end if anything was fetched, said on the console, or popped up."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})

    def popped_up(dialog: Any) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def show(board: dict[str, Any]) -> Any:
        path = tmp_path / "leaderboard.html"
        path.write_text(page(board), encoding="utf-8")
        view = context.new_page()
        view.on("console", lambda message: wrong.append(f"console: {message.text}"))
        view.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        view.on("dialog", popped_up)
        view.on("request", lambda request: wrong.extend({request.url} - {path.as_uri()}))
        view.goto(path.as_uri())
        view.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return view

    yield show
    context.close()
    assert wrong == []


def column(view: Any, number: int) -> list[str]:
    cells = view.locator(f"#table tbody tr:not(.remarks) td:nth-child({number + 1})")
    return [text.strip().replace("\u202f", " ") for text in cells.all_inner_texts()]


def test_every_column_sorts_in_both_directions_and_what_is_missing_comes_last(opened: Any) -> None:
    view = opened(CLASS)
    assert column(view, 4) == ["0.00400", "0.02000", "0.02000", "0.11000", "1.20000", "0.03000", "–"]
    values: dict[str, Callable[[dict[str, Any]], Any]] = {
        "#": lambda row: board_data(CLASS)["entries"].index(row),
        "team": lambda row: ["ants", "bees", "Zeros", "Ωmega"].index(row["team"]),
        "entry": lambda row: row["name"].lower(),
        "method": lambda row: ["9 rounds", "10 rounds", "L1 filters", "ThiNet"].index(row["method"]),
        "score": lambda row: row["score"],
        "accuracy": lambda row: row["accuracy"],
        "validation": lambda row: row["val_accuracy"],
        "parameters": lambda row: row["parameters"],
        "non-zero": lambda row: row["parameters"] and row["nonzero"] / row["parameters"],
        "bits": lambda row: row["weight_bits"],
        "MACs": lambda row: row["macs"],
        "MB": lambda row: row["megabytes"],
        "date": lambda row: row["time"],
    }
    entries = board_data(CLASS)["entries"]
    heads = view.locator("#table thead th")
    assert [text.replace("\u00ad", "") for text in heads.all_text_contents()] == list(values)
    for number, value in enumerate(values.values()):
        seen = set()
        for _ in range(2):
            heads.nth(number).locator("button").press("Enter")
            down = heads.nth(number).get_attribute("aria-sort") == "descending"
            order = view.eval_on_selector_all(
                "#table tbody", "bodies => bodies.map(body => Number(body.dataset.entry))"
            )
            shown = [value(entries[place]) for place in order]
            known = [item for item in shown if item is not None]
            assert shown == sorted(known, reverse=down) + [None] * (len(shown) - len(known))
            seen.add(down)
        assert seen == {True, False}
        assert view.locator("#table th[aria-sort]").count() == 1


def test_of_equal_entries_the_earlier_stands_first_by_the_time_and_not_by_its_text(opened: Any) -> None:
    view = opened(board(*(entry(team, date=date) for team, date in DATES_IN_THREE_ZONES.items())))
    assert column(view, 1) == ["c", "b", "a"] and column(view, 0) == ["1", "2", "3"]
    assert view.locator("#podium .team").all_inner_texts() == ["c", "b", "a"]
    view.locator("#table thead th", has_text="date").get_by_role("button").click()
    assert column(view, 1) == ["c", "b", "a"], "what has no date comes last"
    view = opened(board(*(entry("us", name=name, date=date) for name, date in DATES_IN_THREE_ZONES.items())))
    view.select_option("#team", label="us")
    assert view.locator("#past tbody td:nth-child(2)").all_inner_texts() == ["c", "b", "a"]


def test_remarks_say_why_an_entry_does_not_count_and_what_was_claimed(opened: Any) -> None:
    view = opened(CLASS)
    words = [text.replace("\u202f", " ") for text in view.locator("#table .remarks").all_inner_texts()]
    assert [text.strip() for text in words] == [
        "Same file as: Zeros's network",
        "Claim disagrees: score claimed 0.1 · measured 0.11",
        "Not qualified: below 84 %",
        "Refused: the operator Loop is not allowed",
    ]
    text = view.inner_text("body")
    assert "Measured on test images, JPEG" in text and "Nobody can prevent training on public test images." in text


def test_the_podium_counts_teams_and_the_table_entries_and_both_say_so(opened: Any) -> None:
    ants = [entry("ants", score, name=f"ants {score}") for score in (0.01, 0.02, 0.03)]
    view = opened(board(*ants, entry("bees", 0.04), entry("cats", 0.05), entry("dogs", 0.06)))
    podium = view.locator("#podium li")
    assert podium.locator(".place").all_inner_texts() == ["1", "2", "3"]
    assert podium.locator(".team").all_inner_texts() == ["ants", "bees", "cats"]
    assert podium.locator(".quiet.clamp").all_inner_texts()[0] == "ants 0.01"
    assert view.get_by_role("list", name="The leading teams, each by its best entry").is_visible()
    assert list(zip(column(view, 0), column(view, 1), strict=True))[2:4] == [("3", "ants"), ("4", "bees")]
    assert "The places count entries, of which a team may have several." in view.inner_text("#all")


def test_without_an_entry_that_qualifies_there_is_no_podium(opened: Any) -> None:
    view = opened(board(entry("ann", 0.1, 0.5)))
    assert view.locator("#leaders").is_hidden() and view.locator("#podium").is_hidden()


def test_the_courses_version_stands_at_the_foot(opened: Any) -> None:
    assert opened(CLASS | {"version": "0.2.0"}).inner_text("footer") == "Measured by pruning-labs 0.2.0"
    assert opened(CLASS).locator("footer").is_hidden()


def test_the_drawn_front_goes_through_its_entries_only(opened: Any) -> None:
    view = opened(CLASS)
    for cost in ("score", "parameters", "macs"):
        corners = view.get_attribute(f"#{cost} .front", "points").split(" ")
        places = view.eval_on_selector_all(
            f"#{cost} .point",
            "points => points.map(one => one.getAttribute('transform').match(/[\\d.]+/g).slice(0, 2).join())",
        )
        numbers = view.eval_on_selector_all(f"#{cost} .point", "points => points.map(one => Number(one.dataset.entry))")
        touched = {number for number, place in zip(numbers, places, strict=True) if place in corners}
        assert touched == set(board_data(CLASS)["fronts"][cost]["qualified"])


@pytest.mark.parametrize("best", [0.85, 0.81, 0.3])
def test_the_best_entry_and_those_near_it_are_on_the_axis_though_nobody_may_qualify(opened: Any, best: float) -> None:
    view = opened(board(*(entry("ann", score, best - 0.01 * score) for score in (0, 1))))
    places = view.eval_on_selector_all(
        "#score .point", "points => points.map(one => Number(one.getAttribute('transform').match(/[\\d.]+/g)[1]))"
    )
    assert len(set(places)) == 2 and not view.locator("#key-below").is_visible()


def test_a_team_can_be_followed_by_list_point_and_table(opened: Any) -> None:
    view = opened(CLASS)
    assert view.locator("#team option").all_inner_texts() == ["all teams", "ants", "bees", "Zeros", "Ωmega"]
    view.select_option("#team", label="ants")
    past = view.locator("#past tbody tr")
    assert past.locator("td:nth-child(2)").all_inner_texts() == ["early", "binary", "ants's network"]
    assert past.locator("td:nth-child(1)").all_inner_texts()[1] == "2030-05-05 07:30", "in UTC"
    assert view.inner_text("#standing") == "3 entries, best: place 1 of 5"
    for chart in ("score", "parameters", "macs", "time"):
        assert view.locator(f"#{chart} .point.chosen").count() == 3
    assert len(view.get_attribute("#time .history-line", "points").split(" ")) == 3
    view.locator("#table tbody.chosen button").first.click()
    assert view.locator("#history").is_hidden() and view.locator(".charts .chosen").count() == 0
    view.locator('#macs .point[data-entry="4"]').click()
    assert view.inner_text("#history-team") == "bees"


def test_pointer_and_keys_show_an_entry(opened: Any) -> None:
    view = opened(CLASS)
    view.locator("#score .point").first.hover()
    assert "ants's network" in view.inner_text("#tip")
    assert view.locator(".charts .point.here").count() == 3
    view.mouse.move(5, 5)
    assert view.locator("#tip").is_hidden()
    view.focus("#team")
    view.keyboard.press("Tab")
    view.keyboard.press("End")
    assert "bees's network" in view.inner_text("#tip") and "91.00" in view.inner_text("#tip")
    view.keyboard.press("Enter")
    assert view.inner_text("#history-team") == "bees"
    assert view.evaluate("document.activeElement.dataset.entry") == "4", "the focus stays where it was"
    view.keyboard.press("Escape")
    assert view.locator("#tip").is_hidden()


def test_hostile_names_do_nothing_and_the_page_keeps_its_shape(opened: Any) -> None:
    fields = ("name", "method", "reason", "date", "hash")
    claims = [{"what": text, "claimed": text, "measured": 0.5} for text in HOSTILE]
    entries = [
        entry(text, 0.1 + n, same_as=HOSTILE, claims=claims, seeds=HOSTILE, **dict.fromkeys(fields, text))
        for n, text in enumerate(HOSTILE)
    ]
    view = opened(board(*entries, refused(HOSTILE[0], HOSTILE[4])) | {"dataset": HOSTILE[1], "images": HOSTILE[0]})
    for n in range(1, 7):
        view.select_option("#team", index=n)
    view.locator("#score .point").first.hover()
    assert view.locator("img").count() == 0 and view.locator("script").count() == 2
    assert HOSTILE[0] in view.locator("#table tbody button").all_inner_texts()
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    assert view.evaluate("document.querySelector('#table').offsetHeight") < 8000


@pytest.mark.parametrize("count", [0, 1, 300])
def test_no_entry_one_entry_and_three_hundred(opened: Any, count: int) -> None:
    view = opened(crowd(count))
    assert view.locator("#table tbody").count() == count
    assert view.locator("#score .point").count() == count
    assert view.locator("#nobody").is_visible() == (count == 0)


def test_entries_without_any_value_are_shown_too(opened: Any) -> None:
    view = opened(
        {"entries": [{}, {"team": "ann", "status": "qualified"}, {"status": "not qualified", "accuracy": 0.5}]}
    )
    assert view.locator("#table tbody").count() == 3
    view.select_option("#team", label="ann")
    assert view.locator("#past tbody tr").count() == 1


def test_names_in_a_chart_overlap_neither_each_other_nor_a_point(opened: Any) -> None:
    view = opened(crowd(60))
    boxes = view.eval_on_selector_all(
        "#score .name, #score .threshold-name, #score .point > :last-child",
        "all => all.map(one => [one.tagName, one.getBoundingClientRect().toJSON()])",
    )
    names = [box for tag, box in boxes if tag == "text"]
    assert len(names) > 3
    for name in names:
        for _, other in boxes:
            beside = other["right"] <= name["left"] + 1 or other["left"] >= name["right"] - 1
            assert other is name or beside or other["bottom"] <= name["top"] + 6 or other["top"] >= name["bottom"] - 6
