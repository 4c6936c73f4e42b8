"""A function as a program: its parameters are the options, by typer."""

import re
import sys
from collections.abc import Callable
from typing import Any

import typer


def run_program(main: Callable[..., Any]) -> None:
    """Run `main` with the options of the command line; the help begins with the docstring of its module."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    doc = sys.modules[main.__module__].__doc__ or ""
    app.command(help=re.sub(r"\n\n(?=    )", "\n\n\b\n", doc))(main)  # \b: the examples keep their lines
    app()
