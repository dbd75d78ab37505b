"""The story: each flow is a paragraph of steps. `python -m flows` lists them."""

import atexit
import gc
import logging
import os
import sys

from tasks import GARBAGE_SEARCHED_AFTER, LOGGERS

# Lines of `models` and `tasks` reach Prefect's logs if Prefect is told of them before it is imported, and if they pass
# their own loggers. pyproject.toml says the same to a worker that is started in this folder.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", ",".join(LOGGERS))
for _name in LOGGERS:
    logging.getLogger(_name).setLevel(logging.INFO)

# Imports make half a million objects, and next to no garbage: searched at Python's own pace they take a second more.
gc.set_threshold(GARBAGE_SEARCHED_AFTER)
# Nor does a process that ends need a search in all that was imported, which takes another second and more.
atexit.register(gc.freeze)

# A command's own imports take seconds, and so does the server that it starts where none is named: both at once. Python
# says "-m" until it has found the module.
if sys.argv[0] == "-m":
    from flows.asked import asks_for_a_run

    if asks_for_a_run(sys.orig_argv):
        from flows.embedded import begin

        begin()
