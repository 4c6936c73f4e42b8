"""The command line of studies: the options that several of them have, and what a stop says."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from course_utils.records import About, Study, open_study

STOPPED = "Stopped; the same call goes on from here."
SEEDS = [0, 1, 2]

Results = Annotated[Path, typer.Argument(help="A file of JSON lines, which is continued if it exists.")]
Dataset = Annotated[Literal["minicifar", "cifar10", "cifar100"], typer.Option(help="Which images.")]
Network = Annotated[str, typer.Option(help="A network of the course.")]
Seeds = Annotated[list[int], typer.Option(metavar="SEED", help="One seed; repeat it for more.")]
KeepRatios = Annotated[
    list[float], typer.Option(metavar="SHARE", help="The share of the channels that stays; repeat it for more.")
]
Epochs = Annotated[int, typer.Option(help="Of training before any pruning.")]
Retraining = Annotated[int, typer.Option(help="Epochs afterwards.")]
Device = Annotated[str, typer.Option(help="Such as cpu or cuda.")]

A = TypeVar("A", bound=About)


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """A parser of options that takes only these names, which may hold commas."""

    def parse(name: str) -> str:
        if name not in names:
            raise typer.BadParameter(f"{name!r} is none of {'; '.join(names)}.")
        return name

    return parse


def opened(path: Path, about: A) -> Study[A]:
    """The study in a file, or an empty one; an error of the command line where the file is about something else."""
    try:
        return open_study(path, about)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Ends the program with a sentence when what runs inside is stopped."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(STOPPED) from None
