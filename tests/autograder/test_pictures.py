"""Pictures that were pasted into answers: seen by who grades, and made anew."""

import base64
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import nbgrader
import pytest
from helpers.small_lab import as_bytes, cell_of, in_form, released, remarks, right
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_notebook
from PIL import Image

from autograder.grading.cleaning import clean_markdown
from autograder.grading.pictures import LONGEST_SIDE, kept_pictures, with_pictures


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> str:
    file = io.BytesIO()
    Image.new(mode, size, 7).save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def answered(source: str, **attachments: Any) -> Any:
    """The small lab, its question answered with these attachments (`__` in a name stands for a dot)."""
    notebook = json.loads(as_bytes(right()))
    cell = notebook["cells"][-1]
    cell["source"] = source
    cell["attachments"] = {name.replace("__", "."): data for name, data in attachments.items()}
    return notebook


def test_a_pasted_picture_is_seen_by_who_grades_where_it_was_pasted() -> None:
    notebook = in_form(
        answered("Look:\n\n![sketch](attachment:a__png)\n\nSo.".replace("__", "."), a__png={"image/png": picture()})
    )
    cell = cell_of(notebook, "answer-why")
    assert cell.source == "Look:\n\n![](attachment:a.png)\n\nSo." and set(cell.attachments) == {"a.png"}
    assert "picture" not in remarks(notebook).lower()
    templates = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    css = templates.parent / "static" / "node_modules" / "bootstrap" / "dist" / "css"
    exporter = HTMLExporter(
        template_name="feedback", extra_template_basedirs=[str(templates)], extra_template_paths=[str(css)]
    )
    scores = {"notebook": "lab", "score": 1.0, "max_score": 2.0, "late_penalty": 0.0}
    cell.metadata = {}  # or the page would have the cell's points, which nbgrader adds
    html, _ = exporter.from_notebook_node(new_notebook(cells=[cell]), resources={"nbgrader": scores})
    assert re.search(r'<img[^>]*src="data:image/png;base64,', html)


def test_a_picture_that_the_text_does_not_show_stands_at_its_end() -> None:
    cell = cell_of(in_form(answered("Because.", a__png={"image/png": picture()})), "answer-why")
    assert cell.source == "Because.\n\n![](attachment:a.png)"


@pytest.mark.parametrize(("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_a_picture_is_made_anew_with_the_same_pixels_and_nothing_else(kind: str, mime: str) -> None:
    data = base64.b64decode(picture(kind)) + b"<script>hidden behind</script>"
    kept, left_out = kept_pictures({"a": {mime: base64.b64encode(data).decode()}})
    again = base64.b64decode(kept["a"][mime])
    assert b"script" not in again and left_out == 0
    assert Image.open(io.BytesIO(again)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16"])
def test_every_kind_of_pixels_is_read(mode: str) -> None:
    assert kept_pictures({"a": {"image/png": picture(mode=mode)}})[1] == 0


def test_a_large_picture_becomes_smaller() -> None:
    kept, _ = kept_pictures({"a": {"image/png": picture(size=(4000, 1000))}})
    assert Image.open(io.BytesIO(base64.b64decode(kept["a"]["image/png"]))).size == (LONGEST_SIDE, LONGEST_SIDE // 4)


BOMB = picture(size=(20_000, 20_000), mode="1")


@pytest.mark.parametrize(
    "data",
    [{"image/png": "not base64!"}, {"image/png": base64.b64encode(b"<svg onload=x>").decode()}, {"image/png": 3},
     {"image/svg+xml": "<svg/>"}, {"image/gif": picture("GIF", mode="P")}, {"image/png": picture("JPEG")},
     {"image/png": BOMB}, {"image/png": picture()[:60]}, {}, None, [], "x"],
)  # fmt: skip
def test_what_is_no_such_picture_is_left_out_and_that_is_said(data: Any) -> None:
    notebook = in_form(answered("![x](attachment:a)", a=data))
    assert not cell_of(notebook, "answer-why").get("attachments")
    assert "answer-why has pictures that cannot be shown" in remarks(notebook)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_with_errors_in_it_does_no_harm(kind: str) -> None:
    dice, whole = random.Random(0), base64.b64decode(picture(kind))
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        broken = base64.b64encode(data[: dice.randint(len(data) // 2, len(data))]).decode()
        kept, left_out = kept_pictures({"a": {f"image/{kind.lower()}": broken}})
        assert len(kept) + left_out == 1


@pytest.mark.parametrize("source", ["![s](sketch.png)", "![s](https://example.org/s.png)", "<img src='data:x'>"])
def test_a_picture_that_was_not_pasted_is_named(source: str) -> None:
    assert "answer-why has pictures that cannot be shown" in remarks(in_form(answered(source)))


def test_a_picture_in_a_cell_that_is_no_answer_is_named() -> None:
    notebook = released()
    notebook.cells[0].attachments = {"a.png": {"image/png": picture()}}
    assert "Pictures in cell 1, which is no answer, were left out" in remarks(in_form(notebook))


@pytest.mark.parametrize(
    "name", ["a](javascript:x)", "a b.png", "<img>.png", "ü.png", 'x" onerror="y', "../../etc/passwd"]
)
def test_a_name_brings_nothing_into_the_text(name: str) -> None:
    kept, _ = kept_pictures({name: {"image/png": picture()}})
    (safe,) = kept
    assert re.fullmatch(r"[\w.-]+", safe, re.ASCII)
    text = with_pictures(clean_markdown(f"![x](attachment:{name})"), kept)
    assert text.count(f"](attachment:{safe})") == 1


def test_no_more_than_a_few_pictures_are_kept() -> None:
    kept, left_out = kept_pictures({f"{number}.png": {"image/png": picture()} for number in range(20)})
    assert (len(kept), left_out) == (8, 12)
