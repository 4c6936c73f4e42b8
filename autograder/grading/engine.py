"""Grade one submission: its cells run in a sandbox, the tests outside, and every exercise gets a verdict.

The process that does this runs neither: it starts the sandbox and the judge, hands frames from one to the
other, watches the time, and writes down what came out.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from autograder.authoring.editions import tags
from autograder.authoring.support import support_files
from autograder.course import ROOT
from autograder.grading.cleaning import clean_outputs
from autograder.grading.submissions import NOTES, Submission, grade_id, restored
from autograder.sandbox import channels, warm
from autograder.sandbox.channels import Frame
from autograder.sandbox.warm import Ended, Isolation, Limits, SandboxError, Warm
from course_utils.checking import Outcome, Verdict

VERDICT = "application/vnd.pruning-labs.verdict+json"
NOT_RUN = {"train", "slow"}  # what training made was handed in and is measured
LEAST_SECONDS = 15.0  # for the tests of an exercise, when the notebook has used up its own time
GRACE_SECONDS = 5.0  # after a time limit that code is told of, until its process is ended


class JudgeEnded(Exception):
    """The judge's process ran out of time or memory on what a student's code gave back, or handed in."""


def checked_exercise(cell: NotebookNode) -> str | None:
    """The exercise that a locked check cell grades, or None."""
    about = cell.metadata.get("nbgrader", {})
    name = about.get("grade_id", "")
    if cell.cell_type == "code" and about.get("grade") and name.startswith("check-"):
        return name.removeprefix("check-")
    return None


def verdict_of(cell: NotebookNode) -> Verdict | None:
    """The verdict that grading left in a check cell's outputs."""
    for output in cell.get("outputs", []):
        if VERDICT in output.get("data", {}):
            return Verdict.from_data(output["data"][VERDICT])
    return None


def not_judged(exercise: str, worth: float, reason: str) -> Verdict:
    """The verdict on an exercise that could not be judged, through what the student's code did: 0 points, and why."""
    return Verdict(exercise, (Outcome("test_it_could_be_judged", worth, 0.0, reason),))


def modules_of(notebook: NotebookNode) -> list[str]:
    """The modules that a notebook's cells import, to be imported ahead."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found = re.findall(r"^\s*(?:from|import) ([\w.]+)(?: import (\w+))?", code, re.MULTILINE)
    return sorted({name for module, part in found for name in (module, f"{module}.{part}" if part else module)})


class Judge:
    """The process with the tests, in a sandbox of its own."""

    def __init__(self, limits: Limits, isolation: Isolation) -> None:
        self.limits, self.isolation = limits, isolation
        self.process: subprocess.Popen | None = None
        self.handed_in: Frame | None = None

    def start(self) -> None:
        self.folder = warm.work_folder()
        ours, theirs = socket.socketpair()
        place = "/tmp" if self.isolation == "bubblewrap" else str(self.folder)
        command = [sys.executable, "-m", "autograder.grading.judging", str(theirs.fileno()), place]
        variables = warm.environment(self.isolation == "bubblewrap", ROOT)
        if self.isolation == "bubblewrap":
            binds = [word for name in ("minicifar", "course_utils", "solutions", "labs", "autograder")
                     for word in ("--ro-bind", str(ROOT / name), str(ROOT / name))]  # fmt: skip
            binds += warm.image_binds(write=True)
            command = warm.sandboxed(command, binds, variables, disk=1_000_000_000)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=variables, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        theirs.close()
        self.channel, self.waiting = ours, True
        settings: dict[str, Any] = {
            "memory": self.limits.memory_megabytes * 1_000_000,
            "cpu": -1,
            "disk": 4_000_000_000,
        }
        settings |= {"namespaces": False, "call_seconds": self.limits.call_seconds}
        channels.send(ours, (json.dumps(settings).encode(), b""))

    def ready(self) -> None:
        """Wait until the judge has imported everything and looked at the images. Raises SandboxError."""
        if self.process is not None and self.process.poll() is not None:
            self.close()
        if self.process is None:
            self.start()
        if self.waiting:
            try:
                channels.receive(self.channel, warm.START_SECONDS)
            except (EOFError, TimeoutError):
                log = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.close()
                raise SandboxError(f"The judge did not start:\n{log}") from None
            self.waiting = False
            if self.handed_in:
                channels.send(self.channel, self.handed_in)

    def take(self, files: Mapping[str, bytes]) -> None:
        """Begin with the next submission: the ONNX files that were handed in."""
        if self.handed_in and self.process is not None and not self.waiting:
            with contextlib.suppress(OSError):
                channels.send(self.channel, (b"{}", b""))
        names = {name: len(data) for name, data in files.items()}
        self.handed_in = (json.dumps({"files": names}).encode(), b"".join(files.values()))
        if self.process is not None and not self.waiting:
            with contextlib.suppress(OSError):
                channels.send(self.channel, self.handed_in)

    def judge(self, wanted: Mapping[str, Any], relay: Callable[[Frame], Frame], seconds: float) -> Verdict:
        """All tests of an exercise; `relay` carries a frame to the student's side and brings the answer.

        `wanted`: lab, exercise, the names that the notebook holds, and whether the reference's functions help.
        `seconds`: for what the tests do themselves, between two calls.

        Raises JudgeEnded, and RuntimeError where the tests themselves are broken.
        """
        self.ready()
        try:
            channels.send(self.channel, (json.dumps(wanted).encode(), b""))
            while True:
                frame = channels.receive(self.channel, seconds)
                if frame[0].startswith(b'{"verdict"'):
                    break
                channels.send(self.channel, relay(frame), seconds)
        except TimeoutError:
            self.close()
            raise JudgeEnded(f"takes more than {seconds:.0f} s to run") from None
        except (EOFError, OSError, channels.TooLarge):
            self.close()
            raise JudgeEnded("takes too much memory to run") from None
        answer = json.loads(frame[0])
        if answer["verdict"] is None:
            raise RuntimeError(f"{wanted['lab']}, {wanted['exercise']}: {answer['problem']}")
        return Verdict.from_data(answer["verdict"])

    def close(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.channel.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.process = None


class Grader:
    """A judge and a warm sandbox, kept from one submission to the next."""

    def __init__(self, limits: Limits | None = None, isolation: Isolation = "bubblewrap") -> None:
        self.limits, self.isolation = limits or Limits(), isolation
        if isolation == "bubblewrap":
            warm.bubblewrap()
        self.judge = Judge(self.limits, isolation)
        self.warm: dict[str, Warm] = {}

    def prepare(self, lab: str, released: NotebookNode) -> Warm:
        """The lab's warm process; its start, and that of the judge, go on beside each other."""
        if lab not in self.warm:
            for other in self.warm.values():
                other.close()
            if self.judge.process is None:
                self.judge.start()
            self.warm = {lab: Warm(support_files(lab), modules_of(released), self.limits, self.isolation)}
            self.warm[lab].start()
        return self.warm[lab]

    def grade(self, lab: str, released: NotebookNode, submission: Submission) -> NotebookNode:
        """The submission's notebook in the lab's form, run and judged. Raises SandboxError."""
        notebook = restored(released, submission.files.get(f"{lab}.ipynb"))
        warm = self.prepare(lab, released)
        files = {name: data for name, data in submission.files.items() if not name.endswith(".ipynb")}
        self.judge.take({name: data for name, data in files.items() if name.endswith(".onnx") and "/" not in name})
        self.judge.ready()  # it has decoded the images then, which the sandbox can only read
        run = Run(self, warm, lab, files)
        try:
            run.notebook(notebook)
        finally:
            warm.end()
        remarks = [*submission.remarks, *notebook.metadata[NOTES]["remarks"], *run.remarks]
        notebook.metadata[NOTES] = {"remarks": remarks, "isolation": self.isolation}
        return notebook

    def close(self) -> None:
        self.judge.close()
        for warm in self.warm.values():
            warm.close()
        self.warm = {}

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Run:
    """One submission on its way through the sandbox: when its process dies, a new one takes over where it was."""

    def __init__(self, grader: Grader, warm: Warm, lab: str, files: Mapping[str, bytes]) -> None:
        self.grader, self.warm, self.lab, self.files = grader, warm, lab, files
        self.limits = grader.limits
        self.worth: dict[str, float] = {}
        self.history: list[str] = []  # sources of the cells that ran
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
                identity = self.known(exercise).get(exercise)
                self.write(cell, self.verdict(exercise))
                judged[exercise] = (cell, identity)
            elif NOT_RUN.intersection(tags(cell)):
                cell.outputs = [new_output("stream", text="(This cell is not run again when grading.)\n")]
            else:
                self.cell(cell, number + 1)
        for exercise, (cell, identity) in judged.items():
            before = verdict_of(cell)
            if before and not before.passed and self.known(exercise).get(exercise) != identity:
                self.write_better(cell, self.verdict(exercise))
        composite = {grade_id(cell) for cell in notebook.cells if "composite" in tags(cell)}
        for exercise in [name for name in judged if name in composite]:
            cell, _ = judged[exercise]
            before = verdict_of(cell)
            if before and not before.passed and exercise in self.known(exercise):
                self.write_better(cell, self.verdict(exercise, helped=True))

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
        seconds = max(0.1, min(seconds, self.end - time.monotonic()))
        frame = (json.dumps({**message, "seconds": seconds}).encode(), b"")
        try:
            answer = json.loads(self.warm.exchange(frame, seconds + GRACE_SECONDS)[0])
        except (ValueError, RecursionError):
            self.warm.stop("it sent what is no answer")
            self.warm.end()
            raise Ended("it sent what is no answer") from None
        return answer if isinstance(answer, dict) else {}

    def replay(self) -> None:
        """Bring a new process to where the last one was; a cell that ends it now is left out from here on."""
        for source in list(self.history):
            try:
                self.exchange({"do": "run", "source": source}, self.limits.cell_seconds)
            except Ended as ended:
                self.history.remove(source)
                self.died(str(ended))
                self.ask({"do": "know", "names": []}, GRACE_SECONDS)
                return

    def died(self, reason: str, counts: bool = True) -> None:
        """Take note of a death. The next command starts a new process, unless it was one too many."""
        self.running = False
        self.deaths += counts
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
            answer = self.ask({"do": "run", "source": cell.source}, self.limits.cell_seconds)
            cell.outputs = [NotebookNode(output) for output in clean_outputs(answer.get("outputs"))]
            count = answer.get("count")
            cell.execution_count = count if type(count) is int and 0 <= count < 1_000_000 else None
            self.history.append(cell.source)
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
        elif "MemoryError" in names or any("can't allocate memory" in text for text in names.values()):
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
        """Which of the lab's names the notebook holds now, each with a number that changes with its value."""
        if exercise.endswith("_onnx"):
            return {}
        try:
            return self.ask({"do": "know", "names": list(self.worth)}, GRACE_SECONDS)
        except Ended as ended:
            if not self.stopped:
                self.died(str(ended))
            return {}

    def verdict(self, exercise: str, helped: bool = False) -> Verdict:
        end = time.monotonic() + self.limits.exercise_seconds
        names = self.known(exercise)
        if self.stopped and not exercise.endswith("_onnx"):
            return not_judged(exercise, self.worth[exercise], f"{exercise} was not judged: {self.stopped}.")

        gone = ""  # why the process ended in this exercise: then the rest of its calls is not made

        def relay(frame: Frame) -> Frame:
            nonlocal gone
            try:
                if gone:
                    raise Ended(gone)
                if not self.running:
                    self.ask({"do": "know", "names": []}, GRACE_SECONDS)
                if time.monotonic() > end:
                    self.warm.stop(f"its tests ran for more than {self.limits.exercise_seconds:g} s: an endless loop?")
                return self.warm.exchange(frame, self.limits.call_seconds + GRACE_SECONDS)
            except Ended as ended:
                gone = str(ended)
                if self.running:
                    self.died(gone, counts=False)
                told = {"name": "ProcessEnded", "bases": ["RuntimeError"], "text": str(ended)}
                body = {"error": told, "anew": True, "values": {}, "objects": [], "sizes": []}
                return json.dumps(body).encode(), b""

        try:
            seconds = max(LEAST_SECONDS, min(self.limits.exercise_seconds, self.end - time.monotonic()))
            wanted = {"lab": self.lab, "exercise": exercise, "names": names, "helped": helped}
            return self.grader.judge.judge(wanted, relay, seconds)
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
        data = {"text/html": verdict._repr_html_(), "text/plain": repr(verdict), VERDICT: verdict.as_data()}
        result = new_output("execute_result", {"text/plain": repr(float(earned))}, execution_count=1)
        cell.outputs = [new_output("display_data", data), result]


def error(text: str) -> NotebookNode:
    return new_output("error", ename="Stopped", evalue=text, traceback=[text])


def limits_from(settings: Mapping[str, Any]) -> Limits:
    """Limits from a configuration: those named there, in place of the usual ones. Raises ValueError."""
    usual = asdict(Limits())
    unknown = set(settings) - set(usual)
    if unknown:
        raise ValueError(f"There is no limit {sorted(unknown)[0]!r}; there are {', '.join(usual)}.")
    return Limits(**{**usual, **settings})
