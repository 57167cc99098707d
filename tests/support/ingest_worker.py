"""Takes files in, makes keywords anew and reindexes until it is killed; forked, so that the next one starts at once."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from polyport_gateway.knowledge.catalogue import ChunkRow
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.ingestion.ingest import ingest
from polyport_gateway.knowledge.ingestion.reindex import reindex
from polyport_gateway.knowledge.ingestion.rekey import rekey
from polyport_gateway.knowledge.ingestion.repair import recover, repair
from polyport_gateway.knowledge.ingestion.report import Report
from polyport_gateway.knowledge.ingestion.sources import Folder
from tests.support.ingesting import Bench
from tests.support.records import opened

LINES = 12
FILES = 14


class Site:
    """A folder of files, and what is done to their base; all of it can be read again by the next process.

    Args:
        folder: For the files, and for the base's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.docs = folder / "docs"
        self.docs.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, text: str) -> None:
        """Write a file whole or not at all: what a half-written one comes to is another test's matter."""
        new = self.folder / "new"
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    def number(self, name: str, more: int = 0) -> int:
        """Return a number that outlives processes, with so much added."""
        file = self.folder / name
        value = int(file.read_text()) if file.exists() else 1
        if more:
            value += more
            self.write(file, str(value))
        return value

    def turns(self) -> dict[str, int]:
        """Return which turn each file is of, by its document's key."""
        return {f"docs/{file.name}": turn_of(file.read_text(encoding="utf-8")) for file in self.docs.iterdir()}

    def change(self, chance: random.Random) -> None:
        """Write, change and remove some files."""
        turn = self.number("turn", 1)
        for number in chance.sample(range(FILES), 5):
            file = self.docs / f"{number:02}.md"
            if file.exists() and chance.random() < 0.25:
                file.unlink()
            else:
                self.write(file, f"# File {number}\n\n" + f"Turn {turn}: 蜜蜂 of file {number} fly.\n\n" * LINES)

    def source(self) -> Folder:
        """Return the files as a source."""
        return Folder(self.docs, "docs")


def turn_of(text: str) -> int:
    """Return the turn that a text is of.

    Raises:
        AssertionError: It is not whole, or of two turns.
    """
    lines = [line for line in text.split("\n") if line.startswith("Turn ")]
    assert len(lines) == LINES, f"{len(lines)} lines: {text[:200]!r}"
    (turn,) = {int(line.split(":")[0].removeprefix("Turn ")) for line in lines}
    return turn


def turns_of(seen: Mapping[str, Sequence[ChunkRow]]) -> dict[str, int]:
    """Return which turn is seen of each document."""
    for key, rows in seen.items():
        assert len({(row.build, row.version, row.generation) for row in rows}) == 1, f"two versions of {key}"
    return {key: turn_of("".join(row.text for row in rows)) for key, rows in seen.items()}


def versioned(version: int) -> Any:
    """Return a function that makes keywords of a version."""

    def keywords(document: Document, title: str) -> list[str]:
        return [f"version{version}", title]

    return keywords


def work(bench: Bench, site: Site) -> Any:
    """Return what jobs need."""
    version = site.number("keywords")
    return bench.work(keywords=versioned(version), keywords_version=version)


def prepared(bench: Bench, site: Site) -> int:
    """Prepare a generation; a process that is killed leaves it to the next."""
    number = site.number("recipe")
    recipe = {"chunker": f"Recursive(max_tokens={32 + 8 * (number % 5)}, tokenizer='estimate')", "number": number}
    return bench.catalogue.prepare_generation(bench.base.id, f"shelf-{number % 2}", recipe).generation


def say(what: str, value: Any = None) -> None:
    """Write a line that the test reads."""
    sys.stdout.write(f"{what} {json.dumps(value)}\n")
    sys.stdout.flush()


def watched(bench: Bench) -> None:
    """Ask again and again, as questions do: what the index finds, and is live, must be of one version, and whole."""
    while True:
        time.sleep(0.01)
        try:
            turns_of(bench.seen())
            target = bench.target()
            found = target.index.search_sparse([target.bm25.query("bees 蜜蜂 fly turn")], 50, {"part": target.part})[0]
            rows = bench.catalogue.live(found.documents.tolist()).values()
            builds: dict[str, set[int]] = {}
            for row in rows:
                builds.setdefault(row.document.key, set()).add(row.build)
            assert all(len(of) == 1 for of in builds.values()), f"two versions of one are found: {builds}"
        except Exception:
            say("bad", traceback.format_exc())
            return


class Fuse:
    """Kills this process before or after the nth of the steps that change something: exactly between two of them.

    Args:
        steps: How many to let pass; 0 kills never.
    """

    def __init__(self, steps: int) -> None:
        self._left = steps
        self._lock = threading.Lock()

    def burn(self) -> None:
        """Let a step pass, or not."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def lay(self, owner: Any, *names: str) -> None:
        """Lay it through methods."""
        for name in names:
            setattr(owner, name, self._fused(getattr(owner, name)))

    def _fused(self, method: Any) -> Any:
        def fused(*arguments: Any, **options: Any) -> Any:
            self.burn()
            found = method(*arguments, **options)
            self.burn()
            return found

        return fused


def lay(fuse: Fuse, bench: Bench) -> None:
    """Lay a fuse through all that changes anything."""
    fuse.lay(bench.catalogue, "stage", "publish", "forget", "remove", "switch", "drop_generation", "prepare_generation")
    fuse.lay(bench.blobs, "put")
    real = bench.shelf
    laid: set[int] = set()

    def shelf(key: str) -> Any:
        index = real(key)
        if id(index) not in laid:
            laid.add(id(index))
            fuse.lay(index, "upsert", "delete")
        return index

    bench.shelf = shelf  # type: ignore[method-assign]


def run(url: str, folder: str, kind: str, seed: int, steps: int) -> None:
    """Work until killed."""
    chance = random.Random(seed)
    site = Site(Path(folder))
    with opened(url) as database:
        bench = Bench(site.folder / "data", database, kind)
        bench.model.delay_s = 0.002
        recover(bench.catalogue, bench.index_of)
        repair(bench.catalogue, bench.target())
        acknowledge(bench)
        lay(Fuse(steps), bench)
        threading.Thread(target=watched, args=(bench,), daemon=True).start()
        while True:
            kind_of_job = chance.choices(["ingest", "rekey", "reindex"], [5, 2, 2])[0]
            say("job", kind_of_job)
            if kind_of_job == "ingest":
                site.change(chance)
                ingest(work(bench, site), [site.source()], Report(), whole=True)
            elif kind_of_job == "rekey":
                site.number("keywords", 1)
                rekey(work(bench, site), Report())
            else:
                site.number("recipe", 1)
                reindex(work(bench, site), prepared(bench, site), Report())


def acknowledge(bench: Bench) -> None:
    """Say of each document that it is kept, as soon as the catalogue says so."""
    publish, remove = bench.catalogue.publish, bench.catalogue.remove

    def published(base: int, generation: int, staged: Any, **options: Any) -> Any:
        late = publish(base, generation, staged, **options)
        say("kept", {one.document.key: one.document.version for one in staged if one not in late})
        return late

    def removed(base: int, ids: Sequence[int], **options: Any) -> int:
        keys = [row.key for row in bench.catalogue.by_ids(base, ids).values()]
        count = remove(base, ids, **options)
        say("removed", keys)
        return count

    bench.catalogue.publish = published  # type: ignore[method-assign]
    bench.catalogue.remove = removed  # type: ignore[method-assign]


def fork(arguments: Sequence[Any]) -> NoReturn:
    """Be the process that is killed."""
    try:
        run(*arguments)
    except BaseException:
        say("bad", traceback.format_exc())
    os._exit(1)


def main() -> None:
    """Fork for each line that is read; tell the process's number, and when it has ended."""
    for line in sys.stdin:
        arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            fork(arguments)
        say("pid", pid)
        os.waitpid(pid, 0)
        say("dead")


if __name__ == "__main__":
    main()
