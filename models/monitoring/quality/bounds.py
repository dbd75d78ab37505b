"""How large a count must be before chance is no excuse: one level for every check."""

from __future__ import annotations

from models.distributions import beta_quantile, gamma_quantile

LEVEL = 1e-4  # some 30 columns x 14 days a look, a look a day: a false alarm by chance alone about once a month at most


def share_at_least(count: int, rows: int) -> float:
    """Exact lower confidence bound of a share (Clopper & Pearson, Biometrika 1934).

    >>> share_at_least(0, 10), share_at_least(20, 20) < 0.64
    (0.0, True)
    """
    return float(beta_quantile(LEVEL, count, rows - count + 1)) if count else 0.0


def share_at_most(count: int, rows: int) -> float:
    """Exact upper confidence bound of a share (Clopper & Pearson, Biometrika 1934)."""
    return float(beta_quantile(1 - LEVEL, count + 1, rows - count)) if count < rows else 1.0


def mean_at_least(count: int) -> float:
    """Exact lower confidence bound of a Poisson mean (Garwood, Biometrika 1936)."""
    return float(gamma_quantile(LEVEL, count)) if count else 0.0


def mean_at_most(count: int) -> float:
    """Exact upper confidence bound of a Poisson mean (Garwood, Biometrika 1936).

    >>> round(mean_at_most(0), 1)
    9.2
    """
    return float(gamma_quantile(1 - LEVEL, count + 1))
