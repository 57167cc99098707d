"""What a base learns from its documents when they have changed: weights, what it is about, which titles are named."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from polyport_gateway.knowledge.answers.judges import cosine_scale
from polyport_gateway.knowledge.bases import Generation
from polyport_gateway.knowledge.catalogue import Catalogue, DocumentRow
from polyport_gateway.knowledge.federation.profiles import Profile
from polyport_gateway.knowledge.ingestion.build import Target
from polyport_gateway.knowledge.links.settling import settle
from polyport_gateway.knowledge.links.store import LinkStore
from polyport_gateway.knowledge.links.store import Part as LinkPart
from polyport_gateway.knowledge.retrieval import learn_weights, make_probes

from .conditions import FIELDS, FieldCounts
from .registry import OpenBase, Registry

__all__ = ["COSINES", "PROFILES", "Learning"]

_log = logging.getLogger("polyport.knowledge")

PROFILES = "profiles"
"""The member of a base's state that says what each of its builds is about."""

COSINES = "cosines"
"""Likewise which cosines of each embedder mean nothing, and all."""

_LEARNED_OF = "learned_of"
_WEIGHED = 2000
_PROBES, _FEWEST_PROBES = 400, 40
_PROBED = 5
"""Chunks for each probe: each costs two vectors, and a base of a hundred chunks is not to be embedded eight times."""
_PROFILED = 20_000
_MIDDLES = 2000
_PAIRED = 300
_GROWN = 1.5
"""How much a base has to grow for its weights to be learned anew."""
_BATCH = 500
_PAGE = 1000
_MOST_DOCUMENTS = 20_000


class Learning:
    """Learns, after an ingestion or before a switch to another build; blocks.

    Args:
        registry: Keeps it.
        catalogue: Has the documents.
        links: Between passages.
    """

    def __init__(self, registry: Registry, catalogue: Catalogue, links: LinkStore) -> None:
        self._registry, self._catalogue, self._links = registry, catalogue, links

    def learn(self, target: Target) -> None:
        """Learn all of it for a build.

        Raises:
            CallError: A model, the index or the database fails; what was learned before stays.
        """
        settle(self._links, LinkPart(target.base, target.generation))
        self._profile(target)
        self._weigh(target)

    def _weigh(self, target: Target) -> None:
        """Learn how much vectors are to say beside words, if the base has grown since last time."""
        found = self._settings(target)
        if found is None or not target.embedders:
            return
        base, settings = found
        size = target.index.count({"part": target.part})
        known = (base.state(_LEARNED_OF) or {}).get(str(target.generation), 0)
        texts = [text for _, text in self._catalogue.chunk_texts(target.base, target.generation, sample=_WEIGHED)]
        if not texts or known / _GROWN < size < known * _GROWN:
            return
        probes = make_probes(texts, min(_PROBES, max(_FEWEST_PROBES, size // _PROBED)))
        learned = dict(settings.embedders)
        for name, embedder in target.embedders.items():
            weights = learn_weights(probes, bm25=settings.bm25, embed=embedder.documents)
            _log.info("%s: vectors of %s weigh %s beside words", base.name, name, weights)
            learned[name] = replace(learned[name], weights=weights)
        base = self._registry.keep_learned(base, replace(settings, embedders=learned))
        learned_of = {**(base.state(_LEARNED_OF) or {}), str(target.generation): size}
        self._registry.keep_state(base, {_LEARNED_OF: learned_of})

    def _profile(self, target: Target) -> None:
        """Learn what the base is about, by which questions are routed."""
        profile = Profile()
        batch: list[str] = []
        for _, text in self._catalogue.chunk_texts(target.base, target.generation, sample=_PROFILED):
            batch.append(text)
            if len(batch) == _BATCH:
                profile = profile.add([target.bm25.document(one) for one in batch])
                batch = []
        profile = profile.add([target.bm25.document(one) for one in batch])
        keywords: Counter[str] = Counter()
        languages: Counter[str] = Counter()
        fields = FieldCounts()
        for row in self._documents(target.base):
            keywords.update(row.keywords)
            languages.update([row.language] if row.language else [])
            fields.add(row)
        vectors = {name: target.index.sample(name, _MIDDLES, {"part": target.part})[1] for name in target.embedders}
        profile = profile.add(
            [],
            vectors={name: rows for name, rows in vectors.items() if len(rows)},
            keywords=keywords.elements(),
            languages=languages.elements(),
        )
        scales = {name: cosine_scale(rows[:_PAIRED]) for name, rows in vectors.items() if len(rows) > 1}
        found = self._settings(target)
        if found is not None:
            base, _ = found
            # That of the build which is searched until the switch stays beside it.
            current = str(base.generation.number)
            kept = {key: text for key, text in (base.state(PROFILES) or {}).items() if key == current}
            self._registry.keep_state(
                base,
                {PROFILES: {**kept, str(target.generation): profile.dumps()}, FIELDS: fields.dump(), COSINES: scales},
            )

    def _documents(self, base: int) -> Iterator[DocumentRow]:
        after: str | None = None
        for _ in range(_MOST_DOCUMENTS // _PAGE):
            page = self._catalogue.documents(base, after=after, limit=_PAGE, status="ready", count=False)
            yield from page.rows
            after = page.next
            if after is None:
                return

    def _settings(self, target: Target) -> tuple[OpenBase, Generation] | None:
        """Return a base and the settings of the build that is learned of; None where either is gone."""
        base = self._registry.refresh(target.base)
        if base is None:
            return None
        if base.generation.number == target.generation:
            return base, base.generation
        for row in self._catalogue.generations(base.id):
            if row.generation == target.generation:
                return base, self._registry.generation(base, row)
        return None
