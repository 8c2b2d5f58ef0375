"""Skills, ranking, calibration and explanations of recommended credentials."""
