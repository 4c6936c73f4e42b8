"""The command line: `python -m minicifar info | fetch | preview`."""

import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from minicifar.cache import cache_folder
from minicifar.datasets import ImageSet, load
from minicifar.errors import MiniCIFARError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="The images of the course: MiniCIFAR, CIFAR-10, CIFAR-100."
)


class Name(StrEnum):
    """The data sets by name."""

    minicifar = "minicifar"
    cifar10 = "cifar10"
    cifar100 = "cifar100"


DataSet = Annotated[Name, typer.Argument(help="Which images.")]
Root = Annotated[Path | None, typer.Option(help="A folder or archive to read, instead of MINICIFAR_ROOT.")]
Synthetic = Annotated[bool, typer.Option("--synthetic", help="Synthetic images instead of photographs.")]


@app.command()
def info(name: DataSet = Name.minicifar, root: Root = None, synthetic: Synthetic = False) -> None:
    """Say which images are found here, without downloading any."""
    _print_info(name, root, synthetic, download=False)


@app.command()
def fetch(name: DataSet = Name.minicifar, root: Root = None, synthetic: Synthetic = False) -> None:
    """Get the images ready: read or download them once, so that every later use starts at once."""
    _print_info(name, root, synthetic, download=True)


@app.command()
def preview(
    name: DataSet = Name.minicifar,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write.")] = Path("preview.png"),
    root: Root = None,
    synthetic: Synthetic = False,
) -> None:
    """Write a picture with a row of images for every class."""
    images = load(name, "train", root=root, synthetic=synthetic)
    draw_preview(images, output)
    print(f"Written: {output}")


def _print_info(name: str, root: Path | None, synthetic: bool, download: bool) -> None:
    sets = [load(name, split, root=root, synthetic=synthetic, download=download) for split in ("train", "val", "test")]
    table = Table(title=f"{name}: {len(sets[0].classes)} classes", title_justify="left")
    for column in ("split", "images", "a class"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for images in sets:
        table.add_row(images.split, f"{len(images):,}", f"{len(images) // len(images.classes):,}")
    console = Console(highlight=False)
    console.print(table)
    some = sets[0].classes[:10]
    more = len(sets[0].classes) - len(some)
    console.print("Classes:", ", ".join(some) + (f" and {more} more" if more else ""))
    console.print("Source:", sets[0].source.description)
    console.print("Fingerprint:", sets[0].fingerprint)
    console.print("Cache:", str(cache_folder()))


def draw_preview(images: ImageSet, path: Path, per_row: int = 12) -> None:
    """Write a picture: the first `per_row` images of each class in a row (at most 20 classes), and their source."""
    from matplotlib.figure import Figure

    classes = images.classes[:20]
    rows = []
    for label in range(len(classes)):
        first = images.images[images.labels == label][:per_row]
        tiles = np.full((per_row, 34, 34, 3), 255, np.uint8)
        tiles[: len(first), 1:33, 1:33] = first.permute(0, 2, 3, 1).numpy()
        rows.append(np.concatenate(tiles, axis=1))
    picture = np.concatenate(rows)
    figure = Figure(figsize=(1.6 + 0.55 * per_row, 0.9 + 0.55 * len(classes)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture, interpolation="nearest")
    axes.set_yticks([34 * row + 17 for row in range(len(classes))], [name.replace("_", " ") for name in classes])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    shown = f", {len(classes)} of {len(images.classes)} classes" if len(classes) < len(images.classes) else ""
    figure.suptitle(f"{type(images).__name__}, {images.split}{shown}", fontsize=12, weight="bold")
    axes.set_title(
        images.source.description, fontsize=8, wrap=True, color="#b3261e" if images.source.synthetic else "#444444"
    )
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run a command; errors about the images end it with their message, not with a traceback."""
    warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
    try:
        app()
    except MiniCIFARError as error:
        Console(stderr=True, highlight=False).print(f"[red]{type(error).__name__}:[/red] {error}", soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
