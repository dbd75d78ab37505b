"""A decision as a person reads it: what was asked, what was answered and by whom, and what it was worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from models.registry.log import Entry
from models.reporting import wording
from models.reporting.evidence import Finding, findings, finite, section, sentences, tally, urgent_first

ANSWERS = {
    "registered": "Trained",
    "promoted": "Promoted",
    "rejected": "Rejected",
    "inconclusive": "Inconclusive",
    "declined": "Declined",
    "rolled_back": "Rolled back",
    "awaiting": "Awaiting approval",
    "approved": "Approved",
    "refused": "Refused",
    "expired": "Approval expired",
}
MOST_NAMES = 5  # of tests that do not hold, in one sentence
STAR = "★"  # stands with every override, for whoever does not see colours


@dataclass(frozen=True)
class Override:
    """A person's word against the gate."""

    by: str
    answer: str
    why: str

    @property
    def words(self) -> str:
        """Who did what."""
        return f"{self.answer.capitalize()} by {self.by}, against the gate"


@dataclass(frozen=True)
class Gain:
    """What the challenger won in the primary metric; `corrected` for having been promoted because it was large."""

    test: Finding
    corrected: float | None

    @property
    def sentence(self) -> str:
        """The gain that was measured and where the true one is expected."""
        test = self.test
        measured = f"The gain in {test.metric} that was measured is {test.difference(test.gain)}"
        if test.champion is not None and test.challenger is not None:
            measured += f", from {test.plain(test.champion)} to {test.value(test.challenger)}"
        if not test.is_tested or not test.confidence:
            return f"{measured}."
        return (
            f"{measured}. The true one is expected from {test.signed(test.lower)} to {test.difference(test.upper)}: "
            f"{100 * (1 - test.confidence):.3g} of 100 such intervals miss it."
        )

    @property
    def correction(self) -> str | None:
        """What is left of it once luck is taken off, for a promotion."""
        if self.corrected is None:
            return None
        left = f"Corrected for that, {self.test.difference(self.corrected)} is what to reckon with"
        if self.corrected <= 0:
            left += ", so all of it may have been luck"
        return (
            "A challenger is promoted because its gain came out large, and some of what comes out large is luck (the "
            f"winner's curse). {left}."
        )


@dataclass(frozen=True)
class Decision:
    """One entry of the log, of a project."""

    entry: Entry
    project: str

    @cached_property
    def tests(self) -> tuple[Finding, ...]:
        """All tests, in the order of the gate."""
        return findings(self.entry)

    @property
    def primary(self) -> Finding | None:
        """The test of being better, when one was made."""
        return next((test for test in self.tests if test.kind == "superiority"), None)

    @property
    def by_urgency(self) -> list[Finding]:
        """All tests: the first of the gate, then what does not hold, then what does."""
        return [*self.tests[:1], *urgent_first(self.tests[1:])]

    @property
    def told(self) -> str:
        """How the tests came out, and the names of those that do not hold."""
        if not self.tests:
            return "No test was made."
        said = f"{wording.counted(len(self.tests), 'tests')}: {tally([test.verdict for test in self.tests])}."
        names = [test.title for test in urgent_first(self.tests) if test.verdict != "holds"]
        if not names:
            return said
        more = [f"{len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
        return f"{said} What does not hold: {wording.listed([*names[:MOST_NAMES], *more])}."

    @property
    def override(self) -> Override | None:
        """Whose word it is, when it is a person's."""
        if self.entry.kind != "overridden":
            return None
        said = self.entry.evidence
        by, answer = str(said.get("by") or "a person"), str(said.get("answer") or "decided")
        return Override(by, answer, str(said.get("said") or self.entry.reason))

    @property
    def question(self) -> str:
        """What was decided, as a question."""
        entry, project = self.entry, self.project
        if entry.kind == "rolled_back":
            return f"Should the last promotion of {project} be taken back?"
        if entry.kind == "declined" or entry.version is None:
            return f"Should a challenger for {project} be trained?"
        if entry.kind == "registered":
            return f"Which challenger was trained for {project}?"
        if entry.kind == "overridden" and entry.evidence.get("answer") == "refused":
            return (
                f"May {entry.version} {'stay' if entry.version == entry.against else 'be'} the champion of {project}?"
            )
        if entry.against is None:
            return f"Is {entry.version} good enough to be the first champion of {project}?"
        return f"Should {entry.version} replace {entry.against} as the champion of {project}?"

    @property
    def answer(self) -> str:
        """The answer in few words, and whose it is when it is not the gate's."""
        return self.override.words if self.override else ANSWERS.get(self.entry.kind, wording.words(self.entry.kind))

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        return f"Reason given: {self.override.why}" if self.override else self.entry.reason

    @property
    def gain(self) -> Gain | None:
        """What was won, when it was tested."""
        corrected = finite(section(self.entry.evidence, "judgement"), "shrunk_gain")
        if self.primary is None or self.primary.gain is None:
            return None
        return Gain(self.primary, corrected if self.entry.kind == "promoted" else None)

    @property
    def would_change(self) -> list[str]:
        """What would have to be otherwise for another answer, a sentence each."""
        return sentences(section(self.entry.evidence, "judgement"), "would_change")

    @property
    def foreseen(self) -> str | None:
        """What was known before the training of what the test could show."""
        outlook = section(self.entry.evidence, "outlook")
        level, smallest = finite(outlook, "level"), finite(outlook, "smallest_gain")
        if level is None:
            return None
        rows = wording.counted(finite(outlook, "num_rows"), "rows")
        where = (
            f"Before anything was trained, {rows} were at hand to judge on, for a test at level {wording.level(level)}"
        )
        if smallest is None:
            return f"{where}: nothing could have been shown on them, however large the gain."
        shown = self.primary.difference(smallest) if self.primary else wording.decimals(smallest, 4, sign="+")
        return f"{where}: a true gain of {shown} or more would be shown in 8 of 10 cases (power 0.8)."
