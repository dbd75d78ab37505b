"""A project on a Prefect server: what it should be there, what is there, the difference, and how to make it go away."""
