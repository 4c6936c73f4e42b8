"""Take active content out of what students hand in, before an instructor opens it in a browser.

Everything here takes time in proportion to the length of what it reads, and all lengths are limited: a page that
cannot be drawn would stop the grading of a whole class.
"""

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_TEXT = 20_000  # characters of Markdown or LaTeX: drawing it can take the square of its length
LONGEST_OUTPUT = 1_000_000  # characters of other text, of HTML, and of all texts of a cell together
LARGEST_PICTURE = 8_000_000  # characters in base64
MOST_OUTPUTS = 200  # of one cell
DEEPEST = 50  # tags of HTML within each other
CUT = "\n… (the rest is left out)\n"

PICTURES = ("image/png", "image/jpeg", "image/gif")
NOWHERE = "\u200b"  # a space of no width: what it splits is still read by people, and no longer by browsers
TAGS = set("b blockquote br caption code dd details dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s small span".split())
TAGS |= set("strong sub summary sup table tbody td tfoot th thead tr u ul".split())
VOID = ("br", "hr")
PLAIN_TAG = re.compile(rf"</?({'|'.join(TAGS)})\s*/?>", re.IGNORECASE)
SCHEMES = re.compile(r"(javascript|vbscript|data|file)(?=[\s\\]*:)", re.IGNORECASE)
MATH = re.compile(r"\\(?=(?:href|cssId|class|style|require|unicode|html\w*|data|bbox|mmlToken|def|let|newcommand)\b)")
ENTITY = re.compile(r"&(?=#|(?!(?:amp|lt|gt|quot|nbsp);)[A-Za-z][A-Za-z0-9]*;)")
PICTURE = re.compile(r"!(?=\[)")  # it would be fetched from elsewhere, or is an attachment, which is gone
DIAGRAM = re.compile(r"[`~]{3}[ \t]*(?=mermaid)")  # drawn by a script
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")

UNSEEN = re.compile(r"<(script|style|head|title|template|noscript|svg|math)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
COMMENT = re.compile(r"<!.*?(?:>|\Z)|<\?.*?(?:>|\Z)", re.DOTALL)
TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*)>")
ATTRIBUTE = re.compile(r"""\s(href|title|colspan|rowspan)\s*=\s*("[^"]*"|'[^']*'|[^\s"'`=]+)""", re.IGNORECASE)
WANTED = {
    "href": re.compile(r"https?://\S+", re.IGNORECASE),
    "title": re.compile(r".*", re.DOTALL),
    "colspan": re.compile(r"\d{1,3}"),
    "rowspan": re.compile(r"\d{1,3}"),
}
