"""The schema: what is wrong is named with its file, key, value and what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from configs.gate import Guardrail
from configs.schema import Gate, Project, ProjectRef, Section, Training, Watch, _Loader, load
from configs.training import Search

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
MINIMAL: dict[str, Any] = {
    "name": "flights",
    "data": {
        "source": {"class_path": "models.data.flights.Flights"},
        "label": "late",
        "numbers": ["distance"],
        "categories": ["carrier"],
    },
    "schedule": {"start": date(2013, 1, 1), "first_champion": date(2013, 3, 1)},
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the smallest project with one key, given by its path, set to a value."""

    def written(place: str = "name", value: Any = "flights") -> Path:
        content = json.loads(json.dumps(MINIMAL, default=str))
        content["schedule"] = dict(MINIMAL["schedule"])
        *parents, last = place.split(".")
        block = content
        for key in parents:
            block = block.setdefault(key, {})
        if value is ...:
            del block[last]
        else:
            block[last] = value
        path = tmp_path / "project.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return written


def refused(path: Path, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(ValueError) as error:
        load(path, overrides)
    assert type(error.value) is ValueError
    return str(error.value)


def test_the_smallest_project_has_defaults_for_everything_else(write: Write) -> None:
    project = load(write())
    assert project.training == Training()
    assert (project.watch, project.gate) == (Watch(), Gate())
    assert project.data.features == ("distance", "carrier")
    assert project.data.timezone == "UTC"


def test_a_bare_date_and_a_time_without_a_zone_are_utc(write: Write) -> None:
    for value in (date(2013, 1, 1), datetime(2013, 1, 1), "2013-01-01T00:00:00Z"):
        assert load(write("schedule.start", value)).schedule.start == datetime(2013, 1, 1, tzinfo=UTC)
    assert load(write(), ("schedule.start=2013-01-01",)).schedule.start == datetime(2013, 1, 1, tzinfo=UTC)
    zoned = load(write("schedule.start", "2013-01-01T00:00:00-05:00")).schedule.start
    assert zoned == datetime(2013, 1, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("gate.alpha", 5, ["gate.alpha", "less than 0.5", "(found 5)"]),
        ("gate.alpha", 0, ["gate.alpha", "greater than 0", "(found 0)"]),
        ("gate.alpha", float("nan"), ["gate.alpha", "(found nan)"]),
        ("gate.alpha", "small", ["gate.alpha", "number", "(found 'small')"]),
        ("gate.min_gain", -0.1, ["gate.min_gain", "greater than or equal to 0", "(found -0.1)"]),
        ("gate.minima.groups", 3, ["gate.minima.groups", "greater than or equal to 10", "(found 3)"]),
        ("watch.quality.volume_ratio", 0.5, ["watch.quality.volume_ratio", "greater than 1", "(found 0.5)"]),
        ("training.epochs", 0, ["training.epochs", "greater than 0", "(found 0)"]),
        ("training.epochs", "3", ["training.epochs", "integer", "(found '3')"]),
        ("training.arms", [], ["training.arms", "at least 1", "(found [])"]),
        ("training.precision", "16", ["training.precision", "'auto', '32' or 'bf16'", "(found '16')"]),
        ("name", "My Project", ["name", "pattern", "(found 'My Project')"]),
        ("data.label", 3, ["data.label", "string", "(found 3)"]),
        ("data.numbers", "distance", ["data.numbers", "tuple", "(found 'distance')"]),
        ("data.timezone", "New York", ["data.timezone", "'New York' is not a time zone", "America/New_York"]),
        ("schedule.start", "yesterday", ["schedule.start", "datetime", "(found 'yesterday')"]),
        ("schedule.start", 2013, ["schedule.start", "a number is no time; write it as 2013-01-01", "(found 2013)"]),
        ("schedule.start", date(2014, 1, 1), ["schedule", "start=2014-01-01", "are not in that order"]),
        ("schedule.end", date(2013, 2, 1), ["schedule", "end=2013-02-01", "are not in that order"]),
        ("data.label", "distance", ["data", "column 'distance' is named twice; each column has one meaning"]),
        ("data.numbers", ["carrier"], ["data", "column 'carrier' is named twice"]),
        ("data.label_time", "event_time", ["data", "column 'event_time' is named twice"]),
        ("gate", None, ["gate", "(found None)"]),
        ("gate", [1], ["gate", "(found [1])"]),
    ],
)
def test_a_wrong_value_is_named_with_its_file_its_key_and_what_was_expected(
    write: Write, place: str, value: Any, expected: list[str]
) -> None:
    message = refused(write(place, value))
    assert "project.yaml is not a valid project:\n" in message
    for part in expected:
        assert part in message


def test_a_project_without_features_is_refused(write: Write) -> None:
    write("data.numbers", ...)
    message = refused(write("data", {"source": MINIMAL["data"]["source"], "label": "late"}))
    assert "data: no features; name at least one column under data.numbers or data.categories" in message


@pytest.mark.parametrize("place", ["name", "data", "data.label", "data.source", "schedule.start", "schedule"])
def test_a_missing_key_is_named(write: Write, place: str) -> None:
    assert f"\n  {place}: required, and not there" in refused(write(place, ...))


@pytest.mark.parametrize(
    ("place", "block"),
    [
        ("nmae", Project),
        ("gate.alhpa", Gate),
        ("watch.harmm", Watch),
        ("training.epoch", Training),
        ("training.search.trails", Search),
    ],
)
def test_a_misspelt_key_lists_the_keys_that_there_are(write: Write, place: str, block: type[BaseModel]) -> None:
    message = refused(write(place, 1))
    assert f"\n  {place}: unknown key; " in message
    assert message.endswith(" has " + ", ".join(block.model_fields))


def test_a_misspelt_key_of_a_component_lists_its_keys(write: Write) -> None:
    message = refused(write("data.source.args", {}))
    assert "data.source.args: unknown key; data.source has class_path, init_args" in message


@pytest.mark.parametrize(
    ("class_path", "expected"),
    [
        ("models.networks.nothing.MLP", "there is no module 'models.networks.nothing'; check the spelling and that"),
        ("nowhere.MLP", "there is no module 'nowhere'"),
        ("models.networks.mlp.MPL", "module 'models.networks.mlp' has no 'MPL'; it has "),
        ("MLP", "class_path='MLP' has no module; write it as package.module.ClassName"),
        ("models.networks.mlp", "class_path='models.networks.mlp'"),
        ("models.data.flights.NUMBERS", "class_path='models.data.flights.NUMBERS' is a tuple"),
        ("", "has no module"),
        (".MLP", "has no module"),
    ],
)
def test_a_class_path_that_names_no_class_is_refused(write: Write, class_path: str, expected: str) -> None:
    message = refused(write("training.network.class_path", class_path))
    assert "training.network: " in message
    assert expected in message


def test_an_argument_that_a_class_does_not_take_is_refused_with_those_that_it_takes(write: Write) -> None:
    network = {"class_path": "models.networks.mlp.MLP", "init_args": {"widht": 64, "deep": 2}}
    message = refused(write("training.network", network))
    assert "init_args of models.networks.mlp.MLP has 'deep', 'widht'; it takes inputs, width, depth" in message


def test_several_mistakes_are_told_at_once(write: Write) -> None:
    message = refused(write("gate.alpha", 5), ("training.epochs=0", "name=X"))
    assert all(f"\n  {place}: " in message for place in ("gate.alpha", "training.epochs", "name"))


def test_overrides_change_a_value_or_add_it(write: Write) -> None:
    arms = "training.arms=[{recipe: finetune, epochs: 7}]"
    overrides = ("gate.alpha=0.01", arms, "storage=elsewhere", "training.learning_rate=1e-4")
    path = write("training.network.class_path", "models.networks.tabm.TabM")
    project = load(path, (*overrides, "data.categories=[carrier, origin]", "training.network.init_args.width=8"))
    assert project.training.network.init_args == {"width": 8}
    assert project.gate.alpha == 0.01
    assert project.training.arms[0].init_args == {"epochs": 7}
    assert project.storage == "elsewhere"
    assert project.training.learning_rate == 1e-4
    assert project.data.categories == ("carrier", "origin")


def test_the_last_override_of_a_key_wins(write: Write) -> None:
    assert load(write(), ("gate.alpha=0.01", "gate.alpha=0.02")).gate.alpha == 0.02


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("gate.alpha", "--set 'gate.alpha' has no '='; write it as gate.alpha=0.01"),
        ("gate.alhpa=0.01", "gate.alhpa: unknown key; gate has primary, min_gain"),
        ("gat.alpha=0.01", "gat: unknown key; a project has name, data"),
        ("name.first=x", "--set 'name.first=x': 'name' is a value, not a block of keys"),
        ("gate.alpha=5", "gate.alpha: Input should be less than 0.5 (found 5)"),
        ("gate.alpha=[", "--set 'gate.alpha=['"),
        ("=1", "unknown key"),
    ],
)
def test_a_wrong_override_is_refused(write: Write, override: str, expected: str) -> None:
    assert expected in refused(write(), (override,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a: [", "project.yaml is not YAML: "), ("- a", "holds list, not the keys of a project"), ("", "holds NoneType")],
)
def test_a_file_that_is_no_project_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "project.yaml").write_text(text)
    assert expected in refused(tmp_path / "project.yaml")


@pytest.mark.parametrize(
    ("text", "name", "lines"),
    [
        ("name: a\ngate: {alpha: 0.1}\ngate: {min_gain: 0.2}\n", "gate", (2, 3)),
        ("name: a\ngate:\n  alpha: 0.1\n  alpha: 0.2\n", "alpha", (3, 4)),
    ],
)
def test_a_key_that_stands_twice_is_refused_and_both_lines_are_named(
    tmp_path: Path, text: str, name: str, lines: tuple[int, int]
) -> None:
    (tmp_path / "project.yaml").write_text(text)
    message = refused(tmp_path / "project.yaml")
    assert f"{name!r} stands first" in message and "delete one" in message
    assert [int(line) for line in re.findall(r"line (\d+)", message)] == list(lines)


def test_a_value_of_the_command_line_with_a_key_twice_is_refused(write: Write) -> None:
    assert "'alpha' stands first" in refused(write(), ("gate={alpha: 0.1, alpha: 0.2}",))


def test_an_anchor_may_be_merged_and_what_it_says_replaced_again_and_again() -> None:
    text = """
        base: &base {pool: x, limit: 1}
        outer: {inner: &inner {<<: *base, pool: y}}
        last: {<<: *inner, pool: z}
    """
    found = yaml.load(text, _Loader)
    assert found["outer"]["inner"] == {"pool": "y", "limit": 1}
    assert found["last"] == {"pool": "z", "limit": 1}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "nothing.yaml")
    assert message.endswith("nothing.yaml does not exist; name a project's YAML such as configs/flights.yaml")
    assert "does not exist" in refused(tmp_path)


def test_the_embargo_is_the_label_delay_unless_it_is_given(write: Write) -> None:
    assert load(write("data.label_delay_days", 3)).embargo_days == 3
    assert load(write("data.label_delay_days", 3), ("gate.embargo_days=0",)).embargo_days == 0


def test_a_flow_takes_a_path_a_project_and_what_json_makes_of_it(write: Write) -> None:
    adapter, path = TypeAdapter(ProjectRef), write()
    project = load(path)
    assert adapter.validate_python(path) == adapter.validate_python(str(path)) == project
    assert adapter.validate_python(project) == project
    assert adapter.validate_json(json.dumps(str(path))) == project
    assert adapter.json_schema()["type"] == "string"  # what a form of the UI asks for
    with pytest.raises(ValueError, match="does not exist"):
        adapter.validate_python("nothing.yaml")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_each_configuration_survives_json(path: Path) -> None:
    project = load(path)
    assert TypeAdapter(ProjectRef).validate_python(project.model_dump(mode="json")) == project
    assert Project.model_validate_json(project.model_dump_json()) == project


@given(alpha=st.floats(1e-6, 0.499), gain=st.floats(0, 1), epochs=st.integers(1, 10_000), ratio=st.floats(0, 100))
@settings(deadline=None, max_examples=40)
def test_what_can_be_written_comes_back(alpha: float, gain: float, epochs: int, ratio: float) -> None:
    content = MINIMAL | {
        "gate": {"alpha": alpha, "min_gain": gain},
        "training": {"epochs": epochs, "arms": [{"recipe": "finetune", "ratio": ratio}]},
    }
    project = Project.model_validate(yaml.safe_load(yaml.safe_dump(content)))
    assert (project.gate.alpha, project.gate.min_gain) == (alpha, gain)
    assert (project.training.epochs, project.training.arms[0].init_args) == (epochs, {"ratio": ratio})
    assert Project.model_validate_json(project.model_dump_json()) == project


def test_a_project_cannot_be_changed(write: Write) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(write()).gate.alpha = 0.5  # type: ignore[misc]


def test_every_block_is_closed_and_frozen() -> None:
    blocks = _kinds_of(Section)
    assert {Project, Gate, Guardrail} < blocks
    for block in blocks:
        assert block.model_config.get("extra") == "forbid"
        assert block.model_config.get("frozen")
        assert block.model_config.get("strict")


def _kinds_of(block: type[BaseModel]) -> set[type[BaseModel]]:
    return {each for kind in block.__subclasses__() for each in (kind, *_kinds_of(kind))}


def test_texts_cannot_be_streamed_which_is_told_when_the_yaml_is_read(write: Write) -> None:
    streamed = "training.memory_mib=512"
    assert load(write(), (streamed,)).training.memory_mib == 512
    assert load(write()).training.memory_mib is None
    network = "training.network={class_path: models.networks.text.TextClassifier, init_args: {backbone: some/model}}"
    texts = ("data.texts=[comment]", "data.numbers=[]", "data.categories=[]", network)
    load(write(), texts)
    said = refused(write(), (streamed, *texts))
    assert "training.memory_mib=512: texts are not streamed; leave training.memory_mib out" in said
    assert "training.memory_mib" in refused(write(), ("training.memory_mib=0",))
