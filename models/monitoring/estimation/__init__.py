"""Performance without labels: early warning, never proof, since nothing here sees a change of concept."""
