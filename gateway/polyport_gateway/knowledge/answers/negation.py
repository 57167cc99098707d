"""What a text denies: a sentence that denies what its source affirms is not supported by it, though all words agree."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .words import BINDING, COMMON

__all__ = ["denied", "denied_chinese", "opposed"]

_NOT_WORDS = (
    "not no never none neither nor without cannot nobody nothing nowhere hardly scarcely isn't aren't wasn't weren't "
    "don't doesn't didn't can't won't wouldn't hasn't haven't hadn't shouldn't couldn't isnt arent wasnt dont doesnt "
    "didnt cant wont"
)
_NOT = frozenset(_NOT_WORDS.split())
_REACH = 4
_CHINESE = re.compile(
    r"(?:并非|并不|从未|从不|没有|沒有|尚未|不(?![仅僅但过過断斷同少久管论論如只止光])|没(?![落收])|沒|"
    r"未(?!来|來|必)|无(?![论論线線锡錫])|無(?![論線錫])|非(?![常洲法]))"
    r"(?:会|能|可以|可|曾|再|有|是|被|要|得|需)?([\u3400-\u9fff]{1,2})"
)
_PAIRS = (
    "increase decrease|rise fall|rose fell|more fewer|higher lower|highest lowest|before after|win lose|won lost|"
    "maximum minimum|accept reject|allow forbid|allow prohibit|open closed|start end|begin end|began ended|"
    "largest smallest|longest shortest|oldest youngest|above below|north south|east west|support oppose|"
    "true false|legal illegal|include exclude|growth decline|profit loss|married divorced|grew shrank|"
    "gain loss|buy sell|bought sold|import export|enable disable|positive negative|always never|male female|"
    "earliest latest|first last|up down"
)
_PAIRS_CHINESE = (
    "增加 减少|上升 下降|提高 降低|增长 下降|支持 反对|允许 禁止|最大 最小|最高 最低|之前 之后|以前 以后|以上 以下|"
    "大于 小于|高于 低于|多于 少于|盈利 亏损|开始 结束|买入 卖出|进口 出口|男性 女性|成功 失败|接受 拒绝|合法 非法|"
    "左侧 右侧|北部 南部|东部 西部|扩大 缩小|超过 不足|启用 禁用|包括 不包括|胜利 失败|加入 退出"
)
_OPPOSITE: dict[str, set[str]] = {}
for _pair in [*_PAIRS.split("|"), *_PAIRS_CHINESE.split("|")]:
    _one, _other = _pair.split()
    _OPPOSITE.setdefault(_one, set()).add(_other)
    _OPPOSITE.setdefault(_other, set()).add(_one)
_CHINESE_OPPOSITES = [word for word in _OPPOSITE if word > "\u2e80"]
_WORD = re.compile(r"[a-z]+")


def denied(tokens: Sequence[tuple[str, str]]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the stems that stand next after each denial, and those that stand soon after one.

    Args:
        tokens: The words of a text in order: folded, and stemmed.
    """
    first: set[str] = set()
    near: set[str] = set()
    for place, (word, _) in enumerate(tokens):
        if word not in _NOT or (place + 1 < len(tokens) and tokens[place + 1][0] == "only"):
            continue
        after = [stemmed for folded, stemmed in tokens[place + 1 : place + 8] if folded not in BINDING]
        near.update(after[:_REACH])
        told = [stemmed for folded, stemmed in tokens[place + 1 : place + 8] if folded not in BINDING | COMMON]
        first.update(told[:1])
    return frozenset(first), frozenset(near)


def denied_chinese(text: str) -> frozenset[str]:
    """Return the pairs of characters that stand right after a Chinese denial."""
    return frozenset(match.group(1) for match in _CHINESE.finditer(text) if len(match.group(1)) == 2)


def opposed(one: str, other: str) -> bool:
    """Tell whether one text says a word of which the other only says the opposite; both are folded."""
    words, others = set(_WORD.findall(one)), set(_WORD.findall(other))
    for word in words & _OPPOSITE.keys():
        if word not in others and _OPPOSITE[word] & others and not _OPPOSITE[word] & words:
            return True
    for word in _CHINESE_OPPOSITES:
        if word in one and word not in other:
            against = _OPPOSITE[word]
            if any(opposite in other and opposite not in one for opposite in against):
                return True
    return False
