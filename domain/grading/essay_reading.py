"""What a grader without a language model needs to know of an essay's text; pure, so that it can run in any process."""

from dataclasses import dataclass

from domain.grading.essay_text import LITTLE_OF_ITS_OWN, gradable_text, sanitize, text_flags
from domain.grading.prose import prose
from domain.grading.rubrics import Essay


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayReading:
    """The flags of a text, the texts to grade, and the prose that tells its language.

    `texts` is the whole text and, where a flag says that little of it is the student's own, the rest without that.
    """

    flags: tuple[str, ...]
    texts: tuple[str, ...]
    prose: str


def read_essay(essay: Essay) -> EssayReading:
    flags = text_flags(essay.text, essay.prompt, essay.rubric, essay.labelled)
    whole = sanitize(essay.text)
    rest = [gradable_text(essay.text, essay.prompt, essay.rubric)] if LITTLE_OF_ITS_OWN.intersection(flags) else []
    return EssayReading(flags=flags, texts=(whole, *rest), prose=prose(whole) or whole)
