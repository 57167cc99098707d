"""Finding passages, without a server, a store or a network: what every index and every knowledge base goes by.

The walk of a question::

    terms → bm25      words, stems and pairs of characters, as sparse vectors that any index can hold
    dense             exact search by vectors
    fusion → hybrid   both on one scale, standard deviations above the mean; the weight by the query's script
    calibration       that weight, learned from the passages alone
    selfquery         what the question says of the documents it wants, as a filter
    links → hops      what a passage leads to, asked again with what it says
    diversity         near-duplicates out, the next one unlike the last
    expansion         the parent or the window of what was found
    compression       the sentences that matter, within a budget, each with its place
    metrics           how good it all was

Passages are numbered from 0; texts, titles, vectors and links are given in the same order.

Each choice, and what it rests on (recall@5 / all-gold@5 on HotpotQA and MuSiQue, recall@1 on Chinese; 50, 50 and 1,610
questions, so that one question is .02 of all-gold@5; MiniLM; `tests/benchmarks/retrieval.py` prints them all):

* Words that a question asks with are not searched for, and titles count three times: BM25 .79/.58, .48/.12, .964 →
  .83/.66, .49/.12, .976.
* Scores are standardised and added, not ranked blindly: with reciprocal ranks the Chinese .976 falls to .414, for
  MiniLM knows no Chinese (.140).
* The weight is learned by asking passages for their own sentences (`calibration`): .73, .82 and, for Chinese, 0, where
  hybrid is BM25 itself. Hybrid, with its kept places, is .83/.68, .673/.36 and .976; the better part is .83/.66,
  .665/.38 and .976. The one question of 50 that is lost is chance: no weight from .1 to .95 keeps it.
* Hops put a clue in the place of the name it was found under, and ask again (`hops`): .92/.86 and .788/.58; with BM25
  alone and no model .91/.82 and .62/.38. Without the sideways links by shared names MuSiQue had .70/.38 where it had
  .76/.54; with the clue appended in place of substituted, .77/.50 where substituting had .80/.58.
"""

from .bm25 import BM25, BM25Index, SparseVector
from .calibration import Probe, learn_weights, make_probes
from .compression import Excerpt, Sentence, compress, sentences
from .dense import DenseIndex, normalized
from .diversity import maximal_marginal_relevance, near_duplicates
from .expansion import Shown, around, expanded
from .fusion import combined, reciprocal_ranks, standardized
from .hops import Hop, HopLimits, MultiHop, Result
from .hybrid import Embed, HybridRetriever, Retriever, Weights
from .metrics import Quality, evaluate
from .ranking import Ranking, best
from .terms import Analyzer, Terms

__all__ = [
    "BM25",
    "Analyzer",
    "BM25Index",
    "DenseIndex",
    "Embed",
    "Excerpt",
    "Hop",
    "HopLimits",
    "HybridRetriever",
    "MultiHop",
    "Probe",
    "Quality",
    "Ranking",
    "Result",
    "Retriever",
    "Sentence",
    "Shown",
    "SparseVector",
    "Terms",
    "Weights",
    "around",
    "best",
    "combined",
    "compress",
    "evaluate",
    "expanded",
    "learn_weights",
    "make_probes",
    "maximal_marginal_relevance",
    "near_duplicates",
    "normalized",
    "reciprocal_ranks",
    "sentences",
    "standardized",
]
