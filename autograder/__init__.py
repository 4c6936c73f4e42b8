"""What a correct answer is (one test file a lab, visible and hidden), and how answers are judged."""
