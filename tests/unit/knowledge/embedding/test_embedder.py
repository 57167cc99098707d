from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from polyport.errors import ConfigurationError
from polyport_gateway.knowledge.embedding import Embedder, EmbeddingCache


class Model:
    """Numbers the letters of a text; counts what it is asked."""

    def __init__(self, size: int = 4, scale: float = 1.0) -> None:
        self.size = size
        self.scale = scale
        self.asked: list[tuple[str, str]] = []

    def __call__(self, texts: Sequence[str], role: str) -> np.ndarray:
        self.asked += [(text, role) for text in texts]
        numbers = [[(sum(map(ord, text)) * (place + 1)) % 97 + 1 for place in range(self.size)] for text in texts]
        return np.array(numbers, np.float32)[:, :: int(self.scale)]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[EmbeddingCache]:
    opened = EmbeddingCache(tmp_path / "embeddings.sqlite3")
    yield opened
    opened.close()


def texts_asked(model: Model, role: str = "document") -> list[str]:
    return [text for text, asked in model.asked if asked == role and text != "polyport"]


def test_a_text_is_embedded_once(cache: EmbeddingCache) -> None:
    model = Model()
    first = Embedder("m", model, cache=cache).documents(["tea", "茶", "tea"])
    again = Embedder("m", model, cache=cache).documents(["茶", "tea", "milk"])
    assert sorted(texts_asked(model)) == ["milk", "tea", "茶"]
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(first[1], again[0])
    assert np.array_equal(first[0], again[1])


def test_another_model_is_another_cache(cache: EmbeddingCache) -> None:
    model = Model()
    for name, fingerprint in (("m", "a"), ("m", "b"), ("n", "a")):
        Embedder(name, model, cache=cache, fingerprint=fingerprint).documents(["tea"])
    assert texts_asked(model) == ["tea"] * 3


def test_without_a_cache_each_is_embedded() -> None:
    model = Model()
    embedder = Embedder("m", model)
    embedder.documents(["tea"])
    embedder.documents(["tea"])
    assert texts_asked(model) == ["tea", "tea"]
    assert embedder.documents([]).shape == (0, 4)


def test_queries_are_kept_in_memory_and_apart_from_documents(cache: EmbeddingCache) -> None:
    model = Model()
    embedder = Embedder("m", model, cache=cache)
    for _ in range(3):
        embedder.query("tea")
    embedder.documents(["tea"])
    assert embedder.queries(["tea", "milk", "tea"]).shape == (3, 4)
    assert texts_asked(model, "query") == ["tea", "milk"]
    assert embedder.queries([]).shape == (0, 4)


def test_queries_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyport_gateway.knowledge.embedding.embedder._QUERIES", 2)
    model = Model()
    embedder = Embedder("m", model)
    for text in ("a", "b", "a", "c", "a", "b"):
        embedder.query(text)
    assert texts_asked(model, "query") == ["a", "b", "c", "b"]


def test_a_size_that_changed_is_said() -> None:
    model = Model()
    embedder = Embedder("m", model)
    embedder.documents(["tea"])
    model.size = 6
    with pytest.raises(ConfigurationError, match="6 dimensions, and gave 4 before"):
        embedder.documents(["milk"])
    with pytest.raises(ConfigurationError, match="4 dimensions, and gave 9 before"):
        Embedder("m", Model(), size=9).probe()


def test_what_is_kept_can_be_had_while_the_model_does_not_answer(cache: EmbeddingCache) -> None:
    Embedder("m", Model(), cache=cache).documents(["tea"])

    def down(texts: Sequence[str], role: str) -> np.ndarray:
        raise ConnectionError

    embedder = Embedder("m", down, cache=cache)
    assert embedder.size == 4
    assert embedder.documents(["tea"]).shape == (1, 4)
    with pytest.raises(ConnectionError):
        embedder.documents(["milk"])


def test_a_model_of_another_size_is_taken_as_it_is_when_it_is_asked_for(cache: EmbeddingCache) -> None:
    model = Model()
    embedder = Embedder("m", model, cache=cache)
    embedder.documents(["tea"])
    embedder.query("tea")
    model.size = 6
    assert embedder.probe() == 6
    assert embedder.documents(["tea"]).shape == (1, 6)
    assert embedder.query("tea").shape == (6,)
    assert Embedder("m", model, cache=cache).documents(["tea"]).shape == (1, 6)
    again = Embedder("m", Model(4), cache=cache)
    assert again.documents(["milk"]).shape == (1, 4)


@pytest.mark.parametrize(
    "given", [np.full((1, 4), np.nan), np.ones((2, 4)), np.ones(4), np.full((1, 4), np.inf)], ids=str
)
def test_nonsense_is_said(given: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="'m' gave"):
        Embedder("m", lambda texts, role: given.astype(np.float32)).documents(["tea"])


def test_a_model_that_was_replaced_is_noticed(cache: EmbeddingCache, caplog: pytest.LogCaptureFixture) -> None:
    model = Model()
    embedder = Embedder("m", model, cache=cache)
    assert embedder.probe() == 4
    embedder.documents(["tea"])
    assert embedder.probe() == 4
    assert caplog.text == ""

    class Other(Model):
        def __call__(self, texts: Sequence[str], role: str) -> np.ndarray:
            return super().__call__(texts, role) * np.array([1, -1, 1, -1], np.float32)

    other = Other()
    replaced = Embedder("m", other, cache=cache)
    replaced.probe()
    assert "must be reindexed" in caplog.text
    fresh = replaced.documents(["tea"])
    assert texts_asked(other) == ["tea"]
    caplog.clear()
    again = Embedder("m", other, cache=cache)
    again.probe()
    assert caplog.text == ""
    assert np.array_equal(again.documents(["tea"]), fresh)
    assert texts_asked(other) == ["tea"]


def test_many_threads(cache: EmbeddingCache) -> None:
    embedder = Embedder("m", Model(), cache=cache)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                texts = [f"{(number + turn) % 7} {place}" for place in range(10)]
                one = embedder.documents(texts)
                assert np.array_equal(one, embedder.queries(texts))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
