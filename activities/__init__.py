"""Temporal activities: one step of a workflow per module, as a class that takes its ports in the constructor."""
