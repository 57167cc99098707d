"""Untrusted code in the gateway's sandbox; `Client.sandbox`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from polyport.client import sandbox_requests as asks
from polyport.client.base import NOT_GIVEN, TimeoutChoice
from polyport.client.sandbox_requests import CodeDecoder, CodeEvent, Files, FilesFound, Limits, SessionsFound
from polyport.client.streams import EventStream
from polyport.errors import NotFoundError
from polyport.types.sandbox import CodeResult, SandboxSession

if TYPE_CHECKING:
    from polyport.client.sync import Client

__all__ = ["CodeStream", "Sandbox", "Session"]


class CodeStream(EventStream[CodeEvent]):
    """A run as it happens; closing it before its end kills the run."""

    def __init__(self, response: httpx.Response) -> None:
        self._code = CodeDecoder()
        super().__init__(response, self._code)

    def __enter__(self) -> CodeStream:
        return self

    def collect(self) -> CodeResult:
        """Wait for the end and return the result."""
        for _ in self:
            pass
        assert self._code.result is not None  # noqa: S101 - the decoder has refused a stream without one
        return self._code.result


class Sandbox:
    r"""Runs untrusted code where it can do no harm; `Client.sandbox`.

    >>> Client().sandbox.run("print(6 * 7)").stdout  # doctest: +SKIP
    '42\n'
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Files | None = None,
        stdin: bytes | str = b"",
        limits: Limits | None = None,
        allow_hosts: Iterable[str] = (),
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> CodeResult:
        """Run code once, in a place of its own that is gone afterwards.

        Args:
            code: The program.
            language: What it is written in.
            files: Put into its working folder, by relative name; what it leaves there comes back in the result.
            stdin: What it can read from its standard input.
            limits: What it may use (``{"wall_s": 5, "memory_mb": 128}``).
            allow_hosts: Hosts that it needs to reach; only those that the gateway allows.
            timeout: Instead of the client's own.

        Raises:
            CallError: It could not be run. What the code does wrong is the result's `status`.
        """
        request = asks.run(code, language=language, files=files, stdin=stdin, limits=limits, allow_hosts=allow_hosts)
        return self._client._ask(request, timeout)  # noqa: SLF001

    def stream(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Files | None = None,
        stdin: bytes | str = b"",
        limits: Limits | None = None,
        allow_hosts: Iterable[str] = (),
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> CodeStream:
        """Run code once and give its events as they happen; see `run`."""
        request = asks.run(
            code,
            language=language,
            files=files,
            stdin=stdin,
            limits=limits,
            allow_hosts=allow_hosts,
            stream=True,
        )
        return CodeStream(self._client._exchange(request, timeout, stream=True))  # noqa: SLF001

    @contextmanager
    def session(self, **options: Any) -> Iterator[Session]:
        """Open a session for as long as inside, and close it on the way out; takes what `open_session` takes."""
        session = self.open_session(**options)
        try:
            yield session
        finally:
            session.close()

    def open_session(
        self,
        *,
        limits: Limits | None = None,
        files: Files | None = None,
        allow_hosts: Iterable[str] = (),
        idle_s: float | None = None,
        lifetime_s: float | None = None,
        name: str | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> Session:
        """Open a session, in which variables, files and the working folder live on from run to run.

        Args:
            limits: What it may use.
            files: Put into its working folder at the start.
            allow_hosts: Hosts that its code needs to reach; only those that the gateway allows.
            idle_s: Seconds without use after which it ends.
            lifetime_s: Seconds after which it ends in any case.
            name: What to call it.
            timeout: Instead of the client's own.

        Raises:
            CallError: It could not be opened.
        """
        request = asks.open_session(
            limits=limits, files=files, allow_hosts=allow_hosts, idle_s=idle_s, lifetime_s=lifetime_s, name=name
        )
        return Session(self._client, self._client._ask(request, timeout))  # noqa: SLF001

    def get_session(self, session: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> Session:
        """Return a session that was opened before.

        Raises:
            NotFoundError: There is none, or it has ended.
        """
        return Session(self._client, self._client._ask(asks.get_session(session), timeout))  # noqa: SLF001

    def sessions(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> SessionsFound:
        """Describe your open sessions, oldest first."""
        return self._client._ask(asks.list_sessions(), timeout)  # noqa: SLF001


class Session:
    """A place where variables and files live on; `Sandbox.session` opens one.

    >>> with Client().sandbox.session() as session:  # doctest: +SKIP
    ...     session.run("x = 1")
    ...     session.run("x + 1").result
    '2'

    Attributes:
        info: How the gateway described it when it was opened.
    """

    def __init__(self, client: Client, info: SandboxSession) -> None:
        self._client = client
        self.info = info

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        stdin: bytes | str = b"",
        limits: Limits | None = None,
        context: str | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> CodeResult:
        """Run code; what it defines lives on.

        Args:
            code: The program.
            language: What it is written in. Variables live on in Python; other languages see the same files.
            stdin: What it can read from its standard input.
            limits: Only time and those on output count; the rest are the session's.
            context: Which of the session's kernels runs it; each has variables of its own.
            timeout: Instead of the client's own.

        Raises:
            CallError: It could not be run. What the code does wrong is the result's `status`.
        """
        request = asks.run(code, session=self.id, language=language, stdin=stdin, limits=limits, context=context)
        return self._client._ask(request, timeout)  # noqa: SLF001

    def stream(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        stdin: bytes | str = b"",
        limits: Limits | None = None,
        context: str | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> CodeStream:
        """Run code and give its events as they happen; see `run`."""
        request = asks.run(
            code, session=self.id, language=language, stdin=stdin, limits=limits, context=context, stream=True
        )
        return CodeStream(self._client._exchange(request, timeout, stream=True))  # noqa: SLF001

    def upload(self, files: Files, *, timeout: TimeoutChoice = NOT_GIVEN) -> None:
        """Write files by relative name, replacing those of the same name."""
        for name, content in asks.file_items(files):
            self._client._ask(asks.upload(self.id, name, content), timeout)  # noqa: SLF001

    def download(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> bytes:
        """Read a file.

        Raises:
            NotFoundError: There is no such file.
        """
        return self._client._ask(asks.download(self.id, name), timeout)  # noqa: SLF001

    def list(self, folder: str = "", *, timeout: TimeoutChoice = NOT_GIVEN) -> FilesFound:
        """Describe what the working folder holds, or one folder in it."""
        return self._client._ask(asks.list_files(self.id, folder), timeout)  # noqa: SLF001

    def delete(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> None:
        """Delete a file, or a folder with all in it."""
        self._client._ask(asks.delete_file(self.id, name), timeout)  # noqa: SLF001

    def interrupt(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> bool:
        """End what runs now, and say whether anything did."""
        return self._client._ask(asks.interrupt(self.id), timeout).interrupted  # noqa: SLF001

    def restart(self, context: str | None = None, *, timeout: TimeoutChoice = NOT_GIVEN) -> None:
        """Start a kernel anew, or all of them: variables are gone, files stay."""
        self._client._ask(asks.restart(self.id, context), timeout)  # noqa: SLF001

    def close(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> None:
        """End it, with all that runs in it; one that has ended already stays so."""
        try:
            self._client._ask(asks.close_session(self.id), timeout)  # noqa: SLF001
        except NotFoundError:
            return
