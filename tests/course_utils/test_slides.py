"""Slides from a notebook: what is on them, and what they do in a real Chromium (`apt install chromium`)."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.board_entries import DATES_IN_THREE_ZONES
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils.challenge import entry, report
from course_utils.challenge.report import board_entries, pareto, team_entries
from course_utils.pictures import slides
from course_utils.pictures.slides import SlidesError, formula, page, split, with_formulas

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def text(source: str, kind: str = "") -> NotebookNode:
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}} if kind else {})


def code(source: str, data: dict[str, Any] | None = None, **metadata: Any) -> NotebookNode:
    outputs = [new_output("execute_result", data, execution_count=1)] if data else []
    return new_code_cell(source, outputs=outputs, metadata=metadata)


def talk() -> NotebookNode:
    rows = "".join(f"<tr><td>row {n}</td><td>{n}</td></tr>" for n in range(60))
    cells = [
        text("not shown", "skip"),
        text("# A title\n\nwith $\\sum_i |w_i|$ and `$no$` formula", "slide"),
        text("## A picture", "slide"),
        code("draw()", {"image/png": PNG, "text/plain": "<Figure>"}),
        text("## A long table", "subslide"),
        code("table()", {"text/html": f"<table>{rows}</table>"}),
        text("## Hostile", "slide"),
        code(
            "hostile()", {"text/html": "<img src='http://127.0.0.1:9/x.png'><script>document.title='hacked'</script>"}
        ),
        text("only for me", "notes"),
    ]
    return new_notebook(cells=cells)


def test_slide_types_say_where_slides_begin() -> None:
    assert [len(cells) for cells in split(talk().cells)] == [1, 2, 2, 2]


def test_without_slide_types_headings_do() -> None:
    cells = [code("import this"), text("# One"), text("more"), text("### a detail"), text("## Two"), code("f()")]
    assert [[cell.source for cell in slide] for slide in split(cells)] == [
        ["# One", "more", "### a detail"],
        ["## Two", "f()"],
    ]


def test_code_is_hidden_unless_asked_for() -> None:
    html = page(
        new_notebook(cells=[code("secret(1)", {"text/plain": "42"}), code("shown(2)", tags=["show-code"])]), "t"
    )
    assert "secret" not in html and "42" in html and "shown" in html


def test_formulas_become_pictures_and_code_stays() -> None:
    html = with_formulas("cost $a_1$ or 5$ and 6$, `$b$` and\n```\n$c$\n```\n$$\\frac{a}{b}$$")
    assert html.count("<img") == 2 and "`$b$`" in html and "\n$c$\n" in html and "5$ and 6$" in html
    assert formula("\\begin{matrix}") == "" and "<code>\\notatex</code>" in with_formulas("$\\notatex$")


def test_every_formula_of_the_challenge_and_the_presentation_can_be_drawn() -> None:
    from autograder.authoring.editions import source_edition

    for name in ("challenge", "presentation"):
        for cell in source_edition(name).cells:
            if cell.cell_type == "markdown":
                assert with_formulas(cell.source).count("<code>") == cell.source.count("<code>"), cell.source


def test_the_notebook_is_run_and_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "talk.ipynb"
    nbformat.write(new_notebook(cells=[text("# T"), code("import sys; print('err', file=sys.stderr); 6 * 7")]), path)
    before = path.read_bytes()
    slides.main(path)
    html = (tmp_path / "talk.slides.html").read_text(encoding="utf-8")
    assert "42" in html and "err" not in html.split("</style>")[1] and path.read_bytes() == before
    assert "talk.slides.html" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no notebook"):
        slides.main(tmp_path / "none.ipynb")


def test_what_goes_wrong_is_said_and_nothing_written(tmp_path: Path) -> None:
    path = tmp_path / "talk.ipynb"
    nbformat.write(new_notebook(cells=[code("1 / 0")]), path)
    with pytest.raises(SlidesError, match="ZeroDivisionError: division by zero"):
        slides.slides(path)
    (tmp_path / "text.ipynb").write_text("no")
    with pytest.raises(SlidesError, match="not a notebook"):
        slides.slides(tmp_path / "text.ipynb")
    with pytest.raises(SlidesError, match="nothing in this notebook"):
        page(new_notebook(cells=[code("x = 1")]), "t")
    assert not list(tmp_path.glob("*.html"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """The talk in a window, with the requests that it made, but for those that the page's policy stopped."""
    (tmp_path / "talk.html").write_text(page(talk(), "talk"), encoding="utf-8")
    window = browser.new_page(viewport={"width": 1280, "height": 720})
    window.requests = []
    window.on("request", lambda request: window.requests.append(request.url))
    window.on("requestfailed", lambda request: request.failure == "csp" and window.requests.remove(request.url))
    window.goto((tmp_path / "talk.html").as_uri(), wait_until="load")
    yield window
    window.close()


def at(window: Any) -> tuple[int, str]:
    """Which slide fills the window, and which one the address names."""
    return round(window.evaluate("scrollY / innerHeight")) + 1, window.evaluate("location.hash")


def test_keys_move_through_the_slides(shown: Any) -> None:
    seen = []
    for key in ("ArrowRight", "ArrowDown", "Space", "PageDown", "ArrowLeft", "Home", "End", "PageUp"):
        shown.keyboard.press(key)
        seen.append(at(shown))
    assert seen == [(n, f"#{n}") for n in (2, 3, 4, 4, 3, 1, 4, 3)]


def test_nothing_is_asked_of_any_network_and_no_foreign_script_runs(shown: Any) -> None:
    shown.keyboard.press("End")
    shown.wait_for_timeout(200)
    assert [url for url in shown.requests[1:] if not url.startswith("data:")] == []
    assert shown.title() == "talk"


def test_everything_is_on_the_screen_and_the_formula_is_drawn(shown: Any) -> None:
    boxes = shown.evaluate(
        "[...document.querySelectorAll('section')].map(s => { const r = s.firstElementChild.getBoundingClientRect();"
        " const o = s.getBoundingClientRect(); return [r.top - o.top, o.bottom - r.bottom]; })"
    )
    assert len(boxes) == 4 and all(above >= 0 and below >= 0 for above, below in boxes)
    assert shown.evaluate("document.querySelector('section img').naturalWidth") > 10
    assert shown.locator("section .output_png img").evaluate("one => one.naturalWidth") == 1


def test_it_prints_a_page_a_slide(shown: Any) -> None:
    assert shown.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 4


# what a team shows of its entries


def one_entry(name: str, score: float | None, accuracy: float | None, team: str = "ants") -> dict[str, Any]:
    return {"team": team, "name": name, "score": score, "accuracy": accuracy}


def test_a_teams_entries_are_read_from_its_folder(tmp_path: Path) -> None:
    for day, dataset in ((2, "minicifar"), (1, "minicifar"), (3, "cifar10")):
        folder = tmp_path / f"ants-{day}"
        folder.mkdir()
        claims = {"accuracy": 0.85, "val_accuracy": 0.86, "score": 0.1 * day}
        card = {"team": "ants", "name": str(day), "dataset": dataset, "date": f"2030-05-0{day}", "claims": claims}
        (folder / "card.json").write_text(json.dumps(card))
    entries = team_entries(tmp_path)
    assert [(row["name"], row["score"]) for row in entries] == [("1", 0.1), ("2", 0.2)]
    assert entries[0]["path"] == str(tmp_path / "ants-1" / "network.onnx")
    assert team_entries(tmp_path / "none") == []


def test_a_teams_entries_stand_by_the_time_of_their_dates(tmp_path: Path) -> None:
    for name, date in DATES_IN_THREE_ZONES.items():
        (tmp_path / name).mkdir()
        card = {"team": "ants", "name": name, "dataset": "minicifar", "date": date, "claims": {}}
        (tmp_path / name / "card.json").write_text(json.dumps(card))
    assert [row["name"] for row in team_entries(tmp_path)] == ["c", "b", "a"]


def test_a_teams_points_stand_among_the_others() -> None:
    mine = [one_entry("first", 0.1, 0.85), one_entry("second", 0.01, 0.84)]
    others = [
        one_entry("first", 0.1, 0.85),
        one_entry("bees", 0.05, 0.86, "bees"),
        one_entry("none", None, None, "cats"),
    ]
    axis = pareto(mine, others).axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axis.get_lines()}
    assert lines["others"] == [[0.05, 0.86]] and lines["ours"] == [[0.1, 0.85], [0.01, 0.84]]
    assert lines["Pareto front"] == [[0.01, 0.84], [0.05, 0.86]]
    assert [text.get_text() for text in axis.texts] == ["1 first", "2 second"]
    assert len(pareto([], []).axes[0].get_lines()) == 3


def test_the_board_comes_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "load", lambda *_: None)
    monkeypatch.setattr(report, "baseline_entry", lambda *_: [one_entry("unpruned", 0.2, 0.9)])
    assert board_entries(tmp_path)[0]["name"] == "unpruned"
    board = {"dataset": "minicifar", "entries": [one_entry("bees", 0.05, 0.86)]}
    (tmp_path / "leaderboard.json").write_text(json.dumps(board))
    assert board_entries(tmp_path)[0]["name"] == "bees"


def test_two_files_are_compared_as_the_leaderboard_measures_them(tmp_path: Path, monkeypatch: Any) -> None:
    from helpers.challenge_files import few_images, linear_file

    for module in (entry, report):
        monkeypatch.setattr(module, "load", few_images)
    path = linear_file(tmp_path / "a.onnx")
    table = report.compared(path, path)
    lines = {row[0]: row[1:] for row in table.rows}
    assert lines["parameters"] == ("12,288", "12,288", "1.00")
    assert lines["accuracy, test"] == ("100.0%", "100.0%", "+0.0 points")
    assert "synthetic" in table.note
