"""The clients: `Client` and `AsyncClient`, one API."""

from __future__ import annotations

from polyport.client.aio import AsyncClient
from polyport.client.decoding import ChatEvent
from polyport.client.knowledge_streams import AskEvent, AsyncKnowledgeStream, KnowledgeStream
from polyport.client.responses import AsyncResponseStream, ResponseEvent, ResponseStream
from polyport.client.sandbox import CodeStream
from polyport.client.sandbox_aio import AsyncCodeStream
from polyport.client.sandbox_requests import CodeEvent
from polyport.client.streams import AsyncChatStream, AsyncCompletionStream, ChatStream, CompletionStream
from polyport.client.sync import Client

__all__ = [
    "AskEvent",
    "AsyncChatStream",
    "AsyncClient",
    "AsyncCodeStream",
    "AsyncCompletionStream",
    "AsyncKnowledgeStream",
    "AsyncResponseStream",
    "ChatEvent",
    "ChatStream",
    "Client",
    "CodeEvent",
    "CodeStream",
    "CompletionStream",
    "KnowledgeStream",
    "ResponseEvent",
    "ResponseStream",
]
