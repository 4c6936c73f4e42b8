"""Plain `nbgrader …` and formgrader from the repository root; the course lies in `course/`."""

from autograder.course import COURSE, configure

configure(get_config(), COURSE)  # noqa: F821  (nbgrader brings get_config)
