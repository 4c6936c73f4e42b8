"""Banks of answers that prove the tests: plausible wrong ones must fail and be told why, right ones must pass.

One module a lab. A wrong answer says which exercise it answers and which words the message must hold:

    @wrong("filter_l1_norms", says="absolute")
    def the_sign_counts(weight): ...
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """An answer to an exercise; `says` is what a failed test's message must hold, empty for a right answer."""

    exercise: str
    function: Callable
    says: str = ""

    @property
    def name(self) -> str:
        return self.function.__name__

    def source(self) -> str:
        """The answer as a student would have typed it: under the exercise's name, without decorators."""
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.function)))
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.name, definition.decorator_list = self.exercise, []
        return ast.unparse(tree)


def wrong(exercise: str, says: str) -> Callable:
    """Mark a function as a wrong answer that must fail with a message that holds `says`."""

    def mark(function: Callable) -> Callable:
        function.answer = Answer(exercise, function, says)  # type: ignore[attr-defined]
        return function

    return mark


def right(exercise: str) -> Callable:
    """Mark a function as a right answer, different from the reference, that must pass."""

    def mark(function: Callable) -> Callable:
        function.answer = Answer(exercise, function)  # type: ignore[attr-defined]
        return function

    return mark


def answers(lab: str) -> list[Answer]:
    """All answers of a lab's bank, in the order of the module."""
    module = importlib.import_module(f"autograder.answers.{lab}")
    return [value.answer for value in vars(module).values() if hasattr(value, "answer")]
