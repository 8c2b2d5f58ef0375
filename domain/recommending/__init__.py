"""Skill profiles, and the ranking, calibration and explanation of recommended credentials."""
