"""What an author may say of a knowledge base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from polyport import App, DeclarationError
from polyport.declarations import KnowledgeDeclaration
from polyport.types.knowledge import KnowledgeCreateRequest


def declared(name: str = "handbook", **options: Any) -> KnowledgeDeclaration:
    app = App("demo")
    app.knowledge(name, **options)
    (declaration,) = app.declarations
    assert isinstance(declaration, KnowledgeDeclaration)
    return declaration


def test_a_name_is_enough() -> None:
    base = declared()
    assert (base.name, base.search_name, base.sources, base.embedders) == ("handbook", "handbook_search", (), ())
    assert (base.index, base.keywords_name, base.expand, base.hops) == ("qdrant-edge", None, "parent", True)


def test_what_is_said_is_kept(tmp_path: Path) -> None:
    metadata = {"team": "客服"}
    base = declared(
        sources=["./docs", tmp_path, "https://example.org/a.pdf"],
        embedder=["minilm", "bge", "minilm"],
        fields={"year": "integer"},
        metadata=metadata,
        tags=["公开"],
        threshold=0.0,
        watch=True,
    )
    assert base.sources == ("./docs", str(tmp_path), "https://example.org/a.pdf")
    assert base.embedders == ("minilm", "bge")
    metadata["team"] = "changed"
    assert (base.metadata, base.tags, base.threshold) == ({"team": "客服"}, ("公开",), 0.0)


def test_one_embedder_needs_no_list() -> None:
    assert declared(embedder="minilm").embedders == ("minilm",)


def from_title(text: str, title: str, more: int = 3) -> list[str]:
    return [title]


async def not_now(text: str) -> list[str]:
    return [text]


class Keywords:
    def __call__(self, text: str) -> list[str]:
        return text.split()


def test_keywords_are_a_name_or_whatever_takes_a_text() -> None:
    assert declared(keywords="my_keywords").keywords_name == "my_keywords"
    assert declared(keywords=Keywords()).keywords_name == f"{__name__}:Keywords"
    assert declared(keywords=from_title).keywords_name == f"{__name__}:from_title"


def register_function(app: App, name: str) -> None:
    app.function(name)(lambda: 1)


def register_base(app: App, name: str) -> None:
    app.knowledge(name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((register_base, "handbook"), (register_base, "handbook")),
        ((register_base, "handbook"), (register_function, "handbook")),
        ((register_base, "handbook"), (register_function, "handbook_search")),
        ((register_function, "handbook_search"), (register_base, "handbook")),
        ((register_base, "handbook"), (register_base, "handbook_search")),
        ((register_base, "handbook_search"), (register_base, "handbook")),
    ],
)
def test_its_names_are_its_own(
    first: tuple[Callable[[App, str], None], str], second: tuple[Callable[[App, str], None], str]
) -> None:
    app = App("demo")
    first[0](app, first[1])
    with pytest.raises(DeclarationError, match=r"registered already|the tool which searches"):
        second[0](app, second[1])
    assert [declaration.name for declaration in app.declarations] == [first[1]]
    app.knowledge("other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a" * 60}, "no room for _search"),
        ({"name": "jobs"}, "/v1/knowledge/jobs is something else"),
        ({"name": "hand book"}, "can't be a name"),
        ({"sources": "./docs"}, r"write sources=\['./docs'\]"),
        ({"sources": Path("docs")}, r"write sources=\['docs'\]"),
        ({"sources": [""]}, "no path and no address"),
        ({"sources": [b"docs"]}, "no path and no address"),
        ({"embedder": [""]}, "'' in embedder is no name"),
        ({"tags": "public"}, r"write tags=\['public'\]"),
        ({"expand": "page"}, "'parent', 'window', 'none'"),
        ({"on_keywords_change": "now"}, "'deferred', 'batch'"),
        ({"fields": {"year": "int"}}, "type of the field 'year' is 'int'"),
        ({"keywords_version": 0}, "starts at 1"),
        ({"threshold": 1.5}, "from 0 to 1"),
        ({"threshold": float("nan")}, "from 0 to 1"),
        ({"timeout": 0}, "positive number of seconds"),
        ({"prompts": {"answer": 1}}, r"prompts\['answer'\]"),
        ({"chunker": ""}, "such as 'Sentences"),
        ({"index": " "}, "such as 'qdrant-edge'"),
        ({"metadata": {"at": Path()}}, "can't be kept as JSON"),
        ({"metadata": {"share": float("inf")}}, "can't be kept as JSON"),
        ({"keywords": 7}, "registered function's name or callable"),
        ({"keywords": lambda: ["a"]}, "as its parameter text, and may take title"),
        ({"keywords": lambda text, surprise: ["a"]}, "surprise"),
        ({"keywords": str.split}, "as its parameter text"),
        ({"keywords": not_now}, "is async"),
    ],
)
def test_what_can_not_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        declared(**options)


def test_a_caller_may_ask_for_what_an_author_declares() -> None:
    other = {"embedder": "embedders", "timeout_s": "timeout"}
    asked = {other.get(name, name) for name in KnowledgeCreateRequest.model_fields}
    assert asked == {field.name for field in fields(KnowledgeDeclaration)}
    for field in fields(KnowledgeDeclaration):
        if field.name in ("name", "sources", "tags", *other.values()):
            continue
        assert getattr(KnowledgeCreateRequest(name="a"), field.name) == getattr(declared("a"), field.name)
