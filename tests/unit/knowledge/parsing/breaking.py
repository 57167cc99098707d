"""A reader that does what a hostile file could make one do; loaded by an entry point that only these tests add."""

from __future__ import annotations

import ctypes
import os
import socket
import time

from polyport_gateway.knowledge.documents import DocumentBuilder, Paragraph, Parsed, Receipt, source_of


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
        address = (2).to_bytes(2, "little") + int(data.split(b":")[1]).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
        number = library.socket(2, 1, 0)
        return "connected" if library.connect(number, address, 16) == 0 else "refused"

    def spawn(self, _):
        try:
            os.system("true")
        except PermissionError:
            return "refused"

    def environment(self, _):
        return ",".join(sorted(os.environ))
