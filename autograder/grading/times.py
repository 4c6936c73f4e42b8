"""When something was handed in: a timestamp.txt, as learning platforms, shells and editors write it."""

import codecs
import re
from datetime import UTC, datetime, tzinfo

import dateutil.parser
import dateutil.tz

SECONDS, MILLISECONDS = r"\d{9,11}(\.\d+)?", r"\d{12,14}"  # since 1970
UNLIKE = datetime(2000, 1, 1), datetime(2001, 2, 2)  # what a date lacks is not to be guessed


def time_in(data: bytes) -> datetime | None:
    """The time that a timestamp.txt holds, in UTC and without a zone, as nbgrader has it; None where it holds none.

    A date (without a zone: UTC) that can be read in one way only, or seconds or milliseconds since 1970; in UTF-8 or
    UTF-16, with or without a byte order mark.
    """
    try:
        text = decoded(data[:200]).strip()
        if re.fullmatch(f"{SECONDS}|{MILLISECONDS}", text):
            seconds = float(text) / (1000 if re.fullmatch(MILLISECONDS, text) else 1)
            return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        year_first = re.match(r"\d{4}", text)
        orders = (False,) if year_first else (False, True)  # whether in 1/2/2026 the day comes first
        readings = {
            dateutil.parser.parse(text, default=default, dayfirst=order, tzinfos=zone)
            for default in UNLIKE
            for order in orders
        }
        (time,) = readings  # ValueError: a part of the date is missing, or it can be read in two ways
        return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
    except (ValueError, OverflowError, TypeError, OSError):
        return None


def zone(name: str | None, offset: int | None) -> tzinfo:
    """The time zone of a name or of an offset in seconds (nbgrader's own reader takes "+0100" for 100 seconds).

    Raises ValueError for a name that is not known.
    """
    found = dateutil.tz.gettz(name) if offset is None else dateutil.tz.tzoffset(name, offset)
    if found is None:
        raise ValueError(f"There is no time zone {name!r}.")
    return found


def decoded(data: bytes) -> str:
    """Text in UTF-16 (told by its byte order mark, or by a byte of zeros) or in UTF-8. Raises UnicodeDecodeError."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:2]:
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
    return data.decode("utf-8-sig")
