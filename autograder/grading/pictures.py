"""Pictures that students paste into answers: drawn anew from their pixels, so that nothing else of a file remains."""

import base64
import re
import warnings
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from PIL import Image

from autograder.grading.cleaning import NOWHERE

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
LARGEST = 10_000_000  # bytes of a file
MOST_PIXELS = 25_000_000
LONGEST_SIDE = 1600  # pixels, of what is kept
MOST_PICTURES = 8  # of a cell
UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)
SHOWN = re.compile(rf"!{NOWHERE}\[[^\]\n]*\]\(attachment:([^)\n]+)\)")  # as `clean_markdown` leaves it

Attachments = dict[str, dict[str, str]]  # name → MIME type → base64, as nbformat has them


def kept_pictures(attachments: Any) -> tuple[Attachments, int]:
    """The pictures among a cell's attachments, each drawn anew, and how many had to be left out."""
    kept: Attachments = {}
    left_out = 0
    for name, data in attachments.items() if isinstance(attachments, dict) else ():
        picture = redrawn(data) if isinstance(data, dict) and len(kept) < MOST_PICTURES else {}
        if picture and isinstance(name, str):
            kept[safe_name(name)] = picture
        else:
            left_out += 1
    return kept, left_out


def with_pictures(clean: str, names: Iterable[str]) -> str:
    """A cleaned answer that shows its attachments of these names: each where it stood, the others at the end."""
    waiting = list(names)

    def shown(match: re.Match[str]) -> str:
        name = safe_name(unquote(match[1]))
        if name not in waiting:
            return match[0]
        waiting.remove(name)
        return f"![](attachment:{name})"

    clean = SHOWN.sub(shown, clean)
    return "\n\n".join([clean, *(f"![](attachment:{name})" for name in waiting)])


def safe_name(name: str) -> str:
    """An attachment's name of letters, digits, dots and dashes, by which a cell's text shows it."""
    return UNSAFE.sub("-", name)[:80]


def redrawn(data: Mapping[str, Any]) -> dict[str, str]:
    """A picture (MIME type → base64) as a new file with the same pixels, smaller where it is large; else empty."""
    for mime, kind in FORMATS.items():
        text = data.get(mime)
        text = "".join(part for part in text if isinstance(part, str)) if isinstance(text, list) else text
        if isinstance(text, str) and len(text) <= LARGEST * 4 // 3:
            try:
                return {mime: base64.b64encode(same_pixels(base64.b64decode(text), kind)).decode()}
            except Exception:  # whatever a broken picture makes its readers raise
                continue
    return {}


def same_pixels(data: bytes, kind: str) -> bytes:
    """A new file of the format `kind`. Raises OSError, ValueError and others of Pillow's for what is no picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(BytesIO(data), formats=[kind]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            clear = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
            plain = picture.convert("RGBA" if clear and kind == "PNG" else "RGB")
    plain.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    plain.info.clear()
    file = BytesIO()
    plain.save(file, kind)
    return file.getvalue()
