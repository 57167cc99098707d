"""Tables and pictures of a PDF."""

from __future__ import annotations

import io

from PIL import Image
from reportlab.lib import colors
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Table as Drawn
from reportlab.platypus import TableStyle

from polyport_gateway.knowledge.documents import Picture, Table
from tests.unit.knowledge.readers.pdf.making import made, only, prose, read, rows


def grid_of(parsed):
    grid = only(parsed, Table).grid
    return [list(grid.texts(row)) for row in range(grid.rows)], grid


def drawn(data, style, **options):
    def draw(canvas):
        prose(canvas, 72, 780, 450, 3)
        table = Drawn(data, **options)
        table.setStyle(TableStyle([("FONTSIZE", (0, 0), (-1, -1), 9), *style]))
        table.wrapOn(canvas, 450, 400)
        table.drawOn(canvas, 72, 560)
        prose(canvas, 72, 520, 450, 3, start=5)

    return read(made(draw))


def test_a_ruled_table_has_its_spans():
    parsed = drawn(
        [["Product", "Sales", "", "Note"], ["", "2023", "2024", ""], ["Green", "10", "12", "both"],
         ["Black", "7", "9", ""]],
        [
            ("GRID", (0, 0), (-1, -1), 0.5, colors.black),
            ("SPAN", (1, 0), (2, 0)), ("SPAN", (0, 0), (0, 1)), ("SPAN", (3, 0), (3, 1)), ("SPAN", (3, 2), (3, 3)),
        ],
    )  # fmt: skip
    texts, grid = grid_of(parsed)
    assert texts == [
        ["Product", "Sales", "Sales", "Note"],
        ["Product", "2023", "2024", "Note"],
        ["Green", "10", "12", "both"],
        ["Black", "7", "9", "both"],
    ]
    assert grid.header_rows == 2
    assert (grid.at(0, 1).column_span, grid.at(0, 0).row_span, grid.at(2, 3).row_span) == (2, 2, 2)
    assert [block.kind for block in parsed.document.blocks] == ["paragraph", "table", "paragraph"]


def test_a_table_without_borders_at_its_sides_and_with_lines_in_cells():
    parsed = drawn(
        [["Tea", "Taste"], ["Green", "fresh and\ngrassy, a little\nsweet"], ["Black", "strong"]],
        [("INNERGRID", (0, 0), (-1, -1), 0.5, colors.black), ("LINEABOVE", (0, 0), (-1, 0), 1, colors.black),
         ("LINEBELOW", (0, -1), (-1, -1), 1, colors.black)],
    )  # fmt: skip
    texts, _ = grid_of(parsed)
    assert [row[0] for row in texts] == ["Tea", "Green", "Black"]
    assert texts[1][1].split() == ["fresh", "and", "grassy,", "a", "little", "sweet"]


def test_cells_that_are_shaded_and_not_ruled():
    data = [["Day", "Tea", "Cups"], ["Monday", "green", "3"], ["Tuesday", "black", "5"], ["Friday", "white", "1"]]
    texts, grid = grid_of(drawn(
        data,
        [("BACKGROUND", (column, row), (column, row), colors.Color(0.8, 0.8 + row / 20, 0.9 + column / 40))
         for row in range(4) for column in range(3)],
    ))  # fmt: skip
    assert texts == data
    assert grid.header_rows == 1


def test_a_table_between_three_rules():
    def draw(canvas):
        prose(canvas, 72, 780, 450, 4)
        canvas.setFont("Helvetica", 10)
        for y in (700, 680, 622):
            canvas.line(72, y, 460, y)
        canvas.drawString(76, 686, "Model")
        canvas.drawString(180, 686, "Score")
        canvas.drawString(260, 686, "Remark")
        rows(canvas, 76, 666, (0, 104, 184), [("Small", "0.91", "three days"), ("Large", "0.95", "a week on two")], 14)
        canvas.drawString(260, 641, "machines")
        rows(canvas, 76, 628, (0, 104, 184), [("Huge", "0.97", "see below")])

    texts, grid = grid_of(read(made(draw)))
    assert texts == [
        ["Model", "Score", "Remark"],
        ["Small", "0.91", "three days"],
        ["Large", "0.95", "a week on two machines"],
        ["Huge", "0.97", "see below"],
    ]
    assert grid.header_rows == 1


def test_a_table_by_alignment_only_between_paragraphs():
    data = [("Region", "Units", "Revenue"), ("North", "1,204", "88,100"), ("East coast", "2,310", "140,900"),
            ("West", "410", "22,700")]  # fmt: skip

    def draw(canvas):
        prose(canvas, 72, 780, 450, 4)
        rows(canvas, 72, 700, (0, 120, 220), data)
        prose(canvas, 72, 600, 450, 4)

    parsed = read(made(draw))
    assert [block.kind for block in parsed.document.blocks] == ["paragraph", "table", "paragraph"]
    assert grid_of(parsed)[0] == [list(row) for row in data]


def test_a_table_in_one_of_two_columns_of_text():
    data = [("Year", "Count", "Share"), ("2021", "10", "5%"), ("2022", "20", "10%"), ("2023", "40", "20%")]

    def draw(canvas):
        prose(canvas, 50, 780, 235, 12)
        rows(canvas, 50, 620, (0, 80, 160), data, 12)
        prose(canvas, 50, 560, 235, 12, start=3)
        prose(canvas, 310, 780, 235, 31, start=8)

    parsed = read(made(draw))
    assert [block.kind for block in parsed.document.blocks] == ["paragraph", "table", "paragraph", "paragraph"]
    assert grid_of(parsed)[0] == [list(row) for row in data]


def test_lists_columns_and_frames_are_no_tables():
    def draw(canvas):
        canvas.rect(40, 40, 515, 760)
        canvas.rect(60, 690, 475, 80)
        prose(canvas, 72, 750, 440, 4)
        canvas.setFont("Helvetica", 10)
        rows(canvas, 72, 660, (0, 30), [("1.", "the first point"), ("2.", "the second"), ("3.", "and the third")])
        prose(canvas, 72, 560, 210, 20)
        prose(canvas, 310, 560, 210, 20, start=9)

    assert read(made(draw)).receipt.tables == 0


def test_a_caption_belongs_to_its_table_and_to_its_picture():
    image = ImageReader(Image.new("RGB", (60, 40), (200, 30, 30)))

    def draw(canvas):
        prose(canvas, 72, 780, 450, 4)
        canvas.setFont("Helvetica", 9)
        canvas.drawString(72, 712, "Table 1. Cups of tea by day.")
        table = Drawn([["Day", "Cups"], ["Monday", "3"], ["Friday", "5"]])
        table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)]))
        table.wrapOn(canvas, 450, 400)
        table.drawOn(canvas, 72, 650)
        prose(canvas, 72, 620, 450, 4, start=5)
        canvas.drawImage(image, 72, 420, 180, 120)
        canvas.setFont("Helvetica", 9)
        canvas.drawString(72, 404, "Figure 1: A red cup.")
        prose(canvas, 72, 370, 450, 4, start=9)

    parsed = read(made(draw))
    assert only(parsed, Table).caption == "Table 1. Cups of tea by day."
    picture = only(parsed, Picture)
    assert picture.caption == "Figure 1: A red cup."
    shown = Image.open(io.BytesIO(parsed.document.assets[picture.sha256]))
    assert shown.convert("RGB").getpixel((5, 5)) == (200, 30, 30)
    assert picture.provenance.bbox.top == 842 - 540
    assert read(made(draw), pictures=False).document.assets == {}


def test_a_figure_that_is_drawn_is_a_picture():
    def draw(canvas):
        prose(canvas, 72, 780, 450, 4)
        for number in range(12):
            canvas.circle(120 + 15 * number, 560 + 9 * (number % 4), 14)
        prose(canvas, 72, 480, 450, 4)

    parsed = read(made(draw))
    assert [block.kind for block in parsed.document.blocks] == ["paragraph", "picture", "paragraph"]
    assert only(parsed, Picture).mime == "image/png"


def test_a_picture_on_every_page_stands_once():
    image = ImageReader(Image.new("RGB", (60, 40), (20, 130, 30)))

    def draw(canvas):
        for page in range(4):
            canvas.drawImage(image, 72, 740, 60, 40)
            prose(canvas, 72, 700, 450, 4, start=page)
            canvas.showPage()

    parsed = read(made(draw))
    assert parsed.receipt.pictures == 1
    assert any("repeat" in warning for warning in parsed.receipt.warnings)


def test_a_picture_keeps_its_pixels_and_what_is_see_through():
    image = Image.new("RGBA", (400, 100), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (50, 20, 200, 80))
    parsed = read(made(lambda canvas: canvas.drawImage(ImageReader(image), 72, 600, 100, 25, mask="auto")))
    (data,) = parsed.document.assets.values()
    shown = Image.open(io.BytesIO(data))
    assert shown.size == (400, 100)
    assert shown.getpixel((100, 50)) == (0, 0, 255, 255)
    assert shown.getpixel((300, 50))[3] == 0


def test_a_picture_that_is_drawn_turned_is_kept_as_it_is_shown():
    image = Image.new("RGB", (80, 40), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 40, 40))  # its left half is black

    def draw(canvas):
        canvas.translate(300, 300)
        canvas.rotate(90)
        canvas.drawImage(ImageReader(image), 0, 0, 80, 40)

    (data,) = read(made(draw)).document.assets.values()
    shown = Image.open(io.BytesIO(data)).convert("L")
    assert shown.height > shown.width
    assert shown.getpixel((shown.width // 2, shown.height - 5)) < 50  # now the lower half is
    assert shown.getpixel((shown.width // 2, 5)) > 200


def over_pages(*parts):
    def draw(canvas):
        for number, part in enumerate(parts):
            table = Drawn(part)
            table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)]))
            table.wrapOn(canvas, 450, 400)
            table.drawOn(canvas, 72, 400)
            canvas.drawString(280, 30, f"{number + 1}")
            canvas.showPage()

    return read(made(draw))


def test_a_table_that_repeats_its_header_goes_on_over_the_page_break():
    head = ["Day", "Cups"]
    parsed = over_pages([head, ["Monday", "3"]], [head, ["Tuesday", "5"], ["Friday", "1"]], [head, ["Sunday", "8"]])
    texts, grid = grid_of(parsed)
    assert texts == [head, ["Monday", "3"], ["Tuesday", "5"], ["Friday", "1"], ["Sunday", "8"]]
    assert grid.header_rows == 1
    assert [block.kind for block in parsed.document.blocks] == ["table", "page_break", "page_break"]
    assert sum("goes on" in warning for warning in parsed.receipt.warnings) == 2


def test_tables_with_other_headers_stay_apart():
    parsed = over_pages([["Day", "Cups"], ["Monday", "3"]], [["Day", "Pots"], ["Tuesday", "5"]])
    assert parsed.receipt.tables == 2


def test_the_header_over_the_first_of_two_rules_belongs_to_the_table():
    def draw(canvas):
        canvas.setFont("Helvetica-Bold", 10)
        rows(canvas, 60, 690, (0, 280, 360), [("Tea", "Cups", "Price")])
        canvas.line(60, 684, 480, 684)
        canvas.setFont("Helvetica", 10)
        rows(canvas, 60, 668, (0, 280, 360), [("Green, first flush", "12", "8.50"), ("Black", "3", "6.00")])
        canvas.line(60, 645, 480, 645)
        prose(canvas, 60, 600, 450, 3)

    texts, grid = grid_of(read(made(draw)))
    assert texts == [["Tea", "Cups", "Price"], ["Green, first flush", "12", "8.50"], ["Black", "3", "6.00"]]
    assert grid.header_rows == 1


def test_years_head_columns():
    data = [["", "2023", "2024"], ["Cups", "3", "5"], ["Pots", "1", "2"]]
    _, grid = grid_of(drawn(data, [("GRID", (0, 0), (-1, -1), 0.5, colors.black)]))
    assert grid.header_rows == 1


def test_columns_that_stand_close_are_parted_where_all_rows_begin_at_one_place():
    def draw(canvas):
        canvas.setFont("Times-Roman", 12)
        rows(canvas, 72, 700, (0, 48, 110), [("Number", "Name", "Value")])
        values = [(str(number), f"Sample {number}", f"{7.5 * number:.1f}") for number in range(95, 105)]
        rows(canvas, 72, 684, (0, 48, 110), values, step=16)

    table = only(read(made(draw)), Table)
    assert (table.grid.rows, table.grid.columns) == (11, 3)
    assert [table.grid.texts(row) for row in (0, 1, 10)] == [
        ("Number", "Name", "Value"),
        ("95", "Sample 95", "712.5"),
        ("104", "Sample 104", "780.0"),
    ]
