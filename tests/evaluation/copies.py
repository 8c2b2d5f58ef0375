"""`python -m tests.evaluation.copies [--data PATH] [--every N]`: measure how copies of other answers are found.

It takes the answers to each question in their order, as if one student after the other handed them in, and compares
each with the earlier ones by the product's fingerprints and constants. It reports

- honest answers flagged, with an interval over the questions; at most 1 %
- copies flagged: half of an earlier answer appended, the whole earlier answer, and the earlier answer with every n-th
  word replaced
- with the project's own labelled answers (no --data): what the local grader gives for half of the best other answer
  appended, with and without the search for copies. The labelled answers count as reviewed answers of other students.

- copies of short answers flagged: the whole earlier answer, if both have 10 to 29 words

PATH is a labelled set as in `labelled_sets`. In the other lines only answers of at least 30 words are attacked and
copied. The copied text has enough words for a passage that are not the question's or the rubric's.
"""

import argparse
import asyncio
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid5

import numpy as np

from activities.adapters.caching import CachingLongTextEmbedder
from activities.adapters.local_grader.grader import LocalEssayGrader
from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from domain.grading.copies import (
    COMMON,
    COPIED_ANSWER,
    FEWEST_EQUAL,
    FEWEST_WORDS,
    MOST_SOURCES,
    PASSAGE,
    SHINGLE,
    OtherAnswer,
    OtherAnswers,
    find_copies,
    fingerprint,
)
from domain.grading.rubrics import Essay
from domain.ids import NAMESPACE
from tests.evaluation.gaming import cases
from tests.evaluation.labelled_sets import LabelledItem, read_set

DRAWS: Final = 2000
SEED: Final = 7
Trick = Callable[[str, str], str]


class AnswersInMemory:
    """The stored fingerprints of the answers to one question. It finds candidates as `SqlFingerprints` does."""

    def __init__(self, item: LabelledItem) -> None:
        self._item = item
        self._texts: list[str] = []
        self._by_shingle: dict[int, list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        for shingle in fingerprint(text, self._item.prompt, self._item.rubric):
            self._by_shingle[shingle].append(len(self._texts))
        self._texts.append(text)

    def compared_with(self, text: str) -> OtherAnswers:
        weights: Counter[int] = Counter()
        shingles = fingerprint(text, self._item.prompt, self._item.rubric)
        hits = {shingle: self._by_shingle.get(shingle, [])[:COMMON] for shingle in shingles}
        for answers in hits.values():
            weights.update(dict.fromkeys(answers, 1 / len(answers)) if answers else {})
        return OtherAnswers(
            answers=tuple(_other(place, self._texts[place]) for place, _ in weights.most_common(MOST_SOURCES)),
            common=frozenset(shingle for shingle, answers in hits.items() if len(answers) >= COMMON),
        )

    def flags(self, text: str) -> bool:
        return bool(find_copies(text, self._item.prompt, self._item.rubric, self.compared_with(text)))


def _other(place: int, text: str) -> OtherAnswer:
    return OtherAnswer(assessment_id=UUID(int=place), snapshot_id=UUID(int=place), text=text)


def half(text: str) -> str:
    words = text.split()
    return " ".join(words[len(words) // 2 :])


def reworded(text: str, every: int) -> str:
    """Return the text with every n-th word replaced by a word that is not in it."""
    return " ".join(
        f"reworded{place}" if place % every == every - 1 else word for place, word in enumerate(text.split())
    )


TRICKS: Final[dict[str, Trick]] = {
    "half of an earlier answer appended": lambda own, source: f"{own} {half(source)}",
    "whole earlier answer appended": lambda own, source: f"{own} {source}",
    "only an earlier answer": lambda _, source: source,
    "... with every 10th word replaced": lambda _, source: reworded(source, 10),
    "... with every 6th word replaced": lambda _, source: reworded(source, 6),
    "... with every 4th word replaced": lambda _, source: reworded(source, 4),
}
SHORT: Final = "only a short earlier answer"
HONEST: Final = "none: the honest answer"


def has_own_passage(text: str, item: LabelledItem) -> bool:
    """Return whether the text has enough words for a copied passage that are not the question's or the rubric's."""
    return len(fingerprint(text, item.prompt, item.rubric)) > PASSAGE - SHINGLE


def flagged(items: Sequence[LabelledItem], every: int) -> dict[str, list[list[bool]]]:
    """Return for each trick, and each question, which answers are flagged."""
    found: dict[str, list[list[bool]]] = {name: [] for name in (HONEST, *TRICKS, SHORT)}
    for item in items:
        dice = random.Random(SEED)
        stored = AnswersInMemory(item)
        earlier: list[str] = []
        short: list[str] = []
        by_trick: dict[str, list[bool]] = {name: [] for name in found}
        for place, answer in enumerate(item.answers):
            by_trick[HONEST].append(stored.flags(answer.text))
            long_enough = len(answer.text.split()) >= FEWEST_WORDS
            if earlier and long_enough and place % every == 0:
                source = dice.choice(earlier)
                for name, trick in TRICKS.items():
                    by_trick[name].append(stored.flags(trick(answer.text, source)))
            if place % every == 0 and FEWEST_EQUAL <= len(answer.text.split()) < FEWEST_WORDS and short:
                by_trick[SHORT].append(stored.flags(dice.choice(short)))
            stored.add(answer.text)
            earlier += [answer.text] * (long_enough and has_own_passage(half(answer.text), item))
            short += [answer.text] * (has_own_passage(answer.text, item) and not long_enough)
        for name, each in by_trick.items():
            found[name].append(each)
    return found


def share_with_interval(by_question: Sequence[Sequence[bool]]) -> tuple[float, float, float]:
    """Return the share of all answers and its 95 % interval, by a bootstrap over the questions."""
    counts = np.array([[sum(each), len(each)] for each in by_question if each], dtype=float)
    if not len(counts):
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(SEED)
    drawn = counts[rng.integers(len(counts), size=(DRAWS, len(counts)))].sum(axis=1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return float(counts[:, 0].sum() / counts[:, 1].sum()), float(low), float(high)


def appended_halves(every: int) -> tuple[list[Essay], list[Essay], list[Essay]]:
    """Return honest essays, and each with half of the best other answer, without and with the other answers."""
    honest, unseen, searched = [], [], []
    for case in cases()[::every]:
        labelled = case.essay.rubric.anchors
        essay = replace(case.essay, rubric=replace(case.essay.rubric, anchors=()), labelled=labelled)
        stored = AnswersInMemory(LabelledItem(key="", prompt=essay.prompt, rubric=essay.rubric, answers=()))
        for anchor in labelled:
            stored.add(anchor.text)
        text = f"{essay.text} {half(case.best)}"
        copy = replace(essay, text=text, snapshot_id=uuid5(NAMESPACE, text))
        honest.append(essay)
        unseen.append(copy)
        searched.append(replace(copy, others=stored.compared_with(text)))
    return honest, unseen, searched


async def report_gain(every: int) -> None:
    embedder = MiniLMEmbedder(MiniLMSettings())
    grader = LocalEssayGrader(CachingLongTextEmbedder(embedder))
    honest, unseen, searched = appended_halves(every)
    try:
        fair = [float(score.fraction or 0) for score in await grader.grade(honest)]
        for name, essays in (("without the search", unseen), ("with the search", searched)):
            scores = await grader.grade(essays)
            gains = [float(score.fraction or 0) - share for score, share in zip(scores, fair, strict=True)]
            found = sum(COPIED_ANSWER in score.flags for score in scores) / len(scores)
            sys.stdout.write(f"half appended, {name:20} gain {np.mean(gains):+.3f}  {COPIED_ANSWER} {found:.1%}\n")
    finally:
        embedder.close()


def main(data: str, every: int) -> None:
    sys.stdout.write(f"{'trick':38}{'answers':>8}{'flagged':>9}  95 % interval over questions\n")
    for name, by_question in flagged(read_set(data), every).items():
        share, low, high = share_with_interval(by_question)
        sys.stdout.write(f"{name:38}{sum(map(len, by_question)):>8}{share:>9.2%}  {low:.2%} to {high:.2%}\n")
    if not data:
        asyncio.run(report_gain(every))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="a labelled set (default: the project's labelled answers)")
    parser.add_argument("--every", type=int, default=1, help="attack only each n-th answer (default: all)")
    options = parser.parse_args()
    main(options.data, options.every)
