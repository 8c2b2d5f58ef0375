"""Ids and versions that follow from content, so that doing a thing twice gives the same row."""

import hashlib
import json
from uuid import UUID, uuid5

NAMESPACE = UUID("6b1d3c5e-6d1c-5d52-9f0e-3a3a5d1f3f7b")


def derived_id(*parts: object) -> UUID:
    """The uuid5 of the parts' texts; equal parts give equal ids. Parts must not hold the separator."""
    return uuid5(NAMESPACE, "/".join("" if part is None else str(part) for part in parts))


def content_hash(document: object) -> str:
    """SHA-256 (64 hex digits) of the document's canonical JSON; Decimal and UUID count as their text."""
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
