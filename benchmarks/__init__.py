"""Measured claims: each module runs by itself and prints one JSON object as its last line."""
