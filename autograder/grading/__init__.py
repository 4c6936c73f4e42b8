"""From what was handed in to a verdict, and from there into nbgrader's gradebook."""
