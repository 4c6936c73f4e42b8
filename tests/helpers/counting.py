"""Functions that count how often they are called: do a lab's drivers call what the student writes?"""

from collections.abc import Callable
from types import ModuleType
from typing import Any


def counted(module: ModuleType, names: tuple[str, ...]) -> tuple[dict[str, int], dict[str, Callable[..., Any]]]:
    """How often each function of a module was called, and the functions that count."""
    calls = dict.fromkeys(names, 0)

    def counting(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return getattr(module, name)(*arguments)

        return call

    return calls, {name: counting(name) for name in names}
