"""Rules for the names of people and cohorts, and for external ids."""

import re
import unicodedata
from typing import Final

from domain.text import is_blank

MAX_NAME_CHARS: Final = 200
MAX_EXTERNAL_ID_CHARS: Final = 200
_NOT_IN_A_NAME: Final = re.compile("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and the characters that change the direction of the text around a name."""


def normalize_name(name: str) -> str:
    """Return the name of a person or a cohort in Unicode's normal form C, with one space for each run of white space.

    Raises:
        ValueError: the name is blank, too long, or has a character that would change how the text around it looks.
    """
    if len(name) > MAX_NAME_CHARS:
        raise ValueError(f"must have at most {MAX_NAME_CHARS} characters")
    normal = " ".join(unicodedata.normalize("NFC", name).split())
    if is_blank(normal):
        raise ValueError("must not be blank")
    if _NOT_IN_A_NAME.search(normal):
        raise ValueError("must not have control characters or characters that change the direction of the text")
    if len(normal) > MAX_NAME_CHARS:
        raise ValueError(f"must have at most {MAX_NAME_CHARS} characters in Unicode normal form C")
    return normal


def check_external_id(external_id: str) -> str:
    """Return the external id unchanged. Upper and lower case differ.

    Raises:
        ValueError: it is blank, too long, starts or ends with a space, or has a character that is not printable.
    """
    if not 0 < len(external_id) <= MAX_EXTERNAL_ID_CHARS or not external_id.isprintable() or is_blank(external_id):
        raise ValueError(f"must be 1 to {MAX_EXTERNAL_ID_CHARS} printable characters")
    if external_id != external_id.strip():
        raise ValueError("must not start or end with a space")
    return external_id
