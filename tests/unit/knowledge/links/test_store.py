"""Links in a database: those of an index in memory, whatever came and went."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from polyport_gateway.knowledge.catalogue import Catalogue, NewChunk, NewDocument, Staged
from polyport_gateway.knowledge.links import Clue, LinkLimits, Passage
from polyport_gateway.knowledge.links.rows import Role, digest, rows_of
from polyport_gateway.knowledge.links.settling import settle
from polyport_gateway.knowledge.links.store import LinkStore, Part
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import knowledge_links
from tests.support.link_stores import BATCHES, Kept, check_against_memory, everything, shape

HERE, THERE = Part(1, 1), Part(2, 5)


@pytest.fixture
def database(shared: Database) -> Database:
    shared.run_sync(lambda connection: connection.execute(knowledge_links.delete()))
    return shared


def rows(database: Database) -> int:
    return database.read_sync(
        lambda connection: connection.execute(select(func.count()).select_from(knowledge_links)).scalar_one()
    )


@settings(max_examples=12, deadline=None)
@given(batches=BATCHES, share=st.sampled_from([0.05, 0.6]))
def test_clues_are_those_of_an_index_in_memory(
    shared: Database, batches: list[tuple[list[Passage], set[int], bool]], share: float
) -> None:
    shared.run_sync(lambda connection: connection.execute(knowledge_links.delete()))
    check_against_memory(shared, HERE, batches, LinkLimits(share=share))
    assert rows(shared) == 0


def test_a_clue_leads_from_one_knowledge_base_to_another(database: Database) -> None:
    store = LinkStore(database, live=everything)
    here, there = Kept(store, HERE), Kept(store, THERE, first=100)
    (film,) = here.add([Passage("A film directed by Raoul Walsh.", "Jump for Glory")])
    (walsh,) = there.add([Passage("He was an American director.", "Raoul Walsh")])
    other = Kept(store, Part(2, 6), first=500)
    other.add([Passage("He was another.", "Raoul Walsh")])
    assert store.over([HERE], 1).clues(film) == []
    assert shape(store.over([HERE, THERE], 2).clues(film)) == [("Raoul Walsh", (walsh,), (film,))]
    assert store.over([HERE, THERE], 2).names_of(walsh) == ["Raoul Walsh"]
    assert store.over([], 0).around([film], 5) == [([], [])]


def test_only_live_chunks_are_led_to(database: Database) -> None:
    dead: set[int] = set()
    store = LinkStore(database, live=lambda chunk: chunk.not_in(sorted(dead)))
    kept = Kept(store, HERE)
    one, two, three = kept.add([Passage(f"{word} met Raoul Walsh.") for word in ("He", "She", "They")])
    assert shape(kept.links().clues(one)) == [("Raoul Walsh", (), (one, two, three))]
    dead.add(two)
    assert shape(kept.links().clues(one)) == [("Raoul Walsh", (), (one, three))]
    dead.add(three)
    assert kept.links().clues(one) == []


def test_a_new_title_is_found_in_old_texts_and_a_former_one_forgotten(database: Database) -> None:
    kept = Kept(LinkStore(database, live=everything), HERE)
    first, _ = kept.add([Passage("他读过红楼梦新编。", "甲"), Passage("x", "红楼")])
    assert kept.settle() == (2, 1, 0)  # a title of one character is none
    assert [clue.text for clue in kept.links().clues(first)] == ["红楼"]
    (novel,) = kept.add([Passage("小说。", "红楼梦")])
    assert kept.settle() == (2, 1, 0)
    assert [clue.text for clue in kept.links().clues(first)] == ["红楼梦"]  # the longer one has taken its place
    kept.remove([novel])
    assert kept.settle() == (1, 0, 1)
    assert [clue.text for clue in kept.links().clues(first)] == ["红楼"]


def test_a_changed_document_costs_its_own_chunks_only(database: Database) -> None:
    kept = Kept(LinkStore(database, live=everything), HERE)
    old = kept.add([Passage("About always.", "The long report"), Passage("Of rain.", "The long report")])
    kept.add([Passage(f"Number {n} says the long report is long.", "x") for n in range(20)])
    assert kept.settle().chunks == 22
    kept.add([Passage("Of snow.", "The long report")])
    kept.remove(old)
    assert kept.settle() == (1, 0, 0)


def test_settling_that_is_killed_is_done_again(database: Database) -> None:
    kept = Kept(LinkStore(database, live=everything), HERE)
    kept.add([Passage("x", "红楼梦"), *(Passage(f"第{n}人读过红楼梦。", "某人") for n in range(2))])
    kept.settle()
    kept.add([Passage("y", "某人"), Passage("红楼梦与石头记", "石头记"), Passage("读石头记", "丙丙")])
    kept.add([Passage("他是丙丙")] * 9)

    def stop(seen: int) -> None:
        if seen >= 6:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        settle(kept.store, HERE, kept, on_page=stop)
    before = rows(database)
    assert kept.settle().titles == 2
    after = rows(database)
    assert after > before
    texts = {clue.text for chunk in kept.passages for clue in kept.links().clues(chunk)}
    assert {"红楼梦", "石头记"} <= texts


def test_what_very_many_have_is_not_read(database: Database) -> None:
    kept = Kept(LinkStore(database, live=everything), HERE)
    (last, *_) = kept.add([Passage("By Ann Lee and Bob Ray. "), Passage("By Bob Ray.")])
    kept.add([Passage("It is by Ann Lee.")] * 1200)
    assert [clue.text for clue in kept.links().clues(last)] == ["Bob Ray"]
    there = Kept(kept.store, THERE, first=100)
    (one, two) = there.add([Passage("By Ann Lee."), Passage("It is by Ann Lee.")])
    assert shape(there.links().clues(one)) == [("Ann Lee", (), (one, two))]  # that many have it elsewhere is no matter


def test_rows_say_each_clue_once_and_in_twelve_characters() -> None:
    passage = Passage(
        "Ann Lee met Bob Ray and Ann Lee. See Table 3.\nTable 3: Sales\x00",
        "Ann Lee \ud800",
        "d",
        ("2 Bob\0 Ray",),
        "https://e.com/" + "x" * 5000,
    )
    found = list(rows_of([(5, passage)]))
    assert len({row.key for row in found}) == len(found)
    assert all(len(row.key) == 12 and row.chunk == 5 for row in found)
    assert {row.written for row in found if row.role == Role.BORNE} == {"Ann Lee ?", "2 Bob  Ray", "Bob  Ray"}
    assert {row.written for row in found if row.role == Role.MARKED} >= {"Table 3"}
    assert digest("ann lee") in {row.key for row in found}
    assert list(rows_of([])) == []


def test_an_empty_store(database: Database) -> None:
    store = LinkStore(database, live=everything)
    assert store.over([HERE], 0).around([1, 2], 5) == [([], []), ([], [])]
    assert store.over([HERE], 0).around([], 5) == []
    database.run_sync(lambda connection: store.remove(connection, [1, 2, 3]))
    empty: list[Clue] = store.over([HERE], 0).clues(7)
    assert empty == []


def test_links_go_with_what_the_catalogue_publishes(database: Database) -> None:
    catalogue, store = Catalogue(database), LinkStore(database)
    base = catalogue.create(f"links-{database.dialect}", {}, shelf="main")
    part = Part(base.id, base.generation)

    def build(key: str, title: str, *texts: str) -> Staged:
        def within(connection: Connection, staged: Sequence[Staged]) -> None:
            for one in staged:
                passages = [Passage(text, title, one.document.uid, address=key) for text in texts]
                store.add(connection, part, rows_of(zip(one.chunks, passages, strict=True)))

        document = NewDocument(key=key, title=title, sha256="0" * 64)
        chunks = [NewChunk(text, (0, len(text)), len(text)) for text in texts]
        return catalogue.stage(base.id, base.generation, [(document, chunks)], within=within)[0]

    film = build("film.md", "Jump for Glory", "A film directed by Raoul Walsh.")
    walsh = build("walsh.md", "Raoul Walsh", "An American.", "He made a 红楼梦 film.")
    dream = build("dream.md", "红楼梦", "小说。")
    catalogue.publish(*part, [film, dream])
    (director,) = film.chunks
    assert store.over([part]).clues(director) == []  # the other is not published yet
    catalogue.publish(*part, [walsh])
    store = LinkStore(database)  # that has not counted yet
    assert shape(store.over([part]).clues(director)) == [("Raoul Walsh", tuple(walsh.chunks), (director,))]
    assert settle(store, part) == (4, 3, 0)
    assert [clue.text for clue in store.over([part]).clues(walsh.chunks[1])] == ["红楼梦", "Raoul Walsh"]
    later = build("film.md", "Jump for Glory", "A film with 红楼梦 in it.")
    catalogue.publish(*part, [later])
    assert settle(store, part) == (1, 0, 0)
    assert store.over([part]).clues(later.chunks[0])[0].held.tolist() == [walsh.chunks[1], later.chunks[0]]
    catalogue.drop(base.id)
    while garbage := catalogue.garbage(grace_ms=0):
        for some in garbage:
            catalogue.forget(some.chunks)
    assert rows(database) == 0
