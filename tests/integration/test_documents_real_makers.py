"""Our readers against files that other makers' programs write of one source: what comes out must be what went in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from polyport_gateway.knowledge.documents import Block, Code, Document, Heading, ListItem, Paragraph, Table
from polyport_gateway.knowledge.readers import ReadOptions, read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ENGLISH = [
    f"Paragraph {number} describes how the current turned at station number {number}, where sediment accumulated along "
    "the embankment and the observers recorded an unusually persistent stratification, which nevertheless disappeared "
    "once the prevailing winds strengthened during the following afternoon."
    for number in range(1, 16)
]
CHINESE = [
    f"第{number}段描述了第{number}号站点海流的转向，沉积物沿着堤岸堆积，观察员记录到异常持久的分层现象，但在第二天下午盛行风增强"
    "并充分混合上层水体之后，这种现象随即消失。"
    for number in range(1, 9)
]
COLUMNS = [
    f"Column {number} begins here and tells of an expedition across the estuary, with boats, instruments and "
    "provisions enough for a fortnight of continuous observation."
    for number in range(1, 9)
]
HEADINGS = [(1, "Harbour Survey"), (2, "Methods"), (3, "Stations"), (2, "Results"), (2, "结果"), (2, "Samples")]
ITEMS = [
    (1, "Anchor the buoy"), (2, "Check the chain"), (2, "Check the lamp"), (3, "Replace the bulb"),
    (1, "Start the logger"), (1, "Sign the form"),
]  # fmt: skip
CODE = "def tide(hour):\n    return 3 * hour"
SAMPLES = [("Number", "Name", "Value"), *((str(n), f"Sample {n}", f"{7.5 * n:.1f}") for n in range(1, 71))]
STATIONS = [
    (0, 0, 2, 1, "Station"), (0, 1, 1, 2, "Depth"), (0, 3, 2, 1, "Remark"), (1, 1, 1, 1, "Low"), (1, 2, 1, 1, "High"),
    (2, 0, 1, 1, "Alpha"), (2, 1, 1, 1, "2.5"), (2, 2, 1, 1, "4.1"), (2, 3, 2, 1, "sheltered"),
    (3, 0, 1, 1, "Beta"), (3, 1, 1, 1, "3.0"), (3, 2, 1, 1, "5.2"),
    (4, 0, 1, 1, "Gamma"), (4, 1, 1, 2, "not measured"), (4, 3, 1, 1, "closed"),
]  # fmt: skip


def _html() -> str:
    rows: dict[int, str] = {}
    for row, _, height, width, text in STATIONS:
        tag = "th" if row < 2 else "td"
        rows[row] = rows.get(row, "") + f'<{tag} rowspan="{height}" colspan="{width}">{text}</{tag}>'
    stations = "".join(f"<tr>{cells}</tr>" for row, cells in rows.items() if row > 1)
    samples = "".join(
        f"<tr><td>{number}</td><td>{name}</td><td>{value}</td></tr>" for number, name, value in SAMPLES[1:]
    )
    paragraphs = "</p><p>".join
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Harbour Survey</title><style>
body {{ font-family: 'Liberation Serif', 'WenQuanYi Zen Hei', serif; text-align: justify }}
table {{ border-collapse: collapse }} td, th {{ border: 1px solid #444; padding: 3px }} div {{ column-count: 2 }}
</style></head><body><h1>Harbour Survey</h1><h2>Methods</h2>
<ol><li>Anchor the buoy<ul><li>Check the chain</li><li>Check the lamp<ul><li>Replace the bulb</li></ul></li></ul></li>
<li>Start the logger</li><li>Sign the form</li></ol>
<h3>Stations</h3><table border="1"><thead><tr>{rows[0]}</tr><tr>{rows[1]}</tr></thead><tbody>{stations}</tbody></table>
<pre>{CODE}</pre><h2>Results</h2><p>{paragraphs(ENGLISH)}</p><div><p>{paragraphs(COLUMNS)}</p></div>
<h2>结果</h2><p>{paragraphs(CHINESE)}</p>
<h2>Samples</h2><table border="1"><thead>
<tr><th>Number</th><th>Name</th><th>Value</th></tr></thead><tbody>{samples}</tbody></table>
</body></html>"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "survey.html"
    path.write_text(_html(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Convert a file with LibreOffice, under a profile of the tests' own."""
    folder = tmp_path_factory.mktemp("libreoffice")

    def convert(path: Path, to: str, *options: str) -> Path:
        program = shutil.which("soffice") or "soffice"
        command = [program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", *options]
        made = folder / f"{path.stem}.{to.partition(':')[0]}"
        subprocess.run(
            [*command, "--convert-to", to, "--outdir", str(folder), str(path)],
            capture_output=True, check=True, timeout=120,
        )  # fmt: skip
        return made

    return convert


@pytest.fixture(scope="module")
def writer(converted: Callable[..., Path], source: Path) -> Path:
    """The source as Writer keeps it."""
    return converted(source, "odt:writer8", "--infilter=HTML (StarWriter)")


def opened(path: Path) -> Document:
    return read(path.read_bytes(), path.name, ReadOptions(ocr="never")).document


def cells(table: Table) -> list[tuple[int, int, int, int, str]]:
    return [cell[:5] for cell in sorted(table.grid.cells, key=lambda cell: cell[:2])]


def of_kind(document: Document, kind: type[Block]) -> list[Block]:
    return [block for block in document.blocks if isinstance(block, kind)]


def tables(document: Document) -> tuple[Table, Table]:
    first, second = (block for block in document.blocks if isinstance(block, Table))
    return first, second


def assert_prose_is_whole(document: Document) -> None:
    said = [block.text for block in document.blocks if type(block) is Paragraph]
    assert [text for text in said if len(text) > 60] == [*ENGLISH, *COLUMNS, *CHINESE]


@pytest.mark.requires("libreoffice")
@pytest.mark.parametrize("form", ["odt", "docx", "rtf", "html:HTML (StarWriter)"])
def test_what_writer_writes_comes_back_exact(form: str, writer: Path, converted: Callable[..., Path]) -> None:
    document = opened(writer if form == "odt" else converted(writer, form))
    assert_prose_is_whole(document)
    assert [(block.level, block.text) for block in document.blocks if isinstance(block, Heading)] == HEADINGS
    assert [(block.level, block.text) for block in document.blocks if isinstance(block, ListItem)] == ITEMS
    stations, samples = tables(document)
    assert cells(stations) == STATIONS
    assert [samples.grid.texts(row) for row in range(samples.grid.rows)] == SAMPLES
    if form != "rtf":  # where Writer marks no header
        assert (stations.grid.header_rows, samples.grid.header_rows) == (2, 1)
        assert [block.text for block in of_kind(document, Code)] == [CODE]


@pytest.mark.requires("libreoffice")
def test_what_writer_prints_comes_back_exact(writer: Path, converted: Callable[..., Path]) -> None:
    document = opened(converted(writer, "pdf"))
    assert_prose_is_whole(document)
    assert [(block.level, block.text) for block in document.blocks if isinstance(block, Heading)] == HEADINGS
    assert [(block.level, block.text) for block in document.blocks if isinstance(block, ListItem)] == ITEMS
    stations, samples = tables(document)
    assert cells(stations) == STATIONS
    assert [samples.grid.texts(row) for row in range(samples.grid.rows)] == SAMPLES
    assert [block.text for block in of_kind(document, Code)] == [CODE]


@pytest.mark.requires("chromium")
def test_what_chromium_prints_comes_back_with_exact_tables(source: Path, tmp_path: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
    made = tmp_path / "survey.pdf"
    subprocess.run(
        [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         f"--print-to-pdf={made}", source.as_uri()],
        capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    document = opened(made)
    assert_prose_is_whole(document)
    assert [block.text for block in of_kind(document, Heading)] == [text for _, text in HEADINGS]
    stations, samples = tables(document)
    assert cells(stations) == STATIONS
    assert [samples.grid.texts(row) for row in range(samples.grid.rows)] == SAMPLES


SHEET = [
    ("Item", "Amount", "Share", "Day"),
    ("Rope", "1,234.50", "12.5%", "2024-01-15"),
    ("灯", "20.00", "25.0%", "2024-02-29"),
]


def _flat_sheet() -> str:
    spaces = {"office": "office", "table": "table", "text": "text", "style": "style", "number": "datastyle"}
    names = " ".join(f'xmlns:{key}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for key, name in spaces.items())
    number = 'number:number number:decimal-places="{}" number:min-decimal-places="{}" number:min-integer-digits="1"'
    part = "<number:{0} number:style='long'/>".format
    styles = (
        f'<number:number-style style:name="A"><{number.format(2, 2)} number:grouping="true"/></number:number-style>'
        f'<number:percentage-style style:name="B"><{number.format(1, 1)}/><number:text>%</number:text>'
        f'</number:percentage-style><number:date-style style:name="C">{part("year")}<number:text>-</number:text>'
        f"{part('month')}<number:text>-</number:text>{part('day')}</number:date-style>"
        + "".join(
            f'<style:style style:name="c{name}" style:family="table-cell" style:data-style-name="{name}"/>'
            for name in "ABC"
        )
    )
    text = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'.format
    value = '<table:table-cell table:style-name="c{}" office:value-type="{}" office:{}="{}"/>'.format
    row = "<table:table-row>{}</table:table-row>".format
    rows = row("".join(map(text, SHEET[0])))
    for name, amount, share, day in (("Rope", 1234.5, 0.125, "2024-01-15"), ("灯", 20, 0.25, "2024-02-29")):
        rows += row(
            text(name) + value("A", "float", "value", amount) + value("B", "percentage", "value", share)
            + value("C", "date", "date-value", day)
        )  # fmt: skip
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {names} office:version="1.3" '
        'office:mimetype="application/vnd.oasis.opendocument.spreadsheet">'
        f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="账目">{rows}</table:table></office:spreadsheet></office:body></office:document>'
    )


@pytest.mark.requires("libreoffice")
@pytest.mark.parametrize("form", ["ods", "xlsx", "xls"])
def test_what_calc_writes_shows_the_same_values(form: str, converted: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / f"{form}.fods"
    path.write_text(_flat_sheet(), encoding="utf-8")
    document = opened(converted(path, form))
    heading, table = document.blocks
    assert heading.text == "账目"
    assert isinstance(table, Table)
    assert [table.grid.texts(row) for row in range(table.grid.rows)] == SHEET
