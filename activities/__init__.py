"""The steps of a run: one module each, a class that takes its ports in the constructor."""
