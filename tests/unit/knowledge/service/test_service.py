"""Knowledge bases as an app and its callers have them: declared, made, filled, searched, changed, dropped."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from polyport import App
from polyport.errors import (
    BadRequestError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    ServiceUnavailableError,
    UnsupportedOperationError,
    UpstreamError,
)
from polyport.testing import ScriptedEngine
from polyport.types.knowledge import KnowledgeCreateRequest
from polyport_gateway.call import LOCAL, Caller
from polyport_gateway.server import create_gateway
from polyport_gateway.settings import Settings
from tests.support.bases import counting, opened
from tests.support.records import emptied

pytestmark = pytest.mark.anyio

LEAVE = "# Leave\n\nEvery employee has 25 days of leave a year. Five days may be carried over.\n"
TRAIN = "# Travel\n\nTravel by train is booked through the front desk.\n"
CHINESE = "# 差旅制度\n\n住宿标准为每晚不超过六百元，上海和北京不超过八百元。\n"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "leave.md").write_text(LEAVE)
    (folder / "差旅.md").write_text(CHINESE)
    return folder


def declared(docs: Path, **options: object) -> App:
    app = App("t")
    app.knowledge("handbook", sources=[docs], index="memory", **options)  # type: ignore[arg-type]
    return app


def wanted(name: str, **options: object) -> KnowledgeCreateRequest:
    return KnowledgeCreateRequest(name=name, index="memory", **options)  # type: ignore[arg-type]


async def test_a_declared_base_follows_its_folder_through_restarts(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        assert await desk.sources("How many days of leave?") == ["docs/leave.md"]
        assert (await desk.sources("上海的住宿标准"))[0] == "docs/差旅.md"
        base = await desk.service.base("handbook", LOCAL)
        assert (base.documents, base.failed, base.state, base.mode, base.declared) == (2, 0, "ready", "bm25", True)
    (docs / "leave.md").unlink()
    (docs / "travel.md").write_text(TRAIN)
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        job = (await desk.service.jobs(LOCAL, "handbook"))[0]
        assert (job.status, job.added, job.unchanged, job.removed) == ("completed", 1, 1, 1)
        assert await desk.sources("leave days") == []
        assert await desk.sources("train desk") == ["docs/travel.md"]


async def test_an_answer_is_made_of_cited_sentences(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        text, answer = await desk.ask("How many days of leave does everybody have?", "handbook")
        assert text == answer.text
        assert answer.text.startswith("Every employee has 25 days of leave a year. [1]")
        assert answer.found
        whole = await desk.service.text("handbook", answer.citations[0].document, LOCAL)
        span = answer.citations[0].span
        assert span is not None
        assert whole[span[0] : span[1]] == answer.citations[0].quote == "Every employee has 25 days of leave a year."
        assert "BM25" in answer.notes[0]
        _, nothing = await desk.ask("Who won the football match?", "handbook")
        assert not nothing.found
        assert nothing.citations == []


async def test_a_conversation_is_understood_by_what_was_said_before(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        messages = [
            {"role": "user", "content": "上海的住宿标准是多少？"},
            {"role": "assistant", "content": "不超过八百元。"},
            {"role": "user", "content": "那北京呢？"},
        ]
        _, answer = await desk.ask(messages=messages, knowledge="handbook")
        assert "住宿标准" in answer.question
        assert "八百元" in answer.text
        with pytest.raises(BadRequestError, match="no question"):
            await desk.ask(messages=[{"role": "assistant", "content": "Hello."}])


async def test_a_model_writes_and_its_citations_are_checked(docs: Path, tmp_path: Path) -> None:
    app = declared(docs, model="writer")
    said = "You have 25 days of leave a year [1]. The moon is made of cheese [1]."
    app.model("writer", engine=ScriptedEngine(said, RuntimeError("broken"), "no [1]"))
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        _, answer = await desk.ask("How many days of leave?", "handbook")
        assert (answer.model, answer.dropped) == ("writer", 1)
        assert answer.text == "You have 25 days of leave a year [1]. The moon is made of cheese."
        _, fallback = await desk.ask("How many days of leave?", "handbook")
        assert fallback.model is None
        assert fallback.text.startswith("Every employee has 25 days")
        assert any("failed" in note for note in fallback.notes)
        _, extracted = await desk.ask("How many days of leave?", "handbook", model="none")
        assert extracted.model is None
        with pytest.raises(NotFoundError):
            await desk.ask("How many days of leave?", "handbook", model="nobody")
        with pytest.raises(BadRequestError, match="no model that writes"):
            await desk.ask("How many days of leave?", "handbook", model="handbook")


async def test_bases_come_and_go_while_the_gateway_serves(tmp_path: Path) -> None:
    app = App("t")
    app.function("taken")(lambda: None)
    async with opened(app, tmp_path) as desk:
        assert desk.service.state == "idle"
        await desk.service.create(wanted("notes", description="Notes."), caller=LOCAL)
        catalog = desk.gateway.catalog
        assert {"notes", "notes_search"} <= {one.name for one in catalog.visible(LOCAL)}
        assert "ask_knowledge" not in {one.name for one in catalog.visible(LOCAL)}
        await desk.service.create(wanted("more"), caller=LOCAL)
        assert "ask_knowledge" in {one.name for one in catalog.visible(LOCAL)}
        for name in ("notes", "taken", "ask_knowledge"):
            with pytest.raises(ConflictError):
                await desk.service.create(wanted(name), caller=LOCAL)
        assert (await desk.add("notes", {"a/travel.md": TRAIN})).added == 1
        assert await desk.sources("train desk", ["notes", "more"]) == ["a/travel.md"]
        await desk.service.delete("notes", LOCAL)
        assert "notes" not in {one.name for one in catalog.visible(LOCAL)}
        assert await desk.sources("train desk") == []
        with pytest.raises(NotFoundError):
            await desk.search("train", "notes")


async def test_made_bases_are_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(App("t"), tmp_path) as desk:
        await desk.service.create(wanted("notes"), caller=LOCAL)
        await desk.add("notes", {"travel.md": TRAIN})
    async with opened(App("t"), tmp_path) as desk:
        assert "notes_search" in {one.name for one in desk.gateway.catalog.visible(LOCAL)}
        house = await desk.service.house()
        await house.jobs.mended()  # an index in memory is filled anew from the catalogue
        assert await desk.sources("train desk") == ["travel.md"]


async def test_callers_see_what_their_keys_allow(docs: Path, tmp_path: Path) -> None:
    app = declared(docs)
    app.knowledge("secrets", index="memory")
    alice = Caller("alice", "alice", frozenset({"handbook"}))
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        await desk.add("secrets", {"leave.md": "# Leave\n\nThe chief has 99 days of leave.\n"})
        assert [base.name for base in await desk.service.bases(alice)] == ["handbook"]
        found = await desk.search("days of leave", caller=alice)
        assert {hit.knowledge for hit in found.data} == {"handbook"}
        for name in ("secrets", "nothing"):
            with pytest.raises(NotFoundError, match="does not exist or you do not have access"):
                await desk.search("leave", name, caller=alice)
        with pytest.raises(PermissionDeniedError):
            await desk.service.create(wanted("mine"), caller=alice)
        # Whoever may ask a base may search it too.
        assert desk.gateway.catalog.allows("handbook_search", alice)
        assert not desk.gateway.catalog.allows("secrets_search", alice)


async def test_a_private_base_is_its_makers_alone(tmp_path: Path) -> None:
    alice, bob = Caller("alice", "alice"), Caller("bob", "bob")
    async with opened(App("t"), tmp_path) as desk:
        await desk.service.create(wanted("vs_1"), caller=alice, private=True)
        assert "vs_1" not in {one.name for one in desk.gateway.catalog.visible(alice)}
        assert (await desk.service.base("vs_1", alice)).name == "vs_1"
        with pytest.raises(NotFoundError):
            await desk.service.base("vs_1", bob)
        with pytest.raises(BadRequestError, match="no knowledge bases"):
            await desk.search("anything", caller=bob)


async def test_documents_are_listed_changed_and_removed(tmp_path: Path) -> None:
    async with opened(App("t"), tmp_path) as desk:
        await desk.service.create(wanted("notes", fields={"year": "integer"}), caller=LOCAL)
        job = await desk.add("notes", {"leave.md": LEAVE, "travel.md": TRAIN, "broken.docx": b"PK\x03\x04broken"})
        assert (job.status, job.added, job.failed) == ("completed", 2, 1)
        assert job.errors[0].source == "broken.docx"
        listed = await desk.service.documents("notes", LOCAL)
        assert [(one.source, one.status) for one in listed.data] == [
            ("broken.docx", "failed"), ("leave.md", "ready"), ("travel.md", "ready"),
        ]  # fmt: skip
        changed = await desk.service.update_document("notes", "leave.md", {"metadata": {"year": 2025}}, LOCAL)
        assert (changed.metadata, changed.version) == ({"year": 2025}, 2)
        assert await desk.sources("leave train desk days", "notes", filter={"year": 2025}) == ["leave.md"]
        with pytest.raises(BadRequestError, match="year"):
            await desk.search("leave", "notes", filter={"yaer": 2025})
        gone = await desk.service.remove_documents("notes", ["leave.md", "nothing.md"], LOCAL)
        assert gone == [changed.id]
        assert await desk.sources("leave days", "notes") == []
        actions = [(one.action, one.source) for one in (await desk.service.changes("notes", LOCAL)).data]
        assert actions[0] == ("removed", "leave.md")
        assert ("updated", "leave.md") in actions
        assert ("failed", "broken.docx") in actions
        with pytest.raises(NotFoundError):
            await desk.service.document("notes", "leave.md", LOCAL)


async def test_a_filter_on_a_field_that_no_document_has_is_told(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        found = await desk.search("leave", "handbook", filter={"yaer": 2025})
        assert found.data == []
        assert "No document has the field 'yaer' that the filter names." in found.notes


@pytest.mark.parametrize(("query", "code"), [("  ", "empty_query"), ("leave " * 20_000, "query_too_long")])
async def test_a_question_of_nothing_or_of_a_book_is_refused(docs: Path, tmp_path: Path, query: str, code: str) -> None:
    async with opened(declared(docs), tmp_path) as desk:
        with pytest.raises(BadRequestError) as refused:
            await desk.search(query)
        assert refused.value.code == code
        with pytest.raises(BadRequestError):
            await desk.ask(query)


async def test_an_embedder_makes_a_base_hybrid(docs: Path, tmp_path: Path) -> None:
    app = declared(docs, embedder="counter")
    engine = ScriptedEngine(*[counting] * 200)
    app.model("counter", engine=engine)
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        found = await desk.search("days of leave", "handbook")
        assert (found.mode, found.notes) == ("hybrid", [])
        assert set(found.data[0].scores) >= {"bm25", "dense"}
        asked = len(engine.requests)
        await desk.search("days of leave", "handbook")
        assert len(engine.requests) == asked  # it was asked lately
        with pytest.raises(BadRequestError, match="vectors of 'other'"):
            await desk.search("leave", "handbook", embedder="other")


async def test_documents_are_cut_as_small_as_the_embedder_reads(tmp_path: Path) -> None:
    refused: list[int] = []

    def narrow(request: Any) -> Any:
        texts = [request.input] if isinstance(request.input, str) else list(request.input)
        if (longest := max(len(text.split()) for text in texts)) > 128:
            refused.append(longest)
            raise BadRequestError("This model's maximum context length is 128 tokens.")
        return counting(request)

    app = App("t")
    app.model("narrow", engine=ScriptedEngine(*[narrow] * 500))
    app.knowledge("handbook", index="memory", embedder="narrow")
    text = "".join(f"In year {year} all had {year % 30} days of leave and a desk of wood.\n" for year in range(99))
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        assert refused  # that is how it was found out
        refused.clear()
        assert (await desk.add("handbook", {"leave.txt": text})).added == 1
        assert (await desk.service.base("handbook", LOCAL)).chunks > 10
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        assert (await desk.add("handbook", {"more.txt": text + "And a cat."})).added == 1
    assert not refused


async def test_a_model_that_was_replaced_by_one_of_another_size(tmp_path: Path) -> None:
    def fewer(request: Any) -> Any:
        answer = counting(request)
        return {**answer, "data": [{**one, "embedding": one["embedding"][:5]} for one in answer["data"]]}

    def app(answers: Any) -> App:
        made = App("t")
        made.model("counter", engine=ScriptedEngine(*[answers] * 500))
        made.knowledge("handbook", embedder="counter")
        return made

    async with opened(app(counting), tmp_path, wait=["handbook"]) as desk:
        assert (await desk.add("handbook", {"leave.md": LEAVE})).added == 1
    async with opened(app(fewer), tmp_path, wait=["handbook"]) as desk:
        failed = await desk.add("handbook", {"travel.md": TRAIN})
        assert failed.status == "failed"
        assert "Reindex the knowledge base" in (failed.error or "")
        found = await desk.search("days of leave", "handbook")
        assert (found.mode, [hit.source for hit in found.data]) == ("bm25", ["leave.md"])
        assert any("its model has changed" in note for note in found.notes)
        with pytest.raises(UpstreamError, match="its model has changed"):
            await desk.search("days of leave", "handbook", mode="hybrid")
        assert (await desk.done(await desk.service.reindex("handbook", {}, LOCAL))).status == "completed"
        assert (await desk.add("handbook", {"travel.md": TRAIN})).added == 1
        found = await desk.search("days of leave", "handbook")
        assert (found.mode, found.data[0].source) == ("hybrid", "leave.md")
        assert (await desk.service.base("handbook", LOCAL)).state == "ready"


async def test_a_question_is_embedded_anew_when_its_base_was_built_by_another_model(tmp_path: Path) -> None:
    small = False

    def embeds(request: Any) -> Any:
        answer = counting(request)
        return {
            **answer,
            "data": [{**one, "embedding": one["embedding"][: 5 if small else 8]} for one in answer["data"]],
        }

    app = App("t")
    app.model("counter", engine=ScriptedEngine(*[embeds] * 500))
    app.knowledge("handbook", embedder="counter")
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        await desk.add("handbook", {"leave.md": LEAVE})
        assert (await desk.search("days of leave", "handbook")).mode == "hybrid"
        small = True
        assert (await desk.done(await desk.service.reindex("handbook", {}, LOCAL))).status == "completed"
        found = await desk.search("days of leave", "handbook")
        assert (found.mode, found.notes) == ("hybrid", [])


async def test_models_that_fail_at_a_question_take_only_what_they_add(tmp_path: Path) -> None:
    down = False
    asked: list[str] = []

    def embeds(request: Any) -> Any:
        if down:
            asked.append("embed")
            raise UpstreamError("no such host", code="upstream_invalid")
        return counting(request)

    def ranks(request: Any) -> Any:
        if down:
            raise UpstreamError("out of memory", code="upstream_invalid")
        return {"results": [{"index": place, "relevance_score": 1.0} for place in range(len(request.documents))]}

    app = App("t")
    app.model("counter", engine=ScriptedEngine(*[embeds] * 500))
    app.model("ranker", engine=ScriptedEngine(*[ranks] * 500))
    for name in ("handbook", "travel"):
        app.knowledge(name, embedder="counter", reranker="ranker")
    async with opened(app, tmp_path, wait=["handbook", "travel"]) as desk:
        await desk.add("handbook", {"leave.md": LEAVE})
        await desk.add("travel", {"travel.md": TRAIN})
        found = await desk.search("days of leave", "handbook")
        assert (found.mode, found.notes, "rerank" in found.data[0].scores) == ("hybrid", [], True)
        down = True
        found = await desk.search("Who has days of leave, and how many?")  # routed
        assert found.data[0].source == "leave.md"
        assert (found.mode, asked) == ("bm25", ["embed"])  # its caller does not wait for each of three questions
        no_vectors, no_order = found.notes
        assert no_vectors.startswith("'counter' gave no vectors, so passages were found by words alone")
        assert no_order.startswith("'ranker' did not rerank")
        _, answer = await desk.ask("Who has days of leave, and how many?", "handbook")
        assert "25 days" in answer.text
        assert no_vectors in answer.notes
        for asks in ({"mode": "hybrid"}, {"embedder": "counter"}, {"mode": "bm25", "rerank": True}):
            with pytest.raises(UpstreamError):
                await desk.search("leave in days", "handbook", **asks)
        down = False
        assert (await desk.search("Who has leave?", "handbook")).mode == "hybrid"


async def test_a_base_whose_embedder_is_down_is_searched_by_words_and_says_so(docs: Path, tmp_path: Path) -> None:
    down = App("t")
    down.model("counter", engine=ScriptedEngine(*[UpstreamError("down", code="upstream_invalid")] * 500))
    down.knowledge("handbook", sources=[docs], index="memory", embedder="counter")
    async with opened(down, tmp_path, wait=["handbook"]) as desk:
        found = await desk.search("days of leave")
        assert (found.mode, [hit.source for hit in found.data]) == ("bm25", ["docs/leave.md"])
        base = await desk.service.base("handbook", LOCAL)
        assert base.state == "failed"
        assert "can't be built as it is configured" in (base.error or "")
    up = App("t")
    up.model("counter", engine=ScriptedEngine(*[counting] * 200))
    up.knowledge("handbook", sources=[docs], index="memory", embedder="counter")
    async with opened(up, tmp_path, wait=["handbook"]) as desk:
        assert (await desk.search("days of leave")).mode == "hybrid"
        assert (await desk.service.base("handbook", LOCAL)).generation == 2


async def test_what_is_not_there_is_named_when_a_base_is_made(tmp_path: Path) -> None:
    async with opened(App("t"), tmp_path) as desk:
        for options, said in (
            ({"embedder": "nobody"}, "embedder='nobody' is nothing"),
            ({"model": "nobody"}, "model='nobody'"),
            ({"reranker": "nobody"}, "reranker='nobody'"),
            ({"chunker": "Nonsense()"}, "Nonsense"),
            ({"index": "nonsense"}, "there is no index"),
            ({"keywords": "nobody"}, "nobody"),
        ):
            with pytest.raises(BadRequestError, match=said):
                await desk.service.create(wanted("notes").model_copy(update=options), caller=LOCAL)
        with pytest.raises(PermissionDeniedError, match="POLYPORT_KNOWLEDGE_FOLDERS"):
            await desk.service.create(wanted("notes", sources=["/etc"]), caller=LOCAL)
        assert await desk.service.bases(LOCAL) == []


async def test_another_chunker_is_built_beside_and_switched_to(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        before = await desk.service.base("handbook", LOCAL)
        job = await desk.done(await desk.service.reindex("handbook", {"chunker": "Sentences(max_tokens=16)"}, LOCAL))
        after = await desk.service.base("handbook", LOCAL)
        assert (job.status, after.chunker) == ("completed", "Sentences(max_tokens=16)")
        assert (after.generation, after.documents) == (before.generation + 1, 2)
        assert after.chunks > before.chunks
        assert set(await desk.sources("carried over", "handbook")) == {"docs/leave.md"}
        again = await desk.done(await desk.service.reindex("handbook", {}, LOCAL))
        assert again.status == "completed"
        assert (await desk.service.base("handbook", LOCAL)).generation == after.generation + 1
        with pytest.raises(BadRequestError):
            await desk.service.reindex("handbook", {"chunker": "Nonsense()"}, LOCAL)
    # What the app says is what holds at the next start.
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        assert (await desk.service.base("handbook", LOCAL)).chunker is None


async def test_keywords_are_made_by_a_function_and_anew_when_asked(docs: Path, tmp_path: Path) -> None:
    app = declared(docs)
    app.function("shout")(_shout)
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        deferred = await desk.service.rekey("handbook", LOCAL, changes={"function": "shout"})
        assert (deferred.job, deferred.keywords.version, deferred.keywords.behind) == (None, 2, 2)
        rekeyed = await desk.service.rekey("handbook", LOCAL, changes={"batch": True})
        job = await desk.done(rekeyed.job)
        assert (job.status, job.updated) == ("completed", 2)
        document = await desk.service.document("handbook", "docs/leave.md", LOCAL)
        assert (document.keywords, document.keywords_version) == (["LEAVE"], 3)
        assert (await desk.service.base("handbook", LOCAL)).keywords.behind == 0
        with pytest.raises(BadRequestError):
            await desk.service.rekey("handbook", LOCAL, changes={"function": "nobody"})


def _shout(text: str) -> list[str]:
    """Give the first word, loudly."""
    return [text.split()[0].upper()]


async def test_a_folder_that_is_not_there_fails_the_job_and_removes_nothing(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]):
        pass
    docs.rename(docs.with_name("elsewhere"))
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        job = (await desk.service.jobs(LOCAL, "handbook"))[0]
        assert job.failed == 1
        assert "docs" in job.errors[0].source
        assert await desk.sources("days of leave") == ["docs/leave.md"]


async def test_an_index_that_fails_is_left_out_and_named(docs: Path, tmp_path: Path) -> None:
    app = declared(docs)
    app.knowledge("faraway", index="qdrant", index_options={"url": "http://127.0.0.1:9", "timeout": 1})
    async with opened(app, tmp_path, wait=["handbook"]) as desk:
        found = await desk.search("days of leave")
        assert [hit.knowledge for hit in found.data] == ["handbook"]
        assert [left.knowledge for left in found.left_out] == ["faraway"]
        assert found.searched == ["handbook"]
        with pytest.raises(ServiceUnavailableError):
            await desk.search("days of leave", "faraway")


async def test_switched_off_is_said(docs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="switched off"):
        create_gateway(declared(docs), Settings(data_dir=tmp_path, knowledge=False))
    async with opened(App("t"), tmp_path, knowledge=False) as desk:
        assert desk.service.state == "disabled"
        with pytest.raises(UnsupportedOperationError, match="POLYPORT_KNOWLEDGE=none"):
            await desk.service.bases(LOCAL)


async def test_conditions_in_a_question_become_a_filter(tmp_path: Path) -> None:
    async with opened(App("t"), tmp_path) as desk:
        await desk.service.create(wanted("notes"), caller=LOCAL)
        for year in (2023, 2024):
            await desk.add("notes", {f"{year}.md": LEAVE}, metadata={"year": year, "author": "Ann Lee"})
        await desk.add("notes", {"other.md": LEAVE}, metadata={"year": 2024, "author": "Bo Chen"})
        found = await desk.search("days of leave in 2024 by Ann Lee", "notes", self_query=True)
        assert [hit.source for hit in found.data] == ["2024.md"]
        assert any("Ann Lee" in note for note in found.notes)
        plain = await desk.search("days of leave in 2024 by Ann Lee", "notes")
        assert plain.filter is None
        assert len(plain.data[0].duplicates) == 2
        # Nothing is of that year: the words are searched for as they are.
        assert (await desk.search("days of leave in 1999", "notes", self_query=True)).data


async def test_a_question_that_names_no_base_goes_to_those_it_concerns(tmp_path: Path) -> None:
    async with opened(App("t"), tmp_path) as desk:
        for name, text in (("people", LEAVE), ("travel", TRAIN), ("trips", CHINESE)):
            await desk.service.create(wanted(name), caller=LOCAL)
            await desk.add(name, {f"{number}.md": f"{text}\nNumber {number}.\n" for number in range(5)})
        for question, name in (("How many days of leave?", "people"), ("上海的住宿标准是多少？", "trips")):
            found = await desk.search(question)
            assert (found.searched, found.routed[0].knowledge) == ([name], name)
            assert found.routed[0].why
            assert {hit.knowledge for hit in found.data} == {name}
        assert (await desk.search("days", ["travel"])).routed == []


async def test_callers_name_only_what_they_may_use(docs: Path, tmp_path: Path) -> None:
    app = App("t")
    app.model("writer", engine=ScriptedEngine("Yes."))
    app.function("shout")(_shout)
    alice = Caller("alice", "alice", frozenset({"mine", "shout"}))
    async with opened(app, tmp_path) as desk:
        with pytest.raises(BadRequestError, match="no model or function 'writer'"):
            await desk.service.create(wanted("mine", model="writer"), caller=alice)
        with pytest.raises(PermissionDeniedError, match="index_options"):
            await desk.service.create(wanted("mine", index_options={"folder": str(docs)}), caller=alice)
        await desk.service.create(wanted("mine", keywords="shout"), caller=alice)
        with pytest.raises(BadRequestError, match="no model or function 'writer'"):
            await desk.service.configure("mine", {"model": "writer"}, alice)
        with pytest.raises(PermissionDeniedError, match="index_options"):
            await desk.service.reindex("mine", {"index_options": {"folder": str(docs)}}, alice)
        assert (await desk.service.configure("mine", {"description": "Mine."}, alice)).description == "Mine."


async def test_bases_are_made_changed_and_dropped_while_questions_are_asked(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        seen: list[list[str | None]] = []

        async def ask() -> None:
            while True:
                found = await desk.search("How many days of leave?")
                assert found.left_out == []
                seen.append([hit.source for hit in found.data if hit.knowledge == "handbook"])

        asking = asyncio.ensure_future(ask())
        for number in range(3):
            name = f"more-{number}"
            await desk.service.create(wanted(name), caller=LOCAL)
            await desk.add(name, {"a.md": TRAIN})
            await desk.done(
                await desk.service.reindex("handbook", {"chunker": f"Sentences(max_tokens={32 + number})"}, LOCAL)
            )
            await desk.done((await desk.service.rekey("handbook", LOCAL, changes={"batch": True})).job)
            await desk.service.delete(name, LOCAL)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        assert len(seen) > 3
        # Never two builds of a document, and never none.
        assert {tuple(dict.fromkeys(sources)) for sources in seen} == {("docs/leave.md",)}


async def test_what_is_said_of_a_document_stays_when_its_file_changes(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs), tmp_path, wait=["handbook"]) as desk:
        said = {"metadata": {"owner": "Aiko"}, "tags": ["people"], "title": "Time off"}
        await desk.service.update_document("handbook", "docs/leave.md", said, LOCAL)
        (docs / "leave.md").write_text(LEAVE.replace("25", "26"))
        await desk.done(await desk.service.refresh("handbook", LOCAL))
        document = await desk.service.document("handbook", "docs/leave.md", LOCAL)
        assert (document.title, document.metadata, document.tags) == ("Time off", {"owner": "Aiko"}, ["people"])
        assert document.version == 3
        found = await desk.search("days of leave", "handbook", filter={"owner": "Aiko"})
        assert "26 days" in found.data[0].text


async def test_a_watched_folder_is_followed(docs: Path, tmp_path: Path) -> None:
    async with opened(declared(docs, watch=True), tmp_path, wait=["handbook"]) as desk:
        await asyncio.sleep(0.5)  # it is watched from then on
        (docs / "travel.md").write_text(TRAIN)
        async with asyncio.timeout(30):
            while "docs/travel.md" not in await desk.sources("train desk"):
                await asyncio.sleep(0.2)


@pytest.mark.requires("postgres")
async def test_several_gateways_on_one_postgresql_see_each_others_bases(tmp_path: Path, postgres_url: str) -> None:
    records_url = await asyncio.to_thread(emptied, postgres_url)
    async with (
        opened(App("one"), tmp_path / "one", database_url=records_url) as one,
        opened(App("two"), tmp_path / "two", database_url=records_url) as two,
    ):
        await two.service.house()
        await one.service.create(wanted("notes"), caller=LOCAL)
        async with asyncio.timeout(30):
            while "notes_search" not in {capability.name for capability in two.gateway.catalog.visible(LOCAL)}:
                await asyncio.sleep(0.2)
        await one.service.delete("notes", LOCAL)
        async with asyncio.timeout(30):
            while "notes_search" in {capability.name for capability in two.gateway.catalog.visible(LOCAL)}:
                await asyncio.sleep(0.2)
