"""What the arguments of a trigger may be."""

from __future__ import annotations

import math
from typing import Any


def check_positive(name: str, value: Any, is_whole: bool = False) -> None:
    """Refuse what is not a finite number above 0, and with `is_whole` what is not a whole one."""
    kinds = int if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{name}={value!r} means nothing; give a {'whole ' if is_whole else ''}number above 0")
