"""Sessions and their files, as tools."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from polyport.declarations import Annotations
from polyport.types.sandbox import (
    SandboxDeleted,
    SandboxFile,
    SandboxFileContent,
    SandboxFileList,
    SandboxSession,
    SandboxSessionList,
)
from polyport_gateway.functions.tool import Work
from polyport_gateway.sandboxes.outcome import file_content
from polyport_gateway.sandboxes.run_code import FILES, FileContent, file_bytes
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.sandboxes.tool import SandboxTool

if TYPE_CHECKING:
    from polyport_sandbox import FileInfo
    from polyport_sandbox.session import Session

__all__ = ["SessionTools", "describe_file", "describe_session"]

# It comes twice, as content and structured, and has to fit into one event of a stream: a megabyte for many clients.
_LARGEST_DOWNLOAD = 360 * 1024

SESSION = Annotated[str, Field(description="The session's id, from create_code_session.")]
NAME = Annotated[str, Field(description="Relative to the working folder, such as out/plot.png.")]


def describe_session(session: Session) -> SandboxSession:
    """Describe a session to its owner."""
    return SandboxSession(
        id=session.id,
        name=session.name,
        created_at=session.created_at,
        last_active_at=session.last_active_at,
        expires_at=session.expires_at,
        idle_s=session.idle_s,
        limits=asdict(session.limits),
        closed=session.closed,
    )


def describe_file(info: FileInfo) -> SandboxFile:
    """Describe a file of a session."""
    return SandboxFile(name=info.name, size=info.size, modified=info.modified, is_folder=info.is_folder)


class SessionTools:
    """The tools around `run_code`: each is a method, and its docstring what callers read.

    Args:
        service: The gateway's sandbox.
    """

    def __init__(self, service: SandboxService) -> None:
        self._service = service

    def tools(self) -> list[SandboxTool]:
        """Return them as capabilities."""
        changes = Annotations(read_only=False, destructive=False, idempotent=False, open_world=False)
        writes = Annotations(read_only=False, destructive=True, idempotent=True, open_world=False)
        reads = Annotations(read_only=True, destructive=False, idempotent=True, open_world=False)
        return [
            SandboxTool(self.create_code_session, annotations=changes),
            SandboxTool(self.list_code_sessions, annotations=reads),
            SandboxTool(self.close_code_session, annotations=writes),
            SandboxTool(self.upload_files, annotations=writes),
            SandboxTool(self.download_file, annotations=reads),
            SandboxTool(self.list_files, annotations=reads),
            SandboxTool(self.delete_file, annotations=writes),
        ]

    async def create_code_session(
        self,
        work: Work,
        name: str | None = None,
        files: FILES = None,
        memory_mb: int | None = None,
        allow_hosts: list[str] | None = None,
        idle_s: float | None = None,
        lifetime_s: float | None = None,
    ) -> SandboxSession:
        """Open a session in which variables, files and the working folder live on from one run_code to the next.

        Pass its id to run_code as `session`, and close it with close_code_session when done. It ends by itself when
        it isn't used.

        Args:
            work: The call it serves.
            name: What to call it, for people.
            files: Put into its working folder at the start.
            memory_mb: MiB that it may use.
            allow_hosts: Hosts that its code needs to reach; only those that this server allows.
            idle_s: Seconds without use after which it ends.
            lifetime_s: Seconds after which it ends in any case.
        """
        session = await self._service.open_session(
            work.call.caller,
            limits=None if memory_mb is None else {"memory_mb": memory_mb},
            files=file_bytes(files),
            allow_hosts=tuple(allow_hosts or ()),
            idle_s=idle_s,
            lifetime_s=lifetime_s,
            name=name,
        )
        return describe_session(session)

    async def list_code_sessions(self, work: Work) -> SandboxSessionList:
        """List your open code sessions, oldest first.

        Args:
            work: The call it serves.
        """
        found = await self._service.sessions(work.call.caller)
        return SandboxSessionList(data=[describe_session(session) for session in found])

    async def close_code_session(self, work: Work, session: SESSION) -> SandboxDeleted:
        """Close a code session: its variables and files are gone.

        Args:
            work: The call it serves.
            session: Which.
        """
        found = await self._session(work, session)
        await found.aclose()
        return SandboxDeleted(id=session, object="sandbox.session.deleted")

    async def upload_files(self, work: Work, session: SESSION, files: dict[str, str | FileContent]) -> SandboxFileList:
        """Write files into a code session's working folder, replacing those of the same name.

        Args:
            work: The call it serves.
            session: Which.
            files: Content by file name: text, or {"base64": "…"} for what is not text.
        """
        contents = file_bytes(files)
        found = await self._session(work, session)
        await found.upload(contents)
        listed = [SandboxFile(name=name, size=len(content)) for name, content in contents.items()]
        return SandboxFileList(data=listed)

    async def download_file(self, work: Work, session: SESSION, name: NAME) -> SandboxFileContent:
        """Read one file of a code session: text as text, a picture as one, the rest in base64; 360 KiB at most.

        Args:
            work: The call it serves.
            session: Which.
            name: Which file.
        """
        found = await self._session(work, session)
        content = await found.download(name, max_bytes=_LARGEST_DOWNLOAD)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            work.content = (file_content(name, content),)
            work.text = f"[{name}: {len(content)} bytes]"
            return SandboxFileContent(name=name, size=len(content), base64=base64.b64encode(content).decode("ascii"))
        work.text = text
        return SandboxFileContent(name=name, size=len(content), text=text)

    async def list_files(self, work: Work, session: SESSION, folder: str = "") -> SandboxFileList:
        """List the files of a code session's working folder, and those in its folders.

        Args:
            work: The call it serves.
            session: Which.
            folder: Only what is in this one.
        """
        found = await self._session(work, session)
        return SandboxFileList(data=[describe_file(info) for info in await found.list(folder)])

    async def delete_file(self, work: Work, session: SESSION, name: NAME) -> SandboxDeleted:
        """Delete a file of a code session, or a folder with all in it.

        Args:
            work: The call it serves.
            session: Which.
            name: Which file or folder.
        """
        found = await self._session(work, session)
        await found.delete(name)
        return SandboxDeleted(id=name, object="sandbox.file.deleted")

    async def _session(self, work: Work, identity: str) -> Session:
        return await self._service.session(identity, work.call.caller)
