"""A person's word against the gate: that it holds at once, who gave it, and what it cannot do."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from flows.override import override
from flows.retrain import retrain
from flows.rollback import rollback
from flows.score import score
from models.registry.versions import VersionId
from tests import own_project
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
Here = Callable[..., CompletedProcess[str]]
WHY = ("--by", "Ada", "--reason", "it was right at the weekend")


def test_an_older_version_is_champion_at_once_and_the_same_command_twice_is_one_entry(
    own: Own, prefect_here: Shell, here: Here
) -> None:
    own.add_rows(own_project.later_customers())
    before = own.registry.log.read()
    [rejected] = [entry.version for entry in before.entries if entry.kind == "rejected"]
    command = ("override", "churn.yaml", "--version", str(rejected), "--answer", "promoted", *WHY)
    runs = [here(*command), here(*command)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    state = own.registry.log.read()
    assert state.champion == rejected
    assert state.entries[:-1] == before.entries
    entry = state.entries[-1]
    assert (entry.kind, entry.version, entry.against) == ("overridden", rejected, before.champion)
    assert entry.evidence == {"by": "Ada", "answer": "promoted", "said": "it was right at the weekend"}
    assert entry.reason == f"Ada promoted {rejected} against the gate: it was right at the weekend"
    assert runs[0].stdout == runs[1].stdout == f"overridden {rejected}  {entry.reason}\n"
    assert (own.folder / f".perennial/reports/churn/decision-{entry.sequence:08}.html").exists()

    batch = score(own.project, day("2025-05-25"))
    assert set(own.registry.predictions.read(batch)["version"]) == {rejected}
    shown = here("status", "churn.yaml", "--last", "1").stdout
    assert f"champion {rejected}" in shown
    assert "overridden" in shown and "Ada" in shown


def test_a_refused_champion_gives_way_to_the_one_before_and_never_comes_back_by_itself(
    own: Own, prefect_here: Shell, here: Here
) -> None:
    first, second, third = own.registry.log.read().promotions
    refused = here("override", "churn.yaml", "--version", second, "--answer", "refused", *WHY)
    assert refused.returncode == 0, refused.stderr
    assert own.registry.log.read().champion == third, "what was refused was not in force"
    assert rollback(own.project).version == first, "and is passed over"
    override(own.project, VersionId(third), "promoted", "Ada", "the shop was wrong")
    entry = override(own.project, VersionId(third), "refused", "Bob", "the shop was right")
    state = own.registry.log.read()
    assert (state.champion, state.refused) == (first, {second, third})
    assert entry.against == third
    last = here("override", "churn.yaml", "--version", first, "--answer", "refused", *WHY)
    assert last.returncode == 2
    assert f"{first} is the only champion that churn has ever had" in last.stderr
    assert own.registry.log.read() == state


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--version", "20990101-0123456789", "--answer", "promoted", *WHY), ("there is no version '20990101-",)),
        (
            ("--version", "x", "--answer", "promoted", "--by", " ", "--reason", "so"),
            ("by=' '", "the name of who decides"),
        ),
        (("--version", "x", "--answer", "promoted", "--by", "Ada", "--reason", ""), ("reason=''", "and a reason")),
        (("--version", "x", "--answer", "rejected", *WHY), ("--answer", "'rejected'", "'promoted', 'refused'")),
        (("--version", "x", "--answer", "promoted", "--by", "Ada"), ("required: --reason",)),
    ],
)
def test_an_override_that_cannot_be_is_one_message_and_no_entry(
    own: Own, prefect_here: Shell, here: Here, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    before = own.registry.log.read()
    run = here("override", "churn.yaml", *arguments)
    assert run.returncode == 2
    assert [word for word in words if word not in run.stderr] == []
    assert run.stderr.count("error: ") == 1
    assert "Traceback" not in run.stdout + run.stderr
    assert own.registry.log.read() == before


def test_what_a_person_refused_is_not_promoted_by_the_gate_and_costs_nothing(own: Own, prefect_here: Shell) -> None:
    *_, trained, promoted = own.registry.log.read().entries
    own.forget_after(trained.sequence + 1)  # trained and not judged yet
    for page in (own.folder / ".perennial/reports/churn").glob(f"decision-{promoted.sequence:08}.*"):
        page.unlink()
    override(own.project, VersionId(str(trained.version)), "refused", "Ada", "it knows the future")
    entry = retrain(own.project, as_of=day("2025-04-26"))
    assert (entry.kind, entry.version) == ("inconclusive", trained.version)
    assert entry.reason == f"{trained.version} was refused by a person."
    assert entry.evidence["judgement"]["tests"] == [] and "budget" not in entry.evidence
    assert own.registry.log.read().champion == promoted.against


def test_a_first_champion_may_be_a_persons_word(fresh: Own, prefect_here: Shell, here: Here) -> None:
    project = fresh.having("gate.first.min_auc=0.99")
    refused = retrain(project, as_of=day("2025-02-15"))
    assert (refused.kind, refused.against) == ("rejected", None)
    override(project, refused.version, "promoted", "Ada", "we have to begin with something")
    assert fresh.registry.log.read().first_champion == refused.version
    assert score(project, day("2025-03-01")) is None, "it scores from the moment on at which it was promoted"
    assert "the first one" in here("status", "churn.yaml").stdout
    judged = retrain(project, as_of=day("2025-03-15"))
    assert judged.against == refused.version
    assert judged.evidence["budget"]["before"]["num_tests"] == 0
