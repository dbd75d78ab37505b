"""The whole life of a model, without orchestration: nothing here knows Prefect or W&B."""
