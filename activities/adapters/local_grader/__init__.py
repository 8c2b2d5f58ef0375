"""Essay grading without a language model."""
