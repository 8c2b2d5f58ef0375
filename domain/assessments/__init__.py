"""The lifecycle of an assessment: questions, answers, steps and results."""
