"""The last look at a log line: what looks like a secret, an address or an answer does not get out.

Code logs events and ids only. This catches what a library writes, and what somebody adds without thinking.
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
"""Names of fields whose values nobody needs in a log."""

_SECRET: Final = re.compile(
    r"(?<=://)[^\s/@]+(?=@)"  # the user's part of a URL
    r"|(?<=Bearer )\S+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]+"  # a JWT
    r"|\b(?:sk-|whsec_|mck_)[\w+/=-]{8,}"  # OpenAI's keys, partners' secrets, our API keys
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an address of e-mail
)


def masked(value: object) -> object:
    """The value, however deep, without what must not be read."""
    match value:
        case str():
            return _SECRET.sub(MASK, value)
        case Mapping():
            return {name: MASK if name in _FIELDS else masked(each) for name, each in value.items()}
        case list() | tuple():
            return [masked(each) for each in value]
        case _:
            return value
