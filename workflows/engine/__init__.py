"""Code around the workflows: the Temporal client, starting runs, Schedules, namespace set-up, and workers."""
