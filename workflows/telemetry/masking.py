"""Masks what looks like a secret, an e-mail address or an answer in a log line.

Code logs events and ids only. This catches the messages of libraries, and mistakes.
"""

import re
from collections.abc import Mapping
from typing import Final

MASK: Final = "***"

_FIELDS: Final = frozenset(
    {
        *("access_token", "api_key", "authorization", "cookie", "jwt", "password", "refresh_token", "secret", "token"),
        *("answer", "answers", "body", "comment", "email", "essay", "excerpt", "prompt", "text", "texts"),
    }
)
"""Names of fields whose values are never logged."""

_SECRET: Final = re.compile(
    r"(?<=://)[^\s/@]+(?=@)"  # the user's part of a URL
    r"|(?<=Bearer )\S+"
    r"|(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+"  # a JWT
    r"|\b(?:sk-|whsec_|mck_)[\w+/=-]{8,}"  # OpenAI's keys, partners' secrets, our API keys
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an e-mail address
)
"""The lookbehinds keep it linear: a long run of letters is tried from its beginning only."""


def masked(value: object) -> object:
    """The value with secrets masked at any depth."""
    match value:
        case str():
            return _SECRET.sub(MASK, value)
        case Mapping():
            return {name: MASK if name in _FIELDS else masked(each) for name, each in value.items()}
        case list() | tuple():
            return [masked(each) for each in value]
        case _:
            return value
