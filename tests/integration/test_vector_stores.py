"""`/v1/vector_stores` as the unmodified `openai` package uses it, over real files and a real knowledge base."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.testing import gateway
from tests.integration.postgres import postgres_server
from tests.support.documents import docx
from tests.support.openai_spec import load_openai
from tests.support.wires import eventually

WARRANTY = "# 保修\n\n设备的保修期为三年，自购买之日起计算。\n"
SHIPPING = "# Shipping\n\nGoods are shipped within five days from Hamburg.\n\n# Returns\n\nReturns take a fortnight.\n"


def pdf(*lines: str) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file)
    for number, line in enumerate(lines):
        canvas.drawString(72, 760 - 20 * number, line)
    canvas.save()
    return file.getvalue()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("qdrant_edge")
    folder = tmp_path_factory.mktemp("stores")
    docs = folder / "docs"
    docs.mkdir()
    (docs / "手册.md").write_text(WARRANTY, encoding="utf-8")
    (docs / "shipping.md").write_text(SHIPPING)
    app = App("stores")
    app.knowledge("handbook", sources=[str(docs)])
    app.model("echo", engine="echo")
    with gateway(app, data_dir=folder / "data", documents_max_bytes=1 << 20) as running:
        with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none") as client:
            eventually(
                lambda: client.vector_stores.retrieve("handbook").file_counts.completed == 2, 30, "handbook is read"
            )
        yield running


@pytest.fixture
def client(served: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made
        for store in made.vector_stores.list():
            if store.id != "handbook":
                made.vector_stores.delete(store.id)
        for file in made.files.list():
            made.files.delete(file.id)


def upload(client: openai.OpenAI, name: str = "shipping.md", content: bytes | str = SHIPPING) -> str:
    data = content.encode() if isinstance(content, str) else content
    return client.files.create(file=(name, data), purpose="user_data").id


def filled(client: openai.OpenAI, *ids: str, **members: Any) -> str:
    """Return a store that has taken files in."""
    store = client.vector_stores.create(**members)
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=list(ids))
    assert batch.status == "completed", batch
    return store.id


def texts(found: Any) -> list[str]:
    return [part.text for hit in found for part in hit.content]


class TestStores:
    def test_one_comes_and_goes(self, client: openai.OpenAI) -> None:
        made = client.vector_stores.create(name="手册", metadata={"team": "甲"})
        assert made.id.startswith("vs_")
        assert (made.object, made.name, made.status, made.metadata) == (
            "vector_store", "手册", "completed", {"team": "甲"},
        )  # fmt: skip
        assert (made.file_counts.total, made.usage_bytes, made.expires_at) == (0, 0, None)
        assert client.vector_stores.retrieve(made.id) == made
        changed = client.vector_stores.update(made.id, name="new", metadata={"a": "b"})
        assert (changed.name, changed.metadata) == ("new", {"a": "b"})
        assert client.vector_stores.update(made.id, metadata=None).metadata == {}
        assert client.vector_stores.retrieve(made.id).name == "new"
        assert client.vector_stores.delete(made.id).deleted
        for ask in (client.vector_stores.retrieve, client.vector_stores.delete, client.vector_stores.update):
            with pytest.raises(openai.NotFoundError, match=made.id):
                ask(made.id)

    def test_lists_come_in_pages_with_the_knowledge_bases(self, client: openai.OpenAI) -> None:
        made = [client.vector_stores.create(name=str(number)).id for number in range(3)]
        assert [store.id for store in client.vector_stores.list()] == [*made[::-1], "handbook"]
        assert [store.id for store in client.vector_stores.list(order="asc", limit=2)] == ["handbook", *made]
        page = client.vector_stores.list(order="asc", before=made[2], limit=2)
        assert [store.id for store in page.data] == made[:2]

    def test_it_begins_with_files(self, client: openai.OpenAI) -> None:
        file = upload(client)
        store = client.vector_stores.create(file_ids=[file])
        assert store.file_counts.total == 1
        done = client.vector_stores.files.poll(file, vector_store_id=store.id)
        assert done.status == "completed"
        found = client.vector_stores.retrieve(store.id)
        assert (found.status, found.file_counts.completed, found.usage_bytes) == ("completed", 1, len(SHIPPING))

    def test_it_is_no_model_and_no_tool(self, client: openai.OpenAI, served: Any) -> None:
        store = client.vector_stores.create(name="quiet").id
        assert store not in [model.id for model in client.models.list()]
        assert store not in httpx.get(f"{served.url}/v1/functions").text
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=store, messages=[{"role": "user", "content": "hi"}])

    def test_it_expires_and_is_wanted_again(self, client: openai.OpenAI, served: Any) -> None:
        store = client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 2})
        assert store.expires_at is not None
        assert store.last_active_at is not None
        assert store.expires_at == store.last_active_at + 2 * 86_400
        file = upload(client)
        with sqlite3.connect(served.gateway.settings.data_dir / "polyport.sqlite3") as records:
            records.execute("UPDATE vector_stores SET last_active_at = 1000")
        records.close()
        assert client.vector_stores.retrieve(store.id).status == "expired"
        for ask in (
            lambda: client.vector_stores.search(store.id, query="x"),
            lambda: client.vector_stores.files.create(store.id, file_id=file),
            lambda: client.vector_stores.file_batches.create(store.id, file_ids=[file]),
        ):
            with pytest.raises(openai.BadRequestError, match="expired") as caught:
                ask()
            assert caught.value.code == "vector_store_expired"
        again = client.vector_stores.update(store.id, expires_after={"anchor": "last_active_at", "days": 1})
        assert again.status == "completed"
        assert client.vector_stores.search(store.id, query="x").data == []
        assert client.vector_stores.update(store.id, expires_after=None).expires_at is None

    def test_what_expired_long_ago_is_dropped(self, client: openai.OpenAI, served: Any) -> None:
        store = client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1}).id
        kept = client.vector_stores.create().id
        with sqlite3.connect(served.gateway.settings.data_dir / "polyport.sqlite3") as records:
            records.execute("UPDATE vector_stores SET last_active_at = 1000")
        records.close()
        sweeping = asyncio.run_coroutine_threadsafe(served.gateway.vector_stores.sweep(), served.loop)
        assert sweeping.result(10) == 1
        assert [one.id for one in client.vector_stores.list()] == [kept, "handbook"]
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.retrieve(store)


class TestFiles:
    def test_real_ones_are_read_and_found(self, client: openai.OpenAI) -> None:
        ids = {
            "收成.docx": docx("The harvest of cloudberries is in August."),
            "rates.pdf": pdf("The rate for gold is 61 dollars.", "Silver has no rate."),
            "手册.md": WARRANTY.encode(),
        }
        files = {name: upload(client, name, data) for name, data in ids.items()}
        store = filled(client, *files.values())
        for query, name, words in (
            ("When are cloudberries harvested?", "收成.docx", "August"),
            ("gold rate", "rates.pdf", "61"),
            ("保修期多久", "手册.md", "三年"),
        ):
            (best, *_) = client.vector_stores.search(store, query=query)
            assert (best.filename, best.file_id) == (name, files[name])
            assert words in best.content[0].text
            assert 0 < best.score <= 1
        assert "三年" in client.vector_stores.files.content(files["手册.md"], vector_store_id=store).data[0].text

    def test_one_comes_and_goes(self, client: openai.OpenAI) -> None:
        file, other = upload(client), upload(client, "other.md", "# Tea\n\nGreen tea is steamed.\n")
        store = filled(client, other)
        made = client.vector_stores.files.create(store, file_id=file, attributes={"year": 2025, "ok": True, "a": "茶"})
        assert (made.id, made.object, made.vector_store_id) == (file, "vector_store.file", store)
        done = client.vector_stores.files.poll(file, vector_store_id=store)
        assert (done.status, done.usage_bytes, done.last_error) == ("completed", len(SHIPPING), None)
        assert done.attributes == {"year": 2025, "ok": True, "a": "茶"}
        assert "Hamburg" in texts(client.vector_stores.search(store, query="Where are goods shipped from?"))[0]
        assert client.vector_stores.files.delete(file, vector_store_id=store).deleted
        assert "Hamburg" not in "".join(texts(client.vector_stores.search(store, query="goods shipped Hamburg")))
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.files.retrieve(file, vector_store_id=store)
        assert client.files.retrieve(file).id == file, "the file itself is kept"

    def test_a_file_that_is_deleted_goes_from_all_stores(self, client: openai.OpenAI) -> None:
        file = upload(client)
        stores = [filled(client, file), filled(client, file)]
        client.files.delete(file)
        for store in stores:
            assert client.vector_stores.files.list(store).data == []
            assert client.vector_stores.search(store, query="Hamburg").data == []

    def test_what_can_not_be_read_says_why(self, client: openai.OpenAI) -> None:
        broken = upload(client, "broken.docx", b"PK\x03\x04 no word file")
        unknown = upload(client, "data.xyz", bytes(range(256)) * 10)
        fine = upload(client)
        store = client.vector_stores.create().id
        batch = client.vector_stores.file_batches.create_and_poll(store, file_ids=[broken, unknown, fine])
        assert (batch.status, batch.file_counts.failed, batch.file_counts.completed) == ("completed", 2, 1)
        for file, codes in ((broken, {"invalid_file"}), (unknown, {"unsupported_file", "invalid_file"})):
            found = client.vector_stores.files.retrieve(file, vector_store_id=store)
            assert found.status == "failed"
            assert found.last_error is not None
            assert found.last_error.code in codes
            assert found.last_error.message
        failed = client.vector_stores.files.list(store, filter="failed")
        assert {file.id for file in failed} == {broken, unknown}
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.files.content(broken, vector_store_id=store)

    def test_one_that_is_too_large_keeps_no_other(self, client: openai.OpenAI) -> None:
        large, fine = upload(client, "large.md", b"x" * ((1 << 20) + 1)), upload(client)
        store = client.vector_stores.create().id
        batch = client.vector_stores.file_batches.create_and_poll(store, file_ids=[large, fine])
        assert (batch.file_counts.failed, batch.file_counts.completed) == (1, 1)
        alone = client.vector_stores.files.create_and_poll(large, vector_store_id=store)
        assert alone.status == "failed"
        assert alone.last_error is not None
        assert "largest" in alone.last_error.message

    def test_attributes_change_and_are_filtered_by(self, client: openai.OpenAI) -> None:
        file = upload(client)
        store = filled(client, file)
        query: dict[str, Any] = {"query": "shipped", "filters": {"type": "eq", "key": "topic", "value": "物流"}}
        assert client.vector_stores.search(store, **query).data == []
        changed = client.vector_stores.files.update(file, vector_store_id=store, attributes={"topic": "物流", "n": 2})
        assert changed.attributes == {"topic": "物流", "n": 2}
        eventually(lambda: client.vector_stores.search(store, **query).data, 10, "the new attributes are found")
        hit = client.vector_stores.search(store, **query).data[0]
        assert hit.attributes == {"topic": "物流", "n": 2}
        client.vector_stores.files.update(file, vector_store_id=store, attributes=None)
        assert client.vector_stores.files.retrieve(file, vector_store_id=store).attributes == {}
        eventually(lambda: not client.vector_stores.search(store, **query).data, 10, "they are gone")

    @pytest.mark.slow
    def test_chunks_are_as_long_as_asked(self, client: openai.OpenAI) -> None:
        words = " ".join(f"word{number}" for number in range(3000))
        file = upload(client, "long.txt", words)
        store = client.vector_stores.create().id
        strategy: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20}}
        made = client.vector_stores.files.create_and_poll(file, vector_store_id=store, chunking_strategy=strategy)
        assert made.status == "completed"
        assert made.chunking_strategy is not None
        assert made.chunking_strategy.model_dump() == strategy
        found = texts(client.vector_stores.search(store, query="word1500", max_num_results=2))
        assert all(len(text) < 1500 for text in found)
        assert "word1500" in found[0]

    @pytest.mark.slow
    def test_lists_come_in_pages_and_by_status(self, client: openai.OpenAI) -> None:
        files = [upload(client, f"{number}.md", f"# {number}\n\nText {number}.\n") for number in range(5)]
        store = client.vector_stores.create().id
        for file in files:
            client.vector_stores.files.create_and_poll(file, vector_store_id=store)
        assert [file.id for file in client.vector_stores.files.list(store)] == files[::-1]
        assert [file.id for file in client.vector_stores.files.list(store, order="asc", limit=2)] == files
        page = client.vector_stores.files.list(store, order="asc", before=files[3], limit=2)
        assert [file.id for file in page.data] == files[1:3]
        assert client.vector_stores.files.list(store, filter="in_progress").data == []
        assert len(client.vector_stores.files.list(store, filter="completed").data) == 5

    @pytest.mark.slow
    def test_the_packages_own_upload(self, client: openai.OpenAI) -> None:
        store = client.vector_stores.create().id
        made = client.vector_stores.files.upload_and_poll(vector_store_id=store, file=("茶.md", b"# Tea\n\nSteamed.\n"))
        assert made.status == "completed"
        batch = client.vector_stores.file_batches.upload_and_poll(
            store, files=[("a.md", b"# A\n\nAlpha.\n"), ("b.md", b"# B\n\nBeta.\n")]
        )
        assert (batch.status, batch.file_counts.completed) == ("completed", 2)


class TestBatches:
    @pytest.mark.slow
    def test_files_of_their_own_kind(self, client: openai.OpenAI) -> None:
        first, second = upload(client), upload(client, "茶.md", "# 茶\n\n绿茶是蒸的。\n")
        store = client.vector_stores.create().id
        batch = client.vector_stores.file_batches.create(
            store,
            files=[
                {"file_id": first, "attributes": {"lang": "en"}},
                {
                    "file_id": second,
                    "attributes": {"lang": "zh"},
                    "chunking_strategy": {
                        "type": "static",
                        "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0},
                    },
                },
            ],
        )
        assert (batch.object, batch.vector_store_id) == ("vector_store.files_batch", store)
        done = client.vector_stores.file_batches.poll(batch.id, vector_store_id=store)
        assert (done.status, done.file_counts.completed, done.file_counts.total) == ("completed", 2, 2)
        listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store)
        assert {file.id: file.attributes for file in listed} == {first: {"lang": "en"}, second: {"lang": "zh"}}
        found = client.vector_stores.search(
            store, query="茶 goods", filters={"type": "ne", "key": "lang", "value": "en"}
        )
        assert {hit.file_id for hit in found} == {second}

    @pytest.mark.slow
    def test_many_at_once(self, client: openai.OpenAI) -> None:
        """Batches side by side, in one store and in several: every file is there once."""
        stores = [client.vector_stores.create(name=str(number)).id for number in range(2)]
        files = [
            upload(client, f"文{number}.md", f"# T{number}\n\nThe secret is number{number}.\n") for number in range(16)
        ]

        def work(number: int) -> str:
            ids = files[number * 4 : number * 4 + 4]
            batch = client.vector_stores.file_batches.create_and_poll(stores[number % 2], file_ids=ids)
            return f"{batch.status} {batch.file_counts.completed}"

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(4))) == ["completed 4"] * 4
        for place, store in enumerate(stores):
            mine = [file for number in range(4) if number % 2 == place for file in files[number * 4 : number * 4 + 4]]
            assert {file.id for file in client.vector_stores.files.list(store, limit=100)} == set(mine)
            for number, file in enumerate(files):
                hits = client.vector_stores.search(store, query=f"number{number}").data
                assert (bool(hits) and hits[0].file_id == file) == (file in mine)

    @pytest.mark.slow
    def test_one_that_is_cancelled(self, client: openai.OpenAI) -> None:
        files = [upload(client, f"{number}.md", f"# T{number}\n\n" + "Long text. " * 4000) for number in range(12)]
        store = client.vector_stores.create().id
        batch = client.vector_stores.file_batches.create(store, file_ids=files)
        client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)

        def ended() -> bool:
            return client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store).status != "in_progress"

        eventually(ended, 30, "the batch ends")
        found = client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)
        counts = found.file_counts
        assert found.status in ("cancelled", "completed")
        assert counts.completed + counts.cancelled == counts.total == 12
        done = client.vector_stores.files.list(store, filter="completed", limit=100)
        assert len(list(done)) == counts.completed
        again = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
        assert again.status == found.status


class TestSearch:
    def test_several_queries_find_what_each_finds(self, client: openai.OpenAI) -> None:
        store = filled(client, upload(client), upload(client, "手册.md", WARRANTY))
        found = client.vector_stores.search(store, query=["保修期", "Hamburg"])
        assert {"三年" in text or "Hamburg" in text for text in texts(found)[:2]} == {True}
        chunks = [(hit.file_id, hit.content[0].text) for hit in found]
        assert len(set(chunks)) == len(chunks)
        scores = [hit.score for hit in found]
        assert scores == sorted(scores, reverse=True)

    def test_few_and_good_ones(self, client: openai.OpenAI) -> None:
        store = filled(client, upload(client))
        assert len(client.vector_stores.search(store, query="goods returns", max_num_results=1).data) == 1
        hits = client.vector_stores.search(store, query="goods returns").data
        best = hits[0].score
        few = client.vector_stores.search(store, query="goods returns", ranking_options={"score_threshold": best})
        assert [hit.score for hit in few] == [best]
        assert client.vector_stores.search(store, query="goods", ranking_options={"score_threshold": 1}).data == []
        assert client.vector_stores.search(store, query="goods", ranking_options={"ranker": "none"}).data

    def test_the_store_of_a_knowledge_base(self, client: openai.OpenAI) -> None:
        store = client.vector_stores.retrieve("handbook")
        assert (store.name, store.status, store.file_counts.completed) == ("handbook", "completed", 2)
        hit = client.vector_stores.search("handbook", query="保修期多久").data[0]
        assert (hit.filename, "三年" in hit.content[0].text) == ("手册.md", True)
        files = client.vector_stores.files.list("handbook", limit=1)
        listed = {file.id: file for file in files}
        assert len(listed) == 2
        assert hit.file_id in listed
        assert client.vector_stores.files.retrieve(hit.file_id, vector_store_id="handbook").status == "completed"
        assert "三年" in client.vector_stores.files.content(hit.file_id, vector_store_id="handbook").data[0].text
        with pytest.raises(openai.BadRequestError, match="/v1/knowledge"):
            client.vector_stores.update("handbook", name="mine")
        with pytest.raises(openai.ConflictError, match="declared"):
            client.vector_stores.delete("handbook")

    def test_a_file_in_a_knowledge_base(self, client: openai.OpenAI) -> None:
        file = upload(client, "茶.md", "# 茶\n\n绿茶在八十度的水里泡。\n")
        made = client.vector_stores.files.create_and_poll(file, vector_store_id="handbook", attributes={"by": "me"})
        assert made.status == "completed"
        hit = client.vector_stores.search("handbook", query="绿茶").data[0]
        assert (hit.file_id, hit.filename, hit.attributes) == (file, "茶.md", {"by": "me"})
        assert file in {one.id for one in client.vector_stores.files.list("handbook")}
        client.vector_stores.files.delete(file, vector_store_id="handbook")
        assert file not in {one.id for one in client.vector_stores.files.list("handbook")}


def ask(path: str, body: Any = None, method: str = "POST") -> Callable[[str], httpx.Response]:
    return lambda url: httpx.request(method, f"{url}/v1/vector_stores{path}", json=body, timeout=20)


STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51}}


@pytest.mark.parametrize(
    ("request_", "status", "param"),
    [
        (ask("", {"file_ids": ["file-none"]}), 404, "file_ids"),
        (ask("", {"file_ids": ["file-none\0"]}), 404, "file_ids"),
        (ask("", {"metadata": {"a": 1}}), 400, "metadata.a"),
        (ask("", {"metadata": {str(n): "x" for n in range(17)}}), 400, "metadata"),
        (ask("", {"expires_after": {"anchor": "last_active_at", "days": 0}}), 400, "expires_after.days"),
        (ask("", {"expires_after": {"days": 1}}), 400, "expires_after.anchor"),
        (ask("", {"chunking_strategy": {"type": "best"}}), 400, "chunking_strategy"),
        (ask("", {"more": 1}), 400, "more"),
        (ask("", []), 400, None),
        (ask("?limit=0", method="GET"), 400, "limit"),
        (ask("?after=vs_none", method="GET"), 400, "after"),
        (ask("/vs_none", method="GET"), 404, "vector_store_id"),
        (ask("/vs_none", {"name": "x"}), 404, "vector_store_id"),
        (ask("/vs_none", method="DELETE"), 404, "vector_store_id"),
        (ask("/vs_none/search", {"query": "x"}), 404, "vector_store_id"),
        (ask("/handbook/search", {}), 400, "query"),
        (ask("/handbook/search", {"query": " "}), 400, "query"),
        (ask("/handbook/search", {"query": "x", "max_num_results": 51}), 400, "max_num_results"),
        (ask("/handbook/search", {"query": "x", "filters": {"type": "eq", "key": "a"}}), 400, "filters.value"),
        (ask("/handbook/search", {"query": "x", "filters": {"year": 2025}}), 400, "filters.type"),
        (ask("/handbook/search", {"query": "x" * 100_000}), 400, "query"),
        (
            ask(
                "/handbook/search",
                {"query": "x", "ranking_options": {"hybrid_search": {"embedding_weight": 1, "text_weight": 0}}},
            ),
            400,
            "mode",
        ),
        (ask("/vs_none/files", {"file_id": "file-none"}), 404, "vector_store_id"),
        (ask("/handbook/files", {"file_id": "file-none"}), 404, "file_id"),
        (ask("/handbook/files", {}), 400, "file_id"),
        (ask("/handbook/files", {"file_id": "f", "attributes": {"a": [1]}}), 400, None),
        (ask("/handbook/files", {"file_id": "f", "attributes": {"a" * 65: 1}}), 400, None),
        (ask("/handbook/files", {"file_id": "f", "attributes": {"a": "x" * 513}}), 400, None),
        (
            ask("/handbook/files", {"file_id": "f", "chunking_strategy": STATIC}),
            400,
            "chunking_strategy.static.chunk_overlap_tokens",
        ),
        (ask("/handbook/files?filter=some", method="GET"), 400, "filter"),
        (ask("/handbook/files?after=none", method="GET"), 404, "file_id"),
        (ask("/handbook/files?before=none", method="GET"), 400, "before"),
        (ask("/handbook/files/none", method="GET"), 404, "file_id"),
        (ask("/handbook/files/none", {"attributes": {}}), 404, "file_id"),
        (ask("/handbook/files/none", {}), 400, "attributes"),
        (ask("/handbook/files/none", method="DELETE"), 404, "file_id"),
        (ask("/handbook/files/none/content", method="GET"), 404, "file_id"),
        (ask("/handbook/file_batches", {}), 400, "file_ids"),
        (ask("/handbook/file_batches", {"file_ids": []}), 400, "file_ids"),
        (ask("/handbook/file_batches", {"file_ids": ["a", "a"]}), 400, "file_ids"),
        (ask("/handbook/file_batches", {"file_ids": ["a", "b"]}), 404, "file_ids"),
        (ask("/handbook/file_batches", {"file_ids": ["a"], "files": [{"file_id": "a"}]}), 400, "files"),
        (ask("/handbook/file_batches", {"files": [{"file_id": "a"}], "attributes": {"a": 1}}), 400, "attributes"),
        (
            ask("/handbook/file_batches", {"files": [{"file_id": "a", "chunking_strategy": STATIC}]}),
            400,
            "files.0.chunking_strategy.static.chunk_overlap_tokens",
        ),
        (ask("/handbook/file_batches", {"file_ids": [str(n) for n in range(2001)]}), 400, "file_ids"),
        (ask("/handbook/file_batches/none", method="GET"), 404, "batch_id"),
        (ask("/handbook/file_batches/none/cancel", {}), 404, "batch_id"),
        (ask("/handbook/file_batches/none/files", method="GET"), 404, "batch_id"),
    ],
)
def test_bad_requests(served: Any, request_: Any, status: int, param: str | None) -> None:
    answer = request_(served.url)
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert param is None or error["param"] == param, error
    assert [store["id"] for store in ask("", method="GET")(served.url).json()["data"]] == ["handbook"]


def test_other_keys_see_none_of_it(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(SHIPPING)
    app = App("stores")
    app.knowledge("handbook", sources=[str(docs)])
    app.model("echo", engine="echo")
    with gateway(app, data_dir=tmp_path / "data", vector_stores_max=1) as running:

        def key(name: str, allow: list[str] | None) -> openai.OpenAI:
            made = asyncio.run_coroutine_threadsafe(running.gateway.keys.create(name, allow), running.loop)
            return openai.OpenAI(base_url=f"{running.url}/v1", api_key=made.result(10)[1], max_retries=0)

        with key("me", ["files", "echo"]) as me, key("you", None) as you, key("small", ["handbook", "echo"]) as small:
            file = upload(me)
            store = filled(me, file)
            assert me.vector_stores.search(store, query="Hamburg").data[0].file_id == file
            assert [one.id for one in me.vector_stores.list()] == [store]
            with pytest.raises(openai.NotFoundError):
                me.vector_stores.search("handbook", query="Hamburg")
            assert (
                [one.id for one in you.vector_stores.list()]
                == ["handbook"]
                == [s.id for s in small.vector_stores.list()]
            )
            for stranger in (you, small):
                for attempt in (
                    lambda who: who.vector_stores.retrieve(store),
                    lambda who: who.vector_stores.delete(store),
                    lambda who: who.vector_stores.search(store, query="Hamburg"),
                    lambda who: who.vector_stores.files.list(store),
                    lambda who: who.vector_stores.files.retrieve(file, vector_store_id=store),
                ):
                    with pytest.raises(openai.NotFoundError):
                        attempt(stranger)
                # Nor by the gateway's own names for it.
                headers = {"authorization": f"Bearer {stranger.api_key}"}
                found = httpx.get(f"{running.url}/v1/knowledge/{store}", headers=headers)
                assert found.status_code == 404, found.text
                found = httpx.post(
                    f"{running.url}/v1/knowledge/search",
                    headers=headers,
                    json={"query": "Hamburg", "knowledge": [store]},
                )
                assert found.status_code == 404, found.text
                assert store not in httpx.get(f"{running.url}/v1/knowledge", headers=headers).text
            asked: Any = {"model": "echo", "input": '/tool file_search {"queries": ["Hamburg"]}'}
            for who, what, may in (
                (me, store, True),
                (me, "handbook", False),
                (you, store, False),
                (small, store, False),
            ):
                tools: Any = [{"type": "file_search", "vector_store_ids": [what]}]
                if may:
                    assert "Hamburg" in who.responses.create(tools=tools, **asked).output_text
                else:
                    with pytest.raises(openai.NotFoundError):
                        who.responses.create(tools=tools, **asked)
            with pytest.raises(openai.NotFoundError):
                you.vector_stores.files.create("handbook", file_id=file)
            with pytest.raises(openai.PermissionDeniedError):
                small.vector_stores.create(name="x")
            with pytest.raises(openai.ConflictError, match="vector_stores_max"):
                me.vector_stores.create(name="one more")
            assert eventually(lambda: small.vector_stores.search("handbook", query="Hamburg").data, 20) is not None


def test_a_file_that_expires_goes_from_its_stores(client: openai.OpenAI, served: Any) -> None:
    file = upload(client)
    store = filled(client, file)
    with sqlite3.connect(served.gateway.settings.data_dir / "polyport.sqlite3") as records:
        records.execute("UPDATE files SET expires_at = 1 WHERE id = ?", (file,))
    records.close()
    sweeping = asyncio.run_coroutine_threadsafe(served.gateway.files.sweep(), served.loop)
    assert sweeping.result(20) == 1
    assert client.vector_stores.files.list(store).data == []
    assert client.vector_stores.search(store, query="Hamburg").data == []


@pytest.mark.slow
def test_it_is_all_there_after_a_restart(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    for turn in range(2):
        with (
            gateway(App("stores"), data_dir=tmp_path) as running,
            openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client,
        ):
            if turn == 0:
                file = upload(client)
                store = filled(client, file, name="kept")
            assert client.vector_stores.retrieve(store).name == "kept"
            hit = client.vector_stores.search(store, query="Hamburg").data[0]
            assert (hit.file_id, hit.filename) == (file, "shipping.md")


@pytest.mark.slow
@pytest.mark.requires("postgres")
def test_over_postgresql(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    pytest.importorskip("psycopg")
    with (
        postgres_server() as server,
        gateway(App("stores"), data_dir=tmp_path, database_url=server.create_database("stores")) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client,
    ):
        files = [upload(client, f"文{number}.md", f"# T\n\nThe secret is number{number}.\n") for number in range(8)]
        stores = [client.vector_stores.create(name=f"手册{number}").id for number in range(2)]
        with ThreadPoolExecutor(4) as pool:
            batches = list(
                pool.map(
                    lambda place: (
                        client.vector_stores.file_batches.create_and_poll(
                            stores[place % 2], file_ids=files[place * 2 : place * 2 + 2]
                        ).status
                    ),
                    range(4),
                )
            )
        assert batches == ["completed"] * 4
        mine = {file.id for file in client.vector_stores.files.list(stores[1])}
        assert mine == {*files[2:4], *files[6:8]}
        assert client.vector_stores.search(stores[1], query="number7").data[0].file_id == files[7]
        client.files.delete(files[7])
        assert files[7] not in {hit.file_id for hit in client.vector_stores.search(stores[1], query="number7")}
        client.vector_stores.delete(stores[0])
        assert [store.id for store in client.vector_stores.list()] == [stores[1]]


def test_without_knowledge_there_are_none(tmp_path: Path) -> None:
    with gateway(App("stores"), data_dir=tmp_path, knowledge=False) as running:
        assert httpx.get(f"{running.url}/v1/vector_stores").status_code == 404
        assert httpx.get(f"{running.url}/v1/files").status_code == 200
        body = {"model": "m", "input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}
        answer = httpx.post(f"{running.url}/v1/responses", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_operation")


@pytest.mark.requires("data")
def test_answers_are_as_openai_describes_them(served: Any, client: openai.OpenAI, shared_data: Path) -> None:
    spec, root = load_openai(shared_data), f"{served.url}/v1/vector_stores"
    file, broken = upload(client), upload(client, "b.docx", b"PK\x03\x04")

    def post(path: str, body: Any = None) -> Any:
        return httpx.post(f"{root}{path}", json=body or {}, timeout=20).json()

    def get(path: str = "") -> Any:
        return httpx.get(f"{root}{path}", timeout=20).json()

    made = post("", {"name": "x", "expires_after": {"anchor": "last_active_at", "days": 1}, "metadata": {"a": "b"}})
    spec.check("VectorStoreObject", made)
    spec.check("VectorStoreObject", get("/handbook"))
    spec.check("VectorStoreObject", post(f"/{made['id']}", {"name": "y"}))
    spec.check("ListVectorStoresResponse", get())
    at = f"/{made['id']}/files"
    static = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    spec.check(
        "VectorStoreFileObject", post(at, {"file_id": file, "attributes": {"a": 1}, "chunking_strategy": static})
    )
    batch = post(f"/{made['id']}/file_batches", {"file_ids": [file, broken]})
    spec.check("VectorStoreFileBatchObject", batch)
    client.vector_stores.file_batches.poll(batch["id"], vector_store_id=made["id"])
    spec.check("ListVectorStoreFilesResponse", get(f"/{made['id']}/file_batches/{batch['id']}/files"))
    spec.check("VectorStoreFileBatchObject", post(f"/{made['id']}/file_batches/{batch['id']}/cancel"))
    for one in (*get(at)["data"], *get("/handbook/files")["data"]):
        spec.check("VectorStoreFileObject", one)
    spec.check("VectorStoreFileContentResponse", get(f"{at}/{file}/content"))
    for store in (made["id"], "handbook"):
        found = post(f"/{store}/search", {"query": "Hamburg"})
        assert found["data"]
        spec.check("VectorStoreSearchResultsPage", found)
    spec.check("DeleteVectorStoreFileResponse", httpx.delete(f"{root}{at}/{file}").json())
    spec.check("DeleteVectorStoreResponse", httpx.delete(f"{root}/{made['id']}").json())
