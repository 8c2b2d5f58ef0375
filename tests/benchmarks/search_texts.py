"""Generate a large catalogue by recombining the project's credentials, and cache its vectors in `.local`."""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.local.settings import LOCAL
from domain.ids import derived_id
from domain.recommending.ports import Embedder
from domain.recommending.roles import Credential, CredentialLevel, credential_text
from domain.recommending.vectors import DIMENSIONS
from persistence.content.files import read_content
from tests.benchmarks import report
from tests.support.databases import CONTENT

VECTORS: Final = LOCAL / "search-vectors.f32"
AT_ONCE: Final = 512


def varied(count: int) -> list[Credential]:
    """Return different credentials: the title and skills of one or two, and sentences of up to three."""
    return [credential for credential, _ in zip(_variations(), range(count), strict=False)]


def _variations() -> Iterator[Credential]:
    chance = random.Random(100_000)
    originals = sorted(read_content(CONTENT).credentials, key=lambda each: each.key)
    yield from originals
    seen: set[str] = set()
    while True:
        first, second, third = chance.sample(originals, 3)
        sentences = [chance.choice(_sentences(each)) for each in (first, second, third)]
        credential = _variation(first, second, _title(chance, first, second), " ".join(sentences), len(seen))
        if (text := credential_text(credential)) not in seen:
            seen.add(text)
            yield credential


def _title(chance: random.Random, first: Credential, second: Credential) -> str:
    return chance.choice((first.title, f"{first.title} for {second.skills[0].lower()}"))


def _variation(first: Credential, second: Credential, title: str, description: str, number: int) -> Credential:
    return Credential(
        id=derived_id("varied", number),
        key=f"varied-{number}",
        title=title,
        description=description,
        skills=tuple(dict.fromkeys((*first.skills, *second.skills[:1]))),
        level=tuple(CredentialLevel)[number % len(CredentialLevel)],
        hours=first.hours,
        provider=second.provider,
        source_uri=f"https://catalog.example.org/credentials/varied-{number}",
        version=f"{number:064}",
    )


def _sentences(credential: Credential) -> Sequence[str]:
    return re.split(r"(?<=\.)\s+", credential.description.strip())


async def embedded(credentials: Sequence[Credential], embedder: Embedder, at_most: int) -> NDArray[np.float32]:
    """Return one row per credential, in order. Embed at most `at_most` missing texts; the others must be cached."""
    VECTORS.parent.mkdir(exist_ok=True)
    VECTORS.touch()
    known = kept(VECTORS)
    wanted = min(len(credentials), known + at_most)
    for start in range(known, wanted, AT_ONCE):
        texts = [credential_text(each) for each in credentials[start : min(start + AT_ONCE, wanted)]]
        vectors = np.asarray(await embedder.embed(texts), dtype=np.float32)
        with VECTORS.open("ab") as file:
            file.write(vectors.tobytes())
        report.say(f"  {start + len(texts)} of {wanted} texts embedded")
    return np.fromfile(VECTORS, dtype=np.float32).reshape(-1, DIMENSIONS)[: len(credentials)]


def kept(vectors: Path) -> int:
    return vectors.stat().st_size // (4 * DIMENSIONS)
