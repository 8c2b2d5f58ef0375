"""E-mail addresses: normalization for comparison, and the pattern that finds them in a text."""

from typing import Final

MAX_CHARS: Final = 254
ADDRESS_IN_TEXT: Final = r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
"""The lookbehind keeps matching linear: in a long run of letters, only the start is tried."""


def normalize_email(address: str) -> str:
    """Return the address in lower case. Addresses with the same normal form belong to the same account.

    Only printable ASCII is accepted. Outside ASCII, upper and lower case differ between Python, PostgreSQL and an
    issuer's directory: U+0130 (capital I with a dot) becomes `i` in one of them and something else in another.

    Raises:
        ValueError: the address is empty, longer than `MAX_CHARS`, or has a character that is not printable ASCII.
    """
    if not 0 < len(address) <= MAX_CHARS or not address.isascii() or not address.isprintable():
        raise ValueError(f"must be 1 to {MAX_CHARS} printable ASCII characters")
    return address.lower()
