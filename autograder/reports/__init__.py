"""What came out of grading, for people and for other systems."""
