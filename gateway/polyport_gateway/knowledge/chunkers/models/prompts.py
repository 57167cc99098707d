"""What models are asked. Each is a template; a step takes another as ``prompt=``.

``{text}`` is the chunk, ``{language}`` the language to answer in, ``{count}`` how many are wanted; ``{document}`` is
the document, or the part around the chunk. Other braces stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from polyport_gateway.knowledge.documents.document import Document

__all__ = ["CONTEXT", "KEYWORDS", "PROPOSITIONS", "QUESTIONS", "SUMMARY", "check_prompt", "filled", "language_of"]

SUMMARY = """\
Summarise the text below in two or three sentences. Keep names, numbers and dates. Answer in {language}, with the
summary alone.

<text>
{text}
</text>"""

QUESTIONS = """\
Write {count} questions that the text below answers, each with its short answer. Each question must be understood
without the text: name what it is about. Write in {language}, in exactly this form, and nothing else:

Q: the question
A: the answer

<text>
{text}
</text>"""

KEYWORDS = """\
List the {count} terms that best say what the text below is about, the most important first: names and technical terms
as they stand in the text. Answer in {language}, with one term on each line and nothing else.

<text>
{text}
</text>"""

CONTEXT = """\
<document>
{document}
</document>

Here is a part of this document:

<text>
{text}
</text>

Write one short sentence that says where this part belongs in the document and what it is about, so that it is found by
search when it stands alone. Name what pronouns stand for. Answer in {language}, with the sentence alone."""

PROPOSITIONS = """\
Split the text below into propositions: simple sentences that each state one fact and are understood alone. Replace
pronouns by what they stand for, keep numbers and names, and add nothing that is not in the text. Write in {language},
with one proposition on each line and nothing else.

<text>
{text}
</text>"""

_PLACE = re.compile(r"\{(text|language|count|document)\}")
_NAMES = {
    "ar": "Arabic", "de": "German", "en": "English", "es": "Spanish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese",
    "ru": "Russian", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
_SCRIPTS = (
    ("Japanese", re.compile(r"[\u3041-\u30ff]"), 0.1),
    ("Chinese", re.compile(r"[\u4e00-\u9fff]"), 0.2),
    ("Korean", re.compile(r"[\uac00-\ud7a3]"), 0.2),
)
_SAMPLE = 4000


def check_prompt(prompt: str, *needed: str) -> None:
    """Refuse a template that doesn't show the model what it is asked about."""
    missing = [name for name in needed if f"{{{name}}}" not in prompt]
    if missing:
        raise ValueError(f"The prompt must have {' and '.join(f'{{{name}}}' for name in missing)} in it.")


def filled(prompt: str, values: Mapping[str, str]) -> str:
    """Return a template with its places filled; what is filled in is not looked at again."""
    return _PLACE.sub(lambda place: values.get(place.group(1), place.group()), prompt)


def language_of(document: Document, text: str) -> str:
    """Return the language to answer in, in English: by the letters of a text, else as its document says."""
    sample = text[:_SAMPLE]
    letters = sum(character.isalpha() for character in sample) or 1
    for name, script, share in _SCRIPTS:
        if len(script.findall(sample)) >= share * letters:
            return name
    code = (document.language or "").split("-")[0].lower()
    return _NAMES.get(code, "the language of the text")
