"""Loading roles, questions and credentials from files and imports."""
