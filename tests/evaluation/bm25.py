"""Plain BM25, a baseline for searches that also use vectors."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

K1: Final = 1.2
B: Final = 0.75


class Bm25:
    """Rank texts by the words of a query. Words are lower-cased; there is no stemming and there are no stop words."""

    def __init__(self, texts: Iterable[str]) -> None:
        counts = [Counter(_words(text)) for text in texts]
        self._lengths = np.array([sum(each.values()) for each in counts], dtype=float)
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place, each in enumerate(counts):
            for word, count in each.items():
                postings[word].append((place, count))
        self._postings = {word: np.array(holders).T for word, holders in postings.items()}

    def scores(self, query: str) -> NDArray[np.float64]:
        """Return one score per text, in the texts' order; 0 if a text shares no word with the query."""
        number = len(self._lengths)
        longer = K1 * (1 - B + B * self._lengths / max(1.0, float(self._lengths.mean())))
        found = np.zeros(number)
        for word in sorted({*_words(query)} & self._postings.keys()):
            places, count = self._postings[word]
            rarity = math.log(1 + (number - len(places) + 0.5) / (len(places) + 0.5))
            found[places] += rarity * count * (K1 + 1) / (count + longer[places])
        return found


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
