"""Texts that are trees, JSON, YAML and XML, and how they are cut so that chunks are subtrees."""

from __future__ import annotations

from .jsontree import json_tree
from .tree import Node, Piece, cut_tree
from .xmltree import xml_tree
from .yamltree import yaml_tree

__all__ = ["Node", "Piece", "cut_tree", "json_tree", "xml_tree", "yaml_tree"]
