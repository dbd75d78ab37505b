"""Numbers of the business: any expression over columns, by day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.monitoring.business import Business, daily, names_in

ROWS = pd.DataFrame(
    {
        "shown": [10.0, 30.0, 20.0, 0.0],
        "clicked": [1.0, 0.0, 4.0, 0.0],
        "late": [1.0, 0.0, np.nan, 1.0],
    }
)
DAYS = np.array([1, 1, 2, 3])


def test_a_ratio_is_one_of_sums_and_not_a_mean_of_ratios() -> None:
    assert daily(Business("ctr", "clicked", "shown"), ROWS, DAYS, "late") == {1: 1 / 40, 2: 4 / 20}


def test_without_a_denominator_it_is_the_mean_over_rows() -> None:
    assert daily(Business("clicks", "clicked * 2"), ROWS, DAYS, "late") == {1: 1.0, 2: 8.0, 3: 0.0}


def test_an_expression_of_the_label_counts_labelled_rows_alone() -> None:
    assert daily(Business("cost", "10 * late"), ROWS, DAYS, "late") == {1: 5.0, 3: 10.0}


@pytest.mark.parametrize(
    ("business", "message"),
    [
        (Business("ctr", "clicked / missing"), "watch.business ctr: 'clicked / missing' gives no numbers"),
        (Business("ctr", "clicked", "'text'"), "watch.business ctr: \"'text'\" gives no numbers"),
    ],
)
def test_what_gives_no_number_is_refused_by_name(business: Business, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        daily(business, ROWS, DAYS, "late")


def test_the_columns_of_an_expression_are_its_names() -> None:
    assert names_in("(shown - clicked) * (late == 0)") == {"shown", "clicked", "late"}
    with pytest.raises(ValueError, match="is no expression"):
        names_in("clicked /")
    assert Business("ctr", "clicked", "shown").columns == {"clicked", "shown"}
