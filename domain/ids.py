"""Ids and versions derived from content, so that a repeated operation writes the same row."""

import hashlib
import json
from uuid import UUID, uuid5

NAMESPACE = UUID("6b1d3c5e-6d1c-5d52-9f0e-3a3a5d1f3f7b")


def derived_id(*parts: object) -> UUID:
    """Return the uuid5 of the parts' texts. Equal parts give equal ids. Parts must not contain "/"."""
    return uuid5(NAMESPACE, "/".join("" if part is None else str(part) for part in parts))


def content_hash(document: object) -> str:
    """Return the SHA-256 (64 hex digits) of the document's canonical JSON. Decimals and UUIDs are hashed as text."""
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
