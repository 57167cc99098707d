"""A reader that does what a hostile file could make one do; loaded by an entry point that only these tests add."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import stat
import struct
import tempfile
import time
from pathlib import Path

from polyport_gateway.knowledge.documents import DocumentBuilder, Paragraph, Parsed, Receipt, source_of


def _pipes():
    """Return what leads to the parent: the pipes that can be written."""
    found = []
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(number).st_mode) or stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, b"")
                found.append(number)
    return found


class BreakingReader:
    name = "breaking"
    formats = frozenset({"breaking"})

    def read(self, data, name, options):
        said = getattr(self, data.decode().split(":")[0])(data) or "done"
        builder = DocumentBuilder(source_of(data, name, "text/plain"))
        builder.add(Paragraph(text=said))
        document = builder.build()
        return Parsed(document, Receipt.of(document, reader=self.name, format="breaking"))

    def sleep(self, _):
        time.sleep(60)

    def spin(self, _):
        while True:
            pass

    def eat(self, _):
        return "x" * len([bytearray(1 << 20) for _ in range(4096)])

    def crash(self, _):
        ctypes.string_at(0)

    def leave(self, _):
        os._exit(3)

    def flood(self, _):
        return "x" * (3 << 20)

    def chatter(self, _):
        print("not a frame", flush=True)
        os.write(1, b"nor this")

    def connect(self, data):
        port = int(data.split(b":")[1])
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
        except OSError as error:
            return f"refused: {type(error).__name__}"
        return "connected"

    def raw_connect(self, data):
        # Below Python, where no audit hook sees it.
        library = ctypes.CDLL(None, use_errno=True)
        address = (
            (2).to_bytes(2, "little") + int(data.split(b":")[1]).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
        )
        number = library.socket(2, 1, 0)
        return "connected" if library.connect(number, address, 16) == 0 else "refused"

    def spawn(self, _):
        try:
            os.system("true")
        except PermissionError:
            return "refused"

    def start(self, _):
        # Below Python, a new program in place of this one.
        library = ctypes.CDLL(None, use_errno=True)
        library.execv(b"/bin/true", (ctypes.c_char_p * 2)(b"/bin/true", None))
        return f"refused: {ctypes.get_errno()}"

    def open(self, data):
        library = ctypes.CDLL(None, use_errno=True)
        number = library.open(data.split(b":")[1], 0)
        return "opened" if number >= 0 else f"refused: {ctypes.get_errno()}"

    def temporary(self, _):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"words")
            file.flush()
            return Path(file.name).read_bytes().decode()

    def garbage(self, _):
        for number in _pipes():
            os.write(number, struct.pack("!QQ", 5, 0) + b"hello")

    def early(self, _):
        # What would be taken for the answer to the next file.
        said = b'{"error": "unreadable_document", "reason": "stolen", "page": null}'
        for number in _pipes():
            os.write(number, struct.pack("!QQ", len(said), 0) + said)

    def half(self, _):
        for number in _pipes():
            os.write(number, struct.pack("!QQ", 1000, 0) + b"{")
        os._exit(0)

    def huge(self, _):
        for number in _pipes():
            os.write(number, struct.pack("!QQ", 1 << 60, 0))
        time.sleep(60)

    def stubborn(self, _):
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_IGN)
        time.sleep(60)

    def environment(self, _):
        return ",".join(sorted(os.environ))
