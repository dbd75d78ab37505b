"""Components: a class of the user's own, found and checked by its import path."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from configs.component import Component, NetworkComponent, SourceComponent, resolve
from configs.schema import Data, Training

OWN = """
import torch


class Line(torch.nn.Module):
    def __init__(self, inputs, slope: float = 1.0, *, offset: float = 0.0):
        super().__init__()
        self.inputs, self.slope, self.offset = inputs, slope, offset


def make_line(inputs, **settings):
    return Line(inputs, **settings)


class Table:
    def __init__(self, name: str, rows: int = 3):
        self.rows = range(int(rows))


def nothing():
    return None


NUMBER = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that lies somewhere on the path."""
    (tmp_path / "own_component.py").write_text(OWN)
    (tmp_path / "own_broken.py").write_text("import something_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "own_component"


def test_a_users_own_class_is_built_with_our_arguments_first(own: str) -> None:
    line = Component(class_path=f"{own}.Line", init_args={"slope": 2.0, "offset": 1.0}).build("ours")
    assert (line.inputs, line.slope, line.offset) == ("ours", 2.0, 1.0)


def test_a_function_can_stand_in_for_a_class_and_take_anything(own: str) -> None:
    assert Component(class_path=f"{own}.make_line", init_args={"slope": 3.0}).build("ours").slope == 3


def test_each_build_is_a_new_instance(own: str) -> None:
    component = Component(class_path=f"{own}.Line")
    assert component.build("ours") is not component.build("ours")


def test_a_misspelt_argument_is_refused_with_those_that_there_are(own: str) -> None:
    with pytest.raises(
        ValidationError, match=r"init_args of own_component\.Line has 'slop'; it takes inputs, slope, of"
    ):
        Component(class_path=f"{own}.Line", init_args={"slop": 2.0})


@pytest.mark.parametrize(
    ("kind", "name", "init_args", "message"),
    [
        (SourceComponent, "Table", {}, r"init_args of own_component\.Table: missing .* 'name'; .* may have name, rows"),
        (
            SourceComponent,
            "Line",
            {},
            "argument: 'inputs'; init_args may have inputs, slope, offset",
        ),
        (
            NetworkComponent,
            "Line",
            {"inputs": 3},
            "values for argument 'inputs'; init_args may have slope, offset",
        ),
        (NetworkComponent, "make_line", {"inputs": 3}, r"for argument 'inputs'; init_args may have \*\*settings"),
        (
            NetworkComponent,
            "nothing",
            {},
            "too many positional arguments; init_args may have nothing, and the first argument comes",
        ),
    ],
)
def test_arguments_are_checked_against_what_the_class_will_be_called_with(
    own: str, kind: object, name: str, init_args: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(kind).validate_python({"class_path": f"{own}.{name}", "init_args": init_args})


@pytest.mark.parametrize(
    ("kind", "name", "init_args"),
    [
        (SourceComponent, "Table", {"name": "customers"}),
        (SourceComponent, "nothing", {}),
        (NetworkComponent, "Line", {"offset": 1.0}),
        (NetworkComponent, "make_line", {"slope": 1.0}),
    ],
)
def test_what_can_be_called_is_accepted(own: str, kind: object, name: str, init_args: dict[str, object]) -> None:
    TypeAdapter(kind).validate_python({"class_path": f"{own}.{name}", "init_args": init_args})


def test_a_project_is_checked_for_both(own: str) -> None:
    with pytest.raises(ValidationError, match=r"models\.data\.source\.Parquet: missing .* 'path'; .* path, time"):
        Data.model_validate({"source": {"class_path": "models.data.source.Parquet"}, "label": "y", "numbers": ["x"]})
    with pytest.raises(ValidationError, match="multiple values for argument 'inputs'"):
        Training.model_validate({"network": {"class_path": f"{own}.Line", "init_args": {"inputs": 1}}})


@pytest.mark.parametrize(
    ("init_args", "message"),
    [
        (
            {"name": "a", "rows": "three"},
            r"own_component\.Table cannot be built with .*'three'.*: invalid literal",
        ),
        ({"name": "a", "rows": [1]}, r"own_component\.Table cannot be built with .*'rows': \[1\].*: int\(\) argument"),
        ({}, r"own_component\.Table cannot be built with init_args={}: .* missing 1 required .* 'name'"),
    ],
)
def test_what_the_constructor_refuses_is_told_with_what_it_was_given(
    own: str, init_args: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Component(class_path=f"{own}.Table", init_args=init_args).build()


def test_a_class_without_a_signature_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"class_path='builtins\.dict': no signature found"):
        Component(class_path="builtins.dict")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_component.Circle", "module 'own_component' has no 'Circle'; it has Line"),
        ("own_component.NUMBER", r"class_path='own_component\.NUMBER' is a int, and cannot be called"),
        ("own_broken.Line", "there is no module 'something_not_installed'"),
        ("own_missing.Line", "there is no module 'own_missing'"),
        ("os.path", r"class_path='os\.path' is a module, and cannot be called; write it as package\.module\.ClassName"),
    ],
)
def test_what_cannot_be_built_is_refused(own: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(name)
    with pytest.raises(ValidationError, match=message):
        Component(class_path=name)


def test_the_class_is_not_built_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "class Loud:\n    def __init__(self):\n        raise RuntimeError('built')\n"
    (tmp_path / "own_loud.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    component = Component(class_path="own_loud.Loud")
    with pytest.raises(RuntimeError, match="built"):
        component.build()
