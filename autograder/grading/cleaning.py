"""Take active content out of what students hand in, before an instructor opens it in a browser.

All lengths are limited, and the time taken here grows with the length only: pages that take hours to draw would
stop the grading of a whole class.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

LONGEST_MARKDOWN = 20_000  # characters; drawing Markdown can take the square of its length
LONGEST_TEXT = 200_000  # of other text, and of HTML
LARGEST_PICTURE = 8_000_000  # characters in base64
LARGEST_OUTPUTS = 10_000_000  # characters of all outputs of a cell
MOST_OUTPUTS = 200  # of a cell
DEEPEST = 50  # tags of HTML within each other

PICTURES = ("image/png", "image/jpeg", "image/gif")
NOWHERE = "\u200b"  # a space of no width: what it splits is still read by people, and no longer by browsers
TAGS = "b blockquote br caption code dd details dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s small span"
TAGS += " strong sub summary sup table tbody td tfoot th thead tr u ul"
PLAIN_TAG = re.compile(rf"</?({TAGS.replace(' ', '|')})\s*/?>", re.IGNORECASE)
SCHEMES = re.compile(r"(javascript|vbscript|data|file)(?=[\s\\]*:)", re.IGNORECASE)
MATH = re.compile(r"\\(?=(?:href|cssId|class|style|require|unicode|html\w*|data|bbox|mmlToken|def|let|newcommand)\b)")
ENTITY = re.compile(r"&(?=#|(?!(?:amp|lt|gt|quot|nbsp);)[A-Za-z][A-Za-z0-9]*;)")
TWOFOLD = re.compile(r"&amp;(?=#|[A-Za-z][A-Za-z0-9]*;)")  # links are decoded twice
PICTURE = re.compile(r"!(?=\[)")  # it would be fetched from elsewhere; attachments are gone
DIAGRAM = re.compile(r"[`~]{3}[ \t]*(?=mermaid)")  # drawn by a script
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")

UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|head|title|template)\b.*?(?:</\1\s*>|\Z)", re.S | re.I)
TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*)>")
ATTRIBUTE = re.compile(r"""\s(href|title|colspan|rowspan)\s*=\s*("[^"]*"|'[^']*'|[^\s"'`=]+)""", re.IGNORECASE)
VALUES = {"href": r"https?://\S+", "title": r"[^\0]*", "colspan": r"\d{1,3}", "rowspan": r"\d{1,3}"}


def clean_markdown(source: str) -> str:
    """Markdown whose HTML is down to plain tags without attributes, and whose links lead to pages only."""

    def keep(match: re.Match) -> str:
        return match[0] if PLAIN_TAG.match(source, match.start()) else "<" + NOWHERE

    source = shortened(source, LONGEST_MARKDOWN)
    source = re.sub(r"<(?=[A-Za-z/!?])", keep, source)
    for pattern in (SCHEMES, MATH, ENTITY, TWOFOLD, PICTURE, DIAGRAM):
        source = pattern.sub(lambda match: match[0] + NOWHERE, source)
    return source


def clean_html(text: str) -> str:
    """HTML down to text, tables and links to pages, built anew: what is no tag that is known becomes text."""
    text = UNSEEN.sub("", shortened(text, LONGEST_TEXT))
    kept: list[str] = []
    inside: list[str] = []
    place = 0
    for match in TAG.finditer(text):
        kept.append(plain(text[place : match.start()]))
        place, name = match.end(), match[2].lower()
        if name in ("br", "hr"):
            kept.append(f"<{name}>")
        elif name not in (*TAGS.split(), "div", "a"):
            continue
        elif not match[1] and len(inside) < DEEPEST:
            inside.append(name)
            kept.append(f"<{name}{attributes(match[3])}>")
        elif match[1] and name in inside:
            while inside[-1] != name:
                kept.append(f"</{inside.pop()}>")
            kept.append(f"</{inside.pop()}>")
    kept.append(plain(text[place:]))
    return "".join([*kept, *(f"</{name}>" for name in reversed(inside))])


def attributes(text: str) -> str:
    """Those of a tag's attributes that may stay."""
    found = {name.lower(): html.unescape(value.strip("\"'")).strip() for name, value in ATTRIBUTE.findall(text)}
    found = {name: value for name, value in found.items() if re.fullmatch(VALUES[name], value, re.IGNORECASE)}
    return "".join(f' {name}="{html.escape(value)}"' for name, value in found.items())


def plain(text: str) -> str:
    """Text of an HTML page: shown as it is, formulas included."""
    return MATH.sub(lambda match: match[0] + NOWHERE, html.escape(html.unescape(text), quote=False))


def clean_data(data: Mapping[str, Any]) -> dict[str, str]:
    """The representations of an output that are shown: text, pictures, cleaned HTML."""
    kept = {}
    for mime, value in data.items():
        if not isinstance(value, str):
            continue
        if mime == "text/plain":
            kept[mime] = readable(shortened(value, LONGEST_TEXT))
        elif mime in PICTURES and len(value) <= LARGEST_PICTURE and BASE64.fullmatch(value):
            kept[mime] = value
        elif mime == "text/html":
            kept[mime] = clean_html(readable(value))
        elif mime in ("text/markdown", "text/latex"):
            kept[mime] = clean_markdown(readable(value))
    return kept


def clean_outputs(outputs: Any) -> list[dict[str, Any]]:
    """The outputs of a cell that ran in the sandbox, each built anew; what is none is left out."""
    found: list[dict[str, Any]] = []
    room = LARGEST_OUTPUTS
    for output in outputs[: MOST_OUTPUTS + 1] if isinstance(outputs, list) else []:
        clean = clean_output(output) if isinstance(output, dict) else {}
        room -= len(str(clean))
        if room < 0 or len(found) == MOST_OUTPUTS:
            text = "(This cell showed more than can be kept; the rest is left out.)\n"
            found.append({"output_type": "stream", "name": "stderr", "text": text})
            break
        if clean:
            found.append(clean)
    return found


def clean_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """One output, built anew; empty if it is none."""
    kind = output.get("output_type")
    if kind == "stream" and isinstance(output.get("text"), str):
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": readable(shortened(output["text"], LONGEST_TEXT))}
    if kind == "error":
        lines = output.get("traceback")
        lines = [line for line in lines if isinstance(line, str)][-60:] if isinstance(lines, list) else []
        name, text = readable(str(output.get("ename"))[:200]), readable(str(output.get("evalue"))[:20_000])
        shown = [readable(line[:20_000]) for line in lines]
        return {"output_type": "error", "ename": name, "evalue": text, "traceback": shown}
    data = clean_data(output["data"]) if isinstance(output.get("data"), dict) else {}
    if kind in ("display_data", "execute_result") and data:
        clean: dict[str, Any] = {"output_type": kind, "data": data, "metadata": {}}
        if kind == "execute_result":
            count = output.get("execution_count")
            clean["execution_count"] = count if type(count) is int and 0 <= count < 1_000_000 else None
        return clean
    return {}


def shortened(text: str, longest: int) -> str:
    """Text up to a length, and a line that says so where it is cut."""
    return text if len(text) <= longest else text[:longest] + "\n… (the rest is left out)\n"


def readable(text: str) -> str:
    """Text that can be stored and shown: no lone surrogates, no control characters but tab, newline and escape."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]", " ", text)
