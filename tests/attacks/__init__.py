"""Attacks on grading, by students who cannot solve the exercises; `bank` holds them, `test_attacks` runs them."""
