"""When something was handed in: a timestamp.txt, as learning platforms, shells and editors write it."""

import codecs
import re
from datetime import UTC, datetime, tzinfo

import dateutil.parser
import dateutil.tz

SECONDS, MILLISECONDS = r"\d{9,11}(\.\d+)?", r"\d{12,14}"  # since 1970


def time_in(data: bytes) -> datetime | None:
    """The time that a timestamp.txt holds, in UTC and without a zone, as nbgrader has it; None where it holds none.

    A date with a year of four digits (without a zone: UTC), or seconds or milliseconds since 1970; in UTF-8 or UTF-16,
    with or without a byte order mark.
    """
    try:
        text = decoded(data[:200]).strip()
        if re.fullmatch(f"{SECONDS}|{MILLISECONDS}", text):
            seconds = float(text) / (1000 if re.fullmatch(MILLISECONDS, text) else 1)
            return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        if not re.search(r"\d{4}", text):
            return None  # dateutil would take "5" for this month's fifth
        time = dateutil.parser.parse(text, tzinfos=zone)
        return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
    except (ValueError, OverflowError, TypeError, OSError):
        return None


def zone(name: str | None, offset: int | None) -> tzinfo | None:
    """The time zone of a name or of an offset in seconds. (nbgrader's own reader takes "+0100" for 100 seconds.)"""
    return dateutil.tz.gettz(name) if offset is None else dateutil.tz.tzoffset(name, offset)


def decoded(data: bytes) -> str:
    """Text in UTF-16 (told by its byte order mark, or by a byte of zeros) or in UTF-8. Raises UnicodeDecodeError."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:2]:
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
    return data.decode("utf-8-sig")
