"""What can be wrong with an entry."""


class ChallengeError(ValueError):
    """Something about an entry that is not right; the message says what to do. Nothing was written."""
