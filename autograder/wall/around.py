"""What is around a call: the surroundings as the course's tests know them, of the release that is graded."""

try:
    from course_utils.surroundings import surround, surroundings
except ImportError:  # a release from before; its tests do not look

    def surroundings() -> dict[str, object]:  # type: ignore[misc]
        """Nothing."""
        return {}

    def surround(state: object) -> None:  # type: ignore[misc]
        """Nothing."""


__all__ = ["surround", "surroundings"]
