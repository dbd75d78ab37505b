"""Ways to make a challenger, by name, each from ingredients that are one small file with its reference."""

from models.training.recipes.catalogue import NAMES, Recipe, recipe
from models.training.recipes.cooking import Columns, Trained, cook
from models.training.recipes.ingredient import Ingredient, Material
from models.training.recipes.streamed import StreamedMaterial, StreamedWindow

__all__ = [
    "NAMES",
    "Columns",
    "Ingredient",
    "Material",
    "Recipe",
    "StreamedMaterial",
    "StreamedWindow",
    "Trained",
    "cook",
    "recipe",
]
