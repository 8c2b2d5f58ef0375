"""Scoring: rules, rubrics, grading by a language model, reviews and checks of essay text."""
