"""Grade one submission: its cells run in a sandbox, the tests outside, and every exercise gets a verdict.

The process that does this runs neither: it starts the sandbox and the judge, hands frames from one to the
other, watches the time, and writes down what came out.
"""

import shutil
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from autograder.authoring.frozen import FrozenRelease
from autograder.grading.judge import Judge
from autograder.grading.notebooks import NOTES
from autograder.grading.run import SubmissionRun
from autograder.grading.submissions import Submission
from autograder.sandbox import bubblewrap
from autograder.sandbox.bubblewrap import Isolation
from autograder.sandbox.child import open_to_all, work_folder
from autograder.sandbox.limits import Limits
from autograder.sandbox.refused import in_words
from autograder.sandbox.warm import Warm
from course_utils import VERSION


class Grader:
    """A judge and a warm sandbox of one lab as it was released, kept from one submission to the next."""

    def __init__(self, limits: Limits | None = None, isolation: Isolation = "bubblewrap", secret: str = "") -> None:
        """`secret`: the course's (`autograder.course.secret_of`), which only the judge gets to know."""
        self.limits, self.isolation, self.secret = limits or Limits(), isolation, secret
        bubblewrap.require(isolation)
        self.release: FrozenRelease | None = None
        self.folder: Path | None = None
        self.judge: Judge | None = None
        self.warm: Warm | None = None

    def prepare(self, release: FrozenRelease) -> tuple[Judge, Warm]:
        """The release's judge and warm process; the starts of the two go on beside each other."""
        if self.judge is None or self.warm is None or self.release is None or self.release.digest != release.digest:
            self.close()
            self.release, self.folder = release, work_folder()
            unpacked = release.unpack(self.folder / "release")
            open_to_all(unpacked)
            student = {name: unpacked / name for name in release.student}
            self.judge = Judge(self.limits, self.isolation, unpacked, self.secret)
            self.warm = Warm(student, list(release.modules), self.limits, self.isolation)
            self.judge.start()
            self.warm.start()
        return self.judge, self.warm

    def grade(self, release: FrozenRelease, notebook: NotebookNode, submission: Submission) -> NotebookNode:
        """A notebook in the lab's form, run and judged, with its outputs and verdicts. Raises SandboxError.

        `notebook`: what `restored` made of the one that was handed in; `submission`: the files handed in with it.
        """
        judge, warm = self.prepare(release)
        files = {name: data for name, data in submission.files.items() if not name.endswith(".ipynb")}
        judge.take({name: data for name, data in files.items() if name.endswith(".onnx") and "/" not in name})
        judge.ready()  # it has decoded the images then, which the sandbox can only read
        warm.refused.clear()
        run = SubmissionRun(judge, warm, files)
        try:
            run.notebook(notebook)
        finally:
            warm.end()
        remarks = [*submission.remarks, *notebook.metadata[NOTES]["remarks"], *run.remarks, *in_words(warm.refused)]
        notebook.metadata[NOTES] = {"remarks": remarks, "isolation": self.isolation, "version": VERSION}
        return notebook

    def close(self) -> None:
        """End both processes, and remove what was unpacked for them."""
        if self.judge:
            self.judge.close()
        if self.warm:
            self.warm.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.release = self.folder = self.judge = self.warm = None

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
