"""Run an exercise's tests against an answer and say what was found: the one engine behind `check` and grading.

The tests are plain pytest. A test's first argument is the exercise that it grades, by name; every exercise
is a fixture whose value is looked up in a mapping from names to answers: a notebook's variables in `check`,
the reference in the project's own tests, a student's functions when grading.
"""

import ast
import functools
import html
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from course_utils.expect import drawn, tried, without_refuted
from course_utils.explaining import MissingAnswer, NotComparable, explain
from course_utils.surroundings import seeded

LATER = "points_later.json"  # beside the visible tests: exercise → points that only graded tests give
NOT_ALONE = "This counts once another check of {exercise} passes too."


@dataclass(frozen=True)
class Outcome:
    """What one test found: `earned` of `points`, and a message that is empty when all is well.

    `set_aside`: it could not be judged here (images of another source); a person decides, it is not a 0.
    """

    test: str
    points: float
    earned: float
    message: str = ""
    hidden: bool = False
    set_aside: bool = False

    @property
    def passed(self) -> bool:
        """All points, as they are rounded when they are given; a test worth none passes without a message."""
        return self.earned >= round(self.points, 2) and (self.points > 0 or not self.message)

    @property
    def title(self) -> str:
        """The test's name in words."""
        name, _, case = self.test.partition("[")
        words = name.removeprefix("test_").replace("_", " ")
        return f"{words} ({case[:-1]})" if case else words


@dataclass(frozen=True)
class Verdict:
    """The outcomes of one exercise; shows itself as rich text in a notebook and as plain text elsewhere.

    `later`: points of tests that are not here and run when the exercise is graded. `note`: what else is to be said.
    """

    exercise: str
    outcomes: tuple[Outcome, ...]
    later: float = 0.0
    note: str = ""

    @property
    def points(self) -> float:
        """What the exercise is worth."""
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def earned(self) -> float:
        """What the answer earned."""
        return sum(outcome.earned for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return all(outcome.passed for outcome in self.outcomes)

    def headline(self) -> str:
        """How many checks pass and how many points there are, in a sentence or two."""
        good, count = sum(outcome.passed for outcome in self.outcomes), len(self.outcomes)
        checks = f"all {count} checks pass" if self.passed else f"{good} of {count} checks pass"
        points = f"{self.earned:g} of {self.points + self.later:g} points"
        later = f"; {self.later:g} more {'is' if self.later == 1 else 'are'} tested when graded" if self.later else ""
        return f"{self.exercise}: {checks}, {points}{later}."

    def __repr__(self) -> str:
        lines = [self.headline(), *self.note.splitlines()]
        for outcome in self.outcomes:
            lines.append(f"  {'✓' if outcome.passed else '✗'} {outcome.title}")
            lines += [f"      {line}" for line in outcome.message.splitlines()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = []
        for outcome in self.outcomes:
            sign, colour = ("✓", "#1b7f3b") if outcome.passed else ("✗", "#b3261e")
            message: str = outcome.message and (
                '<pre style="margin:2px 0 6px 1.6em; white-space:pre-wrap; background:transparent; '
                f'border-left:3px solid {colour}; padding-left:8px">{html.escape(outcome.message)}</pre>'
            )
            rows.append(
                f'<div><span style="color:{colour}; font-weight:bold">{sign}</span> '
                f"{html.escape(outcome.title)}{message}</div>"
            )
        colour = "#1b7f3b" if self.passed else "#b3261e"
        return (
            f'<div style="border:1px solid {colour}; border-radius:6px; padding:8px 12px; max-width:60em">'
            f"<b>{html.escape(self.headline())}</b>"
            f"{self.note and '<div>' + html.escape(self.note) + '</div>'}{''.join(rows)}</div>"
        )

    def as_data(self) -> dict[str, Any]:
        """As it can be written as JSON."""
        return {
            "exercise": self.exercise,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
            "note": self.note,
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Verdict":
        """The verdict that `as_data` wrote."""
        outcomes = tuple(Outcome(**outcome) for outcome in data["outcomes"])
        return cls(data["exercise"], outcomes, note=data.get("note", ""))


def graded_exercise(test: Callable[..., Any]) -> str | None:
    """The name of a test's first argument: the exercise that it grades."""
    return next(iter(inspect.signature(test).parameters), None)


def answer_fixtures(names: Sequence[str], find: Callable[[str], Any]) -> dict[str, Any]:
    """One pytest fixture an exercise, whose value is `find(name)`."""

    def fixture(name: str) -> Any:
        @pytest.fixture(name=name)
        def answer() -> Any:
            return find(name)

        return answer

    return {f"answer_{name}": fixture(name) for name in names}


Case = tuple[str, Mapping[str, Any]]  # an exercise, and answers by name


class Collector:
    """A pytest plugin that runs the tests of each case, an exercise and answers, and turns results into outcomes."""

    def __init__(self, cases: Iterable[Case], tell: Callable[[Verdict], None], folder: Path) -> None:
        self.cases, self.tell, self.folder = cases, tell, folder
        self.exercise = ""
        self.answers: Mapping[str, Any] = {}
        self.outcomes: list[Outcome] = []
        self.beside: set[str] = set()  # tests whose points count only together with another test's
        self.problem = ""
        self.without_tests = ""  # an exercise that no test grades

    def find(self, name: str) -> Any:
        """The value of an exercise in the case that runs now."""
        return find_answer(name, self.answers, self.folder)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Make the marker known, and error reports cheap."""
        config.addinivalue_line("markers", "points(n, alone=True): what the test is worth, by itself or beside others")
        config.option.tbstyle = "native"  # pytest's own, which nobody sees, take most of a failing check's time

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """The collected tests once a case: those of its exercise. Nothing is kept up from one case to the next."""
        tests = [item for item in session.items if isinstance(item, pytest.Function)]
        for exercise, answers in () if self.problem else self.cases:
            self.exercise, self.answers, self.outcomes = exercise, answers, []
            self.beside.clear()
            tried.clear()
            items = [item for item in tests if graded_exercise(item.function) == exercise]
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.user_properties.clear()
                with seeded(drawn(0)):  # layers that a test makes, and what the answer does to its surroundings
                    item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if not self.outcomes:
                self.without_tests = exercise
                break
            self.tell(Verdict(exercise, tuple(self.counted())))
        return True

    def counted(self) -> Iterator[Outcome]:
        """The outcomes, with messages in the light of all of them.

        Tests that prove nothing alone give no points where no other test gives any.
        """
        alone = not any(outcome.earned for outcome in self.outcomes if outcome.test not in self.beside)
        for outcome in self.outcomes:
            if alone and outcome.earned:
                outcome = replace(outcome, earned=0.0, message=NOT_ALONE.format(exercise=self.exercise))
            yield replace(outcome, message=without_refuted(outcome.message))

    @pytest.fixture
    def award(self, request: pytest.FixtureRequest) -> Callable[[float, str], None]:
        """`award(share, message)` gives a share (0 to 1) of the test's points and says why."""

        def give(share: float, message: str) -> None:
            request.node.user_properties.append(("award", (min(max(share, 0.0), 1.0), message)))

        return give

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]) -> Any:
        """Turn what happened to a test into an outcome."""
        report = yield
        if call.excinfo is not None:
            self.record(
                item,
                0.0,
                explain(call.excinfo, self.exercise, item.path, self.answers),
                call.excinfo.errisinstance(NotComparable),
            )
        elif report.when == "call":
            awarded: Any = dict(item.user_properties).get("award", (1.0, ""))
            share, message = awarded
            self.record(item, share, message)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a test file could not be read."""
        if report.failed:
            self.problem = str(report.longrepr)

    def record(self, item: pytest.Function, share: float, message: str, set_aside: bool = False) -> None:
        """Note a share (0 to 1) of a test's points, and what is to be said."""
        points = points_of(item)
        if not counts_alone(item):
            self.beside.add(item.name)
        hidden = item.path.name.startswith("hidden_")
        self.outcomes.append(Outcome(item.name, points, round(points * share, 2), message, hidden, set_aside))


def points_of(item: pytest.Item) -> float:
    """What `@pytest.mark.points(n)` says; 0 without it."""
    marker = item.get_closest_marker("points")
    return float(marker.args[0]) if marker else 0.0


def counts_alone(item: pytest.Item) -> bool:
    """False for `@pytest.mark.points(n, alone=False)`: an answer that does nothing passes the test, too."""
    marker = item.get_closest_marker("points")
    return bool(marker.kwargs.get("alone", True)) if marker else True


def find_answer(name: str, answers: Mapping[str, Any], folder: Path) -> Any:
    """The value of an exercise: a name of the notebook, or for `<file>_onnx` the path of a file handed in."""
    if name.endswith("_onnx"):
        path = folder / f"{name.removesuffix('_onnx')}.onnx"
        if not path.is_file():
            raise MissingAnswer(f"There is no file {path.name}: run the cell that makes it, and hand the file in too.")
        return path
    if name not in answers:
        raise MissingAnswer(f"There is no `{name}` yet: write it in its cell, and run that cell first.")
    return answers[name]


def run_tests(files: Sequence[Path], exercise: str, answers: Mapping[str, Any], folder: Path | None = None) -> Verdict:
    """Run the tests of `files` that grade `exercise` against `answers` (names → values) → Verdict.

    Files handed in are looked for in `folder` (the current one if not given).
    Raises LookupError when no test grades the exercise, RuntimeError when a test file cannot be read.
    """
    return run_cases(files, [(exercise, answers)], folder)[0]


def run_cases(files: Sequence[Path], cases: Sequence[Case], folder: Path | None = None) -> list[Verdict]:
    """`run_tests` for several pairs of exercise and answers, with the tests collected once → a Verdict a pair."""
    verdicts: list[Verdict] = []
    run_in_turn(files, cases, verdicts.append, folder)
    return verdicts


def run_in_turn(
    files: Sequence[Path], cases: Iterable[Case], tell: Callable[[Verdict], None], folder: Path | None = None
) -> None:
    """`run_cases` for pairs that come one by one: `tell` gets each one's verdict before the next is asked for.

    The tests have been collected when the first pair is asked for.
    """
    collector = Collector(cases, tell, folder or Path.cwd())
    names = sorted(exercises_of(files))
    fixtures = ModuleType("answers")
    vars(fixtures).update(answer_fixtures(names, collector.find))
    settings = Path(files[0]).with_name("pytest.ini")
    unused = ["terminal", "cacheprovider", "faulthandler", "debugging", "legacypath", "doctest", "pastebin", "junitxml"]
    unused += ["setuponly", "setupplan", "stepwise", "unraisableexception", "threadexception", "logging"]
    quiet = [*(word for plugin in unused for word in ("-p", f"no:{plugin}")), "--noconftest"]
    quiet += [
        "--disable-plugin-autoload",
        "-c",
        str(settings),
        "--rootdir",
        str(settings.parent),
        "--capture=sys",
        "--assert=plain",
        "-W",
        "ignore",
    ]
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        pytest.main([*quiet, *map(str, files)], plugins=[collector, fixtures])
    finally:
        sys.dont_write_bytecode = before
    if collector.problem:
        raise RuntimeError(collector.problem)
    if collector.without_tests:
        raise LookupError(
            f"no test grades {collector.without_tests!r}; the exercises of this lab are {', '.join(names)}"
        )


def exercises_of(files: Sequence[Path]) -> set[str]:
    """The exercises that test files grade: the first arguments of their test functions."""
    return set().union(*(_exercises_in(Path(file).read_text(encoding="utf-8")) for file in files))


@functools.cache
def _exercises_in(code: str) -> frozenset[str]:
    tests = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    return frozenset(node.args.args[0].arg for node in tests if node.name.startswith("test_") and node.args.args)


def visible_tests() -> list[Path]:
    """The visible test files: `checks/` beside the notebook or the packages, or the project's own."""
    here = Path(__file__).resolve().parent.parent
    for folder in (Path.cwd() / "checks", here / "checks", here / "autograder" / "checks"):
        files = sorted(folder.glob("test_*.py"))
        if files:
            return files
    raise FileNotFoundError(
        "The folder `checks` is missing: keep the notebook in the folder that it came in, with `checks` beside it."
    )


def points_later(exercise: str) -> float:
    """Points of an exercise that only graded tests give, as a release says it; 0 where it says nothing."""
    file = visible_tests()[0].with_name(LATER)
    if not file.is_file():
        return 0.0
    return float(json.loads(file.read_text(encoding="utf-8")).get(exercise, 0.0))


def names_in(code: CodeType) -> set[str]:
    """The names of globals and attributes that a function's code uses, with those of functions inside it."""
    inner = (names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def to_blame(files: Sequence[Path], exercise: str, answers: Mapping[str, Any]) -> str:
    """A sentence on the student's other functions that an answer calls and that fail their own checks; or "" ."""
    code = getattr(answers.get(exercise), "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    used = [name for name in names_in(code) if name != exercise and name in answers and name in exercises_of(files)]
    failing = [v.exercise for v in run_cases(files, [(name, answers) for name in sorted(used)]) if not v.passed]
    if not failing:
        return ""
    names = " and ".join(f"`{name}`" for name in failing)
    return (
        f"{exercise} calls your {names}, which does not pass its own check yet: begin there, this may be its mistake."
    )


def check(exercise: str, answers: Mapping[str, Any] | None = None) -> Verdict:
    """Try an exercise: run its visible tests against what the notebook holds now → Verdict, shown as text.

    `answers` are the notebook's variables (those of the caller if not given).
    """
    if answers is None:
        answers = inspect.stack()[1].frame.f_globals
    files = [file for file in visible_tests() if exercise in exercises_of([file])]
    if not files:
        known = ", ".join(sorted(exercises_of(visible_tests())))
        raise LookupError(f"There is no exercise {exercise!r}. Exercises that can be checked: {known}")
    verdict = run_tests(files, exercise, answers)
    note = "" if verdict.passed else to_blame(files, exercise, answers)
    return replace(verdict, later=points_later(exercise), note=note)
