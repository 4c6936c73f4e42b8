"""The demo's class and what it shows; the round itself is that of `test_round`."""

import io

from rich.console import Console

from autograder import demo
from autograder.answers import answers
from autograder.authoring.editions import exercises


def test_the_class_hands_in_labs_that_are_released_and_makes_mistakes_that_are_known() -> None:
    for labs in demo.CLASS.values():
        for lab, mistakes in labs.items():
            assert lab in demo.LABS
            known = {(answer.exercise, answer.name) for answer in answers(lab) if answer.says}
            for exercise, mistake in mistakes.items():
                assert exercise in {asked.name for asked in exercises(lab)}
                assert mistake is None or (exercise, mistake) in known
    assert set(demo.LABS) == {lab for labs in demo.CLASS.values() for lab in labs}


def test_in_a_log_a_step_says_that_it_begins_and_how_long_it_took() -> None:
    console = Console(file=io.StringIO(), width=80)
    with demo.step(console, "releasing lab3"):
        begun = console.file.getvalue()
    assert begun == "releasing lab3 …\n"
    assert console.file.getvalue() == "releasing lab3 …\nreleasing lab3: 0 s\n"


def test_on_a_terminal_a_step_moves_and_leaves_one_line() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with demo.step(console, "releasing lab3"), demo.moving(console) as inner:
        inner.add_task("one display inside another", total=None)
    shown = console.file.getvalue()
    assert "one display inside another" in shown
    assert shown.rstrip().endswith("releasing lab3: 0 s")
