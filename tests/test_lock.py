"""The pinned dependencies: complete on every Python that the project runs on, not only on that of who pinned them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "requirements.lock").read_text().splitlines()
LOCK = [Requirement(line) for line in LINES if line.strip() and not line.startswith("#")]
PYTHONS = ("3.11.0", "3.11.2", "3.11.3", "3.11.14", "3.12.0", "3.12.12")
# The Makefile says why: nannyml declares what nothing here calls, and torch is installed with what it asks for.
LEFT_OUT = ("nannyml", "torch")


def applies(requirement: Requirement, python: str) -> bool:
    environment = dict(default_environment()) | {"extra": ""}
    environment |= {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def asked_for(python: str) -> Iterator[tuple[str, Requirement]]:
    """What each library of the lock asks for without an extra, on a Python."""
    for each in LOCK:
        try:
            needs = distribution(each.name).requires or []
        except PackageNotFoundError:  # for another Python than this one
            continue
        for need in map(Requirement, needs):
            if each.name not in LEFT_OUT and applies(need, python):
                yield each.name, need


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_what_its_libraries_ask_for(python: str) -> None:
    locked = {canonicalize_name(each.name): each.specifier for each in LOCK if applies(each, python)}
    for library, need in asked_for(python):
        pinned = locked.get(canonicalize_name(need.name))
        assert pinned is not None, f"{library} asks for {need} on Python {python}"
        [version] = [each.version for each in pinned]
        assert need.specifier.contains(version, prereleases=True), f"{library} asks for {need}; {version} is pinned"


def test_every_pin_is_of_one_version() -> None:
    assert all(str(each.specifier).startswith("==") and each.specifier != SpecifierSet() for each in LOCK)
