"""Tables that a notebook shows and a terminal prints: original, pruned, ratio."""

import html
from typing import Any, NamedTuple


class Row(NamedTuple):
    what: str
    original: str
    pruned: str
    ratio: str


class Table:
    """Rows with a header; rich text in a notebook, aligned plain text elsewhere."""

    def __init__(self, header: tuple[str, ...], rows: list[tuple[str, ...]], note: str = "") -> None:
        self.header, self.rows, self.note = header, rows, note

    def __repr__(self) -> str:
        widths = [
            max(len(str(line[column])) for line in [self.header, *self.rows]) for column in range(len(self.header))
        ]
        lines = [
            "  ".join(f"{cell:<{widths[0]}}" if not n else f"{cell:>{widths[n]}}" for n, cell in enumerate(line))
            for line in [self.header, *self.rows]
        ]
        return "\n".join([*lines, *([self.note] if self.note else [])])

    def _repr_html_(self) -> str:
        def line(cells: tuple[str, ...], tag: str) -> str:
            style = "text-align:{}; padding:3px 14px"
            return "".join(
                f'<{tag} style="{style.format("right" if n else "left")}">{html.escape(str(cell))}</{tag}>'
                for n, cell in enumerate(cells)
            )

        body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in self.rows)
        note = f"<p><i>{html.escape(self.note)}</i></p>" if self.note else ""
        return f"<table><thead><tr>{line(self.header, 'th')}</tr></thead><tbody>{body}</tbody></table>{note}"


def comparison(original: Any, pruned: Any, images: Any = None) -> Table:
    """Original / pruned / ratio for two measured ONNX files (`onnx_files.Measured`)."""
    rows = [
        Row(what, f"{before:,}", f"{after:,}", f"{after / before:.2f}")
        for what, before, after in [
            ("parameters", original.parameters, pruned.parameters),
            ("of them not zero", original.nonzero, pruned.nonzero),
            ("MACs", original.macs, pruned.macs),
        ]
        if what != "of them not zero" or after < pruned.parameters
    ]
    rows.append(
        Row(
            "file, MB",
            f"{original.megabytes:.2f}",
            f"{pruned.megabytes:.2f}",
            f"{pruned.megabytes / original.megabytes:.2f}",
        )
    )
    if original.accuracy is not None and pruned.accuracy is not None:
        change = 100 * (pruned.accuracy - original.accuracy)
        rows.append(Row("accuracy", f"{original.accuracy:.1%}", f"{pruned.accuracy:.1%}", f"{change:+.1f} points"))
    note = "measured on synthetic images, not on CIFAR-10" if images is not None and images.source.synthetic else ""
    return Table(("", "original", "pruned", "ratio"), list(rows), note)
