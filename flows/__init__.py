"""The story: each flow is a paragraph of steps. `python -m flows` lists them."""

import logging

# Lines of `models` and `tasks` reach Prefect's logs only if they pass their own loggers first.
for _name in ("models", "tasks"):
    logging.getLogger(_name).setLevel(logging.INFO)
