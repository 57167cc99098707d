"""Knowledge bases in memory, which find by common words: for tests of the wire, the clients and the commands."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from polyport.content import Citation
from polyport.errors import BadRequestError, ConflictError, NotFoundError
from polyport.events import CitationAdded, Event, Finish, Progress, Result, TextDelta
from polyport.types.knowledge import (
    AskRequest,
    KnowledgeAnswer,
    KnowledgeBase,
    KnowledgeChange,
    KnowledgeChangeList,
    KnowledgeCitation,
    KnowledgeCreateRequest,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeHit,
    KnowledgeJob,
    KnowledgeKeywords,
    KnowledgeResults,
    SearchRequest,
    SourceError,
)
from polyport.types.knowledge_requests import KnowledgeRekeyed
from polyport_gateway.call import Call, Caller, KnowledgeWork
from polyport_gateway.knowledge.uploads import Upload
from polyport_gateway.server import Gateway
from polyport_gateway.wires.router import Route

__all__ = ["MemoryKnowledge", "install"]


@dataclass
class _Base:
    form: KnowledgeBase
    documents: dict[str, KnowledgeDocument] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    log: list[KnowledgeChange] = field(default_factory=list)


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+|[一-鿿]", text.lower()))


class MemoryKnowledge:
    """Keeps bases for one process; also the dispatcher of searches and questions.

    Args:
        pause_s: Seconds that each document takes.
    """

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s
        self.bases_by_name: dict[str, _Base] = {}
        self.jobs_by_id: dict[str, KnowledgeJob] = {}
        self.asked: list[SearchRequest] = []
        self.cancelled = 0
        self._numbers = itertools.count(1)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def _get(self, name: str, caller: Caller) -> _Base:
        if name not in self.bases_by_name or not caller.may(name):
            raise NotFoundError(f"The knowledge base {name!r} does not exist.", code="knowledge_not_found")
        return self.bases_by_name[name]

    async def create(self, request: KnowledgeCreateRequest, *, caller: Caller) -> KnowledgeBase:
        if request.name in self.bases_by_name:
            raise ConflictError(f"There is a {request.name!r} already.")
        form = KnowledgeBase(name=request.name, description=request.description, sources=request.sources)
        self.bases_by_name[request.name] = _Base(form)
        return await self.base(request.name, caller)

    async def base(self, name: str, caller: Caller) -> KnowledgeBase:
        base = self._get(name, caller)
        return base.form.model_copy(update={"documents": len(base.documents), "chunks": len(base.documents)})

    async def bases(self, caller: Caller) -> list[KnowledgeBase]:
        return [await self.base(name, caller) for name in self.bases_by_name if caller.may(name)]

    async def configure(self, name: str, changes: Mapping[str, Any], caller: Caller) -> KnowledgeBase:
        base = self._get(name, caller)
        base.form = base.form.model_copy(update=dict(changes))
        return await self.base(name, caller)

    async def delete(self, name: str, caller: Caller) -> None:
        self._get(name, caller)
        del self.bases_by_name[name]

    async def add(
        self,
        name: str,
        uploads: Sequence[Upload],
        caller: Caller,
        *,
        urls: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        chunker: str | None = None,
    ) -> KnowledgeJob:
        base = self._get(name, caller)
        held = [(upload, upload.data if isinstance(upload.data, bytes) else upload.data.read()) for upload in uploads]
        held += [(Upload(url, url, b"", metadata or {}, tuple(tags), chunker), f"From {url}".encode()) for url in urls]
        return self._begin(name, "ingest", self._take(base, held), len(held))

    def _begin(self, name: str, kind: Any, work: Any, total: int) -> KnowledgeJob:
        job = KnowledgeJob(
            id=f"job_{next(self._numbers)}", knowledge=name, kind=kind, status="queued", total=total, created_at=1
        )
        self.jobs_by_id[job.id] = job
        self._tasks[job.id] = asyncio.get_running_loop().create_task(self._run(job.id, work))
        return job

    async def _run(self, job_id: str, work: AsyncGenerator[dict[str, Any], None]) -> None:
        try:
            async for changes in work:
                job = self.jobs_by_id[job_id]
                counted = {key: getattr(job, key) + value for key, value in changes.items() if key != "error"}
                errors = [*job.errors, changes["error"]] if "error" in changes else job.errors
                self.jobs_by_id[job_id] = job.model_copy(
                    update={**counted, "errors": errors, "status": "running", "done": job.done + 1}
                )
            status = "completed"
        except asyncio.CancelledError:
            status = "cancelled"
        self.jobs_by_id[job_id] = self.jobs_by_id[job_id].model_copy(update={"status": status})

    def put(self, name: str, contents: Mapping[str, str]) -> None:
        """Have a base with these documents."""
        base = self.bases_by_name[name] = _Base(KnowledgeBase(name=name, description=f"About {name}"))
        for key, text in contents.items():
            self._keep(base, Upload(key, key, b""), text.encode())

    async def _take(self, base: _Base, held: Sequence[tuple[Upload, bytes]]) -> AsyncGenerator[dict[str, Any], None]:
        for upload, data in held:
            await asyncio.sleep(self.pause_s)
            old = next((one for one in base.documents.values() if one.source == upload.key), None)
            if b"\0" in data:
                yield {"failed": 1, "error": SourceError(source=upload.key, message="no text", code="binary")}
                continue
            if old is not None and old.sha256 == hashlib.sha256(data).hexdigest():
                yield {"unchanged": 1}
                continue
            yield {self._keep(base, upload, data): 1}

    def _keep(self, base: _Base, upload: Upload, data: bytes) -> str:
        old = next((one for one in base.documents.values() if one.source == upload.key), None)
        uid = old.id if old is not None else f"doc_{next(self._numbers)}"
        filename = upload.filename.rpartition("/")[2]
        base.documents[uid] = KnowledgeDocument(
            id=uid,
            knowledge=base.form.name,
            title=filename.rpartition(".")[0] or filename,
            source=upload.key,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            metadata=dict(upload.metadata),
            tags=list(upload.tags),
            chunks=1,
        )
        base.texts[uid] = data.decode()
        action = "updated" if old is not None else "added"
        base.log.insert(0, KnowledgeChange(at=int(time.time() * 1000), action=action, source=upload.key))
        return action

    async def refresh(self, name: str, caller: Caller) -> KnowledgeJob:
        return self._begin(name, "ingest", self._take(self._get(name, caller), []), 0)

    async def reindex(self, name: str, changes: Mapping[str, Any], caller: Caller) -> KnowledgeJob:
        base = self._get(name, caller)
        asked = changes.get("embedder")
        embedders = [asked] if isinstance(asked, str) else list(asked or ())
        base.form = base.form.model_copy(update={"embedders": embedders})
        return self._begin(name, "reindex", self._take(base, []), 0)

    async def rekey(self, name: str, caller: Caller, *, changes: Mapping[str, Any]) -> KnowledgeRekeyed:
        base = self._get(name, caller)
        job = self._begin(name, "rekey", self._take(base, []), 0) if changes.get("batch") else None
        return KnowledgeRekeyed(keywords=KnowledgeKeywords(version=changes.get("version") or 2), job=job)

    async def jobs(self, caller: Caller, name: str | None = None) -> list[KnowledgeJob]:
        found = [job for job in self.jobs_by_id.values() if caller.may(job.knowledge)]
        return [job for job in reversed(found) if name in (None, job.knowledge)]

    async def job(self, job_id: str, caller: Caller) -> KnowledgeJob:
        job = self.jobs_by_id.get(job_id)
        if job is None or not caller.may(job.knowledge):
            raise NotFoundError(f"There is no job {job_id!r}.", code="job_not_found")
        return job

    async def follow(self, job_id: str, caller: Caller) -> AsyncIterator[KnowledgeJob]:
        last = None
        while last is None or not last.finished:
            job = await self.job(job_id, caller)
            if job != last:
                last = job
                yield job
            await asyncio.sleep(0.01)

    async def cancel_job(self, job_id: str, caller: Caller) -> KnowledgeJob:
        job = await self.job(job_id, caller)
        self._tasks[job.id].cancel()
        await asyncio.wait({self._tasks[job.id]})
        return self.jobs_by_id[job.id]

    def _document(self, base: _Base, uid: str) -> KnowledgeDocument:
        found = base.documents.get(uid) or next((one for one in base.documents.values() if one.source == uid), None)
        if found is None:
            raise NotFoundError(f"There is no document {uid!r}.", code="document_not_found")
        return found

    async def documents(
        self, name: str, caller: Caller, *, after: str | None = None, limit: int = 100, query: str | None = None
    ) -> KnowledgeDocumentList:
        found = [
            one
            for one in self._get(name, caller).documents.values()
            if query is None or query in one.title + one.source
        ]
        start = 0 if after is None else [one.id for one in found].index(after) + 1
        page = found[start : start + limit]
        more = start + limit < len(found)
        return KnowledgeDocumentList(
            data=page, total=len(found), has_more=more, next=page[-1].id if more and page else None
        )

    async def document(self, name: str, uid: str, caller: Caller) -> KnowledgeDocument:
        return self._document(self._get(name, caller), uid)

    async def update_document(
        self, name: str, uid: str, changes: Mapping[str, Any], caller: Caller
    ) -> KnowledgeDocument:
        base = self._get(name, caller)
        changed = self._document(base, uid).model_copy(update=dict(changes))
        base.documents[changed.id] = changed
        return changed

    async def remove_documents(self, name: str, uids: Sequence[str], caller: Caller) -> list[str]:
        base = self._get(name, caller)
        gone = [one.id for one in base.documents.values() if one.id in uids or one.source in uids]
        for uid in gone:
            del base.documents[uid]
        return gone

    async def text(self, name: str, uid: str, caller: Caller) -> str:
        base = self._get(name, caller)
        return base.texts[self._document(base, uid).id]

    async def changes(
        self, name: str, caller: Caller, *, before: int | None = None, limit: int = 100
    ) -> KnowledgeChangeList:
        found = [one for one in self._get(name, caller).log if before is None or one.at < before]
        return KnowledgeChangeList(data=found[:limit], has_more=len(found) > limit)

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """Answer as the dispatcher does."""
        assert isinstance(call.input, KnowledgeWork)
        request = call.input.request
        self.asked.append(request)
        if "unasked" in request.query:
            raise BadRequestError("This can't be asked.", param="query")
        results = self._found(request, call.caller)
        if isinstance(request, AskRequest):
            async for event in self._answered(request, results):
                yield event
        else:
            yield Result(results, "")
        yield Finish()

    def _found(self, request: SearchRequest, caller: Caller) -> KnowledgeResults:
        names = [request.knowledge] if isinstance(request.knowledge, str) else request.knowledge
        chosen = list(names) if names is not None else [name for name in self.bases_by_name if caller.may(name)]
        asked = words(request.query)
        hits = []
        for name in chosen:
            base = self._get(name, caller)
            for number, document in enumerate(base.documents.values(), 1):
                text = base.texts[document.id]
                score = len(asked & words(text)) / max(1, len(asked))
                if score and all(document.metadata.get(key) == value for key, value in (request.filter or {}).items()):
                    hits.append(_hit(name, number, document, text, score, asked))
        hits.sort(key=lambda hit: -hit.score)
        return KnowledgeResults(query=request.query, data=hits[: request.limit], mode="bm25", searched=chosen)

    async def _answered(self, request: AskRequest, results: KnowledgeResults) -> AsyncGenerator[Event, None]:
        question = request.query or str((request.messages or [{}])[-1].get("content"))
        if request.messages:
            results = self._found(request.model_copy(update={"query": question}), Caller("local", "local"))
        yield Progress(0, message="searching")
        if "forever" in question:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        text, citations = "The documents say nothing of this.", []
        if results.data:
            hit = results.data[0]
            text = hit.text.strip()
            citations = [
                KnowledgeCitation(
                    start=0, end=len(text), number=1, knowledge=hit.knowledge, document=hit.document, chunk=hit.chunk,
                    title=hit.title, quote="In other words." if "quoted" in question else text,
                    source=hit.source, page=hit.page, heading_path=hit.heading_path,
                )
            ]  # fmt: skip
        for piece in re.findall(r"\S+\s*|\s+", text):
            yield TextDelta(piece)
            if "break" in question:
                raise BadRequestError("It broke off.")
        for one in citations:
            yield CitationAdded(Citation(one.title, document=one.document, start=0, end=one.end, page=one.page))
        yield Result(
            KnowledgeAnswer(
                text=text, found=bool(citations), citations=citations, hits=results.data, question=question,
                searched=results.searched, language="en",
            ),
            text,
        )  # fmt: skip


def _hit(name: str, number: int, document: KnowledgeDocument, text: str, score: float, asked: set[str]) -> KnowledgeHit:
    return KnowledgeHit(
        knowledge=name,
        document=document.id,
        chunk=number,
        title=document.title,
        text=text,
        score=score,
        source=document.source,
        page=1,
        pages=[1],
        span=(0, len(text)),
        heading_path=["Part", document.title],
        metadata=document.metadata,
        tags=document.tags,
        scores={"bm25": score},
        why=f"It has {', '.join(sorted(asked & words(text)))}.",
    )


def install(patch: pytest.MonkeyPatch, memory: MemoryKnowledge) -> None:
    """Have gateways serve these knowledge bases."""
    from polyport_gateway.wires.rest.knowledge import KnowledgeWire

    served = Gateway.routes

    def routes(self: Gateway) -> list[Route]:
        others = [route for route in served(self) if not route.path.startswith("/v1/knowledge")]
        return [*others, *KnowledgeWire(memory, memory, self.settings).routes]  # type: ignore[arg-type]

    patch.setattr(Gateway, "routes", routes)
