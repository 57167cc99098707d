"""Steps that ask a model: what they ask, what becomes of the answers, and of failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from polyport import App, Client
from polyport.testing import ScriptedEngine
from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.models import asking
from polyport_gateway.knowledge.chunkers.models.asking import lines_of
from polyport_gateway.knowledge.documents.blocks import Heading
from polyport_gateway.knowledge.tokenizers import EstimateTokenizer
from tests.unit.knowledge.chunkers.texts import document

PROSE = "Green tea comes from Hangzhou. It is brewed at 80 degrees."
CHINESE = "龙井茶产于杭州。水温八十度。"


class Scripted:
    """A model that answers from a list, and keeps what it was asked."""

    name = "scripted"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.batches: list[list[str]] = []

    def complete(self, prompts: Sequence[str]) -> list[str]:
        self.batches.append(list(prompts))
        found = [self.answers.pop(0) for _ in prompts]
        for answer in found:
            if isinstance(answer, Exception):
                raise answer
        return [str(answer) for answer in found]


def test_a_summary_goes_where_it_is_wanted() -> None:
    model = Scripted("<think>hm</think>Tea is from Hangzhou.", "Tea.")
    (noted,) = (c.Recursive() | c.Summary(model)).chunk(document(PROSE))
    assert noted.metadata == {"summary": "Tea is from Hangzhou.", "summary_model": "scripted"}
    assert noted.text == PROSE
    assert "<text>\nGreen tea" in model.batches[0][0]
    (made,) = (c.Recursive() | c.Summary(model, place="text")).chunk(document(PROSE))
    assert (made.text, made.span) == ("Tea.", None)
    assert made.metadata == {"source_span": (0, len(PROSE)), "summary_model": "scripted"}


def test_a_summary_that_is_too_long_is_cut_at_a_sentence() -> None:
    (found,) = c.Summary(Scripted("One is here. " * 20), 16, tokenizer="estimate").chunk(document(PROSE))
    summary = str(found.metadata["summary"])
    assert summary.endswith("One is here.")
    assert EstimateTokenizer().count(summary) <= 16


@pytest.mark.parametrize(("text", "language"), [(PROSE, "the language of the text"), (CHINESE, "Chinese")])
def test_answers_are_asked_for_in_the_language_of_the_text(text: str, language: str) -> None:
    model = Scripted("x")
    c.Summary(model).chunk(document(text))
    assert f"Answer in {language}" in model.batches[0][0]


def test_pairs_are_chunks_and_what_they_are_from_is_their_parent() -> None:
    model = Scripted(
        "Q: Where is it from?\nA: Hangzhou.\n\n2. **Q:** How hot?\n**A:** 80 degrees.\nQ: And?",
        "问：产于哪里？\n答：杭州。",
    )
    parent, one, two = (c.Recursive() | c.QuestionsAndAnswers(model, 2)).chunk(document(PROSE))
    assert parent.text == PROSE
    assert (one.text, two.text) == ("Where is it from?\nHangzhou.", "How hot?\n80 degrees.")
    assert (one.parent_id, two.parent_id) == (parent.id, parent.id)
    assert one.metadata == {
        "source_span": (0, len(PROSE)), "role": "question", "question": "Where is it from?", "answer": "Hangzhou.",
        "number": 0, "question_model": "scripted",
    }  # fmt: skip
    assert "Write 2 questions" in model.batches[0][0]
    assert [chunk.text for chunk in c.QuestionsAndAnswers(model).chunk(document(CHINESE))] == [
        CHINESE,
        "产于哪里？\n杭州。",
    ]


def test_a_line_of_parents_is_kept() -> None:
    model = Scripted(*["Q: a?\nA: b"] * 9)
    step = c.ParentChild(c.ByHeading(), c.Sentences(16, 0, "estimate")) | c.QuestionsAndAnswers(model)
    found = step.chunk(document(Heading(text="Tea"), PROSE))
    texts = {chunk.id: chunk.text for chunk in found}
    assert len(texts) == len(found)
    pairs = [chunk for chunk in found if chunk.metadata["role"] == "question"]
    children = {chunk.id: chunk for chunk in found if chunk.metadata["role"] == "child"}
    assert len(pairs) == len(children) > 1
    for pair in pairs:
        child = children[str(pair.parent_id)]
        assert texts[str(child.parent_id)].startswith("Tea\n\nGreen tea")


@pytest.mark.parametrize(
    "answer", ["- Tea is from Hangzhou.\n- Tea is hot.", '["Tea is from Hangzhou.", "Tea is hot."]']
)
def test_propositions(answer: str) -> None:
    parent, one, two = c.Propositions(Scripted(answer)).chunk(document(PROSE))
    assert (parent.text, one.text, two.text) == (PROSE, "Tea is from Hangzhou.", "Tea is hot.")
    assert one.parent_id == parent.id
    assert two.metadata == {
        "source_span": (0, len(PROSE)), "role": "proposition", "number": 1, "proposition_model": "scripted",
    }  # fmt: skip
    alone = c.Propositions(Scripted(answer), keep_source=False).chunk(document(PROSE))
    assert [chunk.parent_id for chunk in alone] == [None, None]


def test_a_prefix_says_where_a_chunk_belongs() -> None:
    model = Scripted("On green tea,\nfrom a book.", "Still on tea.")
    step = c.Sentences(16, 0, "estimate") | c.ContextualPrefix(model, tokenizer="estimate")
    one, two = step.chunk(document(PROSE))
    assert one.text == "On green tea, from a book.\n\nGreen tea comes from Hangzhou. "
    assert one.metadata["source_span"] == (0, 31)
    assert (two.metadata["context"], two.metadata["context_model"]) == ("Still on tea.", "scripted")
    assert all(prompt.startswith(f"<document>\n{PROSE}\n</document>") for prompt in model.batches[0])


def test_of_a_long_document_the_part_around_a_chunk_is_shown() -> None:
    text = "".join(f"Sentence number {n}. " for n in range(400))
    model = Scripted(*["x"] * 400)
    step = c.Sentences(32, 0, "estimate") | c.ContextualPrefix(model, document_tokens=64, tokenizer="estimate")
    chunks = step.chunk(document(text))
    prompts = [prompt for batch in model.batches for prompt in batch]
    assert all(len(batch) <= asking.BATCH for batch in model.batches)
    for chunk, prompt in zip(chunks, prompts, strict=True):
        shown = prompt.removeprefix("<document>\n").split("\n</document>")[0]
        assert EstimateTokenizer().count(shown) <= 64
        assert chunk.text.removeprefix("x\n\n").strip()[:20] in shown


def test_keywords_by_a_model_and_by_counting() -> None:
    (said,) = c.Keywords(Scripted("1. green tea\n2. Hangzhou\n3. water"), 2).chunk(document(PROSE))
    assert said.metadata == {"keywords": ["green tea", "Hangzhou"], "keywords_model": "scripted"}
    (said,) = c.Keywords(Scripted("绿茶、杭州，水温")).chunk(document(CHINESE))
    assert said.metadata["keywords"] == ["绿茶", "杭州", "水温"]
    text = "Green tea is not black tea. Green tea is steamed. The green tea of Hangzhou is known."
    other = "A diesel engine needs oil. The diesel engine turns wheels."
    one, two = (c.ByBlock() | c.Keywords(count=3)).chunk(document(text, other))
    assert one.metadata["keywords"][0] == "Green tea"  # type: ignore[index]
    assert two.metadata["keywords"][0] == "diesel engine"  # type: ignore[index]
    (chinese,) = c.Keywords(count=2).chunk(document("龙井茶产于杭州。龙井茶很香。人们爱喝龙井茶。"))
    assert chinese.metadata["keywords"][0] == "龙井茶"  # type: ignore[index]


def test_the_same_text_is_asked_about_once() -> None:
    model = Scripted("Short.")
    found = (c.ByBlock() | c.Summary(model)).chunk(document("Same.", "Same."))
    assert [len(batch) for batch in model.batches] == [1]
    assert [chunk.metadata["summary"] for chunk in found] == ["Short.", "Short."]


def test_what_a_model_fails_on_is_kept_and_told() -> None:
    # The batch fails, so each is asked alone.
    model = Scripted("a", ValueError("too long"), "c", "one", TimeoutError("slow"), "")
    found = (c.ByBlock() | c.Summary(model)).chunk(document("First.", "Second.", "Third."))
    assert [chunk.text.strip() for chunk in found] == ["First.", "Second.", "Third."]
    assert [chunk.metadata for chunk in found] == [
        {"summary": "one", "summary_model": "scripted"},
        {"summary_error": "TimeoutError: slow", "summary_model": "scripted"},
        {"summary_error": "The answer was empty.", "summary_model": "scripted"},
    ]


@pytest.mark.parametrize("step", [c.QuestionsAndAnswers, c.Propositions])
def test_an_answer_that_cannot_be_read_is_told(step: Any) -> None:
    (found,) = step(Scripted("-")).chunk(document(PROSE))
    assert found.text == PROSE
    assert any(key.endswith("_error") and "'-'" in str(value) for key, value in found.metadata.items())


def test_a_model_that_fails_on_all_is_an_error() -> None:
    with pytest.raises(c.ModelAnswerError, match=r"'scripted' failed on everything .* ConnectionError: gone") as caught:
        c.Summary(Scripted(ConnectionError("gone"))).chunk(document(PROSE))
    assert caught.value.status == 502

    class Short(Scripted):
        def complete(self, prompts: Sequence[str]) -> list[str]:
            return []

    with pytest.raises(c.ModelAnswerError, match="0 answers to 1 prompts"):
        c.Summary(Short()).chunk(document(PROSE))


def test_a_prompt_is_ones_own_and_other_braces_stand() -> None:
    model = Scripted("x")
    c.Summary(model, prompt='Give {"a": {text}} in {language}.').chunk(document("I say {language}."))
    assert model.batches == [['Give {"a": I say {language}.} in the language of the text.']]
    with pytest.raises(ValueError, match=r"must have \{document\} in it"):
        c.ContextualPrefix(model, prompt="{text}")


def test_lines_of_lists() -> None:
    assert lines_of("1. a\n\n- b\n• c\n（d") == ["a", "b", "c", "（d"]
    assert lines_of('["a", "", 3, "b"]') == ["a", "b"]
    assert lines_of("[broken") == ["[broken"]


def test_a_model_and_an_embedder_behind_a_gateway() -> None:
    def play(request: Any) -> str:
        return f"It has {len(request.messages[-1].content)} characters at {request.temperature:g}."

    def vectors(request: Any) -> dict[str, Any]:
        data = [
            {"object": "embedding", "index": n, "embedding": [1.0, 0.0] if "tea" in text else [0.0, 1.0]}
            for n, text in enumerate(request.input)
        ]
        return {"object": "list", "data": data, "model": "minilm", "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    app = App("demo")
    chat = ScriptedEngine(*[play] * 8)
    app.model("qwen", engine=chat)
    app.model("minilm", engine=ScriptedEngine(*[vectors] * 8))
    made = document("A tea. Some tea. More tea. Some oil. An oil. More oil.")
    with Client(app) as client:
        step = c.parse_steps(
            "semantic-breakpoints(embedder='minilm', group=1) | summary('qwen', max_tokens=64)",
            models=lambda name: c.ClientModel(client, name, concurrency=2),
            embedders=lambda name: c.ClientEmbedder(client, name, batch=4),
        )
        found = step.chunk(made)
    assert [chunk.text.strip() for chunk in found] == ["A tea. Some tea. More tea.", "Some oil. An oil. More oil."]
    for chunk in found:
        assert chunk.metadata["summary_model"] == "qwen"
        assert str(chunk.metadata["summary"]).endswith("characters at 0.")
    assert len(chat.requests) == 2


def test_a_gateways_failure_is_told() -> None:
    app = App("demo")
    app.model("qwen", engine=ScriptedEngine())
    with Client(app, max_retries=0) as client, pytest.raises(c.ModelAnswerError, match="'qwen' failed on everything"):
        c.Summary(c.ClientModel(client, "qwen")).chunk(document(PROSE))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Summary()", "Summary needs model"),
        ("Summary(model='qwen')", "no models can be named here"),
        ("Summary(model=3)", "can't be 3; give a model's name"),
        ("SemanticClusters(embedder='x')", "no embedders can be named here"),
    ],
)
def test_models_are_named_only_where_they_can_be(text: str, message: str) -> None:
    with pytest.raises(c.ChunkerSpecError, match=message):
        c.parse_steps(text)


def test_models_are_found_by_name() -> None:
    model = Scripted()
    assert c.parse_steps("Keywords('m')", models={"m": model}) == c.Keywords(model)
    with pytest.raises(c.ChunkerSpecError, match=r"no model for Keywords\(model=…\) named 'x'"):
        c.parse_steps("Keywords('x')", models={"m": model})
