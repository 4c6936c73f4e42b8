"""Mutants: every reference answer with one small change, judged by the checks, which must notice.

`python -m autograder.authoring.mutants [lab …]` (`make mutants`) makes all mutants of the labs' exercises (of those
whose reference or checks have changed since; of all with `--all`), judges them, and keeps the results in
`autograder/answers/mutants.json`, under a key of the reference's source, the lab's checks, and what all checks compare
with: a test compares the keys, and fails where these have changed and the mutants have not been run again. A mutant
that survives computes the same as the reference, and stands in `autograder/answers/equivalents/<lab>.toml` with the
reason; or a test is missing.
"""

import functools
import hashlib
import inspect
import json
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer
from tqdm import tqdm

from autograder.authoring.editions import check_files, exercises, graded_labs, reference, references
from autograder.authoring.mutations import Mutant, mutants
from autograder.course import ROOT
from course_utils.checking import Verdict, run_in_turn
from minicifar.files import write_text

RESULTS = ROOT / "autograder" / "answers" / "mutants.json"
EQUIVALENTS = ROOT / "autograder" / "answers" / "equivalents"
ENGINE = [ROOT / "course_utils" / f"{name}.py" for name in ("contracts", "expect", "observed")]  # of all checks
PAGE = ROOT / "docs" / "mutants.md"
SECONDS = 5.0  # for each test of a mutant, which may run for ever


def built(mutant: Mutant, function: Callable[..., Any]) -> Callable[..., Any]:
    """A mutant as a function, in the module of the reference."""
    names = dict(vars(sys.modules[function.__module__]))
    exec(compile(mutant.source, f"<mutant of {mutant.exercise}>", "exec"), names)
    answer = names[function.__name__]
    assert callable(answer)
    return answer


def survivors(lab: str, made: list[Mutant]) -> list[Mutant]:
    """Those mutants of one exercise that pass all checks of the lab."""

    def stop(*_: object) -> None:
        raise TimeoutError("this mutant does not end")

    answers = references(lab)
    function: Any = answers[made[0].exercise]
    left: list[Mutant] = []
    told: list[bool] = []
    progress = iter(tqdm(made, desc=f"{lab} {made[0].exercise}", unit="mutant", disable=None))

    def cases() -> Iterator[tuple[str, Mapping[str, Any]]]:
        for mutant in progress:
            signal.setitimer(signal.ITIMER_REAL, SECONDS, SECONDS)
            yield mutant.exercise, {**answers, mutant.exercise: built(mutant, function)}

    def tell(verdict: Verdict) -> None:
        if verdict.passed:
            left.append(made[len(told)])
        told.append(verdict.passed)

    before = signal.signal(signal.SIGALRM, stop)
    try:
        run_in_turn(check_files(lab), cases(), tell)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return left


@functools.cache
def equivalents(lab: str) -> dict[str, dict[str, str]]:
    """Exercise → change → why the mutant computes the same as the reference."""
    file = EQUIVALENTS / f"{lab}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def key(lab: str, exercise: str) -> str:
    """What an exercise's results depend on: the reference's source, the lab's checks, contracts and comparisons."""
    function: Any = references(lab)[exercise]
    digest = hashlib.sha256(inspect.getsource(function).encode())
    for file in (*check_files(lab), *ENGINE):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


Results = dict[str, dict[str, Any]]  # exercise → lab, key, made, caught, equivalent, and the changes that survive


def results() -> Results:
    """The results that are kept."""
    kept: Results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    return kept


def judged(lab: str, exercise: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Make and judge the mutants of an exercise."""
    made = list(mutants(exercise, function))
    left = survivors(lab, made) if made else []
    known = [mutant.change for mutant in left if mutant.change in equivalents(lab).get(exercise, {})]
    alive = [mutant.change for mutant in left if mutant.change not in known]
    counts = {"made": len(made), "caught": len(made) - len(left), "equivalent": len(known)}
    return {"lab": lab, "key": key(lab, exercise), **counts, "alive": alive}


def page(kept: Results) -> str:
    """The table by lab, as the docs have it."""
    lines = [
        "# Mutants of the reference answers",
        "",
        "Every reference answer, with one small change at a time (an operator, a constant, an argument, a statement",
        "left out …), judged by the checks of its lab. `make mutants` writes this page. Equivalent mutants, which",
        "compute the same as the reference, stand in `autograder/answers/equivalents/`, each with the reason.",
        "",
        "| lab | exercises | mutants | caught | equivalent |",
        "|---|---|---|---|---|",
    ]
    for lab in graded_labs():
        rows = [row for row in kept.values() if row["lab"] == lab]
        made, caught, equivalent = (sum(row[name] for row in rows) for name in ("made", "caught", "equivalent"))
        lines.append(f"| {lab} | {len(rows)} | {made} | {caught} | {equivalent} |")
    return "\n".join(lines) + "\n"


def main(
    names: Annotated[list[str] | None, typer.Argument(help="labs or exercises; all if none are given")] = None,
    everything: Annotated[bool, typer.Option("--all", help="also where nothing has changed")] = False,
    look: Annotated[bool, typer.Option("--look", help="only say which survive, and keep nothing")] = False,
) -> None:
    """Judge the mutants of the reference answers; the end says which survive."""
    before, now = results(), {}
    for lab in graded_labs():
        for exercise in exercises(lab):
            name, row = exercise.name, before.get(exercise.name, {})
            if not exercise.module or (look and names and not {lab, name} & {*names}):
                continue
            asked = not names or lab in names or name in names
            changed = everything or look or row.get("alive") or row.get("key") != key(lab, name)
            function: Any = reference(exercise)
            if row := judged(lab, name, function) if asked and changed else row:
                now[name] = row
            if not look:
                write_text(RESULTS, as_text({**before, **now}))
    if not look:
        write_text(RESULTS, as_text(now))
        write_text(PAGE, page(now))
    alive = [f"{name}: {change}" for name, row in now.items() for change in row.get("alive", [])]
    print("\n".join([*alive, f"{len(alive)} mutants that no check notices"]))
    raise typer.Exit(bool(alive))


def as_text(rows: Results) -> str:
    """Results as they are kept."""
    return json.dumps(rows, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    typer.run(main)
