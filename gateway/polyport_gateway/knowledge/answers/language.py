"""Which language a text is in: by its script, and by its small words where scripts are shared.

For choosing the language of an answer and of a prompt, so it must be right on a question of five words rather than on a
page. Small words are the strongest sign that a short text has (Grefenstette, "Comparing two language identification
schemes", JADT 1995); letters that only some languages write count too.
"""

from __future__ import annotations

import re
from collections import defaultdict

__all__ = ["is_chinese", "language_name", "language_of"]

_NAMES = {
    "en": "English", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "de": "German", "fr": "French",
    "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch", "ru": "Russian", "uk": "Ukrainian",
    "ar": "Arabic", "fa": "Persian", "he": "Hebrew", "el": "Greek", "hi": "Hindi", "th": "Thai", "sv": "Swedish",
    "pl": "Polish", "tr": "Turkish", "vi": "Vietnamese",
}  # fmt: skip
_SCRIPTS = (
    ("ja", re.compile("[\u3041-\u3096\u30a1-\u30fa]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")),
    ("ko", re.compile("[\u1100-\u11ff\uac00-\ud7a3]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
_SMALL = {
    "en": "the of and to in is was are were be that it for on with as by at from this which who what when where why "
    "how did does do has have had an or not can could would will there than many much their its he she they i you we",
    "de": "der die das und ist sind war waren nicht mit auf für von zu den dem des ein eine einer einem wer wie wo "
    "wann warum welche welcher welches was im am auch es sich als bei nach über aus hat haben wird werden gibt",
    "fr": "le la les de des du et est sont une un dans pour qui que quoi où quand comment pourquoi quel quelle quels "
    "quelles ne pas sur avec par au aux ce cette il elle ils elles en combien été sont a ont",
    "es": "el la los las de del y es son una un en por para con qué quién quiénes cuándo dónde cómo cuál cuáles "
    "cuánto cuántos no se su al que fue está como más hay",
    "it": "il lo la gli le di del della dei delle e è sono una un in per con chi che cosa quando dove come perché "
    "quale quali quanto quanti non si al nel nella anche ha hanno più",
    "pt": "o a os as de do da dos das e é são uma um em no na nos nas por para com quem que quando onde como porque "
    "qual quais quanto quantos não se ao foi está mais há",
    "nl": "de het een en van is zijn was waren in op met voor niet dat wie wat waar wanneer waarom hoe welke er aan "
    "door bij ook naar heeft hebben wordt hoeveel",
    "sv": "och är att det som en ett i på av för med inte den var vem vad när hur varför vilken till har de",
    "pl": "i w na z się nie jest to że kto co kiedy gdzie jak dlaczego który która do od przez są był była ile",
    "tr": "ve bir bu ne kim nerede nasıl neden hangi için ile da de mi mı kaç zaman olarak var değil",
    "vi": "là của và có không một những được cho với ai gì khi nào ở đâu tại sao như thế bao nhiêu người trong",
}
_SMALL_OF: dict[str, tuple[str, ...]] = {}
for _code, _words in _SMALL.items():
    for _word in _words.split():
        _SMALL_OF[_word] = (*_SMALL_OF.get(_word, ()), _code)
_LETTERS = {
    "de": "äöüß", "fr": "àâçèêëîïôùûœ", "es": "ñáíóú¿¡", "pt": "ãõçâêô", "it": "àèìòù", "sv": "åäö", "pl": "ąćęłńśźż",
    "tr": "ğışçöü", "vi": "ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
}  # fmt: skip
_LONGEST = 4000


def language_of(text: str, default: str = "en") -> str:
    """Return the ISO 639-1 code of a text's language; the default where it has no letters.

    Chinese questions are full of Latin names, so a fifth of a script's letters are enough for it, and a name of Chinese
    characters in an English question is not.

    >>> language_of("Wer hat den Vertrag unterschrieben?"), language_of("谁签署了 OpenAI 的合同？")
    ('de', 'zh')
    """
    text = text[:_LONGEST]
    words = [word.lower() for word in _LATIN.findall(text)]
    latin = sum(map(len, words))
    counts = {code: len(pattern.findall(text)) for code, pattern in _SCRIPTS}
    # An ideograph says about what three Latin letters say.
    weighed = {code: count * (3 if code in {"zh", "ja", "ko"} else 1) for code, count in counts.items()}
    best = max(weighed, key=lambda code: weighed[code])
    if counts["ja"] and counts["ja"] * 8 >= counts["zh"] and weighed["ja"] + weighed["zh"] >= weighed[best]:
        best = "ja"
        weighed["ja"] += weighed["zh"]
    asks_in_latin = sum(word in _SMALL_OF for word in words) >= max(2, len(words) / 2)
    if weighed[best] and weighed[best] >= 0.45 * latin and not (asks_in_latin and _SMALL_OF.get(_first(text).lower())):
        return _refined(best, text)
    return _of_words(words, default) if words else default


def _first(text: str) -> str:
    """Return the Latin word that a text begins with, if it does."""
    match = _LATIN.match(text.lstrip(" \"'¿¡"))
    return match.group() if match is not None else ""


def _refined(code: str, text: str) -> str:
    if code == "ru" and re.search("[іїєґІЇЄҐ]", text):
        return "uk"
    if code == "ar" and re.search("[پچژگ]", text):
        return "fa"
    return code


def _of_words(words: list[str], default: str) -> str:
    votes: defaultdict[str, float] = defaultdict(float)
    for word in words:
        codes = _SMALL_OF.get(word, ())
        for code in codes:
            votes[code] += 1 / len(codes)
    for code, letters in _LETTERS.items():
        votes[code] += 0.4 * sum(1 for word in words if any(letter in letters for letter in word))
    best, most = max(votes.items(), key=lambda item: item[1], default=(default, 0.0))
    # A name with an accent does not make a question French.
    return default if most < 1 or votes[default] >= most else best


def language_name(code: str) -> str:
    """Return a language's English name, or the code itself."""
    return _NAMES.get(code.split("-")[0].lower(), code)


def is_chinese(code: str) -> bool:
    """Tell whether a code is of Chinese, whatever its region or script."""
    return code.lower().split("-")[0] in {"zh", "yue"}
