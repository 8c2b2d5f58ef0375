"""Find accounts by e-mail address."""

from sqlalchemy import ColumnElement, Text, and_, cast, func

from domain.email_addresses import normalize_email
from persistence.tables import UserRow


def has_email(address: str) -> ColumnElement[bool]:
    """Return the condition that a user's stored address has the same normal form as `address`.

    `email` is CITEXT, which converts to lower case by the rules of the database's locale, where U+0130 may become `i`.
    The first comparison uses the index. The second one, in the locale "C", converts ASCII only, as `normalize_email`
    does. A stored address that is not ASCII therefore matches nothing.

    Raises:
        ValueError: the address has no normal form.
    """
    normal = normalize_email(address)
    lowered = func.lower(cast(UserRow.email, Text).collate("C"))
    return and_(UserRow.email == normal, lowered == normal)
