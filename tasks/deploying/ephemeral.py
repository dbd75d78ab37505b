"""`python -m tasks.deploying.ephemeral FD`: Prefect's API without its UI, on a socket that listens already.

It serves until it is told to end, or until its standard input ends: the command that has started it holds the other
end of that, and may be killed.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

import uvicorn


def main() -> None:
    """Serve as Prefect's own `SubprocessASGIServer` does."""
    Thread(target=_end_with_input, daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app", factory=True, fd=int(sys.argv[1]), log_level="error", lifespan="on"
    )


def _end_with_input() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
