"""Approval by a person: nothing is promoted before it, it is said once, and a question does not wait for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from subprocess import CompletedProcess

import pytest

from configs.schema import Project
from flows.approve import approve
from flows.override import override
from flows.replay import replay
from flows.retrain import retrain
from models.registry import history
from models.registry.log import Entry
from models.registry.versions import VersionId
from tasks import approve as approve_module
from tasks.approve import close_questions, expire_approvals, until, waiting_for
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
Here = Callable[..., CompletedProcess[str]]
SECOND_CHAMPION = 6  # entries until then
AS_OF = day("2025-04-26")


@pytest.fixture
def cautious(own: Own) -> Project:
    """The project before its last promotion, which now asks for a person."""
    own.forget_after(SECOND_CHAMPION)
    text = (own.folder / "churn.yaml").read_text()
    (own.folder / "churn.yaml").write_text(text.replace("gate: {", "gate: {approval: required, "))
    return own.having()


def test_what_passes_the_gate_waits_for_a_person_and_the_command_completes_it_once(
    own: Own, cautious: Project, prefect_here: Shell, here: Here
) -> None:
    before = own.registry.log.read()
    waiting = retrain(cautious, as_of=AS_OF)
    state = own.registry.log.read()
    assert (waiting.kind, state.champion, state.awaiting) == ("awaiting", before.champion, [waiting])
    assert waiting.evidence["judgement"]["answer"] == "promoted"
    assert len(history.tested(state)) == len(history.tested(before)) + 1, "the test has spent its level"
    assert retrain(cautious, as_of=AS_OF) == waiting, "and is not made again"
    assert f"{waiting.version} waits for a person" in here("status", "churn.yaml").stdout

    command = ("approve", "churn.yaml", "--by", "Ada", "--reason", "looked at the worst rows")
    first = here(*command)
    assert first.returncode == 0, first.stderr
    state = own.registry.log.read()
    entry = state.entries[-1]
    assert (entry.kind, entry.version, state.champion) == ("approved", waiting.version, waiting.version)
    assert entry.reason == f"Ada approved {waiting.version}: looked at the worst rows"
    assert entry.evidence == {"by": "Ada", "said": "looked at the worst rows", "of": waiting.sequence}
    assert len(history.tested(state)) == len(history.tested(before)) + 1, "a person's word spends nothing"
    again = here(*command, "--of", str(waiting.version), "--answer", "refuse")
    assert again.stdout == first.stdout and own.registry.log.read() == state, "the first word holds"
    assert retrain(cautious, as_of=AS_OF) == entry
    page = (own.folder / f".perennial/reports/churn/decision-{entry.sequence:08}.html").read_text()
    assert "Approved" in page and "Ada" in page


def test_what_a_person_refuses_is_not_promoted_and_not_asked_about_again(
    own: Own, cautious: Project, prefect_here: Shell
) -> None:
    before = own.registry.log.read().champion
    waiting = retrain(cautious, as_of=AS_OF)
    entry = approve(cautious, "Ada", "the night shift is worse off", answer="refuse")
    state = own.registry.log.read()
    assert (entry.kind, state.champion, state.refused) == ("refused", before, {waiting.version})
    assert state.awaiting == []
    assert retrain(cautious, as_of=AS_OF) == entry


def test_a_champion_that_changes_meanwhile_is_judged_against_before_anybody_is_asked_again(
    own: Own, cautious: Project, prefect_here: Shell
) -> None:
    waiting = retrain(cautious, as_of=AS_OF)
    [rejected] = [entry.version for entry in own.decisions() if entry.kind == "rejected"]
    override(cautious, VersionId(str(rejected)), "promoted", "Bob", "an emergency")
    entry = approve(cautious, "Ada", "fine")
    kinds = [each.kind for each in own.decisions()[-4:]]
    assert kinds == ["awaiting", "overridden", "expired", entry.kind]
    expired = own.decisions()[-2]
    assert f"by now {rejected} is champion" in expired.reason
    assert entry.against == rejected and entry.version == waiting.version, "the same challenger, not trained again"
    assert entry.attempt == f"{waiting.attempt}, again after {expired.sequence}"
    assert retrain(cautious, as_of=AS_OF) == entry


def test_a_question_that_nobody_answers_expires_and_says_so(
    own: Own, cautious: Project, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = own.registry.log.read().champion
    waiting = retrain(cautious, as_of=AS_OF)
    assert until(waiting) - approve_module.now() == pytest.approx(timedelta(days=7), abs=timedelta(minutes=5))
    assert expire_approvals(cautious) == []
    monkeypatch.setattr(approve_module, "now", lambda: until(waiting))
    close_questions.fn(cautious)
    assert own.decisions()[-1].kind == "expired"
    late = approve(cautious, "Ada", "back from holidays", of=str(waiting.version))
    assert late.kind == "expired" and late.reason.startswith(f"Nobody approved {waiting.version} until ")
    assert own.registry.log.read().champion == before
    assert expire_approvals(cautious) == [], "once"
    assert retrain(cautious, as_of=AS_OF) == late


def test_who_is_asked_about_must_be_clear(own: Own, cautious: Project, prefect_here: Shell) -> None:
    with pytest.raises(ValueError, match="nothing waits for a person"):
        waiting_for(cautious, None)
    first, second = retrain(cautious, as_of=AS_OF), retrain(cautious, as_of=AS_OF + timedelta(days=3))
    assert first.kind == second.kind == "awaiting"
    with pytest.raises(ValueError, match=f"{first.version}, {second.version} wait for a person; name one with --of"):
        waiting_for(cautious, None)
    assert waiting_for(cautious, str(first.version)) == first
    with pytest.raises(ValueError, match="of='nobody' has never waited for a person"):
        waiting_for(cautious, "nobody")
    with pytest.raises(ValueError, match="needs the name of who decides, and a reason"):
        approve(cautious, " ", "because", of=str(first.version))


def test_a_replay_asks_nobody(fresh: Own, prefect_here: Shell) -> None:
    year = replay(fresh.having("gate.approval=required", "schedule.end=2025-03-10"))
    answers: list[Entry] = fresh.decisions()
    assert answers[0].kind == "promoted" and year.periods
