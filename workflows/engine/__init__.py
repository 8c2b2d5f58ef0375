"""Temporal seen from outside workflows: client, starting runs, schedules, namespace set-up."""
