"""From shifted rows to another champion without a hand: a real server, a process worker, and how long each step took.

    python -m benchmarks.unattended [--database sqlite postgres] [--output FILE]

A small project is put on a server by `flows.deploy` and gets its first champion. Then rows come whose labels follow
another rule, and the clock is played: `score` and `watch` are run by the worker for the moment after. From there on
nobody does anything. The watch sends its event, the automation starts `retrain`, the worker runs it, the gate decides,
and the champion changes. Worker and server are set as Prefect sets them: a worker asks for runs every ten seconds.

The server keeps its state in SQLite, and then in a PostgreSQL of its own. One JSON object comes last: for each the
seconds from the event to the run being there, to its first line, and to the new champion.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import postgres, small_project
from benchmarks.parts import machine, write
from benchmarks.site import OVER, Site
from benchmarks.work import rounded, seconds_between
from configs import events
from models.registry.registry import Registry

DATABASES = ("sqlite", "postgres")
POOL = "unattended"
CHANGE_DAY, LAST_DAY = 50, 75
AFTER = small_project.START + timedelta(days=LAST_DAY)
STEP_SECONDS = 300.0

Found = TypeVar("Found")


def main() -> None:
    """Tell the story on each database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unattended", description=str(__doc__).splitlines()[0])
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=DATABASES, help="both by default")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to a file too")
    arguments = parser.parse_args()
    found = {}
    for database in arguments.database:
        with tempfile.TemporaryDirectory(prefix="perennial-unattended-") as folder:
            found[database] = run(Path(folder), database)
        print(f"{database}: {found[database]}", file=sys.stderr, flush=True)
    text = json.dumps(rounded({"benchmark": "unattended", **found, "machine": machine()}))
    if arguments.output:
        write(arguments.output, text + "\n")
    print(text)


def run(folder: Path, database: str) -> dict[str, Any]:
    """The whole story in an empty folder.

    Raises:
        TimeoutError: when a step does not come about.
    """
    with site_on(folder, database) as site:
        return told(site)


@contextmanager
def site_on(folder: Path, database: str, query_seconds: int | None = None) -> Iterator[Site]:
    """A site with a server on a database of its own, which ends with the block."""
    with _database(database) as url:
        site = Site(folder, database=url, query_seconds=query_seconds)
        try:
            site.start_server()
            yield site
        finally:
            site.close()


def told(site: Site) -> dict[str, Any]:
    """Deploy, wait for the first champion, let the shift come, and see what the site does by itself."""
    rows = small_project.rows(LAST_DAY, change_day=CHANGE_DAY)
    (site.folder / "rows").mkdir()
    is_early = rows["event_time"] < rows["event_time"].iloc[0].floor("D") + timedelta(days=CHANGE_DAY)
    rows[is_early].to_parquet(site.folder / "rows" / "early.parquet", index=False)
    path = small_project.write_yaml(site.folder)
    site.command("deploy", path.name, "--pool", POOL)
    site.start_worker(POOL)
    ids, registry = site.deployments(), Registry.open(site.folder / ".perennial", small_project.NAME)
    _ended(site, ids["retrain-churn"], small_project.FIRST)
    first = registry.log.read().champion
    assert first, "nothing has shifted, and no champion came"

    rows[~is_early].to_parquet(site.folder / "rows" / "late.parquet", index=False)
    for flow in ("score", "watch"):
        _ended(site, ids[f"{flow}-churn"], AFTER)
    event = _soon(lambda: _wanted(site), "the watch did not ask for a retrain")
    started = _soon(lambda: _begun(site, ids["retrain-churn"]), "no retrain was begun")
    champion = _soon(lambda: _other_than(registry, first), "the champion did not change")
    entry = registry.log.read().entries[-1]
    return {
        "verdict": event["payload"]["wanted"],
        "decision": entry.kind,
        "trigger": entry.evidence["trigger"],
        "champions": [first, champion],
        "seconds_to_run": seconds_between(event["occurred"], started["created"]),
        "seconds_to_first_line": seconds_between(event["occurred"], started["start_time"]),
        "seconds_to_champion": seconds_between(event["occurred"], entry.recorded_at),
    }


@contextmanager
def _database(database: str) -> Iterator[str]:
    if database == "sqlite":
        yield ""
        return
    with postgres.running() as url:
        yield url


def _ended(site: Site, deployment: str, as_of: datetime) -> None:
    """Have the worker run a deployment for a moment, to a good end."""
    run = site.begin(deployment, as_of=as_of.isoformat())
    state = _soon(lambda: site.states()[run] if site.states()[run] in OVER else None, f"run {run} did not end")
    assert state == "COMPLETED", f"run {run} ended as {state}: see {site.folder}"


def _wanted(site: Site) -> dict[str, Any] | None:
    found = site.ask("events/filter", filter={"event": {"name": [events.RETRAIN_WANTED]}})["events"]
    return found[0] if found else None


def _begun(site: Site, deployment: str) -> dict[str, Any] | None:
    """The run of retrain that an automation has made, once its first line was reached."""
    runs = site.ask("flow_runs/filter", deployments={"id": {"any_": [deployment]}})
    asked = [run for run in runs if not run["auto_scheduled"] and "trigger" in run["parameters"]]
    return next((run for run in asked if run["start_time"]), None)


def _other_than(registry: Registry, champion: str) -> str | None:
    now = registry.log.read().champion
    return now if now != champion else None


def _soon(question: Callable[[], Found | None], otherwise: str) -> Found:
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        if (answer := question()) is not None:
            return answer
        time.sleep(0.2)
    raise TimeoutError(f"{otherwise} in {STEP_SECONDS:g} s")


if __name__ == "__main__":
    main()
