"""Conditions that a question states, read without a model.

* `periods`: 2023, March 2024, 2024年3月, last year, as days.
* `times`: after, before, between and in them.
* `values`: what is said of a field by its name or by a word for it, where the value is known.
* `reading`: all of them as one filter, and the question without them.
"""

from .reading import Condition, KnownField, SelfQuery, read_conditions

__all__ = ["Condition", "KnownField", "SelfQuery", "read_conditions"]
