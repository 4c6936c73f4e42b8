"""A lab's tests and reference answers as the project has them now."""

from autograder.authoring.editions import check_files, exercises, references
from autograder.grading.judging import LabTests


def lab_tests(lab: str) -> LabTests:
    composite = frozenset(exercise.name for exercise in exercises(lab) if exercise.composite)
    return LabTests(tuple(check_files(lab)), references(lab), composite)
