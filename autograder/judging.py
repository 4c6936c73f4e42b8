"""Judge one exercise of a lab with all its tests, visible and hidden."""

import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.editions import Exercise, check_files, exercises, references
from course_utils.checking import Verdict, run_tests

VERDICT = "application/vnd.pruning-labs.verdict+json"


def find_exercise(lab: str, name: str) -> Exercise:
    return next(exercise for exercise in exercises(lab) if exercise.name == name)


def judge(lab: str, name: str, answers: Mapping[str, Any], folder: Path) -> Verdict:
    """All tests of an exercise against `answers` → Verdict.

    A composite exercise is judged twice, with the student's own helpers and with the reference's, and the
    better run counts, so that one mistake costs once.
    """
    exercise = find_exercise(lab, name)
    verdict = run_tests(check_files(lab), name, answers, folder)
    if verdict.passed or not exercise.composite or not isinstance(answers.get(name), types.FunctionType):
        return verdict
    helpers = {key: value for key, value in references(lab).items() if key != name}
    helped = run_tests(check_files(lab), name, {**answers, name: rebound(answers[name], helpers)}, folder)
    return helped if helped.earned > verdict.earned else verdict


def rebound(function: types.FunctionType, helpers: Mapping[str, Any]) -> Callable:
    """A copy of a function that finds `helpers` under their names where it found its own."""
    names = {**function.__globals__, **helpers}
    copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def judge_here(lab: str, name: str, answers: Mapping[str, Any]) -> None:
    """In a notebook's kernel: judge the exercise and show the verdict as data for the grader."""
    from IPython.display import display

    display({VERDICT: judge(lab, name, answers, Path.cwd()).as_data()}, raw=True)
