"""A series goes on where the last look has left it, as long as its reference is the same."""

from __future__ import annotations

from models.monitoring.series import LONGEST, Series

QUIET = Series("auc", "AUC", "down", 0.25, 0.02, (0.7, 0.72))


def test_days_stay_in_order_and_a_corrected_day_counts_once() -> None:
    found = QUIET.extended({"2025-01-02": 0.6, "2025-01-01": 0.7}).extended({"2025-01-02": 0.65, "2025-01-03": 0.5})
    assert found.days == ("2025-01-01", "2025-01-02", "2025-01-03")
    assert found.values == (0.7, 0.65, 0.5)
    assert found.last == 0.5
    assert QUIET.last is None


def test_it_continues_what_an_earlier_look_has_seen() -> None:
    earlier = QUIET.extended({"2025-01-01": 0.7, "2025-01-02": 0.6})
    now = QUIET.extended({"2025-01-02": 0.61, "2025-01-03": 0.5})
    assert now.continued(earlier).values == (0.7, 0.61, 0.5)
    assert now.continued(None) == now


def test_another_reference_is_another_series() -> None:
    earlier = Series("auc", "AUC", "down", 0.25, 0.02, (0.8, 0.82)).extended({"2025-01-01": 0.7})
    now = QUIET.extended({"2025-01-03": 0.5})
    assert now.continued(earlier) == now


def test_it_does_not_grow_for_ever() -> None:
    found = QUIET.extended({f"{day:06}": 0.5 for day in range(LONGEST + 10)})
    assert len(found.days) == LONGEST
    assert found.days[-1] == f"{LONGEST + 9:06}"
