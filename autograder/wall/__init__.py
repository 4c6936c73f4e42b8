"""Between tests and a student's code: what crosses is data."""
