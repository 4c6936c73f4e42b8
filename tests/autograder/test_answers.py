"""Every test is tested: wrong answers fail with a message that names the mistake, right ones pass; here and graded.

"Graded" is behind the wall, where an answer's arguments and results cross as data.
"""

import functools
from collections import Counter
from collections.abc import Iterable

import pytest
from helpers.walls import open_walls
from torch import nn

from autograder.answers import Answer, answers
from autograder.authoring.editions import check_files, exercises, graded_labs, references
from autograder.grading.judging import Answers
from course_utils.checking import SECRET, Verdict, run_cases

BANK = [(lab, answer) for lab in graded_labs() for answer in answers(lab)]


@pytest.fixture(autouse=True)
def as_in_a_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hidden tests' numbers are drawn for a course; without a secret, as here and there below, they are fixed."""
    monkeypatch.setenv(SECRET, "of this course")


@functools.cache
def judged(lab: str, exercise: str) -> dict[str, tuple[Verdict, Verdict]]:
    """Every answer of the bank to an exercise, by name → its verdicts here and behind a wall."""
    bank = [answer for answer in answers(lab) if answer.exercise == exercise]
    notebooks = [{**references(lab), exercise: answer.function} for answer in bank]
    with open_walls() as wall:
        cases = [(exercise, names) for names in notebooks]
        cases += [(exercise, Answers(wall(names), names)) for names in notebooks]
        verdicts = run_cases(check_files(lab), cases)
    pairs = zip(verdicts[: len(bank)], verdicts[len(bank) :], strict=True)
    return dict(zip((answer.name for answer in bank), pairs, strict=True))


def named(bank: Iterable[tuple[str, Answer]]) -> list:
    """One test an answer; those of an exercise are judged in one go, by one process."""
    return [pytest.param(lab, answer, id=f"{answer.exercise}-{answer.name}") for lab, answer in bank]


def earned(verdict: Verdict) -> list[tuple[str, float]]:
    return [(outcome.test, outcome.earned) for outcome in verdict.outcomes]


def messages(verdict: Verdict) -> str:
    return "\n".join(outcome.message for outcome in verdict.outcomes if not outcome.passed)


@pytest.mark.parametrize(("lab", "answer"), named(pair for pair in BANK if pair[1].says))
def test_a_wrong_answer_fails_and_is_told_why(lab: str, answer: Answer) -> None:
    here, graded = judged(lab, answer.exercise)[answer.name]
    assert here.earned < here.points, "every test passed"
    assert answer.says in messages(here)
    assert earned(graded) == earned(here)
    assert answer.says in messages(graded)


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


@pytest.mark.parametrize("lab", graded_labs())
def test_the_reference_passes(lab: str) -> None:
    for verdict in run_cases(check_files(lab), [(name, references(lab)) for name in references(lab)]):
        assert verdict.passed, str(verdict)


NOTHING = {"None": lambda *_: None, "any layer": lambda *_: nn.Conv2d(1, 1, 1), "any object": lambda *_: Counter()}


@pytest.mark.parametrize("what", NOTHING)
@pytest.mark.parametrize("lab", graded_labs())
def test_an_answer_that_does_nothing_earns_nothing(lab: str, what: str) -> None:
    notebooks = [(name, {**references(lab), name: NOTHING[what]}) for name in references(lab)]
    for verdict in run_cases(check_files(lab), notebooks):
        assert [outcome.title for outcome in verdict.outcomes if outcome.earned] == [], verdict.exercise
