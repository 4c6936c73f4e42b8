"""Every test is tested: wrong answers fail with a message that names the mistake, right ones pass; here and graded.

"Graded" is behind the wall, where an answer's arguments and results cross as data.
"""

import copy
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from helpers.walls import open_walls
from torch import nn

from autograder.answers import Answer, answers
from autograder.authoring import mutants
from autograder.authoring.editions import check_files, exercises, graded_labs, references
from autograder.grading.judging import Answers
from course_utils.checking import Verdict, run_cases
from course_utils.expect import SECRET
from course_utils.observed import tensors_of

BANK = [(lab, answer) for lab in graded_labs() for answer in answers(lab)]


@pytest.fixture(autouse=True)
def as_in_a_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hidden tests' numbers are drawn for a course; without a secret, as here and there below, they are fixed."""
    monkeypatch.setenv(SECRET, "of this course")


@functools.cache
def judged(lab: str, exercise: str) -> dict[str, tuple[Verdict, Verdict]]:
    """Every answer of the bank to an exercise, by name → its verdicts here and behind a wall."""
    bank = [answer for answer in answers(lab) if answer.exercise == exercise]
    here, there = ([{**references(lab), exercise: answer.fresh()} for answer in bank] for _ in range(2))
    with open_walls() as wall:
        cases = [(exercise, names) for names in here]
        cases += [(exercise, Answers(wall(names), names)) for names in there]
        verdicts = run_cases(check_files(lab), cases)
    pairs = zip(verdicts[: len(bank)], verdicts[len(bank) :], strict=True)
    return dict(zip((answer.name for answer in bank), pairs, strict=True))


def named(bank: Iterable[tuple[str, Answer]]) -> list:
    """One test an answer; those of an exercise are judged in one go, by one process."""
    return [pytest.param(lab, answer, id=f"{answer.exercise}-{answer.name}") for lab, answer in bank]


def earned(verdict: Verdict) -> list[tuple[str, float]]:
    return [(outcome.test, outcome.earned) for outcome in verdict.outcomes]


def messages(verdict: Verdict, hidden: bool) -> str:
    failed = [outcome for outcome in verdict.outcomes if not outcome.passed]
    return "\n".join(outcome.message for outcome in failed if hidden or not outcome.hidden)


@pytest.mark.parametrize(("lab", "answer"), named(pair for pair in BANK if pair[1].says))
def test_a_wrong_answer_fails_and_is_told_why(lab: str, answer: Answer) -> None:
    here, graded = judged(lab, answer.exercise)[answer.name]
    assert here.earned < here.points, "every test passed"
    assert answer.says in messages(here, answer.hidden)
    assert earned(graded) == earned(here)
    assert answer.says in messages(graded, answer.hidden)


@pytest.mark.parametrize(("lab", "answer"), named(pair for pair in BANK if not pair[1].says))
def test_a_right_answer_passes(lab: str, answer: Answer) -> None:
    here, graded = judged(lab, answer.exercise)[answer.name]
    assert here.passed, str(here)
    assert graded.passed, str(graded)
    assert earned(graded) == earned(here)


@pytest.mark.parametrize("lab", graded_labs())
def test_every_exercise_has_four_wrong_and_two_right_answers(lab: str) -> None:
    wrong = Counter(answer.exercise for answer in answers(lab) if answer.says)
    right = Counter(answer.exercise for answer in answers(lab) if not answer.says)
    for exercise in exercises(lab):
        if exercise.module:
            assert wrong[exercise.name] >= 4, exercise.name
            assert right[exercise.name] >= 2, exercise.name


@pytest.mark.parametrize("lab", graded_labs())
def test_answers_to_an_exercise_have_names_of_their_own(lab: str) -> None:
    named = Counter((answer.exercise, answer.name) for answer in answers(lab))
    assert [pair for pair, count in named.items() if count > 1] == []


@functools.cache
def of_references(lab: str) -> list[Verdict]:
    return run_cases(check_files(lab), [(name, references(lab)) for name in references(lab)])


@pytest.mark.parametrize("lab", graded_labs())
def test_the_reference_passes(lab: str) -> None:
    for verdict in of_references(lab):
        assert verdict.passed, str(verdict)


@pytest.mark.parametrize("lab", graded_labs())
def test_two_thirds_of_an_exercises_points_are_visible(lab: str) -> None:
    for verdict in of_references(lab):
        visible = sum(outcome.points for outcome in verdict.outcomes if not outcome.hidden)
        assert visible >= 2 / 3 * verdict.points, f"{verdict.exercise}: {visible:g} of {verdict.points:g}"


@pytest.mark.parametrize("lab", graded_labs())
def test_every_exercise_states_its_contract(lab: str) -> None:
    text = check_files(lab)[0].read_text(encoding="utf-8")
    missing = [name for name in references(lab) if f"test_what_a_caller_of_{name}_needs" not in text]
    assert missing == []


@pytest.mark.parametrize("lab", graded_labs())
def test_titles_are_words(lab: str) -> None:
    """No ids that pytest makes of numbers and objects."""
    for verdict in of_references(lab):
        for outcome in verdict.outcomes:
            assert not re.search(r"\(([-\w]*\d+|[-\d.]+)\)$", outcome.title), outcome.title


# --- answers that know nothing


def first_tensor_zeroed(*arguments: Any) -> None:
    """Set everything in the first argument to zero, in place."""
    tensors = [tensor for argument in arguments for tensor in tensors_of(argument)]
    with torch.no_grad():
        for tensor in tensors:
            tensor.zero_()


def fails(*_: Any) -> None:
    raise ValueError("this makes no sense")


def filled(value: Any, number: Callable[[], float]) -> Any:
    """A value of the same shape and type, whose numbers are others."""
    if isinstance(value, nn.Module):
        for tensor in tensors_of(value):
            tensor.data.copy_(filled(tensor.data, number))
        return value
    if isinstance(value, torch.Tensor):
        return torch.tensor([number() for _ in range(value.numel())]).reshape(value.shape).to(value.dtype)
    if isinstance(value, dict):
        return {name: filled(item, number) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(item, number) for item in value)
    return type(value)(number()) if isinstance(value, (bool, int, float, str)) else value


def like(function: Any, number: Callable[[], float]) -> Callable[..., Any]:
    """An answer that gives something of the right shape and type."""

    def answer(*arguments: Any) -> Any:
        try:
            result = function(*copy.deepcopy(arguments))
        except Exception:
            return None
        return filled(result, number)

    return answer


IGNORANT: dict[str, Callable[[Any], Any]] = {
    "raises": lambda _: fails,
    "its argument": lambda _: lambda *arguments: arguments[0] if arguments else None,
    "None": lambda _: lambda *_: None,
    "an empty list": lambda _: lambda *_: [],
    "True": lambda _: lambda *_: True,
    "arguments zeroed": lambda _: first_tensor_zeroed,
    "zeros": lambda function: like(function, lambda: 0.0),
    "ones": lambda function: like(function, lambda: 1.0),
    "random": lambda function: like(function, lambda: torch.randn(()).item()),
}


@pytest.mark.parametrize("what", IGNORANT)
@pytest.mark.parametrize("lab", graded_labs())
def test_an_answer_that_knows_nothing_earns_nothing(lab: str, what: str) -> None:
    notebooks = [(name, {**references(lab), name: IGNORANT[what](value)}) for name, value in references(lab).items()]
    for verdict in run_cases(check_files(lab), notebooks):
        assert [outcome.title for outcome in verdict.outcomes if outcome.earned] == [], verdict.exercise


@pytest.mark.parametrize("lab", graded_labs())
def test_mutants_were_judged_since_the_last_change(lab: str) -> None:
    """`make mutants` judges them; each is caught, or equivalent for a reason in answers/equivalents."""
    for name in references(lab):
        row = mutants.results()[name]
        assert row["key"] == mutants.key(lab, name), f"{name} or its checks have changed: run `make mutants`"
        assert row["alive"] == [], f"{name}: no check notices these"
        assert row["made"] == row["caught"] + row["equivalent"]
