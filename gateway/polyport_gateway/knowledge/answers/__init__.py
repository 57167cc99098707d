"""Answers over what was found, every sentence of which can be checked; with a model, or with none.

The walk of a question::

    language                  in which language it is put
    followup → (search)       what it means in its conversation, and so what to search for
    found                     whether what was found says anything on it; below a threshold it does not
    extraction                no model: the best sentences, each with its exact place
    prompts → context         a model: what it is told, the passages within a budget
    scanner → stream          its text as it comes, the markers in it found
    support → citations       each marker checked: the words, numbers, names and denials of sentence and quote
    composer                  all of it in order, and what to do when the model fails
    precision                 how good the citations are

Underneath: `units` (what of a passage can be cited by itself), `facts`, `numbers` and `negation` (what a text states),
`kinds` (what a question asks for), `judges` (embedders and models where words do not tell).
"""

from .citations import CLEAR, SUPPORTED, CitationChecker, Judge, Verdict, citation_of, wire_citation
from .composer import MODEL_THRESHOLD, AnswerEvent, AnswerModel, AnswerOptions, compose, says_not_found
from .extraction import Extract, Extracted, ExtractWeights, extract
from .followup import FollowUp, Turn, standalone, turns_of
from .found import COSINE_SCALE, THRESHOLD, Coverage, coverage, not_found_text
from .judges import cosine_scale, embedding_likeness, model_judge
from .language import language_name, language_of
from .precision import CitationQuality, citation_quality, misplaced
from .prompts import DEFAULT_PROMPTS, PROMPT_NAMES, Prompts
from .stream import CitationStream, cited
from .support import Evidence, Likeness, Support
from .units import Unit, units_of

__all__ = [
    "CLEAR",
    "COSINE_SCALE",
    "DEFAULT_PROMPTS",
    "MODEL_THRESHOLD",
    "PROMPT_NAMES",
    "SUPPORTED",
    "THRESHOLD",
    "AnswerEvent",
    "AnswerModel",
    "AnswerOptions",
    "CitationChecker",
    "CitationQuality",
    "CitationStream",
    "Coverage",
    "Evidence",
    "Extract",
    "ExtractWeights",
    "Extracted",
    "FollowUp",
    "Judge",
    "Likeness",
    "Prompts",
    "Support",
    "Turn",
    "Unit",
    "Verdict",
    "citation_of",
    "citation_quality",
    "cited",
    "compose",
    "cosine_scale",
    "coverage",
    "embedding_likeness",
    "extract",
    "language_name",
    "language_of",
    "misplaced",
    "model_judge",
    "not_found_text",
    "says_not_found",
    "standalone",
    "turns_of",
    "units_of",
    "wire_citation",
]
