"""Tables that a notebook shows and a terminal prints: original, pruned, ratio."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.onnx_files.measuring import Measured
    from minicifar import ImageSet


@dataclass(repr=False)
class Table:
    """Rows of text with a header, and a sentence below; rich text in a notebook, aligned plain text elsewhere."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""

    def __repr__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(len(str(line[n])) for line in lines) for n in range(len(self.header))]
        sides = "<" + ">" * (len(widths) - 1)  # names on the left, numbers on the right
        texts = [
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
            for line in lines
        ]
        return "\n".join([*texts, *([self.note] if self.note else [])])

    def _repr_html_(self) -> str:
        def cells(line: Sequence[str], tag: str) -> str:
            style = "text-align:{}; padding:3px 14px"
            return "".join(
                f'<{tag} style="{style.format("right" if n else "left")}">{html.escape(str(cell))}</{tag}>'
                for n, cell in enumerate(line)
            )

        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in self.rows)
        note = f"<p><i>{html.escape(self.note)}</i></p>" if self.note else ""
        return f"<table><thead><tr>{cells(self.header, 'th')}</tr></thead><tbody>{body}</tbody></table>{note}"


def ratio_row(title: str, before: float, after: float, form: str = ",") -> tuple[str, str, str, str]:
    """A row of a comparison: both numbers in the same form, and after / before."""
    return title, format(before, form), format(after, form), f"{after / before:.2f}"


def accuracy_row(title: str, before: float, after: float) -> tuple[str, str, str, str]:
    """A row of a comparison: two accuracies (0 to 1), and what they differ by in percentage points."""
    return title, f"{before:.1%}", f"{after:.1%}", f"{100 * (after - before):+.1f} points"


def comparison(original: "Measured", pruned: "Measured", images: "ImageSet | None" = None) -> Table:
    """Original / pruned / ratio for two measured ONNX files."""
    rows: list[tuple[str, ...]] = [ratio_row("parameters", original.parameters, pruned.parameters)]
    if pruned.nonzero < pruned.parameters:
        rows.append(ratio_row("of them not zero", original.nonzero, pruned.nonzero))
    rows.append(ratio_row("MACs", original.macs, pruned.macs))
    rows.append(ratio_row("file, MB", original.megabytes, pruned.megabytes, ".2f"))
    if original.accuracy is not None and pruned.accuracy is not None:
        rows.append(accuracy_row("accuracy", original.accuracy, pruned.accuracy))
    note = "measured on synthetic images, not on CIFAR-10" if images is not None and images.source.synthetic else ""
    return Table(("", "original", "pruned", "ratio"), rows, note)
