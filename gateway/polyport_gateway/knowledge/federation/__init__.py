"""Many knowledge bases as one: which of them a question is for, asked side by side, one ranking of what they find.

::

    profiles → routing    what each base is about → the bases that a question is for
    gathering             their shelves asked at the same time, the slow and the failed left out
    fusion                one ranking, each text once
"""

from .centroids import Centroids
from .fusion import Answer, fuse, on_one_scale
from .gathering import Deadline, Gatherer, Part
from .profiles import Profile
from .routing import Route, Router, Routing, shares

__all__ = [
    "Answer",
    "Centroids",
    "Deadline",
    "Gatherer",
    "Part",
    "Profile",
    "Route",
    "Router",
    "Routing",
    "fuse",
    "on_one_scale",
    "shares",
]
