"""Take active content out of what students hand in, before an instructor opens it in a browser."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import bleach

PICTURES = ("image/png", "image/jpeg", "image/gif")
NOWHERE = "\u200b"  # a space of no width: what it splits is still read by people, and no longer by browsers
TAGS = "a b blockquote br caption code dd details div dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s small span"
TAGS += " strong sub summary sup table tbody td tfoot th thead tr u ul"
ATTRIBUTES = {"a": ["href", "title"], "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan"]}
PLAIN_TAG = re.compile(rf"</?({'|'.join(TAGS.split()[1:])})\s*/?>", re.IGNORECASE)
SCHEMES = re.compile(r"(javascript|vbscript|data|file)(?=\s*:)", re.IGNORECASE)
MATH = re.compile(r"\\(?=(?:href|cssId|class|style|require|unicode|html\w*|data|bbox|def|let|newcommand)\b)")
ENTITY = re.compile(r"&(?=#|(?!(?:amp|lt|gt|quot|nbsp);)[A-Za-z][A-Za-z0-9]*;)")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")


def clean_markdown(source: str) -> str:
    """Markdown whose HTML is down to plain tags without attributes, and whose links lead to pages only."""

    def keep(match: re.Match) -> str:
        return match[0] if PLAIN_TAG.match(source, match.start()) else "<" + NOWHERE

    source = re.sub(r"<(?=[A-Za-z/!?])", keep, source)
    for pattern in (SCHEMES, MATH, ENTITY):
        source = pattern.sub(lambda match: match[0] + NOWHERE, source)
    return source


def clean_html(text: str) -> str:
    """HTML down to text, tables and links to pages."""
    return bleach.clean(text, tags=TAGS.split(), attributes=ATTRIBUTES, protocols=["http", "https"], strip=True)


def clean_data(data: Mapping[str, Any]) -> dict[str, str]:
    """The representations of an output that are shown: text, pictures, cleaned HTML."""
    kept = {}
    for mime, value in data.items():
        if not isinstance(value, str):
            continue
        if mime == "text/plain" or (mime in PICTURES and BASE64.fullmatch(value)):
            kept[mime] = value
        elif mime == "text/html":
            kept[mime] = clean_html(value)
        elif mime in ("text/markdown", "text/latex"):
            kept[mime] = clean_markdown(value)
    return kept


def clean_outputs(outputs: Iterable[Any]) -> list[dict[str, Any]]:
    """The outputs of a cell that ran in the sandbox, each built anew; what is none is left out."""
    found: list[dict[str, Any]] = []
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        kind = output.get("output_type")
        if kind == "stream" and isinstance(output.get("text"), str):
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            found.append({"output_type": "stream", "name": name, "text": readable(output["text"])})
        elif kind == "error":
            lines = output.get("traceback")
            shown = [readable(line) for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
            name, text = readable(str(output.get("ename"))[:200]), readable(str(output.get("evalue"))[:20_000])
            found.append({"output_type": "error", "ename": name, "evalue": text, "traceback": shown})
        elif kind in ("display_data", "execute_result") and isinstance(output.get("data"), dict):
            data = {mime: readable(value) for mime, value in clean_data(output["data"]).items()}
            found.append({"output_type": kind, "data": data, "metadata": {}})
            if kind == "execute_result":
                count = output.get("execution_count")
                found[-1]["execution_count"] = count if isinstance(count, int) else None
    return found


def readable(text: str) -> str:
    """Text that can be stored and shown: no lone surrogates, no control characters but tab, newline and escape."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]", " ", text)
