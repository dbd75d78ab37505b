"""Tails and quantiles of the distributions behind every test, for numbers and arrays alike.

They are those of `scipy.stats`, whose import takes .6 s of each process; `scipy.special`, which computes them for it,
takes .1 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special


def normal_cdf(value: npt.ArrayLike) -> Any:
    """Share of a standard normal below `value`.

    >>> float(normal_cdf(0.0)), round(float(normal_cdf(1.96)), 3)
    (0.5, 0.975)
    """
    return special.ndtr(value)


def normal_quantile(share: npt.ArrayLike) -> Any:
    """Below which this share of a standard normal lies.

    >>> round(float(normal_quantile(0.975)), 2)
    1.96
    """
    return special.ndtri(share)


def t_tail(value: npt.ArrayLike, freedom: npt.ArrayLike) -> Any:
    """Share of Student's t with so many degrees of freedom above `value`, exact where it is tiny.

    >>> round(float(t_tail(2.228, 10)), 4), f"{float(t_tail(60.0, 10)):.1e}"
    (0.025, '2.0e-14')
    """
    return special.stdtr(freedom, np.negative(value))  # the law is symmetric


def t_point(level: npt.ArrayLike, freedom: npt.ArrayLike) -> Any:
    """Above which this share of Student's t lies; infinite for a share of nothing.

    >>> round(float(t_point(0.025, 10)), 3)
    2.228
    """
    return np.where(np.equal(level, 0), np.inf, -special.stdtrit(freedom, level))


def binomial_cdf(count: npt.ArrayLike, num_rows: npt.ArrayLike, share: npt.ArrayLike) -> Any:
    """Probability of at most `count` among `num_rows` of which each is one with probability `share`.

    >>> round(float(binomial_cdf(2, 4, 0.5)), 4), float(binomial_cdf(4, 4, 0.5))
    (0.6875, 1.0)
    """
    return special.bdtr(count, num_rows, share)


def beta_quantile(share: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike) -> Any:
    """Below which this share of a beta distribution lies.

    >>> round(float(beta_quantile(0.95, 1, 10)), 4)
    0.2589
    """
    return special.betaincinv(a, b, share)


def gamma_quantile(share: npt.ArrayLike, shape: npt.ArrayLike) -> Any:
    """Below which this share of a gamma distribution of scale 1 lies.

    >>> round(float(gamma_quantile(0.95, 1)), 3)
    2.996
    """
    return special.gammaincinv(shape, share)
