"""One submission on its way through the sandbox: its cells run, and every exercise gets a verdict."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from autograder.authoring.editions import tags
from autograder.grading.cleaning import clean_outputs
from autograder.grading.judge import Judge, JudgeEnded
from autograder.grading.notebooks import grade_id
from autograder.grading.verdicts import VERDICT_TYPE, checked_exercise, not_judged, verdict_of
from autograder.sandbox.channels import EXERCISE, KNOW, RUN, Frame, frame_of
from autograder.sandbox.warm import Ended, Warm
from course_utils.checking import Verdict

HELPED = "Judged with the course's own functions in place of yours that it calls: a mistake there costs only there."
NOT_RUN = {"train", "slow"}  # what training made was handed in and is measured
LEAST_SECONDS = 15.0  # for the tests of an exercise (or its limit), when the notebook has used up its own time
GRACE_SECONDS = 5.0  # after a time limit that code is told of, until its process is ended (less for short limits)


class SubmissionRun:
    """One submission on its way through the sandbox: when its process dies, a new one takes over where it was."""

    def __init__(self, judge: Judge, warm: Warm, files: Mapping[str, bytes]) -> None:
        self.judge, self.warm, self.files = judge, warm, files
        self.limits = warm.limits
        self.worth: dict[str, float] = {}
        self.history: list[tuple[int, str]] = []  # numbers and sources of the cells that ran
        self.remarks: list[str] = []
        self.deaths = 0
        self.stopped = ""  # why nothing more is run
        self.running = False
        self.end = time.monotonic() + self.limits.notebook_seconds

    def notebook(self, notebook: NotebookNode) -> None:
        """Run all cells and judge every exercise at its check cell.

        At the end, where it may help: again what was defined anew since; and then, last of all, what is built on other
        exercises with the reference's functions in their place.
        """
        judged: dict[str, tuple[NotebookNode, Any]] = {}
        for cell in notebook.cells:
            if name := checked_exercise(cell):
                self.worth[name] = float(cell.metadata.nbgrader.points)
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            exercise = checked_exercise(cell)
            if exercise:
                defined = self.known(exercise).get(exercise)
                self.write(cell, self.verdict(exercise))
                judged[exercise] = (cell, defined)
            elif NOT_RUN.intersection(tags(cell)):
                cell.outputs = [new_output("stream", text="(This cell is not run again when grading.)\n")]
            else:
                self.cell(cell, number + 1)
        for exercise, (cell, defined) in judged.items():
            before = verdict_of(cell)
            if before and not before.passed and self.known(exercise).get(exercise) != defined:
                self.write_better(cell, self.verdict(exercise))
        composite = {grade_id(cell) for cell in notebook.cells if "composite" in tags(cell)}
        for exercise in [name for name in judged if name in composite]:
            cell, _ = judged[exercise]
            before = verdict_of(cell)
            if before and not before.passed and exercise in self.known(exercise):
                self.write_better(cell, replace(self.verdict(exercise, helped=True), note=HELPED))

    # the student's process

    def ask(self, message: Mapping[str, Any], seconds: float) -> Any:
        """A command for the student's process → its answer. Raises Ended."""
        if self.stopped:
            raise Ended(self.stopped)
        if not self.running:
            self.warm.fork(self.files)
            self.running = True
            self.replay()
        return self.exchange(message, seconds)

    def exchange(self, message: Mapping[str, Any], seconds: float) -> Any:
        """A command for the process that runs now → its answer. Raises Ended."""
        seconds = max(0.1, min(seconds, self.end - time.monotonic()))
        frame = frame_of({**message, "seconds": seconds})
        try:
            answer = json.loads(self.warm.exchange(frame, seconds + grace(seconds))[0])
        except (ValueError, RecursionError):
            self.warm.stop("it sent what is no answer")
            self.warm.end()
            raise Ended("it sent what is no answer") from None
        return answer if isinstance(answer, dict) else {}

    def replay(self) -> None:
        """Bring a new process to where the last one was; a cell that ends it now is left out from here on."""
        for number, source in list(self.history):
            try:
                self.exchange({"do": RUN, "source": source, "cell": number}, self.limits.cell_seconds)
            except Ended as ended:
                self.history.remove((number, source))
                self.died(str(ended))
                self.ask({"do": KNOW, "names": []}, GRACE_SECONDS)
                return

    def died(self, reason: str, counts: bool = True) -> None:
        """Take note of a death. The next command starts a new process, unless it was one too many."""
        self.running = False
        if counts:
            self.deaths += 1
        if time.monotonic() > self.end:
            reason = f"the whole notebook ran for more than {self.limits.notebook_seconds:g} s"
            self.stopped = f"{reason}, so nothing more was run"
        elif self.deaths > self.limits.restarts:
            self.stopped = (
                f"the notebook's process died {self.deaths} times (the last time: {reason}), so nothing more was run"
            )

    def cell(self, cell: NotebookNode, number: int) -> None:
        """Run one cell and keep its outputs, in words where it came to grief."""
        try:
            answer = self.ask({"do": RUN, "source": cell.source, "cell": number}, self.limits.cell_seconds)
            cell.outputs = [NotebookNode(output) for output in clean_outputs(answer.get("outputs"))]
            count = answer.get("count")
            cell.execution_count = count if type(count) is int and 0 <= count < 1_000_000 else None
            self.history.append((number, cell.source))
            self.explain(cell, number)
        except Ended as ended:
            if not self.stopped:
                self.died(str(ended))
                self.remarks.append(f"Cell {number} was stopped: {ended}. The cells after it were run without it.")
            elif self.stopped not in self.remarks:
                self.remarks.append(self.stopped)
            cell.outputs = [error(f"{ended}.")]

    def explain(self, cell: NotebookNode, number: int) -> None:
        """Say in the remarks which limit a cell ran into."""
        names = {output.ename: output.evalue for output in cell.outputs if output.output_type == "error"}
        if "TimeLimit" in names:
            self.remarks.append(f"Cell {number} was stopped: it ran for more than {self.limits.cell_seconds:g} s.")
        elif "MemoryError" in names or any(re.search("(can't|Cannot) allocate mem", text) for text in names.values()):
            limit = f"{self.limits.memory_megabytes:,} MB"
            self.remarks.append(f"Cell {number} was stopped: it asked for more memory than the {limit} allowed.")
        elif any("No space left on device" in text for text in names.values()):
            self.remarks.append(
                f"Cell {number} was stopped: it wrote more than {self.limits.disk_megabytes} MB of files."
            )
        elif "BlockingIOError" in names and any("[Errno 11]" in text for text in names.values()):
            self.remarks.append(f"Cell {number} was stopped: it started more than {self.limits.processes} processes.")
        elif names and cell.metadata.get("nbgrader", {}).get("solution"):
            name, text = next(iter(names.items()))
            self.remarks.append(f"The cell of {grade_id(cell)} stopped with {name}: {text[:200]}.")

    # the verdicts

    def known(self, exercise: str) -> dict[str, Any]:
        """Which of the lab's names the notebook holds now, each with the number of the cell that defined it last."""
        if exercise.endswith("_onnx"):
            return {}
        try:
            return self.ask({"do": KNOW, "names": list(self.worth)}, GRACE_SECONDS)
        except Ended as ended:
            if not self.stopped:
                self.died(str(ended))
            return {}

    def verdict(self, exercise: str, helped: bool = False) -> Verdict:
        """Judge an exercise. `helped`: with the reference's functions in place of the student's own."""
        relay = Relay(self, time.monotonic() + self.limits.exercise_seconds)
        names = self.known(exercise)
        if self.stopped and not exercise.endswith("_onnx"):
            return not_judged(exercise, self.worth[exercise], f"{exercise} was not judged: {self.stopped}.")
        try:
            seconds = min(self.limits.exercise_seconds, max(LEAST_SECONDS, self.end - time.monotonic()))
            task = {EXERCISE: exercise, "names": names, "helped": helped}
            return self.judge.judge(task, relay, seconds)
        except JudgeEnded as ended:
            what = "The file handed in" if exercise.endswith("_onnx") else f"What {exercise} gave back"
            return not_judged(exercise, self.worth[exercise], f"{what} {ended}.")

    def write_better(self, cell: NotebookNode, verdict: Verdict) -> None:
        """Leave a verdict in a check cell if it is better than the one that is there."""
        before = verdict_of(cell)
        if before is None or verdict.earned > before.earned:
            self.write(cell, verdict)

    def write(self, cell: NotebookNode, verdict: Verdict) -> None:
        """Leave a verdict in a check cell: for people, for reports, and as points for nbgrader."""
        earned = min(max(verdict.earned, 0.0), float(cell.metadata.nbgrader.points))
        data = {"text/html": verdict._repr_html_(), "text/plain": repr(verdict), VERDICT_TYPE: verdict.as_data()}
        result = new_output("execute_result", {"text/plain": repr(float(earned))}, execution_count=1)
        cell.outputs = [new_output("display_data", data), result]


class Relay:
    """Carries the calls of one exercise's tests to the student's process; when that ends, no further call is made."""

    def __init__(self, run: SubmissionRun, end: float) -> None:
        self.run, self.end = run, end
        self.gone = ""  # why the process ended in this exercise

    def __call__(self, frame: Frame) -> Frame:
        """A call's frame → the answer's, or the error that there is none."""
        run = self.run
        try:
            if self.gone:
                raise Ended(self.gone)
            if not run.running:
                run.ask({"do": KNOW, "names": []}, GRACE_SECONDS)
            if time.monotonic() > self.end:
                run.warm.stop(f"its tests ran for more than {run.limits.exercise_seconds:g} s: an endless loop?")
            return run.warm.exchange(frame, run.limits.call_seconds + grace(run.limits.call_seconds))
        except Ended as ended:
            self.gone = str(ended)
            if run.running:
                run.died(self.gone, counts=False)
            error = {"name": "ProcessEnded", "bases": ["RuntimeError"], "text": self.gone}
            return frame_of({"error": error, "anew": True, "values": {}, "objects": [], "sizes": []})


def grace(seconds: float) -> float:
    """Seconds from a time limit, of which code is told, until its process is ended."""
    return min(GRACE_SECONDS, 1 + seconds / 4)


def error(text: str) -> NotebookNode:
    """An error output that says why a cell was stopped."""
    return new_output("error", ename="Stopped", evalue=text, traceback=[text])
