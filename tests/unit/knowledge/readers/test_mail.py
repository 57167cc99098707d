"""E-mail as it really comes: nested, mislabelled, with its pictures in the text, and with what nothing reads."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from polyport_gateway.knowledge.documents import UnreadableDocumentError

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def mail(subject="Tea", text="hot\n"):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "Ann <ann@example.org>", "bob@example.org"
    message.set_content(text)
    return message


def raw(charset, body, kind="plain"):
    head = f"Subject: x\nFrom: a@b.c\nMIME-Version: 1.0\nContent-Type: text/{kind}; charset={charset}\n"
    return head.encode() + b"Content-Transfer-Encoding: 8bit\n\n" + body


def test_a_message_in_a_message_keeps_its_head(read_file):
    inner = mail("The old letter", "inner words\n")
    inner.add_attachment("a,b\n1,2\n", subtype="csv", filename="t.csv")
    outer = mail()
    outer.add_attachment(inner)
    blocks = read_file(outer.as_bytes(), "a.eml").document.blocks
    found = [(block.kind, block.text, block.provenance.part) for block in blocks]
    assert ("heading", "The old letter", "message-2.eml") in found
    assert ("paragraph", "inner words", "message-2.eml") in found
    assert found[-1][0] == "table"
    assert found[-1][2] == "message-2.eml/t.csv"


def test_pictures_stand_where_the_text_shows_them(read_file):
    message = mail()
    message.add_alternative('<p>Look:</p><img src="cid:cup@x" alt="A cup"><p>Nice.</p>', subtype="html")
    message.get_payload()[1].add_related(PNG, "image", "png", cid="<cup@x>")
    parsed = read_file(message.as_bytes(), "a.eml", strict=True)
    assert [(block.kind, block.text) for block in parsed.document.blocks[2:]] == [
        ("paragraph", "Look:"), ("picture", "A cup"), ("paragraph", "Nice."),
    ]  # fmt: skip
    assert list(parsed.document.assets.values()) == [PNG]


@pytest.mark.parametrize(
    ("charset", "body", "shown", "warned"),
    [
        ("gb2312", "镕基很好，今天天气不错".encode("gbk"), "镕基很好，今天天气不错", False),
        ("us-ascii", "今天天气不错".encode(), "今天天气不错", True),
        ("iso-8859-1", "今天天气不错".encode(), "今天天气不错", True),
        ("iso-8859-1", "Ça va très bien".encode("latin-1"), "Ça va très bien", False),
        ("utf-8", "今天的天气很不错，我们去公园散步吧。".encode("gbk"), "今天的天气很不错，我们去公园散步吧。", True),
        ("nonsense", "今天天气不错".encode(), "今天天气不错", True),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "html"])
def test_the_charset_that_is_said_need_not_be(read_file, charset, body, shown, warned, kind):
    parsed = read_file(raw(charset, body, kind), "a.eml")
    assert parsed.document.blocks[-1].text == shown
    assert bool(parsed.receipt.warnings) == warned


@pytest.mark.parametrize(
    ("kind", "why"), [("ms-tnef", "TNEF"), ("pkcs7-mime", "S/MIME"), ("octet-stream", "no reader for")]
)
def test_what_nothing_reads_is_told(read_file, kind, why):
    message = mail()
    message.add_attachment(bytes(range(256)), "application", kind, filename="x.dat")
    skipped = read_file(message.as_bytes(), "a.eml").receipt.skipped
    assert [(left.part, why in left.why) for left in skipped] == [("x.dat", True)]


def test_an_invitation_beside_the_text_is_kept(read_file):
    message = mail()
    message.add_alternative("<p>hot</p>", subtype="html")
    message.add_alternative("BEGIN:VCALENDAR\nSUMMARY:Tea at five\nEND:VCALENDAR\n", subtype="calendar")
    document = read_file(message.as_bytes(), "a.eml").document
    assert "Tea at five" in document.text
    assert document.text.count("hot") == 1


def test_what_is_encrypted_says_so(read_file):
    data = (
        mail().as_bytes().replace(b"text/plain", b"multipart/encrypted; boundary=x").replace(b"hot", b"--x\n\nA\n--x--")
    )
    assert "encrypted" in read_file(data, "a.eml").receipt.skipped[0].why


def test_thousands_of_parts(read_file):
    part = b'--x\nContent-Type: text/plain\nContent-Disposition: attachment; filename="a.txt"\n\nword\n'
    head = b"Subject: many\nFrom: a@b.c\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
    parsed = read_file(head + part * 1500 + b"--x--\n", "a.eml")
    assert parsed.document.text.count("word") > 900
    assert [(left.what, left.count) for left in parsed.receipt.skipped] == [("part", 500)]


def test_a_report_of_a_mail_server_is_kept(read_file):
    data = (
        b"Subject: undelivered\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=x\n\n--x\n\nSorry.\n--x\n"
        b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; bob@x\n--x--\n"
    )
    text = read_file(data, "a.eml").document.text
    assert "Sorry." in text
    assert "Final-Recipient: rfc822; bob@x" in text


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: x\nContent-Type: multipart/mixed\n\nno boundary\n",
        b"Subject: x\nContent-Type: multipart/mixed; boundary=x\n\n--x\n--x\n--x--",
        b"Subject: x\nContent-Type: text/plain; charset*=utf-8''%ff\n\nword",
        b"Subject: =?utf-8?b?////?=\nDate: never\nFrom: <<>>,;:\nContent-Type: a/b/c\n\nword",
        b"Subject: x\nContent-Type: message/rfc822\n\n",
        b"Subject: x\nContent-Transfer-Encoding: base64\n\n=%=%\xff",
        b"Subject: x\nContent-Type: multipart/alternative; boundary=x\n\nword",
    ],
)
def test_what_is_no_proper_mail_is_read_as_far_as_it_goes(read_file, data):
    assert read_file(data, "a.eml").document.blocks


def test_nesting_without_end_is_an_error_or_an_end(read_file):
    data = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(1100))
    with pytest.raises(UnreadableDocumentError, match=r"a\.eml"):
        read_file(b"Subject: x\n" + data, "a.eml")
