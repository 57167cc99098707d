"""The sandbox's images: what goes into them, and how their root file system is made without a registry."""

from __future__ import annotations

from .recipe import DATA_IMAGE, DEFAULT_IMAGE, RECIPES, Recipe, recipe_named

__all__ = ["DATA_IMAGE", "DEFAULT_IMAGE", "RECIPES", "Recipe", "recipe_named"]
