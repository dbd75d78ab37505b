"""What a holdout could show, said before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.distributions import normal_cdf, normal_quantile, t_point

POWER = 0.8  # the chance of showing a real gain for which a holdout is said to be large enough
USUAL_RATIO = 0.3  # error of a gain to that of the champion's own value, before any gain was measured
REMEMBERED = 5  # so many latest decisions say what the ratio is


@dataclass(frozen=True)
class Outlook:
    """What could be shown on so many rows at a level with power 0.8.

    `standard_error` is the one expected of the gain: the champion's own, by the `ratio` that earlier decisions had. It
    is None when it is not known, as where one group holds all rows of a class. `smallest_gain` is None when nothing
    could be shown, however large.
    """

    num_rows: int
    num_groups: int
    level: float
    standard_error: float | None
    ratio: float
    smallest_gain: float | None

    def rows_missing(self, gain: float) -> int | None:
        """Mature labels needed beyond those at hand to show a true `gain`; 0 when there are enough, None: not known."""
        if self.smallest_gain is None:
            return None
        return max(0, math.ceil(self.num_rows * (self.smallest_gain / gain) ** 2) - self.num_rows)


def chance_to_hold(margin: float, errors: Sequence[float], level: float) -> float | None:
    """How often a challenger that is just as good would be shown to be no worse than a margin; None: never tried.

    Args:
        margin: how much worse it may be.
        errors: standard errors of the gain in earlier tests, oldest first; the median of the last ones stands for the
            next.
        level: of the test.

    >>> round(chance_to_hold(0.0004, [0.0037], 0.05), 2), chance_to_hold(0.0004, [], 0.05)
    (0.06, None)
    """
    if not errors or not (error := float(np.median(errors[-REMEMBERED:]))):
        return None
    return float(normal_cdf(margin / error - normal_quantile(1 - level)))


def outlook(
    champion_error: float | None, num_rows: int, num_groups: int, level: float, ratios: Sequence[float]
) -> Outlook:
    """What a holdout could show of a challenger that does not exist yet.

    The error of a gain is that of the difference of two models' influence values: sqrt(2 (1 - r)) times the champion's
    own when they are alike and correlated by r. The median of the last ratios that were seen stands for the factor, or
    .3 (r = .955) where none was.

    Args:
        champion_error: standard error of the champion's own value on the holdout, with the gate's groups; None or
            infinite when it is not known.
        num_rows, num_groups: of the holdout.
        level: of the coming test; 0 shows nothing.
        ratios: error of the gain to the champion's own in earlier decisions, oldest first.
    """
    ratio = float(np.median(ratios[-REMEMBERED:])) if ratios else USUAL_RATIO
    error = None if champion_error is None or not math.isfinite(champion_error) else ratio * champion_error
    # Sign flips of G groups cannot give a smaller p than 2^-G, nor a t-test of one group any.
    can_show = num_groups > 1 and level >= 2.0**-num_groups
    smallest = None
    if can_show and error is not None:
        smallest = float(t_point(level, num_groups - 1) + normal_quantile(POWER)) * error
    return Outlook(num_rows, num_groups, level, error, ratio, smallest)


def rows_needed(standard_error: float, num_rows: int, gain: float, level: float) -> int:
    """Holdout rows that would show a true `gain` at `level` with power 0.8: n * ((z_a + z_b) * se / gain)^2.

    >>> rows_needed(standard_error=0.01, num_rows=1000, gain=0.01, level=0.05)
    6183
    """
    return math.ceil(num_rows * ((normal_quantile(1 - level) + normal_quantile(POWER)) * standard_error / gain) ** 2)
