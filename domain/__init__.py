"""The rules of assessments, grading and recommendations. Pure Python: no I/O and no third-party imports."""
