"""Text for people and for spreadsheets: of a bearable length, on one line, as points, as CSV."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

LONGEST = 2000  # characters of one text: a student's code can write endless ones


def by_number(names: Iterable[str]) -> list[str]:
    """Names in alphabetical order, numbers in them by their value: lab2 before lab10."""
    return sorted(
        names, key=lambda name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
    )


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


FORMULA = "=+-@＝＋－＠"  # what a spreadsheet may take for the beginning of a formula, wide letters included
NEW_CELL = re.compile(
    rf"(?s:(?<=.))([;\t\r\n]\s*\"?\s*)(?=[{FORMULA}])"
)  # where another separator than ours is expected
A_NAME = re.compile(r"[-+]?[A-Za-z][\w.@-]*", re.ASCII)


def csv_cell(value: str | float) -> str:
    """One value as the text of a CSV cell. A name that only begins like a formula, as -dash, stays as it is."""
    if not isinstance(value, str):
        return format_points(value)
    value = shown(value.replace("\0", ""))
    if A_NAME.fullmatch(value):
        return value
    begins = value.lstrip(" ").startswith((*FORMULA, "\t", "\r", "\n"))
    return "'" * begins + NEW_CELL.sub(r"\1'", value)


# Control characters (but for tab and newline), halves of characters, and what turns the direction of writing around
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """Text as it can be shown anywhere: what would act on a terminal, or was no text, is written out, as \\x1b."""
    return UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def shown_name(name: str) -> str:
    """The name of a file or folder as it can be shown on one line."""
    return shown(name).replace("\n", "\\n").replace("\t", "\\t")
