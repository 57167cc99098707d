"""What a page is made of, from where its words stand. Pure geometry: no PDF, no image, no model.

A reader says what stands on a page, in points from its top left corner, and gets it back in reading order as regions:
headings, paragraphs, list items, code, captions, footnotes, tables with their grids, pictures::

    page = PageContent(
        width=595, height=842,
        words=(Word("Tea", Box(72, 72, 100, 90), size=18, bold=True), Word("Hot.", Box(72, 100, 95, 110), size=10)),
        rulings=(), pictures=(),
    )
    regions = arrange(page)                                  # list[TextRegion | TableRegion | PictureRegion]
    looks = [look for region in regions if (look := look_of(region))]
    levels = heading_levels(looks)                           # over all pages of a document, if it has several
    for region in regions:
        builder.add(block_of(region, page=1, heading_level=levels.get(look_of(region), 1)))

For recognised text a `Word` may be as much of a line as was recognised, with its ``confidence``; its ``size`` is about
the height of its box. ``rulings`` are the lines that were seen in the image. A table that has none is found by how its
words are aligned.
"""

from .arrange import arrange
from .blocks import block_of
from .columns import Flow, continues, flow_of
from .content import PageContent, PictureBox, Ruling, Word
from .flow import code_text, joined, running_text
from .headings import Look, body_size, heading_levels, look_of, numbered_level
from .lines import Line, lines_of
from .regions import CellRegion, PictureRegion, Region, TableRegion, TextRegion

__all__ = [
    "CellRegion",
    "Flow",
    "Line",
    "Look",
    "PageContent",
    "PictureBox",
    "PictureRegion",
    "Region",
    "Ruling",
    "TableRegion",
    "TextRegion",
    "Word",
    "arrange",
    "block_of",
    "body_size",
    "code_text",
    "continues",
    "flow_of",
    "heading_levels",
    "joined",
    "lines_of",
    "look_of",
    "numbered_level",
    "running_text",
]
