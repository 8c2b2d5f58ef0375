"""Evaluate recommending: hide each learner's last liked credential and look for it in ten recommendations.

All other reactions of all learners are known, except those after the hidden one. A learner's earlier reactions are the
learner's own reactions in the product; the goal and the last liked credentials are the query for the search of texts.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from activities.adapters.affinities import Affinities
from activities.phrases import embed_lines
from domain.ids import derived_id
from domain.recommending.calibration import LIKED, Tally, calibrate
from domain.recommending.ports import Embedder
from domain.recommending.ranking import AffinityEvidence, Learner, recommend
from domain.recommending.recommendations import Blend, Reactions, Trace
from domain.recommending.roles import Credential, Role, SkillTarget
from domain.recommending.skills import SkillGap
from tests.benchmarks import report
from tests.evaluation.bm25 import Bm25
from tests.evaluation.plain_neighbours import PlainNeighbours
from tests.evaluation.ranking_metrics import CUT, Estimate, calibration_error, estimate, ndcg
from tests.evaluation.recommendation_sets import Document, Reaction
from tests.evaluation.retrieval import ANY_SKILL, best, credential, embedded_text

CANDIDATES: Final = 100
"""How many credentials are found by their texts, and how many by the affinity, for a learner."""
RECENT: Final = 5
"""How many of the last liked credentials are part of the query."""
COLD: Final = 1
"""The highest number of earlier reactions of a cold-start learner."""
BATCH: Final = 256
"""How many learners are scored with one matrix product."""
MAX_CALIBRATED: Final = 2_000
"""The highest number of learners used for the figures of the calibration."""
BASELINES: Final = ("popularity", "BM25 only", "vectors only", "UserKNN", "ItemKNN")
OURS: Final = "ours"

Floats: TypeAlias = NDArray[np.floating]
Ranked = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A learner with the reactions before the hidden credential, oldest first, and the hidden reaction."""

    learner: str
    earlier: tuple[Reaction, ...]
    hidden: Reaction
    goal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendingFigures:
    """Figures of a system. Diversity: 1 minus the mean cosine in a list.

    Coverage is the share of credentials recommended at all. It has no interval, because it counts over these learners.
    """

    system: str
    learners: int
    hit_rate: Estimate
    ndcg: Estimate
    coverage: float
    diversity: Estimate
    cold_learners: int
    cold_hit_rate: Estimate
    cold_ndcg: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFigures:
    """The expected calibration error of probabilities for reactions outside the training half."""

    reactions: int
    learnt_from: float
    uncalibrated: Estimate
    calibrated: Estimate


def cases(reactions: Sequence[Reaction]) -> list[Case]:
    """Return a case per learner with a liked credential. Of several reactions to a credential, the last one counts."""
    by_learner: dict[str, list[Reaction]] = {}
    for each in sorted(reactions, key=lambda each: each.time):
        by_learner.setdefault(each.learner, []).append(each)
    found = []
    for learner, own in sorted(by_learner.items()):
        latest = list({each.credential: each for each in own}.values())
        liked = [each for each in latest if each.rating >= LIKED]
        if liked:
            hidden = max(liked, key=lambda each: each.time)
            earlier = tuple(each for each in latest if each is not hidden and each.time <= hidden.time)
            goal = next((each.goal for each in own if each.goal), "")
            found.append(Case(learner=learner, earlier=earlier, hidden=hidden, goal=goal))
    return found


@dataclass
class World:
    """The data that is known when a hidden credential is guessed; `vectors` has a row per document, or is None."""

    documents: Sequence[Document]
    vectors: NDArray[np.float32] | None
    cases: Sequence[Case]
    wanted: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = [each.id for each in self.documents]
        self.places = {each: place for place, each in enumerate(self.ids)}
        self.credentials = {credential(each).id: _one_skill(credential(each)) for each in self.documents}
        self.uuids = dict(zip(self.ids, self.credentials, strict=True))
        self.names = {uuid: name for name, uuid in self.uuids.items()}
        self.liked = Counter(each.credential for case in self.cases for each in case.earlier if each.rating >= LIKED)
        self.words = Bm25(each.words for each in self.documents)
        self._titles = {each.id: each.title or each.text for each in self.documents}

    def query(self, case: Case) -> str:
        """Return the query's lines: the goal and the texts that were liked last."""
        recent = [self._titles[each.credential] for each in case.earlier if each.rating >= LIKED][-RECENT:]
        return "\n".join([*([case.goal] if case.goal else []), *recent])

    def new(self, case: Case, scores: Floats) -> list[str]:
        """Return the best credentials without a reaction of the learner; ties in the order of the documents."""
        known = {each.credential for each in case.earlier}
        return [each for each in best(scores, self.ids, CUT + len(known)) if each not in known][:CUT]

    def cosines(self, some: Sequence[Case]) -> Floats:
        """Return the cosine of each case's query (rows) with each document; 0 without texts."""
        if self.vectors is None:
            return np.zeros((len(some), len(self.ids)))
        nothing = np.zeros(self.vectors.shape[1], dtype=np.float32)
        wanted = np.array([self.wanted.get(case.learner, nothing) for case in some])
        return np.asarray(wanted @ self.vectors.T, dtype=float)


async def a_world(documents: Sequence[Document], reactions: Sequence[Reaction], embedder: Embedder) -> World:
    """Build a world. Without documents, its credentials are those with a reaction."""
    known = documents or [
        Document(id=each, title=each, text="") for each in sorted({each.credential for each in reactions})
    ]
    world = World(known, None, cases(reactions))
    if documents:
        texts = [embedded_text(each) for each in known]
        world.vectors = np.asarray(await embed_lines(embedder, texts), dtype=np.float32)
        wanted: dict[str, NDArray[np.float32]] = {}
        for batch in _batches(world.cases):
            queries = {case.learner: query for case in batch if (query := world.query(case))}
            made = np.asarray(await embed_lines(embedder, list(queries.values())), dtype=np.float32)
            wanted |= dict(zip(queries, made, strict=True))
        world.wanted = wanted
    return world


def reactions_of(some: Sequence[Case]) -> Reactions:
    told = [(case.learner, each.credential, each.rating) for case in some for each in case.earlier]
    return Reactions(
        learners=[learner for learner, _, _ in told],
        credentials=[each for _, each, _ in told],
        ratings=[rating for _, _, rating in told],
    )


def measure(world: World) -> tuple[RecommendingFigures, ...]:
    popularity = np.array([float(world.liked[each]) for each in world.ids])
    others = reactions_of(world.cases)
    affinities, plain = Affinities(others), PlainNeighbours(others)
    ranked: dict[str, list[list[str]]] = {each: [] for each in (*BASELINES, OURS)}
    for batch in _batches(world.cases):
        by_user, by_item = (_widened(world, plain.credentials, each) for each in plain.scores(_own(batch)))
        ours = _widened(world, affinities.credentials, affinities.scores(_own(batch)))
        alike = world.cosines(batch)
        for place, case in enumerate(batch):
            words = world.words.scores(world.query(case))
            scores = (popularity, words, alike[place], by_user[place], by_item[place])
            for system, each in zip(BASELINES, scores, strict=True):
                ranked[system].append(world.new(case, each))
            ranked[OURS].append(_ours(world, case, alike[place], ours[place], len(others.learners)))
    return tuple(_figures(name, world, found) for name, found in ranked.items())


def _batches(some: Sequence[Case]) -> Iterator[Sequence[Case]]:
    for start in range(0, len(some), BATCH):
        yield some[start : start + BATCH]
        report.progress(min(start + BATCH, len(some)), len(some), "learners")


def _own(some: Sequence[Case]) -> list[list[tuple[str, float]]]:
    return [[(each.credential, each.rating) for each in case.earlier] for case in some]


def _widened(world: World, credentials: Sequence[str], scores: Floats) -> Floats:
    """Return the scores with a column for each document, in the documents' order."""
    found = np.zeros((len(scores), len(world.ids)))
    found[:, [world.places[each] for each in credentials]] = scores
    return found


def _ours(world: World, case: Case, cosines: Floats, affinities: Floats, others: int) -> list[str]:
    found = {*best(cosines, world.ids, CANDIDATES), *best(affinities, world.ids, CANDIDATES)}
    blend = _blend(world, case, (cosines, affinities), found, others)
    return [world.names[item.credential_id] for item in blend.items]


def _blend(world: World, case: Case, scores: tuple[Floats, Floats], found: Collection[str], others: int) -> Blend:
    cosines, affinities = scores
    learner = Learner(
        gaps=(GAP,),
        held=frozenset(world.uuids[each.credential] for each in case.earlier),
        affinities=AffinityEvidence(
            scores={world.uuids[each]: round(float(affinities[world.places[each]]), 6) for each in found},
            own=sum(each.rating >= LIKED for each in case.earlier),
            others=others,
        ),
    )
    traces = [
        Trace(
            credential_id=world.uuids[name],
            artifact_id=world.uuids[name],
            skill=ANY_SKILL,
            source_uri="",
            snippet="",
            similarity=float(cosines[world.places[name]]),
        )
        for name in sorted(found)
    ]
    credentials = {uuid: world.credentials[uuid] for uuid in map(world.uuids.__getitem__, found)}
    return recommend(ROLE, learner, traces, credentials, at_most=CUT)


def measure_calibration(world: World) -> CalibrationFigures:
    """Calibrate on half of the learners and measure the probabilities of the other half's last reactions."""
    some = world.cases[:: 1 + len(world.cases) // MAX_CALIBRATED]
    halves = some[::2], some[1::2]
    learnt, tried = [_scored(world, half, other) for half, other in (halves, halves[::-1])]
    calibration = calibrate(Tally(score=score, reactions=1, liked=liked) for score, liked in learnt)
    return CalibrationFigures(
        reactions=len(tried),
        learnt_from=calibration.reactions,
        uncalibrated=calibration_error(tried),
        calibrated=calibration_error([(calibration.chance(score), liked) for score, liked in tried]),
    )


def _scored(world: World, some: Sequence[Case], others: Sequence[Case]) -> list[tuple[float, bool]]:
    """Return the blend's score for the hidden credential and the one before it, and whether the learner liked it.

    Only the reactions of the `others` are known.
    """
    model, number = Affinities(told := reactions_of(others)), len(told.learners)
    asked = [(case, each) for case in some for each in (*case.earlier[-1:], case.hidden)]
    known = [replace(case, earlier=tuple(other for other in case.earlier if other is not each)) for case, each in asked]
    pairs: list[tuple[float, bool]] = []
    for start in range(0, len(asked), BATCH):
        part = known[start : start + BATCH]
        affinities = _widened(world, model.credentials, model.scores(_own(part)))
        rows = zip(asked[start : start + BATCH], part, world.cosines(part), affinities, strict=True)
        for (_, each), case, cosines, row in rows:
            blend = _blend(world, case, (cosines, row), {each.credential}, number)
            pairs += [(item.confidence, each.rating >= LIKED) for item in blend.items]
    return pairs


def _figures(system: str, world: World, ranked: Sequence[Ranked]) -> RecommendingFigures:
    pairs = list(zip(ranked, world.cases, strict=True))
    hits = [float(case.hidden.credential in found) for found, case in pairs]
    gains = [ndcg(found, {case.hidden.credential}) for found, case in pairs]
    cold = [place for place, case in enumerate(world.cases) if len(case.earlier) <= COLD]
    return RecommendingFigures(
        system=system,
        learners=len(pairs),
        hit_rate=estimate(hits),
        ndcg=estimate(gains),
        coverage=len({each for found in ranked for each in found}) / len(world.ids),
        diversity=_diversity(world, ranked),
        cold_learners=len(cold),
        cold_hit_rate=estimate([hits[place] for place in cold]),
        cold_ndcg=estimate([gains[place] for place in cold]),
    )


def _diversity(world: World, ranked: Sequence[Ranked]) -> Estimate:
    """Return the mean of 1 minus the cosine within each list, or NaN without texts."""
    if world.vectors is None:
        return estimate([])
    lists = [world.vectors[[world.places[each] for each in found]] for found in ranked if len(found) > 1]
    # The sum of all cosines has each pair twice, and each vector's cosine of 1 with itself.
    return estimate([1 - (float((each @ each.T).sum()) / len(each) - 1) / (len(each) - 1) for each in lists])


def _one_skill(of: Credential) -> Credential:
    """Return the credential with one common skill, because the data has no skill gaps."""
    return Credential(**{name: getattr(of, name) for name in of.__slots__ if name != "skills"}, skills=(ANY_SKILL,))


WANTED: Final = SkillTarget(skill=ANY_SKILL, description="", target=Decimal(1), importance=Decimal(1))
ROLE: Final = Role(id=derived_id("role", ANY_SKILL), key="any", name="any", description="", skills=(WANTED,))
GAP: Final = SkillGap(
    skill=ANY_SKILL,
    description="",
    score=None,
    target=Decimal(1),
    gap=Decimal(1),
    importance=Decimal(1),
    evidence=Decimal(0),
)
