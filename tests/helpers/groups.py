"""Which tests one worker runs, for what they share: their file's, unless they are named here.

xdist's own marks for this (`xdist_group`) do nothing with pytest 9.2, which keeps a test's id where xdist 3.8 does not look.
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {  # they count the whole machine's processes, or kill graders
    "tests/attacks/test_attacks.py": "processes left behind",
    "tests/autograder/test_batch.py": "processes left behind",
}
ALONE = (
    "tests/autograder/test_faults.py::test_a_cell_that_comes_to_grief_costs_nothing_and_is_named"  # half of its file
)
APART = ("tests/labs/test_editions.py::test_the_source_edition_runs",)  # each case is long, and shares nothing
BY_FIRST_WORD = ("tests/autograder/test_answers.py",)  # all answers to an exercise are judged in one go
BY_CASE = ("tests/solutions/test_pruner.py",)  # a family's graph is read once


def group_of(nodeid: str) -> str:
    """The group of a test, from its id."""
    test, _, case = nodeid.partition("[")
    path = test.partition("::")[0]
    if path in TOGETHER:
        return TOGETHER[path]
    if case and path in BY_FIRST_WORD:
        return f"{path} {case.partition('-')[0]}"
    if test == ALONE:
        return test
    if case and (path in BY_CASE or test in APART):
        return f"{path} {case}"
    return path


class Groups(LoadScopeScheduling):
    """xdist's scheduler that sends the tests of a scope to one worker, the scope being a group."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
