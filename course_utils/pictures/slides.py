"""Slides from a notebook: one HTML file that needs no network, moved by the arrow keys.

    python -m course_utils.pictures.slides talk.ipynb            (runs the notebook, writes talk.slides.html)
    python -m course_utils.pictures.slides talk.ipynb --as-it-is (its outputs as they are)

Where a slide begins is said by the cells' slide types (JupyterLab: the gears on the right, *Slide Type*): "slide" and
"sub-slide" begin one, "skip" and "notes" are left out. A notebook without any gets a slide for every heading of the
first two levels. Code is hidden, but for cells with the tag `show-code`. Formulas are drawn by matplotlib, pictures
are in the file; nothing is loaded from anywhere, as nbconvert's own slides load reveal.js and MathJax. Printing the
page (Ctrl-P) gives a PDF.
"""

import base64
import html
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbformat import NotebookNode
from nbformat.v4 import new_notebook

from course_utils.command_line import run_program
from course_utils.pictures.inline import csp_hash
from minicifar.files import write_text

SECONDS = 600  # a cell
FONT = 20  # points in which formulas are drawn

STYLE, SCRIPT = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("slides.css", "slides.js"))


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
    return write_text(output, page(notebook, path.stem, path.resolve().parent))


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook after all of its cells, run in `folder`."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    from course_utils.notebook_client import notebook_client

    try:
        return notebook_client(notebook, folder, SECONDS).execute()
    except CellExecutionError as error:
        raise SlidesError(f"A cell of the notebook failed: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise SlidesError(f"A cell of the notebook took longer than {SECONDS} s.") from None


def page(notebook: NotebookNode, title: str, folder: Path = Path()) -> str:
    """The slides as one page. `folder`: where pictures that Markdown cells name are looked for."""
    slides_cells = split(notebook.cells)
    if not slides_cells:
        raise SlidesError("There is nothing in this notebook that could be a slide.")
    bodies = [
        f'<section data-number="{n} / {len(slides_cells)}"><div>{body(cells, folder)}</div></section>'
        for n, cells in enumerate(slides_cells, start=1)
    ]
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{csp_hash(SCRIPT)}'"
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
    slides_cells: list[list[NotebookNode]] = []
    for cell, kind in zip(cells, types, strict=True):
        if kind in ("skip", "notes"):
            continue
        heading = cell.cell_type == "markdown" and re.match(r"##?\s", cell.source.lstrip())
        if kind in ("slide", "subslide") or (heading and not marked) or not slides_cells:
            slides_cells.append([])
        slides_cells[-1].append(cell)
    return [cells for cells in slides_cells if any(shows(cell) for cell in cells)]


def shows(cell: NotebookNode) -> bool:
    """Whether anything of a cell is seen."""
    if cell.cell_type == "code":
        return bool(cell.outputs) or shows_code(cell)
    return bool(cell.source.strip())


def shows_code(cell: NotebookNode) -> bool:
    """Whether a cell asks for its code to be seen."""
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
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]  # progress bars
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

    def drawn(match: re.Match[str]) -> str:
        if match["code"]:
            return str(match[0])
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
    """The style of code, by Pygments."""
    from pygments.formatters import HtmlFormatter

    return str(HtmlFormatter().get_style_defs(".highlight"))


def main(
    notebook: Annotated[Path, typer.Argument(help="A notebook.")],
    output: Annotated[Path | None, typer.Option(help="The HTML file; beside the notebook if not given.")] = None,
    as_it_is: Annotated[
        bool, typer.Option("--as-it-is", help="Do not run the notebook: take the outputs in it.")
    ] = False,
) -> None:
    """Write the slides of a notebook, and say where they are."""
    try:
        print(f"{slides(notebook, output, run=not as_it_is)}: open it in any browser.")
    except SlidesError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    run_program(main)
