"""What runs the system: the embedded stack for one machine, and the content it is filled with."""
