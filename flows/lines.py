"""What a person sees in the terminal while a command works: one line for what matters."""

from __future__ import annotations

import logging


def quieten(is_service: bool = False) -> None:
    """One short line for each step of ours; Prefect's own lines about task and flow runs are for its UI.

    Args:
        is_service: a service tells nobody of its failures at its end, and shows Prefect's errors.
    """
    is_worth_a_line = _is_worth_a_line_of_a_service if is_service else _is_worth_a_line
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(is_worth_a_line)
    for name in ("", "prefect"):
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(_Line("%H:%M:%S"))
            handler.addFilter(is_worth_a_line)


class _Line(logging.Formatter):
    """The time and the message; the level only when it is not the usual one."""

    def __init__(self, datefmt: str) -> None:
        super().__init__("%(asctime)s  %(message)s", datefmt)

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and record.levelno == logging.WARNING and record.name.startswith("prefect"):
            record = logging.makeLogRecord(record.__dict__ | {"msg": _in_short(record), "args": (), "exc_info": None})
        line = super().format(record)
        return line if record.levelno <= logging.INFO else line.replace("  ", f"  {record.levelname.lower()}: ", 1)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    # A failure is told once, by the command itself, and not also as a traceback by every task and flow it passed.
    return record.levelno == logging.WARNING or not record.name.startswith("prefect")


def _is_worth_a_line_of_a_service(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.name.startswith("prefect")


def _in_short(record: logging.LogRecord) -> str:
    """A warning without the traceback: Prefect warns of each connection that a server which is away has broken."""
    assert record.exc_info
    return f"{record.getMessage()} ({record.exc_info[0].__name__ if record.exc_info[0] else ''}: {record.exc_info[1]})"
