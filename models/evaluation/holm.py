"""Several tests of which any may claim something: the level of each (Holm 1979)."""

from __future__ import annotations

from collections.abc import Sequence


def holm_levels(p_values: Sequence[float], level: float) -> list[float]:
    """The level for each of several tests, so that any false claim among them has at most `level` (Holm 1979).

    The smallest of m p values is tested at level / m, the next at level / (m - 1), and so on until one is not below
    its level; those after it get the level at which it stopped, which none of them can meet.

    >>> holm_levels([0.04, 0.01], level=0.05)
    [0.05, 0.025]
    >>> holm_levels([0.04, 0.03], level=0.05)
    [0.025, 0.025]
    """
    levels, has_stopped, current = [0.0] * len(p_values), False, level / max(len(p_values), 1)
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        if not has_stopped:
            current = level / (len(p_values) - rank)
            has_stopped = p_values[position] > current
        levels[position] = current
    return levels
