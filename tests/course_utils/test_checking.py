"""`check`: what a student reads."""

import linecache
import textwrap
from pathlib import Path

import pytest
import torch

from autograder.authoring.editions import references
from autograder.checks import test_lab3_l1_filters as lab3
from course_utils import checking
from course_utils.checking import Outcome, Verdict, run_cases, run_tests
from course_utils.surroundings import surroundings


@pytest.fixture
def tests_of(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Write a test file for the exercise `double`, and judge an answer with it."""

    def judge(body: str, **answers: object) -> Verdict:
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        header = "import pytest\nfrom course_utils import checking, expect\n\n@pytest.mark.points(2)\n"
        file = tmp_path / f"test_{tmp_path.name}.py"  # pytest keeps modules by name
        file.write_text(header + textwrap.dedent(body))
        return run_tests([file], "double", answers, tmp_path)

    return judge


def test_a_right_answer_earns_the_points(tests_of) -> None:  # type: ignore[no-untyped-def]
    verdict = tests_of("def test_it(double):\n    assert double(2) == 4", double=lambda x: 2 * x)
    assert verdict.passed
    assert verdict.earned == verdict.points == 2


def test_a_wrong_answer_reads_the_tests_message(tests_of) -> None:  # type: ignore[no-untyped-def]
    body = "def test_it(double):\n    expect.equal(double(2), 4, 'twice, not squared')"
    verdict = tests_of(body, double=lambda x: x**3)
    assert verdict.earned == 0
    assert verdict.outcomes[0].message == "twice, not squared\n  expected: 4\n  yours:    8\n  yours is 4 too large"


def test_a_stub_is_told_from_a_mistake(tests_of) -> None:  # type: ignore[no-untyped-def]
    def stub(value: int) -> int:
        raise NotImplementedError

    verdict = tests_of("def test_it(double):\n    assert double(2) == 4", double=stub)
    assert "not written yet" in verdict.outcomes[0].message


def test_a_name_that_is_missing_is_named(tests_of) -> None:  # type: ignore[no-untyped-def]
    assert "There is no `double` yet" in tests_of("def test_it(double):\n    double(2)").outcomes[0].message


def test_an_error_in_the_answer_is_told_with_its_type(tests_of) -> None:  # type: ignore[no-untyped-def]
    verdict = tests_of("def test_it(double):\n    double(2)", double=lambda x: x / 0)
    assert verdict.outcomes[0].message.startswith("double stopped with ZeroDivisionError")


def test_an_answers_own_assert_is_an_error_of_the_answer(tests_of) -> None:  # type: ignore[no-untyped-def]
    def strict(value: int) -> int:
        assert value > 10, "too small"
        return value

    verdict = tests_of("def test_it(double):\n    double(2)", double=strict)
    assert verdict.outcomes[0].message.startswith("double stopped with AssertionError")


def test_a_part_of_the_points_can_be_awarded(tests_of) -> None:  # type: ignore[no-untyped-def]
    verdict = tests_of("def test_it(double, award):\n    award(0.25, 'a start')", double=None)
    assert verdict.earned == 0.5
    assert not verdict.passed
    assert verdict.outcomes[0].message == "a start"


@pytest.mark.parametrize(("share", "message"), [(0, ""), (0, "no"), (0.99, "")])
def test_what_earns_less_than_all_points_has_not_passed(tests_of, share, message) -> None:  # type: ignore[no-untyped-def]
    assert not tests_of(f"def test_it(double, award):\n    award({share}, {message!r})", double=None).passed


@pytest.mark.parametrize("message", ["", "as good as the reference"])
def test_what_earns_all_points_has_passed_with_or_without_words(tests_of, message) -> None:  # type: ignore[no-untyped-def]
    assert tests_of(f"def test_it(double, award):\n    award(1, {message!r})", double=None).passed


@pytest.mark.parametrize(
    ("outcome", "passed"),
    [
        (Outcome("test_a_third", 1 / 3, 0.33), True),
        (Outcome("test_worth_nothing", 0, 0), True),
        (Outcome("test_sign", 3, 0.0, ""), False),
        (Outcome("test_worth_nothing", 0, 0, "twice, not squared"), False),
    ],
)
def test_points_are_rounded_and_a_test_may_be_worth_none(outcome: Outcome, passed: bool) -> None:
    assert outcome.passed == passed


def test_what_is_not_comparable_is_set_aside(tests_of) -> None:  # type: ignore[no-untyped-def]
    body = "def test_it(double):\n    raise checking.NotComparable('other images')"
    outcome = tests_of(body, double=None).outcomes[0]
    assert outcome.set_aside
    assert outcome.message == "other images"


def test_only_tests_of_the_exercise_run(tests_of) -> None:  # type: ignore[no-untyped-def]
    body = "def test_it(double):\n    pass\n\n@pytest.mark.points(5)\ndef test_other(triple):\n    pass"
    assert tests_of(body, double=None).points == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = Path(lab3.__file__)
    verdict = run_tests([file], "lab3_pruned_onnx", {}, tmp_path)
    assert all("lab3_pruned.onnx" in outcome.message for outcome in verdict.outcomes)


def test_check_looks_at_the_callers_variables() -> None:
    scope: dict[str, object] = {
        "check": checking.check,
        "filter_l1_norms": lambda weight: weight.sum(dim=(1, 2, 3)),
    }
    exec("verdict = check('filter_l1_norms')", scope)
    assert "that is what comes out with sums without absolute values" in repr(scope["verdict"])


def test_an_unknown_exercise_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(LookupError, match="filter_l1_norms"):
        checking.check("no_such_exercise", {})


def test_a_message_is_escaped_in_html() -> None:
    verdict = Verdict("double", (Outcome("test_it", 1, 0, "<script>alert(1)</script>"),))
    assert "<script>" not in verdict._repr_html_()


def test_a_verdict_survives_the_way_through_data() -> None:
    verdict = Verdict("double", (Outcome("test_it[3]", 1, 0.5, "half", hidden=True),))
    assert Verdict.from_data(verdict.as_data()) == verdict
    assert verdict.outcomes[0].title == "it (3)"


def test_several_answers_are_judged_by_tests_collected_once(tests_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Each as if it were alone: neither points awarded nor fixtures go from one to the next."""
    body = """
        def test_it(double, award):
            if double(2) != 4:
                award(0.5, 'only half')

        @pytest.fixture(scope="module")
        def seen():
            return []

        @pytest.mark.points(1)
        def test_alone(double, seen):
            seen.append(double)
            assert len(seen) == 1

        @pytest.mark.points(3)
        def test_other(triple):
            assert triple(1) == 3
    """
    alone = [tests_of(body, double=answer) for answer in (abs, lambda x: 2 * x)]
    answers = [("double", {"double": abs}), ("triple", {"triple": lambda x: 3 * x}), ("double", {"double": lambda x: 2 * x})]  # fmt: skip
    wrong, other, right = run_cases([tmp_path / f"test_{tmp_path.name}.py"], answers, tmp_path)
    assert [wrong, right] == alone
    assert (wrong.earned, other.earned, right.earned) == (2, 3, 3)


def test_a_test_file_that_cannot_be_read_says_where(tests_of) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RuntimeError, match=r"test_\w+\.py(.|\n)*line 8(.|\n)*no_such_name"):
        tests_of("def test_it(double):\n    pass\n\nno_such_name", double=abs)


# --- whose error it is


def test_torchs_error_is_not_taken_for_a_stub(tests_of) -> None:  # type: ignore[no-untyped-def]
    def double(value: int) -> object:
        return (torch.tensor([value]) != 0).mean()  # torch: "mean(): could not infer output dtype"

    message = tests_of("def test_it(double):\n    double(2)", double=double).outcomes[0].message
    assert "not written yet" not in message
    assert message.startswith("double stopped with ")
    assert "in the cell" not in message
    assert "of the cell of double: return (torch.tensor([value]) != 0).mean()" in message


def test_a_helper_that_is_not_written_is_named(tests_of) -> None:  # type: ignore[no-untyped-def]
    cells: dict[str, object] = {}
    for name, body in (("helper", "raise NotImplementedError()"), ("double", "return helper(value)")):
        source, file = f"def {name}(value):\n    {body}\n", f"<ipython-{name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), cells)
    message = tests_of("def test_it(double):\n    double(2)", **cells).outcomes[0].message
    assert message.startswith("double uses helper, and helper is not written yet")


def test_what_a_test_cannot_use_is_told_from_an_error_of_the_answer(tests_of) -> None:  # type: ignore[no-untyped-def]
    message = tests_of("def test_it(double):\n    double(2)[3]", double=lambda x: [x]).outcomes[0].message
    assert (
        message
        == "The test cannot go on with what double gave back or left behind: IndexError: list index out of range\nin the test's line: double(2)[3]"
    )


# --- points that count only beside others, and surroundings


BESIDE = """
    def test_it(double):
        assert double(2) == 4

    @pytest.mark.points(3, alone=False)
    def test_no_text(double):
        expect.raises(ValueError, "of a text nothing is twice", double, "2")
"""


def test_points_that_nobody_earns_alone(tests_of) -> None:  # type: ignore[no-untyped-def]
    def fails(_: object) -> None:
        raise ValueError

    verdict = tests_of(BESIDE, double=fails)
    assert verdict.earned == 0
    assert "counts once another check of double passes" in verdict.outcomes[1].message


def test_points_that_count_beside_others(tests_of) -> None:  # type: ignore[no-untyped-def]
    def double(value: object) -> int:
        if not isinstance(value, int):
            raise ValueError
        return 2 * value

    assert tests_of(BESIDE, double=double).earned == 5


def test_an_answer_leaves_nothing_behind_in_the_program(tests_of) -> None:  # type: ignore[no-untyped-def]
    before = surroundings()
    tests_of(
        "def test_it(double):\n    double(2)", double=lambda _: (torch.manual_seed(1), torch.set_grad_enabled(False))
    )
    assert surroundings() == before


def test_the_headline_says_what_is_tested_later() -> None:
    verdict = Verdict("double", (Outcome("test_it", 2, 2),), later=3)
    assert verdict.headline() == "double: all 1 checks pass, 2 of 5 points; 3 more are tested when graded."


def test_functions_that_fail_their_own_checks_are_named() -> None:
    """Whose mistake it is: the answer calls another function of the notebook."""
    scope: dict[str, object] = {"filter_l1_norms": lambda weight: weight.sum((1, 2, 3)), "check": checking.check}
    scope |= {name: value for name, value in references("lab3_l1_filters").items() if name not in scope}
    exec("def prune_vgg(network, keep_ratio):\n    filter_l1_norms(network.features[0].weight)\n    narrow_conv", scope)
    exec("verdict = check('prune_vgg')", scope)
    note = scope["verdict"].note  # type: ignore[attr-defined]
    assert "calls your `filter_l1_norms`, which does not pass its own check" in note
