"""nbgrader's autograde step with the course's tests: a replacement of its `Execute` preprocessor."""

from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute, SaveAutoGrades
from nbgrader.utils import is_grade
from traitlets import Integer, List

from autograder.editions import tags
from autograder.judging import VERDICT
from course_utils.checking import Verdict

NOT_RUN = {"train", "slow"}  # what training made was handed in and is measured
QUIET = ["--IPKernelApp.log_level=40"]  # a kernel on this machine need not warn that it is not encrypted
JUDGE = "import autograder.judging as _judging; _judging.judge_here({lab!r}, {exercise!r}, globals()); del _judging"


def checked_exercise(cell: NotebookNode) -> str | None:
    """The exercise that a locked check cell grades, or None."""
    grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    if cell.cell_type == "code" and is_grade(cell) and grade_id.startswith("check-"):
        return grade_id.removeprefix("check-")
    return None


def verdict_of(cell: NotebookNode) -> Verdict | None:
    """The verdict that grading left in a check cell's outputs."""
    for output in cell.get("outputs", []):
        if VERDICT in output.get("data", {}):
            return Verdict.from_data(output["data"][VERDICT])
    return None


class GradeExercises(Execute):
    """Run the notebook's cells; in place of a check cell, all tests of its exercise, visible and hidden.

    Training cells and slow pictures are not run again. Whatever a student's code does to the
    kernel is written into the student's own cells, in words, and the batch goes on.
    """

    timeout = Integer(300, help="Seconds for one cell").tag(config=True)
    extra_arguments = List(QUIET).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any, km: Any = None) -> Any:
        self.lab = resources["nbgrader"]["assignment"]
        self.stopped = ""
        return super().preprocess(nb, resources, km)

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> Any:
        exercise = checked_exercise(cell)
        if cell.cell_type == "code" and NOT_RUN.intersection(tags(cell)):
            cell.outputs = [new_output("stream", name="stdout", text="(This cell is not run again when grading.)\n")]
        elif exercise:
            cell.outputs = self.judged(cell, exercise, resources, index)
        elif not self.stopped:
            self.run(cell, resources, index)
        return cell, resources

    def run(self, cell: NotebookNode, resources: Any, index: int) -> None:
        try:
            super().preprocess_cell(cell, resources, index)
        except DeadKernelError:
            self.stopped = "The kernel died in an earlier cell (out of memory, or the code ended the process)."
        except CellTimeoutError:
            self.stopped = f"An earlier cell ran for more than {self.timeout} s and could not be interrupted."

    def judged(self, cell: NotebookNode, exercise: str, resources: Any, index: int) -> list[NotebookNode]:
        """The outputs of a check cell: the verdict for people and for reports, and the points for nbgrader."""
        trial = NotebookNode(cell_type="code", metadata={}, outputs=[], source="", execution_count=None)
        trial.source = JUDGE.format(lab=self.lab, exercise=exercise)
        if not self.stopped:
            self.run(trial, resources, index)
            self.nb.cells[index] = cell  # nbclient puts what it has run in the cell's place
        verdict = verdict_of(trial)
        if verdict is None:
            return [self.no_verdict(exercise, trial)]
        earned = min(verdict.earned, float(cell.metadata.nbgrader.points))
        data = {"text/html": verdict._repr_html_(), "text/plain": repr(verdict), VERDICT: verdict.as_data()}
        points = new_output("execute_result", {"text/plain": repr(earned)}, execution_count=index)
        return [new_output("display_data", data), points]

    def no_verdict(self, exercise: str, trial: NotebookNode) -> NotebookNode:
        errors = [output for output in trial.outputs if output.output_type == "error"]
        reason = self.stopped or (f"{errors[0].ename}: {errors[0].evalue}" if errors else "The tests gave no result.")
        if errors and errors[0].ename == "CellTimeoutError":
            reason = f"{exercise} ran for more than {self.timeout} s: an endless loop?"
        return new_output("error", ename="NotGraded", evalue=reason, traceback=[f"{exercise} earns 0 points. {reason}"])


class SaveGrades(SaveAutoGrades):
    """Record the points; what could not be judged here is marked for grading by hand, never as a 0."""

    def _add_score(self, cell: NotebookNode, resources: Any) -> None:
        super()._add_score(cell, resources)
        verdict = verdict_of(cell)
        if verdict and any(outcome.set_aside for outcome in verdict.outcomes):
            keys = (cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id)
            self.gradebook.find_grade(*keys).needs_manual_grade = True
            self.gradebook.db.commit()
