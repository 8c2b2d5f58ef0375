"""What a grader without a language model needs to know of an essay's text; pure, so that it can run in any process."""

from dataclasses import dataclass

from domain.essay_text import readable, substance, text_flags
from domain.essays import Essay


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayReading:
    """What is wrong with a text (`flags`), and the texts to grade: the whole and, with flags, the rest of it."""

    flags: tuple[str, ...]
    texts: tuple[str, ...]


def read_essay(essay: Essay) -> EssayReading:
    flags = text_flags(essay.text, essay.prompt, essay.rubric, essay.labelled)
    whole = readable(essay.text)
    texts = (whole, substance(essay.text, essay.prompt, essay.rubric)) if flags else (whole,)
    return EssayReading(flags=flags, texts=texts)
