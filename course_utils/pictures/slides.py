"""Slides from a notebook: one HTML file that needs no network, moved by the arrow keys.

    python -m course_utils.pictures.slides presentation.ipynb            (runs the notebook, writes presentation.slides.html)
    python -m course_utils.pictures.slides presentation.ipynb --as-it-is (its outputs as they are)

Where a slide begins is said by the cells' slide types (JupyterLab: the gears on the right, *Slide Type*): "slide" and
"sub-slide" begin one, "skip" and "notes" are left out. A notebook without any gets a slide for every heading of
the first two levels. Code is hidden, but for cells with the tag `show-code`. Formulas are drawn by matplotlib, pictures are
in the file; nothing is loaded from anywhere, as nbconvert's own slides load reveal.js and MathJax. Printing the page
(Ctrl-P) gives a PDF.
"""

import argparse
import base64
import hashlib
import html
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_notebook

from minicifar.files import atomic

SECONDS = 600  # a cell
FONT = 20  # points in which formulas are drawn

STYLE = """
html { scroll-snap-type: y mandatory; scroll-behavior: smooth; background: #fff; color: #222; }
body { margin: 0; font: 3.5vmin/1.4 system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
section { height: 100vh; box-sizing: border-box; padding: 5vmin 9vmin; overflow: hidden; scroll-snap-align: start;
  display: flex; align-items: center; position: relative; break-after: page; }
section > div { width: 100%; transform-origin: left center; }
section::after { content: attr(data-number); position: absolute; right: 3vmin; bottom: 2vmin; color: #767676; font-size: 2vmin; }
h1 { font-size: 2em; line-height: 1.15; margin: 0 0 .5em; } h2 { font-size: 1.5em; margin: 0 0 .6em; color: #0072b2; }
a.anchor-link, .jp-OutputPrompt, .jp-InputPrompt, .prompt { display: none; }
img, svg { max-width: 100%; } .output_png img, .output_svg svg, p > img.picture { max-height: 68vh; }
.output_png img { width: auto; height: 62vh; object-fit: contain; object-position: left; }
table { border-collapse: collapse; font-size: .95em; } th, td { border-bottom: 1px solid #ddd; padding: .2em .9em !important; }
th { border-bottom: 2px solid #555; } pre { font-size: .75em; white-space: pre-wrap; } .display { text-align: center; }
@media print { @page { size: 297mm 167mm; margin: 0; } html { scroll-snap-type: none; } }
"""

SCRIPT = """
const slides = [...document.querySelectorAll("section")];
let current = 0, wanted = 0;
function fit() {  // what is higher than the screen gets smaller
  for (const slide of slides) {
    const inside = slide.firstElementChild, style = getComputedStyle(slide);
    inside.style.transform = "";
    const room = slide.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    if (inside.scrollHeight > room) inside.style.transform = `scale(${room / inside.scrollHeight})`;
  }
}
function show(number, behavior) {
  wanted = Math.max(0, Math.min(slides.length - 1, number));
  slides[wanted].scrollIntoView({ behavior });
  history.replaceState(null, "", "#" + (wanted + 1));
}
const steps = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, Enter: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in steps) show(wanted + (event.shiftKey && event.key === " " ? -1 : steps[event.key]), "instant");
  else if (event.key === "Home") show(0, "instant");
  else if (event.key === "End") show(slides.length - 1, "instant");
  else if (event.key === "f") document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  else return;
  event.preventDefault();
});
addEventListener("scrollend", () => { wanted = Math.round(scrollY / innerHeight); history.replaceState(null, "", "#" + (wanted + 1)); });
addEventListener("resize", () => { const here = wanted; fit(); show(here, "instant"); });
addEventListener("hashchange", () => show(parseInt(location.hash.slice(1)) - 1 || 0, "instant"));
addEventListener("load", () => { fit(); show(parseInt(location.hash.slice(1)) - 1 || 0, "instant"); });
"""


class SlidesError(Exception):
    """Slides cannot be made; the message says why."""


def slides(path: str | Path, output: str | Path | None = None, run: bool = True) -> Path:
    """Run a notebook and write its slides → the HTML file, by default beside it. The notebook stays as it is.

    Raises SlidesError for a file that is no notebook, and where a cell fails.
    """
    path = Path(path)
    try:
        notebook = nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise SlidesError(f"There is no notebook {path}.") from None
    except Exception as error:
        raise SlidesError(f"{path} is not a notebook: {str(error).splitlines()[0][:100]}") from None
    if run:
        notebook = executed(notebook, path.resolve().parent)
    output = path.with_suffix(".slides.html") if output is None else Path(output)
    with atomic(output) as temporary:
        temporary.write_text(page(notebook, path.stem, path.resolve().parent), encoding="utf-8")
    return output


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook after all of its cells, run in `folder`."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}})
    try:
        return client.execute()
    except CellExecutionError as error:
        raise SlidesError(f"A cell of the notebook failed: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise SlidesError(f"A cell of the notebook took longer than {SECONDS} s.") from None


def page(notebook: NotebookNode, title: str, folder: Path = Path()) -> str:
    """The slides as one page. `folder`: where pictures that Markdown cells name are looked for."""
    found = split(notebook.cells)
    if not found:
        raise SlidesError("There is nothing in this notebook that could be a slide.")
    bodies = [
        f'<section data-number="{n} / {len(found)}"><div>{body(cells, folder)}</div></section>'
        for n, cells in enumerate(found, start=1)
    ]
    hashed = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hashed}'"
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title><style>{STYLE}{colours_of_code()}</style></head><body>",
            *bodies,
            f"<script>{SCRIPT}</script></body></html>",
        ]
    )


def split(cells: Sequence[NotebookNode]) -> list[list[NotebookNode]]:
    """The cells of each slide."""
    types = [cell.metadata.get("slideshow", {}).get("slide_type", "") for cell in cells]
    marked = {"slide", "subslide"}.intersection(types)
    found: list[list[NotebookNode]] = []
    for cell, kind in zip(cells, types, strict=True):
        if kind in ("skip", "notes"):
            continue
        heading = cell.cell_type == "markdown" and re.match(r"##?\s", cell.source.lstrip())
        if kind in ("slide", "subslide") or (heading and not marked) or not found:
            found.append([])
        found[-1].append(cell)
    return [cells for cells in found if any(shows(cell) for cell in cells)]


def shows(cell: NotebookNode) -> bool:
    """Whether anything of a cell is seen."""
    if cell.cell_type == "code":
        return bool(cell.outputs) or shows_code(cell)
    return bool(cell.source.strip())


def shows_code(cell: NotebookNode) -> bool:
    return "show-code" in cell.metadata.get("tags", [])


def body(cells: Sequence[NotebookNode], folder: Path) -> str:
    """One slide's cells as HTML, by nbconvert's plainest template."""
    from nbconvert import HTMLExporter

    prepared = []
    for cell in cells:
        cell = NotebookNode(cell.copy())
        if cell.cell_type == "markdown":
            cell.source = with_formulas(cell.source)
        elif cell.cell_type == "code":
            cell.metadata = NotebookNode({**cell.metadata, "transient": {"remove_source": not shows_code(cell)}})
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]  # progress bars
        prepared.append(cell)
    notebook = new_notebook(cells=prepared)
    log = logging.getLogger("slides")
    log.setLevel(logging.ERROR)  # not that pictures have no alternative text
    exporter = HTMLExporter(template_name="basic", embed_images=True, exclude_anchor_links=True, log=log)
    text, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"path": str(folder)}})
    return text


_PARTS = re.compile(
    r"(?P<code>^```.*?^```|`+[^`]*`+)|\$\$(?P<display>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?![\d$])",
    re.DOTALL | re.MULTILINE,
)


def with_formulas(markdown: str) -> str:
    """Markdown with its formulas as pictures; those that matplotlib cannot draw as code."""

    def drawn(match: re.Match) -> str:
        if match["code"]:
            return match[0]
        tex = " ".join((match["display"] or match["inline"]).split())
        picture = formula(tex)
        if not picture:
            picture = f"<code>{html.escape(tex)}</code>"
        return f'\n\n<div class="display">{picture}</div>\n\n' if match["display"] else picture

    return _PARTS.sub(drawn, markdown)


def formula(tex: str) -> str:
    """A formula as an <img> as large as the text around it; "" where matplotlib cannot draw it."""
    import matplotlib
    from matplotlib import mathtext
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=FONT)
    picture = io.BytesIO()
    with matplotlib.rc_context({"mathtext.fontset": "cm"}):
        try:
            depth = mathtext.math_to_image(f"${tex}$", picture, prop=font, dpi=72, format="svg")
            _, height, *_ = mathtext.MathTextParser("path").parse(f"${tex}$", dpi=72, prop=font)
        except ValueError:
            return ""
    data = base64.b64encode(picture.getvalue()).decode()
    style = f"height:{height / FONT:.3f}em; vertical-align:{-depth / FONT:.3f}em"
    return f'<img style="{style}" alt="{html.escape(tex, quote=True)}" src="data:image/svg+xml;base64,{data}">'


def colours_of_code() -> str:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter().get_style_defs(".highlight")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--output", type=Path, help="the HTML file; beside the notebook if not given")
    parser.add_argument("--as-it-is", action="store_true", help="do not run the notebook: take the outputs in it")
    options: Any = parser.parse_args(arguments)
    try:
        print(f"{slides(options.notebook, options.output, run=not options.as_it_is)}: open it in any browser.")
    except SlidesError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
