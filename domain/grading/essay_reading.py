"""The text analysis for the local grader. It is pure, so it can run in a separate process."""

from dataclasses import dataclass

from domain.grading.essay_text import LITTLE_OF_ITS_OWN, gradable_text, sanitize, text_flags
from domain.grading.prose import prose
from domain.grading.rubrics import Essay


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayReading:
    """The flags of an essay, the texts to grade, and the prose from which its language is detected.

    `texts` has the whole text. If a flag says that much of it is copied or repeated, it also has the remaining text.
    """

    flags: tuple[str, ...]
    texts: tuple[str, ...]
    prose: str


def read_essay(essay: Essay) -> EssayReading:
    flags = text_flags(essay.text, essay.prompt, essay.rubric, essay.labelled)
    whole = sanitize(essay.text)
    rest = [gradable_text(essay.text, essay.prompt, essay.rubric)] if LITTLE_OF_ITS_OWN.intersection(flags) else []
    return EssayReading(flags=flags, texts=(whole, *rest), prose=prose(whole) or whole)
