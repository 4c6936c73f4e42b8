"""What a check cell of a graded notebook holds: the verdict on one exercise, for people, reports and nbgrader."""

from nbformat import NotebookNode

from course_utils.checking import Outcome, Verdict

VERDICT_TYPE = "application/vnd.pruning-labs.verdict+json"


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
        if VERDICT_TYPE in output.get("data", {}):
            return Verdict.from_data(output["data"][VERDICT_TYPE])
    return None


def not_judged(exercise: str, worth: float, reason: str) -> Verdict:
    """The verdict on an exercise that could not be judged, through what the student's code did: 0 points, and why."""
    return Verdict(exercise, (Outcome("test_it_could_be_judged", worth, 0.0, reason),))
