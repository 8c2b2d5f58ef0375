"""Detection of prompt injection: phrases addressed to the grader. A match causes a review and changes no grade.

A language model also reports such text, in any language (`domain.grading.model_grading`). These patterns are few and
precise, because answers about prompt injection or phishing must not match.
"""

import re
from typing import Final

from domain.grading.prose import prose
from domain.unicode_text import nfkc


def _any(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


_BEGINS: Final = r"(?:^|(?<!\d)[.!?] )(?:(?:please|kindly|now|you must)(?: now)?,? )?"
"""The beginning of a sentence. "Attackers write ignore all previous instructions" is a remark and does not match.
List items do not match either."""
_DROP: Final = "(?:ignore|disregard|forget|override|bypass)"
_RULES: Final = "(?:instructions?|prompts?|rubrics?|criteria|guidelines|directions|rules)"
_ANSWER: Final = "(?:essay|answer|response|submission)"
_GIVE: Final = "(?:give|award|assign|grant)"
_BEST: Final = r"(?:full|maximum|max|top|highest|best|perfect)(?: possible)? (?:marks?|points?|scores?|grades?|levels?)"
_GRADER: Final = _any("(?:automated |ai )?graders?", "examiners?", "grading (?:assistant|model|system|ai|bot)")

_INJECTION: Final = re.compile(
    _any(
        rf"{_BEGINS}{_DROP} (?:all|any|every)(?: of)?(?: the| your| my)? (?:previous|prior|earlier|above|preceding)"
        rf" (?:\w{{1,20}} )?{_RULES}\b",
        rf"{_BEGINS}{_DROP} (?:all |any |every )?(?:the |your )?(?:grading|scoring|marking|system) {_RULES}\b",
        rf"{_BEGINS}{_DROP} (?:the |your |this )?rubric\b",
        rf"{_BEGINS}{_DROP} (?:all )?your (?:previous |prior )?{_RULES}\b",
        rf"{_BEGINS}{_DROP} (?:everything|anything|all) (?:above|before this)(?= ?(?:[.!,;:]|$|and\b))",
        rf"{_BEGINS}{_GIVE} (?:me|my \w{{1,20}}|(?:this|the) (?:{_ANSWER}|student)) (?:the |a )?{_BEST}",
        rf"{_BEGINS}{_GIVE} (?:full|top) marks(?= ?(?:[.!,;]|$|(?:for|to|in|on) (?:this|my|all|every)\b))",
        rf"{_BEGINS}(?:rate|grade|mark|score) (?:this|my) {_ANSWER} (?:as |at |with )?(?:the )?"
        r"(?:strong|excellent|perfect|full|highest|maximum|top|100|10)\b",
        rf"\b(?:this|my) {_ANSWER} (?:\w{{1,20}} )?(?:deserves|merits|earns|(?:should|must) (?:get|receive|be given))"
        rf" (?:the |a )?{_BEST}",
        rf"^\W{{0,5}}(?:(?:message|notes?|instructions?|hints?) (?:to|for)|dear|attention|hey|hello),?"
        rf" (?:the |any |all )?{_GRADER} ?(?:[:,.!]|$)",
        rf"\b(?:you are|act as|pretend to be)(?: now)? (?:an? |the |my )?(?:\w{{1,20}} ){{0,2}}{_GRADER}\b",
        rf"{_BEGINS}as (?:the |an? |your ){_GRADER},? you\b",
        r"^<\|im_start\|>(?:system|user|assistant)$|^\[inst\].*\[/inst\]$",
        rf"^\W{{0,8}}(?:end|begin|start) of (?:the )?(?:student(?:'s)? )?{_ANSWER}\W{{0,8}}$",
    ),
    re.MULTILINE,
)
_BLANKS: Final = re.compile(r"[^\S\n]+")


def has_injection(text: str) -> bool:
    """Return whether the prose of a text gives orders to its grader, or imitates chat messages of a model."""
    plain = nfkc(prose(text)).casefold().replace("’", "'")
    return _INJECTION.search(_BLANKS.sub(" ", plain)) is not None
