"""Chunkers by meaning and topic: where they cut, and with which vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.models.vectors import cosine
from polyport_gateway.knowledge.chunkers.segments import sentence_bounds
from polyport_gateway.knowledge.chunkers.terms import stem, terms_of
from polyport_gateway.knowledge.documents.blocks import Heading
from polyport_gateway.knowledge.documents.values import Span
from tests.unit.knowledge.chunkers.texts import document

TEA = (
    "Green tea is brewed from fresh leaves. The leaves are steamed before drying. Brewing green tea needs cool water. "
    "Tea leaves from Hangzhou are prized. A teapot keeps the tea warm. Good tea smells of grass and fresh leaves. "
)
CAR = (
    "The engine has six cylinders. Pistons in the engine drive its crankshaft. An engine needs oil. The gearbox sends "
    "the power of the engine to the wheels. Brakes stop the wheels of the car. A car needs good brakes and an engine. "
)
CHA = "绿茶是用新鲜茶叶做的。茶叶先蒸后干燥。泡绿茶的水不要太热。杭州的龙井茶叶很有名。好的绿茶有茶叶的清香。"
CHE = "发动机有六个气缸。活塞带动发动机的曲轴。发动机需要机油冷却。变速箱把发动机的动力传给车轮。刹车让车轮停下。"
STEPS = [
    c.TopicSegments(block=30),
    c.SemanticBreakpoints(),
    c.SemanticBreakpoints(threshold="standard_deviation"),
    c.SemanticBreakpoints(threshold="interquartile"),
    c.SemanticClusters(128, piece_tokens=12),
]


def _topics(text: str, words: tuple[str, str]) -> tuple[int, int]:
    return sum(text.count(mark) for mark in words[0].split()), sum(text.count(mark) for mark in words[1].split())


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.settings()[:40])
@pytest.mark.parametrize(
    ("text", "words"),
    [(TEA + CAR, ("tea leaves", "engine wheel")), (CHA + CHE, ("茶", "发动机 车轮"))],
    ids=["English", "Chinese"],
)
def test_a_chunk_is_of_one_topic(step: c.Step, text: str, words: tuple[str, str]) -> None:
    found = step.chunk(document(text))
    assert len(found) > 1
    counts = [_topics(chunk.text, words) for chunk in found]
    # A sentence at the seam may fall on the wrong side where it shares no word with its neighbours.
    assert sum(min(pair) for pair in counts) <= 0.1 * sum(map(sum, counts))


def test_one_topic_is_one_chunk_for_fixed_vectors() -> None:
    class Ladder:
        name = "ladder"
        calls = 0

        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            self.calls += 1
            return [[1.0, 0.0] if "tea" in text else [0.0, 1.0] for text in texts]

    ladder = Ladder()
    first = "A cup of all the tea. B is all of the tea. C is all of the tea."
    second = "It is some of the oil. It is some of the gas. It is some of the car."
    text = f"{first} {second} Last was all the tea. More of all the tea."
    made = document(Heading(text="First tea"), text)
    found = c.SemanticBreakpoints(embedder=ladder, group=1, amount=50).chunk(made)
    assert [chunk.text.strip() for chunk in found] == [
        f"First tea\n\n{first}",
        second,
        "Last was all the tea. More of all the tea.",
    ]
    assert [chunk.metadata["segment"] for chunk in found] == [0, 1, 2]
    ladder.calls = 0
    (c.ByBlock() | c.SemanticBreakpoints(embedder=ladder)).chunk(made)
    assert ladder.calls == 1  # one pass for the whole document
    clusters = c.SemanticClusters(64, ladder, 8, "estimate").chunk(document(text))
    assert [chunk.text.strip() for chunk in clusters] == [
        first,
        second,
        "Last was all the tea. More of all the tea.",
    ]


def test_clusters_are_the_best_of_all_ways_to_cut() -> None:
    vectors = {"ant": [1.0, 0.0, 0.0], "bee": [0.8, 0.6, 0.0], "cat": [0.0, 1.0, 0.0], "dog": [0.0, 0.6, 0.8]}
    embedder = c.CallableEmbedder(lambda texts: [vectors[text[-4:-1]] for text in texts], "words")
    words = ["ant", "bee", "bee", "cat", "dog", "cat", "ant", "ant", "dog", "dog"]
    text = "".join(f"Word of many an {word}. " for word in words)
    found = c.SemanticClusters(40, embedder, 10, "estimate").chunk(document(text))

    points = [vectors[word] for word in words]
    pairs = [cosine(one, other) for i, one in enumerate(points) for other in points[:i]]
    average = sum(pairs) / len(pairs)

    def worth(bounds: list[int]) -> float:
        return sum(
            cosine(points[i], points[j]) - average
            for start, end in pairwise(bounds)
            for i in range(start, end)
            for j in range(start, i)
        )

    sizes = [chunk.text.count("Word") for chunk in found]
    own = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    widest = max(sizes)
    every = []
    for mask in range(2 ** (len(words) - 1)):
        bounds = [0, *(n + 1 for n in range(len(words) - 1) if mask >> n & 1), len(words)]
        if all(end - start <= widest for start, end in pairwise(bounds)):
            every.append(worth(bounds))
    assert worth(own) == pytest.approx(max(every))
    assert len(sizes) > 2


def test_a_segment_over_the_limit_is_cut_between_sentences_and_keeps_its_number() -> None:
    found = c.TopicSegments(48, 30, tokenizer="estimate").chunk(document(TEA * 2))
    assert all(chunk.tokens <= 48 for chunk in found)
    assert all(chunk.text.rstrip().endswith(".") for chunk in found)
    assert len({chunk.metadata["segment"] for chunk in found}) < len(found)


def test_small_segments_are_put_together_where_asked() -> None:
    step = c.SemanticBreakpoints(128, amount=20, min_tokens=24, tokenizer="estimate")
    found = step.chunk(document(TEA + CAR))
    assert all(chunk.tokens >= 24 for chunk in found[:-1])
    assert len(found) < len(c.SemanticBreakpoints(128, amount=20, tokenizer="estimate").chunk(document(TEA + CAR)))


def test_an_embedder_that_loses_texts_is_told() -> None:
    bad = c.CallableEmbedder(lambda texts: [[1.0]], "bad")
    with pytest.raises(ValueError, match="'bad' gave 1 vectors of lengths"):
        c.SemanticBreakpoints(embedder=bad).chunk(document(TEA))


def test_the_built_in_embedder_knows_words_by_their_stem_and_chinese_by_pairs() -> None:
    one, same, other = c.HashedEmbedder().embed(["brewing green teas", "the green tea was brewed", "engine oil"])
    assert cosine(one, same) > 0.9
    assert abs(cosine(one, other)) < 0.2
    assert c.HashedEmbedder(64).embed(["", "。"]) == [[0.0] * 64] * 2
    one, same, other = c.HashedEmbedder().embed(["杭州的龙井茶", "龙井茶产于杭州", "发动机"])
    assert cosine(one, same) > cosine(one, other) + 0.4


def test_terms() -> None:
    assert [term.text for term in terms_of("The brewed teas, 龙井茶和水 2024")] == [
        "brew",
        "tea",
        "龙井",
        "井茶",
        "2024",
    ]
    assert {stem(word) for word in ("brewing", "brewed", "brews")} == {"brew"}
    assert {stem(word) for word in ("stories", "story")} == {"story"}
    assert {stem(word) for word in ("stopping", "stopped", "stops")} == {"stop"}
    assert stem("glass") == "glass"


def test_sentence_bounds_leave_no_blank_sentence() -> None:
    text = "\n\n One. \n\n\nTwo. \n\n"
    bounds = sentence_bounds(text, Span(0, len(text)))
    assert [text[a:b].strip() for a, b in pairwise(bounds)] == ["One.", "Two."]
    assert sentence_bounds(" \n", Span(0, 2)) == [0, 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: c.SemanticBreakpoints(threshold="mean"),  # type: ignore[arg-type]
        lambda: c.SemanticBreakpoints(amount=101),
        lambda: c.SemanticBreakpoints(group=0),
        lambda: c.SemanticBreakpoints(64, min_tokens=65),
        lambda: c.SemanticClusters(32, piece_tokens=64),
        lambda: c.TopicSegments(block=1),
        lambda: c.HashedEmbedder(2),
    ],
)
def test_settings_that_cannot_hold_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="="):
        make()  # type: ignore[operator]
