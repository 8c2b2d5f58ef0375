"""Mask secrets, e-mail addresses and answers in log lines.

Our code logs only events and ids. Masking covers messages of libraries, and mistakes.
"""

import re
from collections.abc import Mapping
from typing import Final

from domain.email_addresses import ADDRESS_IN_TEXT

MASK: Final = "***"

_FIELDS: Final = frozenset(
    {
        *("access_token", "api_key", "authorization", "cookie", "jwt", "password", "refresh_token", "secret", "token"),
        *("answer", "answers", "body", "comment", "email", "essay", "excerpt", "prompt", "text", "texts"),
    }
)
"""Names of fields whose values are always masked."""

_SECRET: Final = re.compile(
    r"(?<=://)[^\s/@]+(?=@)"  # the user's part of a URL
    r"|(?<=Bearer )\S+"
    r"|(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+"  # a JWT
    r"|\b(?:sk-|whsec_|mck_)[\w+/=-]{8,}"  # OpenAI's keys, partners' secrets, our API keys
    rf"|{ADDRESS_IN_TEXT}"
)
"""The lookbehinds keep matching linear: in a long run of letters, only the start is tried."""


def masked(value: object) -> object:
    """Return the value with secrets masked at any depth."""
    match value:
        case str():
            return _SECRET.sub(MASK, value)
        case Mapping():
            return {name: MASK if name in _FIELDS else masked(each) for name, each in value.items()}
        case list() | tuple():
            return [masked(each) for each in value]
        case _:
            return value
