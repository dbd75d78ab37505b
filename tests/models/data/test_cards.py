"""The credit cards: three classes, in time order, without what another model has said of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from models.data.cards import CATEGORIES, LABEL, NUMBERS, Cards


@pytest.fixture(scope="module")
def applications() -> pd.DataFrame:
    return Cards()(datetime(2020, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC))


def test_every_application_is_there_once_in_time_order_with_its_card(applications: pd.DataFrame) -> None:
    assert len(applications) == 120_000
    assert applications["id"].is_unique
    assert applications["event_time"].is_monotonic_increasing
    assert set(applications[LABEL]) == {"prepaid_card", "highstreet_card", "upmarket_card"}
    assert applications[LABEL].value_counts(normalize=True).between(0.3, 0.36).all()


def test_nothing_that_a_model_has_said_is_a_column(applications: pd.DataFrame) -> None:
    assert [*applications.columns] == ["id", "event_time", *NUMBERS, *CATEGORIES, LABEL]


def test_applicants_are_others_in_november(applications: pd.DataFrame) -> None:
    is_late = applications["event_time"] >= pd.Timestamp("2020-11-02", tz="UTC")
    by_partner = applications["acq_channel"].isin(["Partner2"]).groupby(is_late).mean()
    assert by_partner[True] > 1.15 * by_partner[False]
