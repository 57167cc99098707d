"""Charts: the numbers they were drawn from, as a table.

Those of DrawingML (ECMA-376 part 1, section 21.2), and those that came with Office 2016 ([MS-ODRAWXML], section 2.24),
such as waterfalls and treemaps.
"""

from __future__ import annotations

from polyport_gateway.knowledge.documents import Cell, Provenance, Table, TableGrid

from .xml import Element, local

__all__ = ["chart_table"]

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_CX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_MOST_POINTS = 100_000


def chart_table(root: Element, provenance: Provenance) -> Table | None:
    """Read a chart part's cached values; a column for each series, a row for each category.

    Returns:
        None when it caches no values.
    """
    if root.tag == _CX + "chartSpace":
        return _newer_chart(root, provenance)
    series = list(root.iter(_C + "ser"))
    names = [_label(entry.find(_C + "tx")) or f"Series {number}" for number, entry in enumerate(series, 1)]
    categories: dict[int, str] = {}
    values: list[dict[int, str]] = []
    for entry in series:
        found = _points(entry.find(_C + "cat"), entry.find(_C + "xVal"))
        categories = {**found, **categories}
        values.append(_points(entry.find(_C + "val"), entry.find(_C + "yVal")))
    return _table(names, categories, values, _caption(root), provenance)


def _table(
    names: list[str],
    categories: dict[int, str],
    values: list[dict[int, str]],
    caption: str,
    provenance: Provenance,
) -> Table | None:
    indices = sorted(set(categories).union(*values))
    if not indices:
        return None
    cells = [Cell(0, 0, column_header=True)]
    cells += [Cell(0, column, text=name, column_header=True) for column, name in enumerate(names, 1)]
    for row, index in enumerate(indices, 1):
        cells.append(Cell(row, 0, text=categories.get(index, ""), row_header=True))
        cells += [Cell(row, column, text=points[index]) for column, points in enumerate(values, 1) if index in points]
    grid = TableGrid(len(indices) + 1, len(names) + 1, tuple(cells))
    return Table(grid=grid, caption=caption, provenance=provenance)


def _newer_chart(root: Element, provenance: Provenance) -> Table | None:
    data = {entry.get("id", ""): entry for entry in root.iter(_CX + "data")}
    names: list[str] = []
    categories: dict[int, str] = {}
    values: list[dict[int, str]] = []
    kinds: list[str] = []
    for number, series in enumerate(root.iter(_CX + "series"), 1):
        reference = series.find(_CX + "dataId")
        entry = data.get("" if reference is None else reference.get("val", ""))
        if entry is None:
            continue
        name = series.find(_CX + "tx")
        written = "" if name is None else "".join(part.text or "" for part in name.iter(_CX + "v"))
        names.append(written or f"Series {number}")
        kinds.append(series.get("layoutId", ""))
        categories = {**_levels(entry, "strDim"), **categories}
        values.append(_levels(entry, "numDim"))
    title = root.find(f"{_CX}chart/{_CX}title")
    shown = "" if title is None else "".join(part.text or "" for part in title.iter(_A + "t"))
    kind = f"{kinds[0].capitalize()} chart" if kinds and kinds[0] else "Chart"
    return _table(names, categories, values, f"{kind}: {shown}" if shown else kind, provenance)


def _levels(entry: Element, name: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for level in entry.iterfind(f"{_CX}{name}/{_CX}lvl"):
        for point in level.findall(_CX + "pt"):
            index, text = point.get("idx", ""), (point.text or "").strip()
            if index.isdecimal() and len(found) < _MOST_POINTS:
                found[int(index)] = f"{text} {found[int(index)]}" if int(index) in found else text
    return found


def _caption(root: Element) -> str:
    plot = root.find(f"{_C}chart/{_C}plotArea")
    kinds = [] if plot is None else [local(child) for child in plot if local(child).endswith("Chart")]
    kind = f"{kinds[0].removesuffix('Chart').removesuffix('3D').capitalize()} chart" if kinds else "Chart"
    title = _label(root.find(f"{_C}chart/{_C}title/{_C}tx"))
    return f"{kind}: {title}" if title else kind


def _label(element: Element | None) -> str:
    if element is None:
        return ""
    written = "".join(part.text or "" for part in element.iter(_A + "t"))
    return written or " ".join(part.text or "" for part in element.iter(_C + "v"))


def _points(*sources: Element | None) -> dict[int, str]:
    found: dict[int, str] = {}
    for source in sources:
        for point in () if source is None else source.iter(_C + "pt"):
            index = point.get("idx", "")
            if index.isdecimal() and len(found) < _MOST_POINTS:
                text = (point.findtext(_C + "v") or "").strip()
                # Several levels of categories number their points alike.
                found[int(index)] = f"{text} {found[int(index)]}" if int(index) in found else text
    return found
