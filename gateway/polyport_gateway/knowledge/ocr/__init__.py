"""Recognition of text in pictures: Chinese and English, on the processor, with models that come with the package.

`recognise` gives the words of a page in points, in the frame of the upright page, as `layout` takes them. The pages are
turned and straightened first, and the lines of tables found and taken away before the text is read.
"""

from .budget import Pace, stop_reading_at
from .engine import is_installed
from .recognition import Recognised, recognise

__all__ = ["Pace", "Recognised", "is_installed", "recognise", "stop_reading_at"]
