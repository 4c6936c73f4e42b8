"""Text for people and for spreadsheets: of a bearable length, on one line, as points, as CSV."""

import csv
import io
import unicodedata
from collections.abc import Iterable
from typing import Any

LONGEST = 2000  # characters of one text: a student's code can write endless ones


def clipped(text: str, longest: int = LONGEST) -> str:
    """Text of at most so many characters; an ellipsis says where it was cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def first_line(text: str) -> str:
    """The first line of a message, without what surrounds it."""
    return next(iter(text.strip().splitlines()), "")


def one_line(value: Any, longest: int) -> str:
    """A text or number as one line of bearable length, without characters that do not show; anything else as ""."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        text = str(value)[: 4 * longest]
    except ValueError:  # a whole number of thousands of digits
        return ""
    text = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)
    text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("C"))
    return clipped(" ".join(text.split()), longest)


def format_points(points: float) -> str:
    """Points as people write them: 2, 2.5, 0.33."""
    text = f"{points:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def to_csv(rows: Iterable[Iterable[str | float]]) -> str:
    """Rows as CSV, numbers as points. Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    text = io.StringIO()
    csv.writer(text).writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_cell(value: str | float) -> str:
    """One value as the text of a CSV cell."""
    if not isinstance(value, str):
        return format_points(value)
    value = value.replace("\0", "")
    return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
