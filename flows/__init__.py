"""The story: each flow is a paragraph of steps. `python -m flows` lists them."""

import logging
import os

# Lines of `models` and `tasks` reach Prefect's logs if Prefect is told of them before it is imported, and if they pass
# their own loggers. pyproject.toml says the same to a worker that is started in this folder.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "models,tasks")
for _name in ("models", "tasks"):
    logging.getLogger(_name).setLevel(logging.INFO)
