"""Real models of the sentence-transformers family, small ones, behind a real gateway."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

import polyport
from polyport import App, Client
from polyport.testing import gateway
from tests.support import tiny_models

pytestmark = [
    pytest.mark.requires("sentence-transformers"),
    # What torch, transformers and their extensions warn of at import is their own affair.
    pytest.mark.filterwarnings("ignore"),
]

WORDS = tiny_models.TEXT.split()
TEXTS = ["fox", "the quick brown fox", "Zoë 你好 wizards 🦊", "retrieval finds passages " * 9, "a\nb\tc", "dog" * 5]


class House:
    def __init__(self, url: str, encoder: Path, cross: Path) -> None:
        from sentence_transformers import CrossEncoder, SentenceTransformer

        self.url = url
        with Client(url, timeout=100, max_retries=0) as client:
            # transformers can't load two models at a time, and the gateway loads its own.
            for name in ("small", "longer", "cutting", "half"):
                client.embed(name, "fox")
            for name in ("ranker", "classes"):
                with contextlib.suppress(polyport.ServiceUnavailableError):
                    client.rerank(name, "which?", ["fox"])
        self.client = Client(url, timeout=60)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        self.encoder = SentenceTransformer(str(encoder), device="cpu", local_files_only=True)
        self.cross = CrossEncoder(str(cross), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_models.make_encoder(folder), tiny_models.make_cross_encoder(folder)


@pytest.fixture(scope="module")
def house(folders: tuple[Path, Path]) -> Iterator[House]:
    encoder, cross = map(str, folders)
    app = App("sentences")
    app.model("small", engine="sentence-transformers", model=encoder, device="cpu", rerank="similarity")
    app.model("longer", engine="sentence-transformers", model=encoder, device="cpu", normalize=False, max_tokens=8)
    app.model("cutting", engine="sentence-transformers", model=encoder, device="cpu", too_long="truncate")
    app.model("half", engine="sentence-transformers", model=encoder, device="cpu", dtype="bfloat16")
    app.model("ranker", engine="sentence-transformers", model=cross, device="cpu")
    app.model("classes", engine="sentence-transformers", model=str(tiny_models.make_cross_encoder(folders[0] / "x", 3)))
    with gateway(app) as running:
        made = House(running.url, *folders)
        yield made
        made.client.close()
        made.openai.close()


def near(found: Any, expected: Any) -> bool:
    import numpy as np

    return bool(np.abs(np.asarray(found) - np.asarray(expected)).max() < 1e-5)


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}])
def test_vectors_are_the_librarys_own(house: House, encoding: dict[str, Any]) -> None:
    answer = house.openai.embeddings.create(model="small", input=TEXTS, **encoding)
    found = [item.embedding for item in answer.data]
    assert near(found, house.encoder.encode(TEXTS, normalize_embeddings=True))
    assert [item.index for item in answer.data] == list(range(len(TEXTS)))
    assert answer.model == "small"
    tokens = sum(len(house.encoder.tokenizer(text)["input_ids"]) for text in TEXTS)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == tokens
    plain = house.client.embed("longer", "fox").vectors
    assert near(plain, house.encoder.encode(["fox"]))
    assert near(house.client.embed("half", ["fox"]).vectors, found[:1]) is False
    assert house.client.embed("half", ["fox"]).vectors[0] == pytest.approx(found[0], abs=0.05)


def test_queries_and_documents_get_their_prompts(house: House) -> None:
    def ask(**members: Any) -> Any:
        return house.client.embed("small", ["brown fox"], **members).vectors

    expected = house.encoder.encode_query(["brown fox"], normalize_embeddings=True)
    assert near(ask(input_type="query"), expected)
    assert near(ask(input_type="search_query"), expected)
    expected = house.encoder.encode_document(["brown fox"], normalize_embeddings=True)
    assert near(ask(input_type="passage"), expected)
    expected = house.encoder.encode(["brown fox"], prompt_name="other", normalize_embeddings=True)
    assert near(ask(prompt_name="other"), expected)
    assert not near(ask(), expected)


def test_fewer_dimensions(house: House) -> None:
    (vector,) = house.client.embed("small", "fox", dimensions=10).vectors
    assert near([vector], house.encoder.encode(["fox"], truncate_dim=10, normalize_embeddings=True))
    assert len(vector) == 10


@pytest.mark.parametrize(
    ("model", "text", "members", "param", "said"),
    [
        ("small", [1, 2], {}, "input", "Give input as text"),
        ("small", [[1], [2]], {}, "input", "Give input as text"),
        ("small", ["a", ""], {}, "input", r"input\[1\] is empty"),
        ("small", ["a"] * 2049, {}, "input", "2049 texts"),
        (
            "small",
            ["fox", "dog " * 60],
            {},
            "input",
            r"input\[1\] is too long: it has 62 tokens, and the model reads 48",
        ),
        ("small", "x" * 100_000, {}, "input", "100000 characters"),
        ("longer", "a fox " * 5, {}, "input", "12 tokens, and the model reads 8"),
        ("small", "fox", {"dimensions": 33}, "dimensions", "33; this model's vectors have 32"),
        ("small", "fox", {"prompt_name": "none"}, "prompt_name", "the model has"),
        ("small", "fox", {"prompt_name": "query", "input_type": "query"}, "prompt_name", "not both"),
        ("small", "fox", {"input_type": "song"}, "input_type", "Input should be"),
        ("small", "fox", {"truncate": "yes"}, "truncate", "Input should be"),
        ("small", "fox", {"task": "x"}, "task", "can't honour task"),
        ("ranker", "fox", {}, "model", "offers rerank, not embedding"),
    ],
)
def test_refusals(house: House, model: str, text: Any, members: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(polyport.BadRequestError, match=said) as caught:
        house.client.embed(model, text, **members)
    assert caught.value.param == param


def test_a_text_that_just_fits_and_one_that_may_be_cut(house: House) -> None:
    fits = "dog " * 46
    assert near(house.client.embed("small", fits).vectors, house.encoder.encode([fits], normalize_embeddings=True))
    long = "dog fox " * 50
    expected = house.encoder.encode([long], normalize_embeddings=True)
    answer = house.client.embed("small", long, truncate=True)
    assert near(answer.vectors, expected)
    assert answer.usage.prompt_tokens == 48
    assert near(house.client.embed("cutting", long).vectors, expected)
    with pytest.raises(polyport.BadRequestError, match="too long"):
        house.client.embed("cutting", long, truncate=False)
    assert len(house.client.embed("cutting", "dog " * 100_000).vectors[0]) == 32


def test_scores_are_the_librarys_own(house: House) -> None:
    query, documents = "which fox?", [*TEXTS[:3], "seven wizards", "the lazy dog"]
    scores = house.cross.predict([(query, text) for text in documents])
    answer = house.client.rerank("ranker", query, documents)
    assert [result.index for result in answer.results] == sorted(range(5), key=lambda index: -scores[index])
    for result in answer.results:
        assert near(result.relevance_score, scores[result.index])
        assert result.document is None
    best = house.client.rerank("ranker", query, [{"text": text} for text in documents], top_n=2, return_documents=True)
    assert [result.index for result in best.results] == [result.index for result in answer.results[:2]]
    assert best.results[0].document.text == documents[best.results[0].index]
    assert answer.usage.prompt_tokens == sum(len(house.cross.tokenizer(query, text)["input_ids"]) for text in documents)
    with pytest.raises(polyport.BadRequestError, match=r"documents\[1\] is too long") as caught:
        house.client.rerank("ranker", query, ["fox", "dog " * 100])
    assert caught.value.code == "context_length_exceeded"
    assert len(house.client.rerank("ranker", query, ["fox", "dog " * 100], truncate=True).results) == 2


def test_similarity_where_it_was_asked_for_by_name(house: House) -> None:
    documents = TEXTS[:4]
    answer = house.client.rerank("small", "which fox?", documents)
    query = house.encoder.encode_query(["which fox?"], normalize_embeddings=True)
    expected = (house.encoder.encode_document(documents, normalize_embeddings=True) @ query[0]).tolist()
    assert near([result.relevance_score for result in answer.results], sorted(expected, reverse=True))
    assert answer.results[0].index == max(range(4), key=lambda index: expected[index])
    with pytest.raises(polyport.UnsupportedOperationError):
        house.client.rerank("cutting", "which fox?", documents)
    for query, texts, where in (("dog " * 99, ["fox"], "query"), ("fox?", ["fox", "dog " * 99], "documents")):
        with pytest.raises(polyport.BadRequestError, match=rf"^{where}.* is too long") as caught:
            house.client.rerank("small", query, texts)
        assert caught.value.param == where


def test_a_model_that_tells_classes_apart_is_no_reranker(house: House) -> None:
    with Client(house.url, max_retries=0) as client, pytest.raises(polyport.ServiceUnavailableError) as caught:
        client.rerank("classes", "which fox?", ["a"])
    assert caught.value.code == "model_not_loaded"


def test_many_clients_get_their_own_answers(house: House) -> None:
    rng = random.Random(3)
    asked = [[" ".join(rng.choices(WORDS, k=rng.randint(1, 30))) for _ in range(rng.randint(1, 5))] for _ in range(60)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda texts: house.client.embed("small", texts).vectors, asked))
    for texts, vectors in zip(asked, found, strict=True):
        assert near(vectors, house.encoder.encode(texts, normalize_embeddings=True))


def test_nothing_heavy_is_loaded_until_a_model_is_used() -> None:
    import subprocess

    code = (
        "import sys; import polyport_gateway.engines.sentence_transformers, polyport_gateway.server; "
        "print(sorted({'torch', 'transformers', 'sentence_transformers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
