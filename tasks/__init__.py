"""Verbs: each task fetches, calls one thing from `models/`, saves, and returns a small record."""

LOGGERS = ("models", "tasks")  # whose lines Prefect keeps with a run
GARBAGE_SEARCHED_AFTER = 10_000  # new objects, where Python says 700: for processes that import much
