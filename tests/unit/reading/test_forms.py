"""Documents in the shapes that go over the wires."""

import json

from polyport_gateway.knowledge import Document, Parsed, Receipt, Recursive
from polyport_gateway.knowledge.documents import DocumentBuilder, Heading, Paragraph, Picture, source_of
from polyport_gateway.reading.forms import chunks_form, result_form
from tests.support.documents import png


def parsed(*blocks):
    builder = DocumentBuilder(source_of(b"x", "a.txt", "text/plain"))
    for block in blocks:
        builder.add(block)
    document = builder.build()
    return Parsed(document, Receipt.of(document, reader="test", format="text"))


def test_what_utf8_cant_carry_is_replaced():
    whole = parsed(Heading(text="a\ud800", level=1), Paragraph(text="b\udfff 茶"))
    for to in ("markdown", "html", "text", "json"):
        sent = result_form(whole, to).model_dump_json()
        assert "茶" in json.dumps(json.loads(sent), ensure_ascii=False)
    sent = chunks_form(whole, Recursive(), Recursive().stream(whole.document)).model_dump_json()
    assert json.loads(sent)["data"][0]["heading_path"] == ["a\ufffd"]


def test_the_json_form_makes_the_same_document():
    builder = DocumentBuilder(source_of(b"x", "a.txt", "text/plain"))
    key = builder.keep(png())
    builder.add(Picture(sha256=key, mime="image/png", caption="A red square"))
    document = builder.build()
    whole = Parsed(document, Receipt.of(document, reader="test", format="text"))
    found = result_form(whole, "json", assets=True)
    again = Document.from_json(json.dumps({**found.document, "assets": found.assets}))
    assert again == document
    assert found.asset(found.pictures[0].sha256) == png()
    assert (found.text, found.pictures[0].caption) == ("", "A red square")
