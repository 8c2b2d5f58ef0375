"""Which texts are passwords, and the form in which they are hashed."""

import re
import unicodedata
from typing import Final

MIN_CHARS: Final = 12
MAX_BYTES: Final = 72
"""What bcrypt reads. A longer password is refused, never cut."""
MIN_OWN_CHARS: Final = 6
"""Characters that must remain once the account's address is taken out of a password."""
_MIN_PART_CHARS: Final = 3
"""A shorter part of an address is in too many passwords by chance."""
_MAX_SHRINKAGE: Final = 3
"""NFC makes no text shorter than a third of its UTF-8 bytes."""

TOO_SHORT_OR_LONG: Final = f"must have at least {MIN_CHARS} characters, and at most {MAX_BYTES} bytes in UTF-8"
BLANK: Final = f"must have at least {MIN_CHARS} characters that are not blank or invisible"
REPEATED: Final = "must not be a few characters that repeat"
LIKE_ADDRESS: Final = "must not consist of the account's e-mail address"


class PasswordTooLong(ValueError):
    """The password has more than `MAX_BYTES` bytes, which bcrypt would ignore."""


def normalize_password(password: str) -> str:
    """The password as RFC 8265 (OpaqueString) compares it: every kind of space is U+0020, and the text is in NFC.

    Characters that the profile forbids, such as tabs, stay as they are, because stored passwords may have them.

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
    """Whether the normal form may have at most `MAX_BYTES` bytes."""
    return len(password) <= MAX_BYTES * _MAX_SHRINKAGE and len(_encoded(password)) <= MAX_BYTES * _MAX_SHRINKAGE


def spellings(password: str) -> tuple[str, ...]:
    """The forms that a stored hash may have been made from, the normal form first; each has at most `MAX_BYTES` bytes.

    Earlier releases hashed what the client sent. Nearly all clients send NFC or NFD.
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
    """Why the text cannot be the password of the account with this address; None if it can."""
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
    """Whether the text is one to three characters, repeated."""
    return any(text == (text[:period] * len(text))[: len(text)] for period in range(1, 4))


def _is_like_address(text: str, email: str) -> bool:
    """Whether parts of the address are in the text, and too little else is."""
    local, _, domain = email.partition("@")
    parts = {_compact(part) for part in (email, local, domain, *re.split(r"[^a-z0-9]+", email.lower()))}
    given = rest = _compact(text)
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _MIN_PART_CHARS:
            rest = rest.replace(part, "")
    return rest != given and len(rest) < MIN_OWN_CHARS


def _compact(text: str) -> str:
    """The text in lower case, without blanks and without what separates the parts of an address."""
    return re.sub(r"[\s@._+-]+", "", text.casefold())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
