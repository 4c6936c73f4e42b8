"""Grade one submission: its cells run in a sandbox, the tests outside, and every exercise gets a verdict.

The process that does this runs neither: it starts the sandbox and the judge, hands frames from one to the
other, watches the time, and writes down what came out.
"""

import re
from typing import Any

from nbformat import NotebookNode

from autograder.authoring.support import support_files
from autograder.grading.judge import Judge
from autograder.grading.notebooks import NOTES, restored
from autograder.grading.run import Run
from autograder.grading.submissions import Submission
from autograder.sandbox import bubblewrap
from autograder.sandbox.bubblewrap import Isolation
from autograder.sandbox.limits import Limits
from autograder.sandbox.warm import Warm


def modules_of(notebook: NotebookNode) -> list[str]:
    """The modules that a notebook's cells import, to be imported ahead."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found = re.findall(r"^\s*(?:from|import) ([\w.]+)(?: import (\w+))?", code, re.MULTILINE)
    return sorted({name for module, part in found for name in (module, f"{module}.{part}" if part else module)})


class Grader:
    """A judge and a warm sandbox, kept from one submission to the next."""

    def __init__(self, limits: Limits | None = None, isolation: Isolation = "bubblewrap") -> None:
        self.limits, self.isolation = limits or Limits(), isolation
        if isolation == "bubblewrap":
            bubblewrap.find_bubblewrap()
        self.judge = Judge(self.limits, isolation)
        self.warm: dict[str, Warm] = {}

    def prepare(self, lab: str, released: NotebookNode) -> Warm:
        """The lab's warm process; its start, and that of the judge, go on beside each other."""
        if lab not in self.warm:
            for other in self.warm.values():
                other.close()
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
        run = Run(self.judge, warm, lab, files)
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
