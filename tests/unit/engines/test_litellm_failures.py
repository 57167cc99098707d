"""What a caller learns when litellm itself fails, rather than the provider behind it."""

from __future__ import annotations

import os

import pytest

from polyport.errors import UpstreamError
from polyport_gateway.engines.litellm import LiteLLMEngine
from tests.support.calls import chat, collect

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it asks the network, thrice
litellm = pytest.importorskip("litellm")

pytestmark = pytest.mark.anyio


async def test_words_that_are_no_providers_stay_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(**_: object) -> None:
        raise RuntimeError("cannot read /srv/private/credentials.json")

    monkeypatch.setattr(litellm, "acompletion", broken)
    engine = LiteLLMEngine("openai/any")
    await engine.start()
    given = chat("hello")
    with pytest.raises(UpstreamError, match="failed with RuntimeError") as caught:
        await collect(engine, given)
    assert "credentials.json" not in caught.value.message
    assert "credentials.json" in caplog.text
    await engine.close()
