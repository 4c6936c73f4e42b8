"""Every test is tested: wrong answers fail with a message that names the mistake, right ones pass."""

import copy
from collections import Counter

import pytest
from torch import nn

from autograder.answers import Answer, answers
from autograder.authoring.editions import check_files, exercises, graded_labs, references
from course_utils.checking import Verdict, run_tests

BANK = [(lab, answer) for lab in graded_labs() for answer in answers(lab)]


def judged(lab: str, answer: Answer) -> Verdict:
    return run_tests(check_files(lab), answer.exercise, {**references(lab), answer.exercise: answer.function})


def named(bank: list) -> list:
    return [pytest.param(lab, answer, id=f"{answer.exercise}-{answer.name}") for lab, answer in bank]


@pytest.mark.parametrize(("lab", "answer"), named([pair for pair in BANK if pair[1].says]))
def test_a_wrong_answer_fails_and_is_told_why(lab: str, answer: Answer) -> None:
    verdict = judged(lab, answer)
    messages = "\n".join(outcome.message for outcome in verdict.outcomes if not outcome.passed)
    assert verdict.earned < verdict.points, "every test passed"
    assert answer.says in messages


@pytest.mark.parametrize(("lab", "answer"), named([pair for pair in BANK if not pair[1].says]))
def test_a_right_answer_passes(lab: str, answer: Answer) -> None:
    verdict = judged(lab, answer)
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize("lab", graded_labs())
def test_every_exercise_has_four_wrong_and_two_right_answers(lab: str) -> None:
    wrong = Counter(answer.exercise for answer in answers(lab) if answer.says)
    right = Counter(answer.exercise for answer in answers(lab) if not answer.says)
    for exercise in exercises(lab):
        if exercise.module:
            assert wrong[exercise.name] >= 4, exercise.name
            assert right[exercise.name] >= 2, exercise.name


@pytest.mark.parametrize("lab", graded_labs())
def test_the_reference_passes(lab: str) -> None:
    for name in references(lab):
        verdict = run_tests(check_files(lab), name, copy.copy(references(lab)))
        assert verdict.passed, str(verdict)


NOTHING = {"None": lambda *_: None, "any layer": lambda *_: nn.Conv2d(1, 1, 1), "any object": lambda *_: Counter()}


@pytest.mark.parametrize("what", NOTHING)
@pytest.mark.parametrize("lab", graded_labs())
def test_an_answer_that_does_nothing_earns_nothing(lab: str, what: str) -> None:
    for name in references(lab):
        verdict = run_tests(check_files(lab), name, {**references(lab), name: NOTHING[what]})
        assert [outcome.title for outcome in verdict.outcomes if outcome.earned] == []
