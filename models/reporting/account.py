"""The error budget as a person reads it: what the tests so far have spent, and what the next one may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.registry.log import Entry
from models.reporting import wording
from models.reporting.evidence import finite, section


@dataclass(frozen=True)
class Account:
    """The ledger at one moment; None is what the entry does not state."""

    rule: str
    alpha: float | None
    ceiling: float | None
    num_tests: float | None
    num_promotions: float | None
    spent: float | None
    next_level: float | None

    @property
    def counted_tests(self) -> str:
        """How many tests there were, in words."""
        return f"{wording.counted(self.num_tests, 'tests')} so far"

    @property
    def expected_false(self) -> str:
        """How many false promotions were to be expected, had no challenger been better."""
        is_small = self.spent is not None and self.spent < 0.1
        return wording.level(self.spent) if is_small else wording.decimals(self.spent, 2)

    @property
    def next_level_words(self) -> str:
        """The level of the next test, or that there is none."""
        is_beyond = None not in (self.ceiling, self.spent, self.next_level) and (
            (self.spent or 0.0) + (self.next_level or 0.0) > (self.ceiling or 0.0) * (1 + 1e-9)
        )
        if self.next_level == 0:
            return "none is left"
        return f"{wording.level(self.next_level)}{', beyond the ceiling: used up' if is_beyond else ''}"

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """Names and values, as a table of one column."""
        return [
            ("tests against a champion", [wording.count(self.num_tests)]),
            ("promotions among them", [wording.count(self.num_promotions)]),
            ("expected number of false promotions, had none been better", [self.expected_false]),
            ("level of the next test", [self.next_level_words]),
        ]

    @property
    def rule_words(self) -> str:
        """The rule by which levels are set."""
        alpha = wording.level(self.alpha)
        said = {
            "fixed": f"Each test has level {alpha}. The number of false promotions has no bound, but it is counted.",
            "spending": (
                f"The levels fall from test to test, so that the chance of a false promotion, ever, is at most {alpha}."
            ),
            "lord": (
                "The levels fall from test to test and rise after a promotion (LORD++), so that the share of false "
                f"ones among the promotions is expected to be at most {alpha}."
            ),
        }.get(self.rule, f"The rule is called {self.rule}.")
        ceiling = f" A person is asked at {wording.level(self.ceiling)} expected false promotions."
        return said + (ceiling if self.ceiling is not None else "")


@dataclass(frozen=True)
class Statement:
    """What a decision cost: the account before its test, and after it."""

    before: Account | None
    after: Account | None
    note: str

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """Name and the value in each column of the table."""
        accounts = [account for account in (self.before, self.after) if account]
        if not accounts:
            return []
        columns = [account.rows for account in accounts]
        return [(row[0][0], [values[0] for _, values in row]) for row in zip(*columns, strict=True)]

    @property
    def columns(self) -> list[str]:
        """Heads of the columns of `rows`."""
        return ["Before this test", "After it"] if self.after else ["At this time"]

    @property
    def rule(self) -> str | None:
        """The rule in words."""
        account = self.after or self.before
        return account.rule_words if account else None


def statement(entry: Entry) -> Statement | None:
    """What an entry says of the error budget; None when it says nothing and there is nothing to say."""
    budget = section(entry.evidence, "budget")
    before, after = _account(section(budget, "before")), _account(section(budget, "after"))
    note = _note(entry, before, after)
    return Statement(before, after, note) if before or after or note else None


def latest(entries: Sequence[Entry]) -> Account | None:
    """The account after the last test against a champion, None when there was no such test."""
    found = (_account(section(section(entry.evidence, "budget"), "after")) for entry in reversed(entries))
    return next((account for account in found if account), None)


def _account(ledger: Mapping[str, Any]) -> Account | None:
    if not ledger:
        return None
    numbers = ("alpha", "ceiling", "num_tests", "num_promotions", "spent", "next_level")
    return Account(str(ledger.get("rule", "not stated")), **{name: finite(ledger, name) for name in numbers})


def _note(entry: Entry, before: Account | None, after: Account | None) -> str:
    judgement = section(entry.evidence, "judgement")
    if entry.kind in ("overridden", "rolled_back", "approved", "refused", "expired"):
        return "No test was made: this spends nothing of the error budget, and gives nothing back."
    if judgement and not judgement.get("tests"):
        return "No test was made, so nothing was spent."
    if judgement and entry.against is None:
        return "A first champion replaces nobody: its test spends nothing of the error budget."
    if entry.kind == "declined":
        return "Nothing was trained or tested, so nothing was spent." if before else ""
    if before is None or after is None:
        return ""
    own = finite(judgement, "level")
    this = (
        f"This test had level {wording.level(before.next_level)}: its chance to promote a challenger that is no better."
    )
    if own is None or before.next_level is None or abs(own - before.next_level) < 1e-12:
        return this
    return f"{this} Several challengers were tried, and this one's share of it was {wording.level(own)} (Holm)."
