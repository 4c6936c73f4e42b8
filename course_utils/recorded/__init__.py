"""What was measured once and comes with the course: thresholds, studies' results, trained networks."""

from pathlib import Path

RECORDED = Path(__file__).resolve().parent
