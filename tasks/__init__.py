"""Verbs: each task fetches, calls one thing from `models/`, saves, and returns a small record."""

LOGGERS = ("models", "tasks")  # whose lines Prefect keeps with a run
