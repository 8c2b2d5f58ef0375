"""What microcred knows about assessments, scores and recommendations. No I/O, no third party."""
