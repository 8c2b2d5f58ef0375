"""Statistics about grades: agreement with reviewers, item analysis and fairness."""
