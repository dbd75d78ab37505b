"""What is checked before a server is changed, because Prefect would drop it without a word or fail much later."""

from __future__ import annotations

from collections.abc import Iterable

from configs.schema import Project
from tasks.deploying.found import Found
from tasks.deploying.pieces import Kind, Piece, by_key
from tasks.deploying.pools import OURS, check_job_variables


def check(project: Project, wanted: Iterable[Piece], found: Found) -> list[str]:
    """Refuse a plan that cannot work, and return what is worth a word although it works.

    Raises:
        ValueError: for a pool of another type than the YAML says, or for job variables that its template does not know.
    """
    pieces, there = by_key(wanted), by_key(found.pieces)
    notes: list[str] = []
    for block, pool in (("deploy.cpu", project.deploy.cpu), ("deploy.gpu", project.deploy.gpu)):
        key: tuple[Kind, str] = ("work pool", pool.pool)
        values = pieces[key].values
        base, hint = values["base_job_template"], ""
        if key in there:
            server = there[key].values
            if server["type"] != pool.type:
                raise ValueError(
                    f"{block}.type is {pool.type!r}, and the work pool {pool.pool!r} on the server is of type "
                    f"{server['type']!r}; correct the type, or name another pool under {block}.pool"
                )
            if not str(server["description"] or "").startswith(OURS):
                base = server["base_job_template"]
                notes.append(f"The work pool {pool.pool} was made by hand: its base job template is left as it is.")
                hint = (
                    "; its template is not the one shipped here, since this command has not made it: a worker does, "
                    "when it is started before there is a pool. If nothing else needs it as it is, end its workers, "
                    f"run `prefect work-pool delete {pool.pool}` (its queues go too), and deploy before they start"
                )
        for piece in pieces.values():
            if piece.kind == "deployment" and piece.values["work_pool_name"] == pool.pool:
                try:
                    check_job_variables(block, pool, piece.values["job_variables"], base)
                except ValueError as error:
                    raise ValueError(f"{error}{hint}") from None
    if not project.deploy.notify:
        notes.append("Nobody is alerted: deploy.notify names no notification block, such as slack-webhook/on-call.")
    return list(dict.fromkeys(notes))
