"""Speed of the chunkers, and how much of the evidence a search over their chunks finds.

    python tests/benchmarks/chunking.py DATA_FOLDER [--peer PYTHON] [--quick] [--only english,chinese,…] [--json FILE]

DATA_FOLDER holds ``chunking/`` (texts ``*.md`` and ``questions.csv`` with ``question``, ``references`` and
``corpus_id``) and ``zh_retrieval/`` (``passages.json`` and ``questions.json``). Code is Python's own library, Markdown
this project's documentation, the table is made.

Speed: all splitters take turns, round by round, for the machine is not always as fast. ``first`` is the first round,
``again`` the median of the others (ours keeps the words that it knows, Chonkie's recursive one its counts), in MB of
UTF-8 a second of processor time; ``wall`` is the median by the clock. A chunk is ``over`` when it has more tokens than
the limit.

Quality: the chunks of all texts are searched with BM25 (for Chinese over pairs of characters); the best are read until
the budget (in tokens) is used up, a sentence's window or a child's parent in its place. Recall is the share of the
evidence's characters that was read, precision the share of what was read that is evidence, IoU the share of both
together that is in both; each the mean over the questions.

The other libraries run in the environment of ``--peer`` (``make chunking-peer-venv``).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import IO, Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from polyport_gateway.knowledge.tokenizers import Tokenizer, find_vocabulary, get_tokenizer
from tests.benchmarks import chunking_corpora as corpora
from tests.benchmarks import chunking_ours as ours
from tests.benchmarks.chunking_corpora import Corpus
from tests.benchmarks.chunking_search import Judge, Score

BUDGETS = (500, 1500, 3000)
SIZES = (128, 256, 512)
SAME = {
    "Recursive": ("Chonkie recursive", "LangChain recursive"),
    "Sentences": ("Chonkie sentence", "LlamaIndex sentence"),
    "Paragraphs": ("LangChain character",),
    "FixedTokens": ("Chonkie token", "LangChain token", "LlamaIndex token"),
    "FixedCharacters": ("Chonkie characters", "LangChain characters"),
    "FixedCharacters, estimate": ("Chonkie characters", "LangChain characters"),
    "SentenceWindow": ("LlamaIndex sentence window",),
    "ParentChild": ("LlamaIndex hierarchical",),
    "SemanticBreakpoints": ("LlamaIndex semantic", "Chonkie semantic"),
    "SemanticClusters": ("LlamaIndex semantic", "Chonkie semantic"),
    "ByCode": ("LangChain Python", "LlamaIndex code"),
    "TableRows": ("Chonkie table",),
    "ByHeading": ("LangChain Markdown headers", "LlamaIndex Markdown"),
}
"""Whose splitters do the same as one of ours."""


@dataclass
class Row:
    """What one chunker reached on one corpus with one limit."""

    corpus: str
    name: str
    tokens: int
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    chunks: int = 0
    over: int = 0
    largest: int = 0
    scores: dict[int, Score] = field(default_factory=dict)


class Peer:
    """The other libraries, in a process of their own."""

    def __init__(self, python: str) -> None:
        script = Path(__file__).with_name("chunking_peer.py")
        command = [python, str(script), str(find_vocabulary("cl100k_base"))]
        # The semantic ones are given our embedder, so that all have the same vectors.
        paths = {"PYTHONPATH": os.pathsep.join(str(Path(__file__).parents[2] / part) for part in ("gateway", "sdk"))}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | paths
        )

    def ask(self, **request: object) -> Any:
        """Send a request and return the answer."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        requests.write(json.dumps(request) + "\n")
        requests.flush()
        line = answers.readline()
        if not line:
            raise SystemExit(f"The other libraries' process ended at {request}.")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


Run = Callable[[bool], tuple[float, float, list[list[ours.Piece]] | None]]
"""Cuts a corpus once; returns seconds by the clock and of the processor and, if asked for, the pieces."""


def our_runs(kind: str, corpus: Corpus, tokens: int) -> dict[str, Run]:
    """Return our chunkers."""
    documents = [ours.as_document(kind, text) for text in corpus.texts]

    def run(cut: Callable[..., Any], want: bool) -> tuple[float, float, list[list[ours.Piece]] | None]:
        # What a document has worked out about itself is no help to the next round.
        fresh = [replace(document) for document in documents]
        if want:  # the first round; what the tokenizer has learnt is forgotten
            get_tokenizer.cache_clear()
            get_tokenizer(ours.NAME)
        gc.collect()
        began, used = time.perf_counter(), time.process_time()
        chunks = cut(fresh)
        spent = time.perf_counter() - began, time.process_time() - used
        return *spent, [ours.pieces(found) for found in chunks] if want else None

    made = {name: ours.runner(step) for name, step in ours.steps(kind, tokens).items()}
    return {name: lambda want, cut=cut: run(cut, want) for name, cut in made.items()}  # type: ignore[misc]


def peer_runs(peer: Peer, kind: str, file: str, tokens: int) -> dict[str, Run]:
    """Return the other libraries' splitters."""

    def run(name: str, want: bool) -> tuple[float, float, list[list[ours.Piece]] | None]:
        found = peer.ask(kind=kind, tokens=tokens, splitter=name, corpus=file, pieces=want)
        pieces = found["pieces"] and [
            [piece if isinstance(piece, str) else tuple(piece) for piece in each] for each in found["pieces"]
        ]
        return found["seconds"], found["processor"], pieces

    return {name: lambda want, name=name: run(name, want) for name in peer.ask(kind=kind, tokens=tokens)}  # type: ignore[misc]


def measure(
    kind: str, corpus: Corpus, tokens: int, rounds: int, peer: Peer | None, judge: Judge | None, folder: Path
) -> list[Row]:
    """Time and score every splitter on a corpus, taking turns."""
    small, whole = folder / "small.json", folder / f"{corpus.name}.json"
    whole.write_text(json.dumps(corpus.texts), encoding="utf-8")
    small.write_text(json.dumps([corpus.texts[0][:4000]]), encoding="utf-8")
    few = replace(corpus, texts=(corpus.texts[0][:4000],))
    for run in (our_runs(kind, few, tokens) | (peer_runs(peer, kind, str(small), tokens) if peer else {})).values():
        run(False)  # load what is loaded when first used
    runs = our_runs(kind, corpus, tokens) | (peer_runs(peer, kind, str(whole), tokens) if peer else {})
    rows = {name: Row(corpus.name, name, tokens) for name in runs}
    tokenizer = get_tokenizer("cl100k_base")
    for number in range(rounds):
        for name, run in runs.items():
            seconds, processor, pieces = run(number == 0)
            rows[name].seconds.append(seconds)
            rows[name].processor.append(processor)
            if pieces is not None:
                inspect(rows[name], corpus, pieces, tokenizer)
                if judge is not None:
                    rows[name].scores = judge.scores(pieces)
    return list(rows.values())


def inspect(row: Row, corpus: Corpus, pieces: list[list[ours.Piece]], tokenizer: Tokenizer) -> None:
    """Count the chunks, and those that are over the limit."""
    for text, found in zip(corpus.texts, pieces, strict=True):
        for piece in found:
            size = tokenizer.count(piece if isinstance(piece, str) else text[piece[0] : piece[1]])
            row.chunks += 1
            row.over += size > row.tokens
            row.largest = max(row.largest, size)


def print_speed(rows: list[Row], size: float, out: IO[str]) -> None:
    """Print how fast each was, and whether it kept the limit."""
    print("\n| chunker | first | again | wall | chunks | over | largest |", file=out)
    print("|---|---|---|---|---|---|---|", file=out)
    for row in rows:
        first, again, wall = _speeds(row, size)
        print(
            f"| {row.name} | {first:.1f} | {again:.1f} | {wall:.1f} | {row.chunks} | {row.over} | {row.largest} |",
            file=out,
        )
    known = {row.name: _speeds(row, size) for row in rows}
    pairs = [(name, [peer for peer in peers if peer in known]) for name, peers in SAME.items() if name in known]
    if any(peers for _, peers in pairs):
        print("\n| ours | fastest that does the same | first | again |", file=out)
        print("|---|---|---|---|", file=out)
    for name, peers in pairs:
        if peers:
            best = [max(known[peer][index] for peer in peers) for index in (0, 1)]
            fastest = max(peers, key=lambda peer: known[peer][1])
            ratios = [f"{known[name][index] / best[index]:.2f} ×" for index in (0, 1)]
            print(f"| {name} | {fastest} | {' | '.join(ratios)} |", file=out)


def _speeds(row: Row, size: float) -> tuple[float, float, float]:
    later = slice(1, None) if len(row.seconds) > 1 else slice(None)
    return size / row.processor[0], size / median(row.processor[later]), size / median(row.seconds[later])


def print_quality(rows: list[Row], budgets: tuple[int, ...], out: IO[str]) -> None:
    """Print how much of the evidence was found."""
    heads = [f"{name} {budget}" for name in ("recall", "precision", "IoU") for budget in budgets]
    print(f"\n| chunker | tokens | {' | '.join(heads)} |", file=out)
    print("|---" * (2 + len(heads)) + "|", file=out)
    best = {(index, budget): max(row.scores[budget][index] for row in rows) for index in range(3) for budget in budgets}
    for row in rows:
        cells = []
        for index in range(3):
            for budget in budgets:
                value = f"{100 * row.scores[budget][index]:.1f}"
                cells.append(f"**{value}**" if row.scores[budget][index] == best[index, budget] else value)
        print(f"| {row.name} | {row.tokens} | {' | '.join(cells)} |", file=out)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", default="", help="Python with chonkie, langchain-text-splitters, llama-index-core")
    parser.add_argument("--rounds", type=int, default=0, help="3, or 2 with --quick")
    parser.add_argument("--quick", action="store_true", help="one limit, a quarter of the questions, small corpora")
    parser.add_argument("--only", default="english,chinese,code,markdown,table")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sizes, rounds = (SIZES[-1:], 2) if args.quick else (SIZES, 3)
    makers: dict[str, Callable[[], Corpus]] = {
        "english": lambda: corpora.english(args.folder / "chunking"),
        "chinese": lambda: corpora.chinese(args.folder / "zh_retrieval"),
        "code": lambda: corpora.code(200_000 if args.quick else 1_500_000),
        "markdown": corpora.markdown,
        "table": lambda: corpora.table(2_000 if args.quick else 20_000),
    }
    peer = Peer(args.peer) if args.peer else None
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(","):
            rows += run_corpus(makers[name](), sizes, args.rounds or rounds, peer, Path(folder))
    if peer is not None:
        peer.close()
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def run_corpus(corpus: Corpus, sizes: tuple[int, ...], rounds: int, peer: Peer | None, folder: Path) -> list[Row]:
    """Measure one corpus with every limit, and print its tables."""
    kind = "text" if corpus.questions else corpus.name
    print(f"\n## {corpus.name}: {corpus.megabytes:.2f} MB, {sizes[-1]} tokens, {rounds} rounds", flush=True)
    if len(corpus.questions) > 500 or len(sizes) == 1:
        corpus = replace(corpus, questions=corpus.questions[::4])
    tokenizer = get_tokenizer("cl100k_base")
    judge = Judge(corpus, [tokenizer.measure(text) for text in corpus.texts], BUDGETS) if corpus.questions else None
    rows = measure(kind, corpus, sizes[-1], rounds, peer, judge, folder)
    print_speed(rows, corpus.megabytes, sys.stdout)
    if judge is not None:
        for tokens in sizes[:-1]:
            rows += measure(kind, corpus, tokens, 1, peer, judge, folder)
        print(f"\n{len(corpus.questions)} questions")
        print_quality(sorted(rows, key=lambda row: [r.name for r in rows].index(row.name)), BUDGETS, sys.stdout)
    sys.stdout.flush()
    return rows


if __name__ == "__main__":
    main()
