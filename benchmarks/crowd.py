"""Many projects on one server, each with its watch every minute: what is missed, doubled or late, and what one costs.

    python -m benchmarks.crowd [--projects 20] [--minutes 10] [--at-once 3] [--cold] [--database sqlite|postgres]
        [--output FILE]

Each project has rows of sixty days until now, a champion, and a deployment by `flows.deploy` whose `watch` has the cron
of every minute. One worker runs them all on this machine, so many at once, in processes that have imported beforehand
or in new interpreters (`--cold`). Each project has to have one finished run and one record for each minute. Runs that
come late are waited for, twice as long as was counted.

One JSON object comes last: `missed` and `doubled` are what is to be zero; `late_seconds` says how long after its minute
a run had its first line, `cpu_seconds_a_watch` what the whole machine spent for one, server and worker included, and
`projects_that_fit` how many projects with such a watch would keep all cores busy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import small_project
from benchmarks.parts import machine, write
from benchmarks.site import OVER, Site
from benchmarks.unattended import DATABASES, site_on
from benchmarks.work import rounded, seconds_between
from models.monitoring.watches import Watches
from models.registry.registry import Registry

POOL = "crowd"
NUM_DAYS = 60
HEAD_START = 20  # seconds for the worker to begin
PAGE = 200  # runs that a server tells of at once
DEPLOY = """\
deploy:
  watch: "* * * * *"
  score: null
  baseline: null
  cpu: &pool {{pool: {pool}, limit: {limit}, job_variables: {variables}}}
  gpu: *pool
"""
COLD = {"command": f"{sys.executable} -m prefect.engine"}


def main() -> None:
    """Count, or be the process that prepares the projects."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=str(__doc__).splitlines()[0])
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=3, help="runs of the pool")
    parser.add_argument("--cold", action="store_true", help="runs in new interpreters")
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to a file too")
    parser.add_argument("--prepare", nargs="+", metavar="YAML", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare(arguments.prepare)
        return
    with TemporaryDirectory(prefix="perennial-crowd-") as name, site_on(Path(name), arguments.database) as site:
        found = run(site, arguments.projects, arguments.minutes, arguments.at_once, arguments.cold)
    text = json.dumps(rounded({"benchmark": "crowd", **found, "database": arguments.database, "machine": machine()}))
    if arguments.output:
        write(arguments.output, text + "\n")
    print(text)


def run(site: Site, num_projects: int, num_minutes: int, at_once: int, is_cold: bool) -> dict[str, Any]:
    """Put the projects on the site's server, and count what so many minutes bring."""
    names = [f"shop-{number:02}" for number in range(num_projects)]
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=NUM_DAYS)
    (site.folder / "rows").mkdir()
    rows = small_project.rows(NUM_DAYS + 1, start=start, change_day=NUM_DAYS + 1)
    rows.to_parquet(site.folder / "rows" / "all.parquet", index=False)
    more = DEPLOY.format(pool=POOL, limit=at_once, variables=json.dumps(COLD if is_cold else {}))
    paths = [small_project.write_yaml(site.folder, name, start, more).name for name in names]
    site.run("benchmarks.crowd", "--prepare", *paths)
    for path in paths:
        site.command("deploy", path)
    deployments = site.deployments()
    ids = {deployments[f"watch-{name}"]: name for name in names}
    first = (datetime.now(UTC) + timedelta(seconds=HEAD_START + 60)).replace(second=0, microsecond=0)
    last = first + timedelta(minutes=num_minutes)
    _sleep_until(first - timedelta(seconds=HEAD_START))
    for run_id in [each["id"] for each in _runs(site, ids, first - timedelta(hours=1), first)]:
        site.forget(run_id)  # what was due before anybody could work on it
    site.start_worker(POOL)
    _sleep_until(first)
    busy, begun = _busy_seconds(), time.monotonic()
    _sleep_until(last)
    spent, passed = _busy_seconds() - busy, time.monotonic() - begun
    done = [each for each in _runs(site, ids, first, last) if each["state_type"] == "COMPLETED"]
    ended = [each for each in _runs(site, ids, first - timedelta(hours=1), last) if _ended_within(each, first, last)]
    behind = num_projects * num_minutes - len(done)
    runs = _all_over(site, ids, first, last, num_minutes)
    return counted(site, ids, runs, first, num_minutes) | {
        "projects": num_projects,
        "minutes": num_minutes,
        "at_once": at_once,
        "is_warm": not is_cold,
        "behind_at_the_end": behind,
        "cpu_seconds_a_watch": spent / max(1, len(ended)),
        "projects_that_fit": 60 * (os.cpu_count() or 1) * len(ended) / spent if spent else None,
        "busy_share": spent / passed / (os.cpu_count() or 1),
    }


def counted(
    site: Site, ids: dict[str, str], runs: list[dict[str, Any]], first: datetime, num_minutes: int
) -> dict[str, Any]:
    """What is missing, double and late among the runs that were expected from `first` on."""
    minutes = [first + timedelta(minutes=number) for number in range(num_minutes)]
    due = Counter((ids[each["deployment_id"]], _moment(each["expected_start_time"])) for each in runs)
    good = {
        (ids[each["deployment_id"]], _moment(each["expected_start_time"]))
        for each in runs
        if each["state_type"] == "COMPLETED"
    }
    expected = {(name, minute) for name in ids.values() for minute in minutes}
    kept = {
        (name, minute)
        for name in ids.values()
        for minute in minutes
        if Watches(Registry.open(site.folder / ".perennial", name).storage, name).find(minute)
    }
    late = [seconds_between(each["expected_start_time"], each["start_time"]) for each in runs if each["start_time"]]
    return {
        "missed": len(expected - good),
        "doubled": sum(number - 1 for number in due.values()),
        "without_a_record": len(good - kept),
        "states": dict(Counter(each["state_type"] for each in runs)),
        "late_seconds": {  # none where the server has stopped and nothing has begun
            "median": float(np.median(late)),
            "p95": float(np.quantile(late, 0.95)),
            "most": max(late),
        }
        if late
        else None,
    }


def prepare(paths: list[str]) -> None:
    """A champion and scored rows for each project, in this process."""
    from configs.schema import load
    from flows import embedded
    from flows.lines import quieten
    from flows.retrain import retrain
    from flows.score import score

    quieten()
    embedded.wait()
    now = datetime.now(UTC)
    for path in paths:
        project = load(path)
        retrain(project, project.schedule.first_champion)
        score(project, now)


def _all_over(
    site: Site, ids: dict[str, str], first: datetime, last: datetime, num_minutes: int
) -> list[dict[str, Any]]:
    """The runs that were expected in the minutes counted, once all are over or the patience is."""
    deadline = time.monotonic() + 2 * 60 * num_minutes
    while True:
        runs = _runs(site, ids, first, last)
        if all(each["state_type"] in OVER for each in runs) or time.monotonic() > deadline:
            return sorted(runs, key=lambda each: str(each["expected_start_time"]))
        time.sleep(5)


def _runs(site: Site, ids: dict[str, str], first: datetime, last: datetime) -> list[dict[str, Any]]:
    """All runs that were expected in `[first, last)`."""
    about = {
        "deployments": {"id": {"any_": list(ids)}},
        "flow_runs": {
            "expected_start_time": {"after_": first.isoformat(), "before_": (last - timedelta(seconds=1)).isoformat()}
        },
    }
    found: list[dict[str, Any]] = []
    while page := site.ask("flow_runs/filter", limit=PAGE, offset=len(found), sort="ID_DESC", **about):
        found += page
    return found


def _sleep_until(moment: datetime) -> None:
    print(f"until {moment:%H:%M:%S} UTC", file=sys.stderr, flush=True)
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def _ended_within(run: dict[str, Any], first: datetime, last: datetime) -> bool:
    return bool(run["end_time"]) and first <= datetime.fromisoformat(run["end_time"]) < last


def _busy_seconds() -> float:
    """CPU seconds that all cores have worked since the machine began, in any process."""
    user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


if __name__ == "__main__":
    main()
