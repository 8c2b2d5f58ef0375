"""The text analysis for the local grader. It is pure, so it can run in a separate process."""

from dataclasses import dataclass

from domain.grading.copies import COPIED_ANSWER, find_copies, without_copies
from domain.grading.essay_text import LITTLE_OF_ITS_OWN, gradable_text, is_too_short, sanitize, text_flags
from domain.grading.padding import UNRELATED_PASSAGE, without_padding
from domain.grading.prose import prose
from domain.grading.rubrics import Essay
from domain.grading.scores import CopiedFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayReading:
    """The flags of an essay, the texts to grade, and the prose from which its language is detected.

    `texts` has the whole text. If a flag says that much of it is copied, repeated or unrelated to the question, it also
    has the remaining text.
    `copied_from` are the other students' answers that it is copied from.
    """

    flags: tuple[str, ...]
    texts: tuple[str, ...]
    prose: str
    copied_from: tuple[CopiedFrom, ...] = ()


def read_essay(essay: Essay) -> EssayReading:
    flags = text_flags(essay.text, essay.prompt, essay.rubric, essay.labelled)
    whole = sanitize(essay.text)
    rest = gradable_text(essay.text, essay.prompt, essay.rubric) if LITTLE_OF_ITS_OWN.intersection(flags) else whole
    copied_from = find_copies(essay.text, essay.prompt, essay.rubric, essay.others)
    if copied_from:
        flags = (*flags, COPIED_ANSWER)
        rest = without_copies(rest, essay.prompt, essay.rubric, essay.others)
    related = without_padding(rest, [answer.text for answer in (*essay.rubric.anchors, *essay.labelled)])
    if related != rest and not is_too_short(related, essay.rubric, essay.labelled):
        flags = (*flags, UNRELATED_PASSAGE)
        rest = related
    return EssayReading(
        flags=flags,
        texts=tuple(dict.fromkeys((whole, rest))),
        prose=prose(whole) or whole,
        copied_from=copied_from,
    )
