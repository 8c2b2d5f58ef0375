"""Password rules, and the normal form in which passwords are hashed."""

import re
import unicodedata
from typing import Final

MIN_CHARS: Final = 12
MAX_BYTES: Final = 72
"""The number of bytes that bcrypt reads. A longer password is rejected, never truncated."""
MIN_OWN_CHARS: Final = 6
"""Characters that must remain after the parts of the account's address are removed from a password."""
_MIN_PART_CHARS: Final = 3
"""Shorter parts of an address occur in too many passwords by chance."""
_MAX_SHRINKAGE: Final = 3
"""NFC shortens a text to no less than a third of its UTF-8 bytes."""

TOO_SHORT_OR_LONG: Final = f"must have at least {MIN_CHARS} characters, and at most {MAX_BYTES} bytes in UTF-8"
BLANK: Final = f"must have at least {MIN_CHARS} characters that are not blank or invisible"
REPEATED: Final = "must not be a few characters that repeat"
LIKE_ADDRESS: Final = "must not consist of the account's e-mail address"


class PasswordTooLong(ValueError):
    """The password has more than `MAX_BYTES` bytes, which bcrypt would ignore."""


def normalize_password(password: str) -> str:
    """Return the password in the form of RFC 8265 (OpaqueString): in NFC, with every kind of space as U+0020.

    Characters that the profile forbids, such as tabs, do not change, because stored passwords may contain them.

    Raises:
        PasswordTooLong: the normal form has more than `MAX_BYTES` bytes in UTF-8.
    """
    if not could_fit(password):  # before NFC, which takes quadratic time on long runs of combining marks
        raise PasswordTooLong(TOO_SHORT_OR_LONG)
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password)
    normal = unicodedata.normalize("NFC", spaced)
    if len(_encoded(normal)) > MAX_BYTES:
        raise PasswordTooLong(TOO_SHORT_OR_LONG)
    return normal


def could_fit(password: str) -> bool:
    """Return whether the normal form could fit into `MAX_BYTES` bytes, without normalizing the password."""
    return len(password) <= MAX_BYTES * _MAX_SHRINKAGE and len(_encoded(password)) <= MAX_BYTES * _MAX_SHRINKAGE


def spellings(password: str) -> tuple[str, ...]:
    """Return the forms that a stored hash may come from, the normal form first. Each has at most `MAX_BYTES` bytes.

    Earlier releases hashed the text as the client sent it. Nearly all clients send NFC or NFD.
    """
    if not could_fit(password):
        return ()
    try:
        normal = [normalize_password(password)]
    except PasswordTooLong:
        normal = []
    earlier = [each for each in (password, unicodedata.normalize("NFD", password)) if len(_encoded(each)) <= MAX_BYTES]
    return tuple(dict.fromkeys(normal + earlier))


def find_weakness(password: str, email: str) -> str | None:
    """Return why the text is not allowed as the password of the account with this address, or None if it is."""
    try:
        normal = normalize_password(password)
    except PasswordTooLong:
        return TOO_SHORT_OR_LONG
    if len(normal) < MIN_CHARS:
        return TOO_SHORT_OR_LONG
    visible = "".join(char for char in normal if char.isspace() or unicodedata.category(char)[0] != "C")
    visible = " ".join(visible.split())
    if len(visible) < MIN_CHARS:
        return BLANK
    if _repeats(visible):
        return REPEATED
    return LIKE_ADDRESS if _is_like_address(visible, email) else None


def _repeats(text: str) -> bool:
    """Return whether the text repeats the same one to three characters."""
    return any(text == (text[:period] * len(text))[: len(text)] for period in range(1, 4))


def _is_like_address(text: str, email: str) -> bool:
    """Return whether the text contains parts of the address and fewer than `MIN_OWN_CHARS` other characters."""
    local, _, domain = email.partition("@")
    parts = {_compact(part) for part in (email, local, domain, *re.split(r"[^a-z0-9]+", email.lower()))}
    given = rest = _compact(text)
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _MIN_PART_CHARS:
            rest = rest.replace(part, "")
    return rest != given and len(rest) < MIN_OWN_CHARS


def _compact(text: str) -> str:
    """Return the text in lower case, without white space and the separators of address parts."""
    return re.sub(r"[\s@._+-]+", "", text.casefold())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
