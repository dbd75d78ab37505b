"""Records of looks: read back as they were, and those of the first form as far as they go."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from models.monitoring.watches import Watches
from tests.places import Place

REALISED = ("num_rows", "num_groups", "log_loss", "auc", "reference_log_loss", "reference_auc", "rise", "p_value")
FIRST_FORM = {
    "as_of": "2025-04-12T00:00:00+00:00",
    "start": "2025-03-29T00:00:00+00:00",
    "champion": "20250315-0123456789",
    "num_rows": 2_100,
    "evidence": {
        "quality": [
            {"name": "missing share", "column": "age", "found": 0.9, "limit": 0.2, "is_broken": True},
            {"name": "rows a day", "column": None, "found": 150.0, "limit": 450.0, "is_broken": False},
        ],
        "drift": [{"column": "age", "distance": 0.4, "has_moved": True}],
        "estimate": {"auc": 0.7, "lower": 0.6, "upper": 0.8, "reference": 0.72},
        "realised": dict.fromkeys(REALISED, 0.5),
        "labelled_share": 0.95,
        "mismatch_share": 0.0,
    },
    "diagnosis": {"verdict": "broken_feed", "reason": "The feed is not what the champion was trained on."},
}


def test_a_record_that_was_written_before_days_were_watched_keeps_its_verdict(place: Place) -> None:
    storage = place.storage()
    storage.create("watches/own/20250412T000000.000000Z.json", json.dumps(FIRST_FORM).encode())
    [found] = Watches(storage, "own").backwards(datetime(2026, 1, 1, tzinfo=UTC))
    assert found.diagnosis.forbids_retrain
    assert found.champion == "20250315-0123456789"
    assert [check.is_broken for check in found.evidence.quality] == [True, False]
    assert found.evidence.labelled_share == 0.95
    assert found.series == ()
