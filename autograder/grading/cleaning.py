"""Take active content out of what students hand in, before an instructor opens it in a browser.

All lengths are limited, and the time taken here grows with the length only: pages that take hours to draw would
stop the grading of a whole class.
"""

import re
from collections.abc import Mapping
from typing import Any

import nh3

LONGEST_MARKDOWN = 20_000  # characters; drawing Markdown can take the square of its length
LONGEST_TEXT = 200_000  # characters of other text, and of HTML
LARGEST_PICTURE = 8_000_000  # characters in base64
DEEPEST = 50  # tags of HTML within each other
LARGEST_OUTPUTS = 10_000_000  # characters of all outputs of a cell
MOST_OUTPUTS = 200  # of a cell
LONGEST_NAME = 200  # characters of an exception's name
LONGEST_MESSAGE = 20_000  # characters of an exception's text, and of a line of its traceback
MOST_LINES = 60  # of a traceback, the last ones
LARGEST_COUNT = 999_999  # of executions

PICTURES = ("image/png", "image/jpeg", "image/gif")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
NOWHERE = "\u200b"  # a space of no width: what it splits is still read by people, and no longer by browsers

PLAIN_TAGS = {
    "b", "blockquote", "br", "caption", "code", "dd", "details", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "kbd", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "summary", "sup", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
HTML_TAGS = PLAIN_TAGS | {"a", "div"}
UNSEEN_TAGS = {"script", "style", "title", "template"}  # they go with what is in them
SINGLE_TAGS = {"br", "hr"}  # never closed


# --- Markdown

PLAIN_TAG = re.compile(rf"</?({'|'.join(sorted(PLAIN_TAGS))})\s*/?>", re.IGNORECASE)
SCHEMES = re.compile(r"(javascript|vbscript|data|file)(?=[\s\\]*:)", re.IGNORECASE)
MATH = re.compile(r"\\(?=(?:href|cssId|class|style|require|unicode|html\w*|data|bbox|mmlToken|def|let|newcommand)\b)")
ENTITY = re.compile(r"&(?=#|(?!(?:amp|lt|gt|quot|nbsp);)[A-Za-z][A-Za-z0-9]*;)")
TWOFOLD = re.compile(r"&amp;(?=#|[A-Za-z][A-Za-z0-9]*;)")  # links are decoded twice
PICTURE = re.compile(r"!(?=\[)")  # it would be fetched from elsewhere (what was pasted: `pictures.with_pictures`)
DIAGRAM = re.compile(r"[`~]{3}[ \t]*(?=mermaid)")  # drawn by a script


def clean_markdown(source: str) -> str:
    """Markdown whose HTML is down to plain tags without attributes, and whose links lead to pages only."""
    source = shortened(source, LONGEST_MARKDOWN)

    def tag_or_text(match: re.Match[str]) -> str:
        return match[0] if PLAIN_TAG.match(match.string, match.start()) else "<" + NOWHERE

    source = re.sub(r"<(?=[A-Za-z/!?])", tag_or_text, source)
    for pattern in (SCHEMES, MATH, ENTITY, TWOFOLD, PICTURE, DIAGRAM):
        source = split_up(pattern, source)
    return source


def split_up(pattern: re.Pattern[str], text: str) -> str:
    """Text in which NOWHERE stands behind every match of a pattern."""
    return pattern.sub(lambda match: match[0] + NOWHERE, text)


# --- HTML

VALUES = {
    "href": re.compile(r"https?://\S+", re.IGNORECASE),
    "title": re.compile(r".*", re.DOTALL),
    "colspan": re.compile(r"\d{1,3}"),
    "rowspan": re.compile(r"\d{1,3}"),
}
MARKUP = re.compile(
    r"""<!--.*?(?:-->|\Z)
    | <(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9]*+)
      (?P<attributes>(?:\s++[A-Za-z][\w:.-]*+(?:\s*+=\s*+(?:"[^"<]*"|'[^'<]*'|[^\s"'=<>`]++))?+)*+)[^<>]*+>""",
    re.DOTALL | re.VERBOSE,
)


def allowed_value(_tag: str, name: str, value: str) -> str | None:
    """The value of an attribute that may stay, else None. It is asked for all attributes, and must not raise."""
    return value if name in VALUES and VALUES[name].fullmatch(value) else None


CLEANER = nh3.Cleaner(
    tags=HTML_TAGS,
    clean_content_tags=UNSEEN_TAGS,
    attributes={"*": {"title"}, "a": {"href"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}},
    attribute_filter=allowed_value,
    url_schemes={"http", "https"},
    link_rel=None,
)


def clean_html(text: str) -> str:
    """HTML down to text, tables and links to pages; formulas in it bring no HTML of their own."""
    return split_up(MATH, CLEANER.clean(balanced(readable(shortened(text, LONGEST_TEXT)))))


def balanced(text: str) -> str:
    """HTML of known tags, each closed before what it stands in, and at most DEEPEST of them within each other.

    What is safe is decided by nh3. But any parser that follows the standard for HTML opens again, in each paragraph,
    what was left open in those before: 40,000 characters take nh3 alone 20 s and 2 GB. This here takes time in
    proportion to the length, and so does nh3 after it.
    """
    pieces: list[str] = []
    inside: list[str] = []
    place = 0
    for match in MARKUP.finditer(text):
        pieces.append(text[place : match.start()].replace("<", "&lt;"))
        place, name = match.end(), (match["name"] or "").lower()
        if name in SINGLE_TAGS:
            pieces.append(f"<{name}>")
        elif name not in HTML_TAGS | UNSEEN_TAGS:
            continue
        elif not match["end"] and len(inside) < DEEPEST:
            inside.append(name)
            pieces.append(f"<{name}{match['attributes']}>")
        elif match["end"] and name in inside:
            while (last := inside.pop()) != name:
                pieces.append(f"</{last}>")
            pieces.append(f"</{name}>")
    pieces.append(text[place:].replace("<", "&lt;"))
    return "".join([*pieces, *(f"</{name}>" for name in reversed(inside))])


# --- outputs


def clean_outputs(outputs: Any) -> list[dict[str, Any]]:
    """The outputs of a cell that ran in the sandbox, each built anew; what is none is left out."""
    cleaned: list[dict[str, Any]] = []
    room = LARGEST_OUTPUTS
    for output in outputs[: MOST_OUTPUTS + 1] if isinstance(outputs, list) else []:
        clean = clean_output(output) if isinstance(output, dict) else {}
        room -= len(str(clean))
        if room < 0 or len(cleaned) == MOST_OUTPUTS:
            text = "(This cell showed more than can be kept; the rest is left out.)\n"
            cleaned.append({"output_type": "stream", "name": "stderr", "text": text})
            break
        if clean:
            cleaned.append(clean)
    return cleaned


def clean_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """One output, built anew; empty if it is none."""
    kind = output.get("output_type")
    if kind == "stream" and isinstance(output.get("text"), str):
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": readable(shortened(output["text"], LONGEST_TEXT))}
    if kind == "error":
        return clean_error(output)
    data = clean_data(output["data"]) if isinstance(output.get("data"), dict) else {}
    if kind not in ("display_data", "execute_result") or not data:
        return {}
    clean: dict[str, Any] = {"output_type": kind, "data": data, "metadata": {}}
    if kind == "execute_result":
        count = output.get("execution_count")
        clean["execution_count"] = count if type(count) is int and 0 <= count <= LARGEST_COUNT else None
    return clean


def clean_error(output: Mapping[str, Any]) -> dict[str, Any]:
    """An exception, with the end of its traceback."""
    lines = output.get("traceback")
    lines = [line for line in lines if isinstance(line, str)][-MOST_LINES:] if isinstance(lines, list) else []
    return {
        "output_type": "error",
        "ename": readable(str(output.get("ename"))[:LONGEST_NAME]),
        "evalue": readable(str(output.get("evalue"))[:LONGEST_MESSAGE]),
        "traceback": [readable(line[:LONGEST_MESSAGE]) for line in lines],
    }


def clean_data(data: Mapping[str, Any]) -> dict[str, str]:
    """The representations of an output that are shown: text, pictures, cleaned HTML."""
    cleaned = {}
    for mime, value in data.items():
        if not isinstance(value, str):
            continue
        if mime == "text/plain":
            cleaned[mime] = readable(shortened(value, LONGEST_TEXT))
        elif mime in PICTURES and len(value) <= LARGEST_PICTURE and BASE64.fullmatch(value):
            cleaned[mime] = value
        elif mime == "text/html":
            cleaned[mime] = clean_html(value)
        elif mime in ("text/markdown", "text/latex"):
            cleaned[mime] = clean_markdown(readable(value))
    return cleaned


# --- text


def shortened(text: str, longest: int) -> str:
    """Text up to a length, and a line that says so where it is cut."""
    return text if len(text) <= longest else text[:longest] + "\n… (the rest is left out)\n"


def readable(text: str) -> str:
    """Text that can be stored and shown: no lone surrogates, no control characters but tab, newline and escape."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]", " ", text)
