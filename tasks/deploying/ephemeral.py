"""`python -m tasks.deploying.ephemeral FD PARENT`: Prefect's API without its UI, on a socket that listens already.

It serves until it is told to end, or until the command that has started it has ended, which may be killed.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from threading import Thread

import uvicorn

from tasks import GARBAGE_SEARCHED_AFTER


def main() -> None:
    """Serve as Prefect's own `SubprocessASGIServer` does."""
    gc.set_threshold(GARBAGE_SEARCHED_AFTER)  # before the server is imported, which uvicorn does
    Thread(target=_end_with, args=[int(sys.argv[2])], daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app", factory=True, fd=int(sys.argv[1]), log_level="error", lifespan="on"
    )


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
