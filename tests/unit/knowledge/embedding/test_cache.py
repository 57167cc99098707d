from __future__ import annotations

import logging
import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from polyport_gateway.knowledge.embedding import EmbeddingCache


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "knowledge" / "embeddings.sqlite3"


@pytest.fixture
def cache(file: Path) -> Iterator[EmbeddingCache]:
    opened = EmbeddingCache(file)
    yield opened
    opened.close()


def vectors(texts: list[str], size: int = 8) -> np.ndarray:
    return np.array([[len(text) + place for place in range(size)] for text in texts], np.float32)


def test_vectors_come_back_by_embedder_and_text(cache: EmbeddingCache) -> None:
    texts = ["tea", "茶", "", "half of \ud83d", "tea\0milk"]
    cache.put("one", texts, vectors(texts))
    found = cache.get("one", [*texts, "coffee"])
    assert found[-1] is None
    assert [list(row) for row in found[:-1] if row is not None] == vectors(texts).tolist()
    assert cache.get("other", texts) == [None] * 5
    assert cache.get("one\0tea", ["milk"]) == [None], "where a name ends can't be shifted"


def test_a_text_that_is_kept_already_is_replaced(cache: EmbeddingCache) -> None:
    cache.put("one", ["tea"], vectors(["tea"]))
    cache.put("one", ["tea"], vectors(["longer"]))
    (found,) = cache.get("one", ["tea"])
    assert found is not None
    assert found[0] == 6
    assert len(cache) == 1


def test_it_outlives_its_process_and_only_this_user_may_read(cache: EmbeddingCache, file: Path) -> None:
    cache.put("one", ["tea"], vectors(["tea"]))
    cache.close()
    again = EmbeddingCache(file)
    assert again.get("one", ["tea"])[0] is not None
    again.close()
    assert file.stat().st_mode & 0o077 == 0


def test_rows_and_texts_must_match(cache: EmbeddingCache) -> None:
    with pytest.raises(ValueError, match="2 texts"):
        cache.put("one", ["a", "b"], vectors(["a"]))


def test_the_oldest_go_where_the_file_is_full(file: Path) -> None:
    most = 2 << 20
    cache = EmbeddingCache(file, most_bytes=most)
    texts = [f"text {number}" for number in range(4000)]
    for start in range(0, len(texts), 200):
        part = texts[start : start + 200]
        cache.put("one", part, vectors(part, 256))
    kept = [vector is not None for vector in cache.get("one", texts)]
    cache.close()
    assert not any(kept[:500])
    assert all(kept[-1000:])
    assert file.stat().st_size < 1.5 * most


@pytest.mark.parametrize("damage", ["head", "tail", "no database"])
def test_a_damaged_file_is_set_aside(file: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = EmbeddingCache(file)
    texts = [f"text {number}" for number in range(2000)]
    cache.put("one", texts, vectors(texts))
    cache.close()
    data = bytearray(file.read_bytes())
    if damage == "no database":
        data = bytearray(b"this is no database" * 1000)
    else:
        place = slice(100, 8192) if damage == "head" else slice(8192, None)
        data[place] = b"\xa5" * len(data[place])
    file.write_bytes(data)
    caplog.set_level(logging.WARNING, "polyport.knowledge")
    cache = EmbeddingCache(file)
    cache.get("one", texts)
    cache.put("one", texts, vectors(texts))
    found = cache.get("one", texts)
    cache.close()
    assert all(vector is not None for vector in found)
    assert "begun anew" in caplog.text
    assert len(list(file.parent.glob("*.damaged-*"))) == 1


def test_a_file_that_is_removed_is_made_anew(cache: EmbeddingCache, file: Path) -> None:
    cache.put("one", ["tea"], vectors(["tea"]))
    for path in file.parent.iterdir():
        path.unlink()
    assert cache.get("one", ["tea"]) == [None]
    cache.put("one", ["tea"], vectors(["tea"]))
    assert cache.get("one", ["tea"])[0] is not None


def test_what_cannot_be_kept_costs_time_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    cache = EmbeddingCache(tmp_path / "file" / "embeddings.sqlite3")
    for _ in range(3):
        cache.put("one", ["tea"], vectors(["tea"]))
        assert cache.get("one", ["tea"]) == [None]
    assert len(cache) == 0
    assert caplog.text.count("can't be used") == 1
    cache.close()


def test_a_lock_that_lasts_costs_no_more_than_waiting(
    cache: EmbeddingCache, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyport_gateway.knowledge.embedding.cache._WAIT_S", 0.1)
    cache.put("one", ["tea"], vectors(["tea"]))
    cache.close()
    cache = EmbeddingCache(file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.put("one", ["milk"], vectors(["milk"]))
    assert cache.get("one", ["tea"])[0] is not None, "readers wait for nobody"
    other.execute("ROLLBACK")
    other.close()
    cache.put("one", ["milk"], vectors(["milk"]))
    assert cache.get("one", ["milk"])[0] is not None
    cache.close()


def test_many_threads(cache: EmbeddingCache) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                texts = [f"{number % 3} {turn} {place}" for place in range(50)]
                cache.put("one", texts, vectors(texts))
                assert all(row is not None for row in cache.get("one", texts))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(cache) == 1500


def put_many(file: Path, number: int) -> None:
    cache = EmbeddingCache(file)
    for turn in range(20):
        texts = [f"{number} {turn} {place}" for place in range(50)]
        cache.put("one", texts, vectors(texts))
    cache.close()


@pytest.mark.slow
def test_many_processes(file: Path) -> None:
    fresh = multiprocessing.get_context("spawn")
    processes = [fresh.Process(target=put_many, args=(file, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    cache = EmbeddingCache(file)
    assert len(cache) == 2000
    cache.close()
