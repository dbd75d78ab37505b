"""What a YAML may say of texts and images."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.schema import Project, load
from tests import own_project


def project(folder: Path, features: str, network: str) -> Project:
    text = own_project.YAML.replace("  numbers: [age, usage]\n  categories: [plan]\n", features)
    assert text != own_project.YAML
    own = "{class_path: own_network.Linear, init_args: {hidden: 16}}"
    assert own in text
    (folder / "own.yaml").write_text(text.replace(own, "{" + network + "}"))
    return load(folder / "own.yaml")


TEXT = "class_path: models.networks.text.TextClassifier, init_args: {backbone: some/model}"
IMAGE = "class_path: models.networks.image.ImageClassifier, init_args: {backbone: some/model}"


def test_texts_and_an_image_are_features(tmp_path: Path) -> None:
    assert project(tmp_path, "  texts: [title, body]\n", TEXT).data.features == ("title", "body")
    data = project(tmp_path, "  images: [photo]\n  image_folder: photos\n", IMAGE).data
    assert (data.features, data.image_size) == (("photo",), None)


@pytest.mark.parametrize(
    "features",
    [
        "  texts: [body]\n  numbers: [age]\n",
        "  texts: [body]\n  images: [photo]\n",
        "  images: [photo, other]\n",
        "  images: [photo]\n  categories: [plan]\n",
    ],
)
def test_several_kinds_of_features_are_refused(tmp_path: Path, features: str) -> None:
    with pytest.raises(ValueError, match=r"features are \w+, \w+; a project has a table .* and not yet several"):
        project(tmp_path, features, TEXT)


def test_a_network_for_tables_is_refused_for_texts_when_the_yaml_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"models.networks.mlp.MLP is for tables; name models.networks.text"):
        project(tmp_path, "  texts: [body]\n", "class_path: models.networks.mlp.MLP, init_args: {}")


def test_a_column_is_not_text_and_image_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="column 'churned' is named twice"):
        project(tmp_path, "  texts: [churned]\n", TEXT)
