"""Rolling back: one command, and the next score already uses the champion that was put back."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from flows.retrain import retrain
from flows.rollback import rollback
from tests import own_project
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow


def test_rollback_is_one_command_and_the_next_score_uses_the_previous_champion(own: Own, shell: Shell) -> None:
    own.add_rows(own_project.later_customers())
    before = own.registry.log.read()
    rolled = shell.run(own.folder, "rollback", "churn.yaml", "--reason", "complaints from the shop")
    scored = shell.run(own.folder, "score", "churn.yaml", "--as-of", "2025-05-25")
    assert (rolled.returncode, scored.returncode) == (0, 0), rolled.stderr + scored.stderr
    state, batch = own.registry.log.read(), own.registry.predictions.last()
    assert state.champion == before.previous_champion
    assert state.entries[-1].kind == "rolled_back"
    assert state.entries[-1].reason == "complaints from the shop"
    assert state.entries[-1].against == before.champion
    assert batch.version == before.previous_champion
    assert set(own.registry.predictions.read(batch)["version"]) == {before.previous_champion}
    assert f"scored by {before.previous_champion}" in scored.stdout
    assert rolled.stdout.startswith(f"rolled_back {before.previous_champion}")


def test_each_rollback_takes_back_one_more_until_there_is_none(
    own: Own, prefect_here: Shell, here: Callable[..., CompletedProcess[str]]
) -> None:
    promotions = own.registry.log.read().promotions
    assert len(promotions) >= 3
    put_back = [rollback(own.project).version for _ in promotions[1:]]
    assert put_back == list(reversed(promotions[:-1]))
    refused = here("rollback", "churn.yaml")
    assert refused.returncode == 2
    assert f"churn has no champion before {promotions[0]}" in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    assert own.registry.log.read().champion == promotions[0]


def test_a_rollback_has_a_page_too(own: Own, prefect_here: Shell) -> None:
    entry = rollback(own.project, reason="the shop complained")
    page = own.folder / f".perennial/reports/churn/decision-{entry.sequence:08}.html"
    assert "the shop complained" in page.read_text()


def test_a_retrain_after_a_rollback_decides_against_the_champion_that_was_put_back(
    own: Own, prefect_here: Shell
) -> None:
    own.add_rows(own_project.later_customers())
    taken_back = own.registry.log.read().champion
    restored = rollback(own.project).version
    entry = retrain(own.project, as_of=day("2025-05-25"))
    assert entry.kind in ("promoted", "rejected", "inconclusive")
    assert entry.against == restored != taken_back
    assert own.registry.versions.lineage(entry.version)["parent"] == restored


def test_a_rollback_of_a_named_version_takes_it_back_once(own: Own, prefect_here: Shell) -> None:
    champion, previous = own.registry.log.read().champion, own.registry.log.read().previous_champion
    first = rollback(own.project, reason="odd scores", of=champion)
    assert rollback(own.project, reason="odd scores", of=champion) == first
    assert own.registry.log.read().champion == previous
    with pytest.raises(ValueError, match="is not the champion of churn"):
        rollback(own.project, of="20990101-0123456789")
