import asyncio
import contextlib
import logging
import sys
import threading

import pytest

from tests.support.fake_docker import daemon


@pytest.fixture(autouse=True)
def fresh_modules(tmp_path, monkeypatch):
    """Forget the app modules that a test imported from its folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def logging_as_before():
    """Take away the handlers of the commands that ran: they write to a standard error that is gone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def fake_docker(tmp_path):
    """Serve answers on a socket from a thread of its own: commands have event loops of theirs."""
    with contextlib.ExitStack() as stack:

        def serve(answers):
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, daemon=True)
            thread.start()
            served = daemon(tmp_path, answers)
            socket, _ = asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result(10)

            def stop():
                asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result(10)
                loop.call_soon_threadsafe(loop.stop)
                thread.join(10)
                loop.close()

            stack.callback(stop)
            return socket

        yield serve
