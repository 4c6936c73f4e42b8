"""Banks of answers that prove the tests: plausible wrong ones must fail and be told why, right ones must pass.

One module a lab. A wrong answer says which exercise it answers and which words the message of a visible test must hold
(of a hidden one, if only graded tests can find it):

    @wrong("filter_l1_norms", says="absolute")
    def the_sign_counts(weight): ...

    @wrong("filter_l1_norms", says="one filter", hidden=True)
    def squeezed(weight): ...
"""

import ast
import copy
import importlib
import inspect
import textwrap
import types
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """An answer to an exercise; `says` is what a failed test's message must hold, empty for a right answer.

    `hidden`: the message may be one of a hidden test.
    """

    exercise: str
    function: Callable
    says: str = ""
    hidden: bool = False

    @property
    def name(self) -> str:
        return self.function.__name__

    def fresh(self) -> Callable:
        """The answer as if it had never been called: what its default arguments remember is forgotten."""
        old = self.function
        assert isinstance(old, types.FunctionType)
        defaults = copy.deepcopy(old.__defaults__)
        new = types.FunctionType(old.__code__, old.__globals__, old.__name__, defaults, old.__closure__)
        new.__kwdefaults__ = copy.deepcopy(old.__kwdefaults__)
        return new

    def source(self) -> str:
        """The answer as a student would have typed it: under the exercise's name, without decorators."""
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.function)))
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.name, definition.decorator_list = self.exercise, []
        return ast.unparse(tree)


def wrong(exercise: str, says: str, hidden: bool = False) -> Callable:
    """Mark a function as a wrong answer that must fail with a message that holds `says`."""

    def mark(function: Callable) -> Callable:
        function.answer = Answer(exercise, function, says, hidden)  # type: ignore[attr-defined]
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
