"""Nothing that a student hands in or shows is active on a page that a person opens; innocent text stays readable."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import nbgrader
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.grading.cleaning import (
    HTML_TAGS,
    LARGEST_OUTPUTS,
    LONGEST_MARKDOWN,
    LONGEST_TEXT,
    MOST_OUTPUTS,
    NOWHERE,
    clean_data,
    clean_html,
    clean_markdown,
    clean_outputs,
    readable,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FORBIDDEN = "script style link meta base iframe frame object embed applet form input button textarea select svg math"
FORBIDDEN += " audio video source template noscript marquee isindex title body html head"
LOADING = ("href", "src", "srcset", "srcdoc", "action", "formaction", "data", "background", "poster", "xlink:href")
SPEAKING_MATH = re.compile(r"\\(href|cssId|class|style|require|unicode|mmlToken|html\w+|data|bbox)\b")

ATTACKS = {
    "a script": "<script>alert(1)</script>",
    "a script in capitals": "<ScRiPt >alert(1)</sCrIpT >",
    "a script from elsewhere": '<script src="https://evil.example/x.js"></script>',
    "a script with a slash": "<script/x>alert(1)</script>",
    "a script cut in two by itself": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "a script without end": "<script>alert(1)",
    "a script behind an open tag": "<<script>alert(1)//<</script>",
    "a script behind an unclosed attribute": '<b title="><script>alert(1)</script>',
    "a script in a comment that ends early": "<!--><script>alert(1)</script>-->",
    "a script behind a comment in a comment": "<!-- --!><script>alert(1)</script> -->",
    "a script in CDATA": "<![CDATA[<script>alert(1)</script>]]>",
    "a script in a declaration": '<!DOCTYPE x [<!ENTITY y "<script>alert(1)</script>">]>',
    "a script in a processing instruction": "<?xml ?><script>alert(1)</script><?php echo 1 ?>",
    "a script in a title": "<title><script>alert(1)</script></title>",
    "a script that closes the page's own": "</script><script>alert(1)</script>",
    "a script that leaves a text field": "</textarea></title></style><script>alert(1)</script>",
    "a script in a preformatted block": "<pre>\n<script>alert(1)</script>\n</pre>",
    "a script in a code block": "```html\n<script>alert(1)</script>\n```",
    "a script in a code span": "`<script>alert(1)</script>` and ``</code><script>alert(1)</script>``",
    "a script in details": "<details><summary>x</summary><script>alert(1)</script></details>",
    "a script in a table": "| a |\n|---|\n| <script>alert(1)</script> |",
    "a script in a formula": "$<script>alert(1)</script>$ and $$</p><img src=x onerror=alert(1)>$$",
    "a script in an environment": r"\begin{aligned}<script>alert(1)</script>\end{aligned}",
    "a script behind a backslash": r"\<script>alert(1)</script> <\script>alert(1)<\/script>",
    "a script with a null byte": "<scr\x00ipt>alert(1)</script> <\x00script>alert(1)</script>",
    "a script with a control character": "<\x0bscript>alert(1)</script> <scr\x1bipt>",
    "a script in wide letters": "＜script＞alert(1)＜/script＞ <ſcript>alert(1)</ſcript>",
    "a script with a lone surrogate": "<\udc80script>alert(1)</script>\ud800<script>",
    "a script as entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;alert(1)",
    "a script as entities of entities": "&amp;lt;script&amp;gt;alert(1) &amp;#60;script&amp;#62;",
    "a picture with a handler": "<img src=x onerror=alert(1)>",
    "a picture with a slash in place of blanks": "<img/src=x/onerror=alert(1)//",
    "a picture in back quotes": "<IMG SRC=`javascript:alert(1)` onerror=`alert(1)`>",
    "a picture of a script": "<img src=javascript:alert(1)>",
    "a handler on a tag that may stay": '<b onclick="alert(1)">x</b><p onmouseover=alert(1)>y</p>',
    "a handler behind a line break": "<b\nonclick=alert(1)>x</b><details\topen\tontoggle=alert(1)>",
    "a handler without blanks": '<td/onclick="alert(1)">x</td><i/onclick=alert(1)//>',
    "a handler on the body": "<body onload=alert(1)><html onclick=alert(1)>",
    "a drawing": "<svg onload=alert(1)><svg/onload=alert(1)//",
    "a drawing with a script": "<svg><script>alert(1)</script><animate onbegin=alert(1) attributeName=x></svg>",
    "a drawing with a link": '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
    "a formula with a link": '<math><mtext href="javascript:alert(1)">x</mtext></math>',
    "a formula that becomes something else": "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "a frame": '<iframe src="javascript:alert(1)"></iframe><iframe srcdoc="&lt;script&gt;alert(1)">',
    "an object": '<object data="data:text/html,<script>alert(1)</script>"></object><embed src="x.swf"><applet code=x>',
    "a form": '<form action="javascript:alert(1)"><input type=submit formaction="javascript:x"><button>x</button>',
    "a page that is left at once": '<meta http-equiv="refresh" content="0;url=javascript:alert(1)">',
    "another base for all links": '<base href="javascript:/a/-alert(1)//">',
    "a style sheet": "<style>@import 'https://evil.example/x.css'; * { display: none }</style>",
    "a style sheet from elsewhere": '<link rel="stylesheet" href="https://evil.example/x.css">',
    "a style": '<p style="background:url(javascript:alert(1)); position:fixed; inset:0">x</p>',
    "a film": "<video><source onerror=alert(1)></video><audio src=x onerror=alert(1)>",
    "a template": "<template><script>alert(1)</script></template><noscript><p title='</noscript><script>'>",
    "a layer over the page": '</div></div></div><div class="modal" style="position:fixed">',
    "a link to a script": '<a href="javascript:alert(1)">x</a>',
    "a link in capitals": '<a href="JaVaScRiPt:alert(1)">x</a>',
    "a link behind blanks": '<a href=" \t\n javascript:alert(1)">x</a><a href=\x01javascript:alert(1)>y</a>',
    "a link with a tab in it": '<a href="java\tscript:alert(1)">x</a><a href="java\nscript:alert(1)">y</a>',
    "a link in entities": '<a href="&#106;avascript&colon;alert(1)">x</a><a href="java&Tab;script&#58alert(1)">y</a>',
    "a link to data": '<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">x</a>',
    "a link to Visual Basic": '<a href="vbscript:msgbox(1)">x</a>',
    "a link in two attributes": '<a href="https://a.example" href="javascript:alert(1)">x</a>',
    "a link with quotes in it": "<a href='https://a.example/\" onclick=\"alert(1)'>x</a>",
    "a Markdown link": "[x](javascript:alert(1)) [y](JAVASCRIPT:alert(1)) [z](vbscript:x) [d](data:text/html,x)",
    "a Markdown link behind blanks": "[x]( javascript:alert(1)) [y](\tjavascript:alert(1)) [z](\njavascript:alert(1))",
    "a Markdown link in brackets": "[x](<javascript:alert(1)>) [y](< javascript:alert(1)>) [z](<java\tscript:x>)",
    "a Markdown link in entities": "[x](&#106;avascript:alert(1)) [y](javascript&colon;x) [z](java&Tab;script:x)",
    "a Markdown link in entities without end": "[x](&#106avascript&#58alert(1)) [y](&#x6A;avascript&#x3A;alert(1))",
    "a Markdown link in entities of entities": "[x](&amp;#106;avascript&amp;colon;alert(1)) [y](javascript&amp;#58;x)",
    "a Markdown link with backslashes": r"[x](javascript\:alert\(1\)) [y](java\script:alert(1)) [z](data\:text/html,x)",
    "a Markdown link with null bytes": "[x](java\x00script:alert(1)) [y](\x01javascript:alert(1))",
    "a Markdown link under files": "[x](files/javascript:alert(1)) [y](files/java\\script\\:alert(1))",
    "a Markdown link with a handler": """[x](https://a.example '" onclick="alert(1)') [y](https://a.example/"onclick=x)""",
    "a reference link": "[x][1] [y]\n\n[1]: javascript:alert(1)\n[y]:\n  JavaScript\\:alert(1)\n  'title'",
    "a link in angle brackets": "<javascript:alert(1)> <data:text/html,x> <JAVASCRIPT:alert&#40;1&#41;>",
    "a Markdown picture": '![x](javascript:alert(1)) ![y](https://evil.example/pixel.png) ![z](x"onerror="alert(1))',
    "a picture by reference": "![x][1]\n\n[1]: https://evil.example/pixel.png",
    "a picture of a drawing": "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+PC9zdmc+)",
    "a picture in a link": "[![x](https://evil.example/pixel.png)](javascript:alert(1))",
    "a code block's language": '```x"onclick="alert(1)\nx\n```\n\n~~~ "><script>alert(1)</script>\nx\n~~~',
    "a heading's anchor": '# x" onclick="alert(1)\n\n## <script>alert(1)</script>',
    "a diagram": '```mermaid\ngraph TD\nA-->B\nclick A "javascript:alert(1)"\n```\n\n~~~  mermaid\n&lt;b&gt;\n~~~',
    "a link in a formula": r"$\href{javascript:alert(1)}{x}$ $$\href {https://evil.example}{x}$$",
    "a formula that brings code": r"$\require{html}\unicode{x3c}\cssId{x}{y}\class{x}{y}\style{position:fixed}{x}$",
    "a formula with a token": r'$\mmlToken{mtext}[href="java' + "\t" + r'script:alert(1)"]{x}\bbox[1px]{x}$',
    "a formula with new commands": r"$\def\x{\href}\let\y\href\newcommand{\z}{\href{javascript:alert(1)}{x}}\z$",
    "a formula in a cell": r"<table><tr><td>$\href{javascript:alert(1)}{x}$</td></tr></table>",
    "a formula that a tag cuts in two": r"$\<x>href{javascript:alert(1)}{x}\</font>style{position:fixed}{x}$",
    "a formula that a comment cuts in two": r"$\<!-- -->href{javascript:alert(1)}{x}\<script></script>style{x}{x}$",
}


class Page(HTMLParser):
    """What a page consists of: its tags, what is dangerous in them, its text."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.active: list[str] = []
        self.pieces: list[str] = []
        self.inside: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag in ("pre", "code", "script", "style"):
            self.inside.append(tag)
        for name, value in attrs:
            goal = re.sub(r"[\s\x00-\x20]", "", value or "").lower()
            drawn = name == "class" and not {"mermaid", "modal"}.isdisjoint((value or "").split())
            if name.startswith("on") or name == "srcdoc" or drawn:
                self.active.append(f"<{tag} {name}={value}>")
            if name == "href":
                self.links.append(value or "")
            if name in LOADING and re.match(r"(javascript|vbscript|data|file|blob):", goal):
                if not (tag == "img" and re.match(r"data:image/(png|jpeg|gif);base64,", goal)):
                    self.active.append(f"<{tag} {name}={value}>")
            elif tag in ("img", "image") and name in LOADING:
                self.active.append(f"<{tag} {name}={value}>")
            if name == "style":
                self.tags["a style attribute"] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            self.inside.remove(tag)

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)
        if not self.inside:
            self.active += [f"formula {match[0]}" for match in SPEAKING_MATH.finditer(data)]

    @property
    def text(self) -> str:
        """What a person reads."""
        return "".join(self.pieces).replace(NOWHERE, "")

    def forbidden(self) -> dict[str, int]:
        return {tag: self.tags[tag] for tag in [*FORBIDDEN.split(), "a style attribute"] if self.tags[tag]}


@pytest.fixture(scope="module")
def exporter() -> HTMLExporter:
    """The exporter that nbgrader writes feedback pages with."""
    templates = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    css = templates.parent / "static" / "node_modules" / "bootstrap" / "dist" / "css"
    return HTMLExporter(
        template_name="feedback", extra_template_basedirs=[str(templates)], extra_template_paths=[str(css)]
    )


def page(exporter: HTMLExporter, *cells: NotebookNode) -> Page:
    scores = {"notebook": "lab", "score": 1.0, "max_score": 2.0, "late_penalty": 0.0}
    html, _ = exporter.from_notebook_node(new_notebook(cells=list(cells)), resources={"nbgrader": scores})
    return Page(html)


@pytest.fixture(scope="module")
def empty(exporter: HTMLExporter) -> Page:
    """What the template brings itself."""
    return page(exporter, markdown("x"), shown("x"))


def markdown(source: str) -> NotebookNode:
    return new_markdown_cell(clean_markdown(readable(source)))


def shown(text: str) -> NotebookNode:
    """A code cell that shows a text in every way there is."""
    data = dict.fromkeys(("text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml"), text)
    data |= dict.fromkeys(("application/javascript", "image/png", "text/vnd.mermaid", "application/json"), text)
    outputs = [{"output_type": "display_data", "data": {mime: value}} for mime, value in data.items()]
    outputs += [{"output_type": "execute_result", "data": data, "execution_count": 1, "metadata": {"isolated": True}}]
    outputs += [{"output_type": "stream", "name": name, "text": text} for name in ("stdout", "stderr", text)]
    outputs += [{"output_type": "error", "ename": text, "evalue": text, "traceback": [text, text]}]
    cell = new_code_cell(readable(text))
    cell.outputs = [NotebookNode(output) for output in clean_outputs(outputs)]
    return cell


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_nothing_active_comes_through(attack: str, exporter: HTMLExporter, empty: Page) -> None:
    seen = page(exporter, markdown(attack), shown(attack))
    assert seen.active == []
    assert seen.forbidden() == empty.forbidden()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_stays_within_its_own_cell(attack: str) -> None:
    """Whatever is opened in an output is closed in it, and nothing else is."""
    depth: Counter[str] = Counter()
    for closing, tag in re.findall(r"<(/?)([a-z0-9]+)", clean_html(attack)):
        if tag not in ("br", "hr"):
            depth[tag] += -1 if closing else 1
        assert depth[tag] >= 0
    assert not any(depth.values())


@pytest.mark.parametrize("name", ["a script", "a picture with a handler", "a Markdown link", "a frame", "a diagram"])
def test_without_cleaning_these_pages_would_be_active(name: str, exporter: HTMLExporter, empty: Page) -> None:
    seen = page(exporter, new_markdown_cell(ATTACKS[name]))
    assert seen.active or seen.forbidden() != empty.forbidden()


# --- innocent text


INNOCENT = {
    "a < b and b > c, if x<3 or y<=z": "a < b and b > c, if x<3 or y<=z",
    "`List<int>` and `Map<String, List<T>>`": "List<int> and Map<String, List<T>>",
    "```cpp\nstd::vector<std::pair<int, T>> v;\n```": "std::vector<std::pair<int, T>> v;",
    "```python\nx: dict[str, int] = {'data': 1}\nif a<b: print(a & b)\n```": "if a<b: print(a & b)",
    "Tom & Jerry, AT&T, a&b; R&D": "Tom & Jerry, AT&T, a&b; R&D",
    "The training data: 2,000 images. javascript: no.": "The training data: 2,000 images. javascript: no.",
    r"$s_j = \sum_{i<n} |W_{j,i}|$ is 3 & 4": r"$s_j = \sum_{i<n} |W_{j,i}|$",
    "$$\\begin{aligned} a &= b \\\\ c &< d \\end{aligned}$$": "\\begin{aligned} a &= b \\\\ c &< d \\end{aligned}",
    r"\begin{align} a &= \text{if } b \end{align}": r"\begin{align} a &= \text{if } b \end{align}",
    r"$\mathbb{R}^{n \times m}, \frac{1}{2}, \alpha, \mathrm{d}x$": r"$\mathbb{R}^{n \times m}, \frac{1}{2}, \alpha,",
    "ü, é, 漢字, 🙂, −1, …": "ü, é, 漢字, 🙂, −1, …",
    "5 &lt; 6 &amp; &quot;x&quot;": '5 < 6 & "x"',
    "~~no~~ **yes** *so* H<sub>2</sub>O, x<sup>2</sup>": "no yes so H2O, x2",
    "an answer!\n\n1. first\n2. second": "first",
}


@pytest.mark.parametrize(("source", "read"), INNOCENT.items())
def test_innocent_markdown_reads_as_it_was_written(source: str, read: str, exporter: HTMLExporter) -> None:
    assert read in page(exporter, markdown(source)).text


def test_hints_still_unfold(exporter: HTMLExporter) -> None:
    seen = page(
        exporter, markdown("<details><summary>Hint</summary>\nTry <code>sum</code>, <em>please</em>.<br>\n</details>")
    )
    assert seen.tags["details"] == seen.tags["summary"] == 1
    assert "Try sum, please." in seen.text


def test_markdown_tables_stay_tables(exporter: HTMLExporter) -> None:
    seen = page(exporter, markdown("| filters | MACs |\n|---|---|\n| 8 | 1,024 |"))
    assert seen.tags["table"] == 1
    assert "1,024" in seen.text


def test_links_to_pages_stay_links(exporter: HTMLExporter) -> None:
    link = "https://arxiv.org/abs/1608.08710"
    source = f"[Li et al.]({link}) and [again][li] and <b>more</b> {link}?a=1&b=2\n\n[li]: {link}"
    assert [goal for goal in page(exporter, markdown(source)).links if goal.startswith(link)] == [
        link,
        link,
        f"{link}?a=1&b=2",
    ]


def test_a_picture_in_an_answer_does_not_stop_the_page(exporter: HTMLExporter) -> None:
    """An attachment is not kept, and nbconvert would raise for one that is missing."""
    assert "plot.png" in page(exporter, markdown("See ![plot.png](attachment:plot.png) above.")).text


def test_tags_with_attributes_are_shown_as_text(exporter: HTMLExporter) -> None:
    assert '<b class="x">bold' in page(exporter, markdown('<b class="x">bold</b>')).text


def test_a_division_cannot_be_closed_in_an_answer() -> None:
    assert "</div>" not in clean_markdown("x</div></DIV ></div\n>")


# --- outputs


def test_pictures_stay(exporter: HTMLExporter) -> None:
    cell = new_code_cell("draw()")
    outputs = [{"output_type": "display_data", "data": {"image/png": PIXEL, "text/plain": "<Figure>"}}]
    cell.outputs = [NotebookNode(output) for output in clean_outputs(outputs)]
    assert page(exporter, cell).tags["img"] == 1


def test_a_picture_that_is_none_is_left_out() -> None:
    assert clean_data({"image/png": '"><script>alert(1)</script>', "image/svg+xml": "<svg/>"}) == {}


def test_a_data_frame_stays_a_table_without_its_style_sheet(exporter: HTMLExporter) -> None:
    html = """<div>\n<style scoped>\n .dataframe tbody tr th { vertical-align: top; }\n</style>
<table border="1" class="dataframe">\n<thead>\n<tr style="text-align: right;">
<th></th><th>MACs &amp; more</th></tr></thead>
<tbody><tr><th>0</th><td colspan="2">1 &lt; 2</td></tr></tbody>\n</table>\n</div>"""
    cell = new_code_cell("frame")
    outputs = [{"output_type": "execute_result", "data": {"text/html": html}, "execution_count": 1}]
    cell.outputs = [NotebookNode(output) for output in clean_outputs(outputs)]
    seen = page(exporter, cell)
    assert seen.tags["td"] == 1 and seen.tags["th"] == 3
    assert "MACs & more" in seen.text and "1 < 2" in seen.text
    assert "vertical-align: top; }\n" not in seen.text
    assert '<td colspan="2">' in clean_html(html)


def test_html_text_reads_as_it_was_written() -> None:
    assert (
        clean_html("a < b &amp; c &gt; d, e & f, 1<2, &nbsp;") == "a &lt; b &amp; c &gt; d, e &amp; f, 1&lt;2, &nbsp;"
    )


def test_unknown_tags_leave_their_text() -> None:
    assert clean_html("<article><font color=red>red</font> <b class=x>bold</b></article>") == "red <b>bold</b>"


def test_links_in_html_lead_to_pages_only() -> None:
    assert clean_html('<a href="https://a.example/?x=1&amp;y=2" target=_blank>x</a>') == (
        '<a href="https://a.example/?x=1&amp;y=2">x</a>'
    )
    assert clean_html('<a href="/logout">x</a><a href="//a.example">y</a>') == "<a>x</a><a>y</a>"


def test_what_is_left_open_is_closed() -> None:
    assert clean_html("<table><tr><td><b>1</td></table></div><ul><li>2") == (
        "<table><tbody><tr><td><b>1</b></td></tr></tbody></table><ul><li>2</li></ul>"
    )


def test_cells_keep_their_spans_and_other_tags_do_not() -> None:
    row = '<tr><td colspan="2" onclick="x">1</td><td rowspan=3>2</td><td colspan="1e9">3</td></tr>'
    rest = "<p colspan=2 href=https://a.example title='a > b'>x</p>"
    cleaned = '<tr><td colspan="2">1</td><td rowspan="3">2</td><td>3</td></tr>'
    assert clean_html(f"<table>{row}</table>{rest}") == (
        f'<table><tbody>{cleaned}</tbody></table><p title="a &gt; b">x</p>'
    )


HTML_PIECES = [f"<{tag}>" for tag in ("p", "b", "a", "table", "tr", "td", "li", "style", "svg", "x", "br/")]
HTML_PIECES += [
    "</p>",
    "</b>",
    "</td>",
    "</table>",
    "</style>",
    "<!--",
    "-->",
    "<",
    ">",
    '"',
    "'",
    "&",
    "&lt;",
    "\\",
    "href{x}",
]
HTML_PIECES += [
    '<td colspan="2" ',
    "<a href=https://a.example ",
    "<a href='javascript:x' ",
    "<b onclick=",
    " title=",
    "text",
    " ",
]


@given(st.lists(st.sampled_from(HTML_PIECES), max_size=30).map("".join))
@settings(deadline=None)
def test_whatever_html_is_made_of_only_harmless_tags_come_through(text: str) -> None:
    seen = Page(clean_html(text))
    assert seen.active == [] and seen.forbidden() == {}
    assert set(seen.tags) <= HTML_TAGS
    assert set(seen.links) <= {"https://a.example"}


def test_html_is_not_nested_without_end() -> None:
    assert clean_html("<div>" * 10_000).count("<div>") == clean_html("<div>" * 10_000).count("</div>") == 50


def test_colours_of_tracebacks_stay() -> None:
    assert clean_outputs(
        [{"output_type": "error", "ename": "E", "evalue": "x", "traceback": ["\x1b[31mE\x1b[0m"]}]
    ) == [{"output_type": "error", "ename": "E", "evalue": "x", "traceback": ["\x1b[31mE\x1b[0m"]}]


@pytest.mark.parametrize(
    "outputs",
    [
        None,
        {},
        "text",
        7,
        [None, 1, "x", []],
        [{}],
        [{"output_type": "stream", "text": 3}],
        [{"output_type": "display_data", "data": {"x/y": "z"}}],
    ],
)
def test_what_is_no_output_is_left_out(outputs: object) -> None:
    assert clean_outputs(outputs) == []


def test_outputs_of_wrong_types_are_put_right() -> None:
    """The process that sends them is the student's."""
    outputs = [
        {"output_type": "error", "ename": {"a": 1}, "evalue": None, "traceback": "text"},
        {"output_type": "error", "traceback": [1, None, "line"]},
        {"output_type": "display_data", "data": {"text/plain": "x", "text/html": ["x"], 7: "x"}, "metadata": "x"},
        {"output_type": "execute_result", "data": {"text/plain": "x"}, "execution_count": -3},
        {"output_type": "execute_result", "data": {"text/plain": "x"}, "execution_count": True},
        {"output_type": "stream", "name": "<b>", "text": "x\x00y\ud800"},
        {"output_type": "update_display_data", "data": {"text/plain": "x"}},
    ]
    cell = new_code_cell("x", outputs=clean_outputs(outputs))
    assert [output["output_type"] for output in cell.outputs] == [
        "error", "error", "display_data", "execute_result", "execute_result", "stream"
    ]  # fmt: skip
    assert cell.outputs[3]["execution_count"] is cell.outputs[4]["execution_count"] is None
    assert cell.outputs[5]["text"] == "x y?" and cell.outputs[5]["name"] == "stdout"


# --- lengths


@pytest.mark.parametrize("kind", ["text/markdown", "text/latex"])
def test_long_markdown_is_cut_and_says_so(kind: str) -> None:
    cleaned = clean_data({kind: "$$ x" * LONGEST_MARKDOWN})[kind]
    assert len(cleaned) < LONGEST_MARKDOWN + 100 and cleaned.endswith("(the rest is left out)\n")


@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_long_text_is_cut_and_says_so(kind: str) -> None:
    cleaned = clean_data({kind: "x" * 2 * LONGEST_TEXT})[kind]
    assert len(cleaned) < LONGEST_TEXT + 100 and cleaned.endswith("(the rest is left out)\n")


def test_a_long_stream_is_cut_and_says_so() -> None:
    (cleaned,) = clean_outputs([{"output_type": "stream", "name": "stdout", "text": "x" * 2 * LONGEST_TEXT}])
    assert len(cleaned["text"]) < LONGEST_TEXT + 100 and cleaned["text"].endswith("(the rest is left out)\n")


def test_a_cell_shows_so_many_outputs_and_says_so() -> None:
    cleaned = clean_outputs([{"output_type": "stream", "name": "stdout", "text": "x"}] * 10_000)
    assert len(cleaned) == MOST_OUTPUTS + 1 and "the rest is left out" in cleaned[-1]["text"]


def test_a_cell_shows_so_many_megabytes_and_says_so() -> None:
    cleaned = clean_outputs([{"output_type": "display_data", "data": {"image/png": "A" * 3_000_000}}] * 100)
    assert len(str(cleaned)) <= LARGEST_OUTPUTS and "the rest is left out" in cleaned[-1]["text"]


# These took a time that grew with the square of the length: half an hour, and more memory than there is.


def test_a_name_without_end_is_text() -> None:
    assert clean_html("<" + "b" * (LONGEST_TEXT - 1)) == "&lt;" + "b" * (LONGEST_TEXT - 1)


def test_html_that_is_left_open_does_not_multiply() -> None:
    """A parser as browsers have it opens the formatting that was left open in a paragraph again in all that follow."""
    formatting = "".join(f"<b title={number}>" for number in range(800))
    assert len(clean_html("<p>" + formatting + "<p>x" * 2_000)) < 100_000


@pytest.mark.parametrize(
    "piece", ["<div>", "<ul><li>", "<a><div>", "<table><tr><td>", "<!--", "<b '", "</p><div>", "<b x "]
)
def test_long_html_of_any_kind_is_cleaned(piece: str) -> None:
    assert len(clean_html(piece * (LONGEST_TEXT // len(piece)))) < 6 * LONGEST_TEXT
