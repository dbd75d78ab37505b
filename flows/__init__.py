"""The story: each flow is a paragraph of steps. `python -m flows` lists them."""

import atexit
import gc
import logging
import os
import sys

from tasks import LOGGERS

# Lines of `models` and `tasks` reach Prefect's logs if Prefect is told of them before it is imported, and if they pass
# their own loggers. pyproject.toml says the same to a worker that is started in this folder.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", ",".join(LOGGERS))
for _name in LOGGERS:
    logging.getLogger(_name).setLevel(logging.INFO)

# A process that ends needs no search for garbage in all that was imported, which takes Python more than a second.
atexit.register(gc.freeze)

# A command's own imports take seconds, and so does the server that it starts where none is named: both at once. Python
# says "-m" until it has found the module.
if sys.argv[0] == "-m":
    from flows.asked import asks_for_a_run

    if asks_for_a_run(sys.orig_argv):
        from flows.embedded import begin

        begin()
