"""Logs, conversations, mails and subtitles, as people and programs write them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.chat import chat_turns
from polyport_gateway.knowledge.chunkers.logs import looks_like_log
from polyport_gateway.knowledge.chunkers.mail import mail_turns
from polyport_gateway.knowledge.documents.blocks import Heading, Paragraph
from polyport_gateway.knowledge.documents.values import Provenance, Span
from polyport_gateway.knowledge.readers import read
from tests.unit.knowledge.chunkers.texts import document

LOG = """\
2024-01-02 12:30:01,123 INFO app.web - GET /orders 200
2024-01-02 12:30:02,004 ERROR app.db - query failed
Traceback (most recent call last):
  File "/srv/app/db.py", line 42, in query
    cursor.execute(text)

psycopg.OperationalError: server closed the connection
2024-01-02 12:30:03,500 WARNING app.db - trying again
2024-01-02 12:30:04,000 INFO app.db - connected
"""


def test_a_traceback_stays_with_its_line() -> None:
    found = c.LogEntries(100, "estimate").chunk(document(LOG))
    (failed,) = [chunk for chunk in found if "query failed" in chunk.text]
    assert "psycopg.OperationalError" in failed.text
    assert failed.text.startswith("2024-01-02 12:30:02,004")
    assert failed.metadata["levels"] == ["error"]
    last = found[-1]
    assert last.metadata == {
        "entries": 2,
        "levels": ["info", "warning"],
        "first_time": "2024-01-02 12:30:03,500",
        "last_time": "2024-01-02 12:30:04,000",
    }


def test_an_entry_over_the_limit_is_cut_between_lines_and_says_so() -> None:
    long = "2024-01-02 12:30:02 ERROR x\n" + "".join(f"    at com.example.Main({n})\n" for n in range(30))
    found = c.LogEntries(48, "estimate").chunk(document(long + "2024-01-02 12:30:03 INFO y\n"))
    assert [chunk.metadata.get("part") for chunk in found] == [*range(len(found) - 1), None]
    assert all(chunk.text.startswith("    at ") for chunk in found[1:-1])


@pytest.mark.parametrize(
    ("line", "time", "level"),
    [
        ("2024-01-02T12:30:01.123456Z info started", "2024-01-02T12:30:01.123456Z", "info"),
        ("[2024-01-02 12:30:01.123] [main] WARN  slow", "2024-01-02 12:30:01.123", "warning"),
        ("2024/01/02 12:30:01 [error] 123#0: *1 open() failed", "2024/01/02 12:30:01", "error"),
        ('10.0.0.1 - ann [10/Oct/2023:13:55:36 -0700] "GET /error HTTP/1.0" 200 9', "10/Oct/2023:13:55:36 -0700", None),
        ("[Wed Oct 11 14:32:52 2023] [error] [client 10.0.0.1] denied", "Wed Oct 11 14:32:52 2023", "error"),
        ("Jan  2 12:30:01 host sshd[123]: Failed password", "Jan  2 12:30:01", None),
        ("<34>1 2023-10-11T22:14:15.003Z host su - ID47 - 'su root' failed", "2023-10-11T22:14:15.003Z", None),
        ("01-02 12:30:01.123  1234  5678 W ActivityManager: slow", "01-02 12:30:01.123", "warning"),
        ("E0102 12:30:01.123456 1234 file.cc:12] broken", "0102 12:30:01.123456", "error"),
        ("[   12.345678] usb 1-1: new device", "12.345678", None),
        ("INFO:root:hello", None, "info"),
        ('{"time":"2024-01-02T12:30:01Z","level":"error","msg":"x"}', "2024-01-02T12:30:01Z", "error"),
        ("2024年1月2日 12时30分01秒 【错误】 数据库连接失败", "2024年1月2日 12时30分01秒", "error"),
        ("2024-01-02 12:30:01 [警告] 磁盘空间不足", "2024-01-02 12:30:01", "warning"),
        ("【信息】 服务启动", None, "info"),
    ],
)
def test_common_formats_are_known(line: str, time: str | None, level: str | None) -> None:
    text = f"{line}\n  and more\n" * 3
    assert looks_like_log(text)
    found = c.LogEntries(256, "estimate").chunk(document(text))
    assert len(found) == 1
    assert found[0].metadata["entries"] == 3
    assert found[0].metadata.get("first_time") == time
    assert found[0].metadata["levels"] == ([level] if level else [])


def test_prose_is_no_log() -> None:
    assert not looks_like_log("Error handling is explicit.\nInformation about tea.\nIt was 12:30:01 then.\nWarnings.\n")


DAY = "2024-01-02"


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("[12:30] Ann: hi\n[12:31] Bob: hello\nand more\n", [("Ann", "12:30"), ("Bob", "12:31")]),
        ("2/1/2024, 12:30 - Ann: hi\n2/1/2024, 9:31 - Bo: yo\n",
         [("Ann", "2/1/2024, 12:30"), ("Bo", "2/1/2024, 9:31")]),
        ("00:01:02 Ann: welcome\n00:01:09 Bob: thanks\n", [("Ann", "00:01:02"), ("Bob", "00:01:09")]),
        ("Ann: hi\nBob: hello\nAnn: bye\n", [("Ann", None), ("Bob", None), ("Ann", None)]),
        ("User: what?\n\nAssistant: this.\nNote: hot.\n", [("User", None), ("Assistant", None)]),
        ("**User:** hi\n\n**Assistant:** hello\n", [("User", None), ("Assistant", None)]),
        ("<|im_start|>user\nhi<|im_end|>\n<|im_start|>tool\nyo<|im_end|>\n", [("user", None), ("tool", None)]),
        ("<ann> hi\n<bob> hello\n", [("ann", None), ("bob", None)]),
        ("Ann  [12:30 PM]\nhi\n\nBob  [12:31 PM]\nhello\n", [("Ann", "12:30 PM"), ("Bob", "12:31 PM")]),
        (f"张三 {DAY} 12:30:01\n在吗？\n\n李四 {DAY} 12:31:10\n明天见：八点\n",
         [("张三", f"{DAY} 12:30:01"), ("李四", f"{DAY} 12:31:10")]),
        (f"{DAY} 12:30:01 张三(12345678)\n你好\n{DAY} 12:31:01 李四(1234567)\n嗯\n",
         [("张三", f"{DAY} 12:30:01"), ("李四", f"{DAY} 12:31:01")]),
        ("张三 上午 10:30\n你好\n李四 下午 2:30\n嗯\n", [("张三", "上午 10:30"), ("李四", "下午 2:30")]),
        ("用户：什么是绿茶？\n助手：一种茶。\n用户：谢谢\n", [("用户", None), ("助手", None), ("用户", None)]),
        ("Note: tea is hot.\nPrice: 3\nColor: red\nWarning: hot\n", [(None, None)]),
        ("The tea is hot. It was 12:30 then.\nA paragraph.\n", [(None, None)]),
    ],
)  # fmt: skip
def test_turns_are_found(text: str, turns: list[tuple[str | None, str | None]]) -> None:
    assert [(turn.speaker, turn.time) for turn in chat_turns(text, Span(0, len(text)))] == turns


def test_turns_are_put_together_with_their_speakers_and_repeated_as_asked() -> None:
    names = ("张三", "李四", "王五")
    text = "群聊：茶友会\n\n" + "".join(
        f"{names[n % 3]} 2024-01-02 12:{n:02}:00\n第{n}句话，说的是茶。\n\n" for n in range(12)
    )
    found = c.ChatTurns(128, 1, tokenizer="estimate").chunk(document(text))
    assert len(found) > 2
    assert found[0].text.startswith("群聊")
    for before, after in pairwise(found):
        first, count = before.metadata["first_turn"], before.metadata["turns"]
        assert isinstance(first, int)
        assert isinstance(count, int)
        assert after.metadata["first_turn"] == first + count - 1
        assert before.span is not None
        assert after.span is not None
        assert before.span.end > after.span.start
    assert set(names) == {name for chunk in found[1:] for name in chunk.metadata["speakers"]}  # type: ignore[union-attr]
    assert str(found[-1].metadata["last_time"]) == "2024-01-02 12:11:00"


def test_at_most_so_many_turns() -> None:
    found = c.ChatTurns(most=2).chunk(document("Ann: a\nBob: b\nAnn: c\nBob: d\nAnn: e\n"))
    assert [chunk.metadata["turns"] for chunk in found] == [2, 2, 1]
    with pytest.raises(ValueError, match="overlap=2"):
        c.ChatTurns(overlap=2, most=2)


THREAD = """\
Hi Bob,

see below.

Ann
--\x20
Ann Lee

On Tue, Jan 2, 2024 at 12:30 PM Bob Ray <bob@example.org> wrote:

> Hi Ann,
> how are you?
>
> On Mon, Jan 1, 2024 at 9:00 AM Ann Lee <ann@example.org>
> wrote:
>> Hello?
> Bob

I am fine.

> And the tea?
"""


def test_a_thread_is_cut_where_somebody_else_speaks() -> None:
    found = c.MailTurns(tokenizer="estimate").chunk(document(THREAD))
    bob, ann = ["Bob Ray <bob@example.org>"], ["Ann Lee <ann@example.org>"]
    assert [(chunk.metadata["speakers"], chunk.metadata["depth"], chunk.metadata["quoted"]) for chunk in found] == [
        ([], 0, False),
        (bob, 1, True),
        (ann, 2, True),
        (bob, 1, True),
        ([], 0, False),
        (bob, 1, True),
    ]
    assert found[1].metadata["times"] == ["Tue, Jan 2, 2024 at 12:30 PM"]
    start, end = found[0].metadata["signature_span"]  # type: ignore[misc]
    assert THREAD[start:end].startswith("-- \nAnn Lee")


OUTLOOK = "From: Bob Ray [mailto:b@x.org]\nSent: Monday\nTo: Ann\nSubject: tea\n"
QQ = '发件人: "张三"<z@qq.com>;\n发送时间: 2024年1月2日(星期二) 中午12:30\n收件人: "李四"<l@qq.com>;\n主题: 茶\n'


@pytest.mark.parametrize(
    ("text", "speakers"),
    [
        (f"Thanks!\n\n-----Original Message-----\n{OUTLOOK}\nYes.\n", [None, "Bob Ray [mailto:b@x.org]"]),
        (f"Thanks!\n\n{OUTLOOK}\nYes.\n", [None, "Bob Ray [mailto:b@x.org]"]),
        (f"收到。\n\n发自我的iPhone\n\n------------------ 原始邮件 ------------------\n{QQ}\n喝茶吗？\n",
         [None, '"张三"<z@qq.com>']),
        ("好的。\n\n在 2024-01-01 09:00:00，\"李四\" <li@qq.com> 写道：\n>你好\n", [None, "李四 <li@qq.com>"]),
        ("OK\n\n张三 <z@qq.com> 于2024年1月2日周二 12:30写道：\n\n> 好\n", [None, "张三 <z@qq.com>"]),
        ("Danke.\n\nAm 02.01.2024 um 12:30 schrieb Bob Ray:\n> Tee?\n", [None, "Bob Ray"]),
        ("FYI\n\n---------- Forwarded message ---------\nFrom: Bob <b@x.org>\nDate: Tue\n\nhi\n",
         [None, "Bob <b@x.org>"]),
        ("From: Ann <a@x.org>\nDate: Mon\nSubject: tea\n\nDear all,\n\nFrom: here on it is text.\n", ["Ann <a@x.org>"]),
        ("Tea\n\nFrom: Ann <a@x.org>\nDate: Mon\n\nDear all,\n", ["Ann <a@x.org>"]),
        ("A paragraph.\n\nOn the table he wrote a letter.\n", [None]),
    ],
)  # fmt: skip
def test_messages_begin_as_mail_programs_write(text: str, speakers: list[str | None]) -> None:
    assert [turn.speaker for turn in mail_turns(text, Span(0, len(text)))] == speakers


def test_a_mail_that_was_read_has_its_sender_and_passes_its_attachment_on() -> None:
    mail = (
        b"From: Ann <a@x.org>\nTo: Bob <b@x.org>\nDate: Tue, 02 Jan 2024 12:30:00 +0000\nSubject: Tea\n"
        b'Content-Type: multipart/mixed; boundary="x"\n\n'
        b"--x\nContent-Type: text/plain\n\nSee the list.\n\n"
        b"On Mon, Jan 1, 2024 at 9:00 AM Bob <b@x.org> wrote:\n> Tea?\n"
        b'--x\nContent-Type: text/plain; name="list.txt"\nContent-Disposition: attachment; filename="list.txt"\n\n'
        b"From: is a word here.\nSent: too.\n--x--\n"
    )
    made = read(mail, "tea.eml").document
    found = c.MailTurns(tokenizer="estimate").chunk(made)
    assert [chunk.metadata.get("speakers") for chunk in found] == [["Ann <a@x.org>"], ["Bob <b@x.org>"], None]
    assert "is a word here" in found[-1].text


SRT = """\
1
00:00:01,000 --> 00:00:04,000
Hello there.

2
00:00:04,500 --> 00:00:06,000
ANN: How <i>are</i> you?

3
00:01:00,000 --> 00:01:02,500
后来呢？
"""
VTT = """\
WEBVTT

intro
00:01.000 --> 00:02.500 align:start
<v Ann>Hi</v>

00:03.000 --> 00:04.500
<v Bob>Yo
"""


def test_cues_are_put_together_until_somebody_pauses() -> None:
    found = c.Subtitles(128, tokenizer="estimate").chunk(document(SRT, name="a.srt"))
    assert [dict(chunk.metadata) for chunk in found] == [
        {"cues": 2, "start_seconds": 1.0, "end_seconds": 6.0, "speakers": ["ANN"]},
        {"cues": 1, "start_seconds": 60.0, "end_seconds": 62.5},
    ]
    assert found[1].text.startswith("3\n00:01:00,000 -->")
    (whole,) = c.Subtitles(128, None, tokenizer="estimate").chunk(document(SRT))
    assert whole.metadata["cues"] == 3


def test_the_words_alone() -> None:
    found = c.Subtitles(128, clean=True, tokenizer="estimate").chunk(document(VTT))
    assert [chunk.text for chunk in found] == ["Hi\nYo"]
    assert found[0].metadata["speakers"] == ["Ann", "Bob"]
    assert found[0].span is None


@pytest.mark.parametrize(("text", "name", "cues"), [(SRT, "a.srt", [2, 1]), (VTT, "a.vtt", [2])])
def test_subtitles_that_were_read_keep_their_times(text: str, name: str, cues: list[int]) -> None:
    made = read(text.encode(), name).document
    found = c.Subtitles(128, tokenizer="estimate").chunk(made)
    assert [chunk.metadata["cues"] for chunk in found] == cues
    assert found[0].metadata["start_seconds"] == 1.0
    assert "-->" not in found[0].text


@pytest.mark.parametrize(
    "text",
    [
        "[00:12.00]床前明月光\n[00:15.30]疑是地上霜\n",
        "Dialogue: 0,0:00:12.00,0:00:14.50,Default,Ann,0,0,0,,Hello\\Nthere\n"
        "Dialogue: 0,0:00:15.30,0:00:15.30,Default,Ann,0,0,0,,Yo\n",
    ],
)
def test_other_forms_have_times_too(text: str) -> None:
    (found,) = c.Subtitles(256, tokenizer="estimate").chunk(document(text))
    assert (found.metadata["start_seconds"], found.metadata["end_seconds"]) == (12.0, 15.3)


def test_subtitles_that_are_none_are_passed_on() -> None:
    made = document(Heading(text="Tea"), Paragraph(text="It was 12:30 --> then.", provenance=Provenance(page=1)))
    (found,) = c.Subtitles().chunk(made)
    assert found.text == made.text
