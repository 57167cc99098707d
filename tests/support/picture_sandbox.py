"""A scripted sandbox whose code can show pictures too: ``picture``, or ``picture BASE64``."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from dataclasses import fields
from typing import Any

from polyport_sandbox import Display, DisplayEvent, ProviderSession, RunEvent, RunRequest, SessionRequest
from tests.support.scripted_sandbox import Place, ScriptedProvider

__all__ = ["PNG", "PictureProvider"]

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and the rest").decode()


class PicturePlace(Place):
    """A place that shows pictures."""

    async def _act(self, verb: str, rest: str, request: RunRequest, told: dict[str, Any]) -> AsyncGenerator[RunEvent]:
        if verb == "picture":
            display = Display({"image/png": rest or PNG, "text/plain": "<Figure>"})
            told["displays"].append(display)
            yield DisplayEvent("display", display)
            return
        async for event in super()._act(verb, rest, request, told):
            yield event


class PictureProvider(ScriptedProvider):
    """A provider of such places."""

    async def open_session(self, request: SessionRequest, *, caller: str) -> ProviderSession:
        opened = await super().open_session(request, caller=caller)
        session = self.sessions[-1]
        session.place = PicturePlace(**{field.name: getattr(session.place, field.name) for field in fields(Place)})
        return opened
