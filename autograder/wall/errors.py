"""What goes wrong at the wall, and how an exception crosses it: as names and text, never as an object."""

import builtins
import errno
from typing import Any

LONGEST_NAME = 60  # characters
LONGEST_TEXT = 5_000
LONGEST_LINE = 500
TOO_MANY = " (are too many processes running?)"  # "Resource temporarily unavailable" alone says little
TOO_MUCH = "it asked for more memory than is allowed"  # Python's own MemoryError says nothing

# Two mean something to whoever iterates; the others are not made of a text alone, and cross as what they are below.
NEVER_RAISED = (
    StopIteration, StopAsyncIteration, ExceptionGroup, UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError,
)  # fmt: skip
ERRORS: dict[str, type[Exception]] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception) and value not in NEVER_RAISED
}


class WallError(Exception):
    """What came across the wall is no data that can be trusted; the message says why."""


class Stays(Exception):
    """A value that cannot cross: it stays behind, and a handle stands for it."""


def error_as_data(error: BaseException, line: str = "") -> dict[str, Any]:
    """An exception as JSON: its name, the names of the built-in classes that it belongs to, and its text.

    `line` says in words which line of the notebook raised it.
    """
    bases = [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"]
    try:
        text = str(error)
        if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN:
            text += TOO_MANY
        if isinstance(error, MemoryError):
            text = text or TOO_MUCH
    except Exception:  # of the student's class
        text = ""
    return {"name": type(error).__name__, "bases": bases, "text": text[:LONGEST_TEXT], "line": line[:LONGEST_LINE]}


def error_from_data(data: Any) -> Exception:
    """The exception that an `error_as_data` describes, with the line as its `cell_line`.

    Always an `Exception` (whatever was raised there, it must not stop the tests): one of Python's own, looked up by
    name, or a new empty class of the given name below one. Names and texts are cut. Raises WallError.
    """
    if not isinstance(data, dict):
        raise WallError("an error without a description")
    name, text = str(data.get("name"))[:LONGEST_NAME], str(data.get("text"))[:LONGEST_TEXT]
    base = _known_base(data.get("bases"))
    kind = base if name == base.__name__ or not name.isidentifier() else type(name, (base,), {})
    error: Exception = KeyError(_Verbatim(text)) if kind is KeyError else kind(text)
    vars(error)["cell_line"] = str(data.get("line") or "")[:LONGEST_LINE]
    return error


def _known_base(names: Any) -> type[Exception]:
    """The first of some names that is one of `ERRORS`; Exception where none is."""
    known = [name for name in names if isinstance(name, str) and name in ERRORS] if isinstance(names, list) else []
    return ERRORS[known[0]] if known else Exception


class _Verbatim(str):
    """KeyError shows the repr of its text, which has been a repr once already."""

    def __repr__(self) -> str:
        return str(self)
