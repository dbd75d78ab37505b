"""Values: the schema of a project's YAML, and one YAML a project."""
