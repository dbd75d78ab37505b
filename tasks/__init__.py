"""Verbs: each task fetches, calls one thing from `models/`, saves, and returns a small record."""
