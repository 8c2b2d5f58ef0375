"""Evaluate recommending: hide each learner's last liked credential and look for it in ten recommendations.

All other reactions of all learners are known. A learner's earlier reactions are the profile that finds neighbours; the
goal and the last liked credentials are the query for the search of texts.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import combinations
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from activities.adapters.knn import KnnNearestLearners
from activities.phrases import embed_lines
from domain.ids import derived_id
from domain.recommending.calibration import LIKED, Tally, calibrate
from domain.recommending.ports import Embedder
from domain.recommending.ranking import Learner, recommend
from domain.recommending.recommendations import EarlierLearners, Neighbour, Trace
from domain.recommending.roles import Credential, Role, SkillTarget
from domain.recommending.skills import SkillGap
from tests.evaluation.bm25 import Bm25
from tests.evaluation.ranking_metrics import CUT, Estimate, calibration_error, estimate, ndcg
from tests.evaluation.recommendation_sets import Document, Reaction
from tests.evaluation.retrieval import ANY_SKILL, best, credential, embedded_text

NEIGHBOURS: Final = 50
CANDIDATES: Final = 200
"""How many texts a search finds for a learner."""
RECENT: Final = 5
"""How many of the last liked credentials are part of the query."""
COLD: Final = 1
"""The highest number of earlier reactions of a cold-start learner."""

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
    """Figures of a system. Coverage: share of credentials recommended at all. Diversity: 1 minus the mean cosine."""

    system: str
    learners: int
    hit_rate: Estimate
    ndcg: Estimate
    coverage: float
    diversity: float
    cold_learners: int
    cold_hit_rate: Estimate
    cold_ndcg: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFigures:
    """The expected calibration error of probabilities for reactions outside the training half."""

    reactions: int
    learnt_from: float
    uncalibrated: float
    calibrated: float


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
        self.credentials = {credential(each).id: _one_skill(credential(each)) for each in self.documents}
        self.uuids = dict(zip(self.ids, self.credentials, strict=True))
        self.names = {uuid: name for name, uuid in self.uuids.items()}
        self.profiles = {
            each.learner: {skill: float(score) for skill, score in _profile(each).items()}
            for each in self.cases
            if each.earlier
        }
        self.neighbours = {derived_id("learner", each.learner): self._neighbour(each) for each in self.cases}
        self.liked = Counter(each.credential for case in self.cases for each in case.earlier if each.rating >= LIKED)
        self.words = Bm25(each.words for each in self.documents)

    def _neighbour(self, case: Case) -> Neighbour:
        return Neighbour(
            id=derived_id("learner", case.learner),
            reactions={self.uuids[each.credential]: Decimal(str(each.rating)) for each in case.earlier},
        )

    def query(self, case: Case) -> str:
        """Return the query's lines: the goal and the texts that were liked last."""
        titles = {each.id: each.title or each.text for each in self.documents}
        recent = [titles[each.credential] for each in case.earlier if each.rating >= LIKED][-RECENT:]
        return "\n".join([*([case.goal] if case.goal else []), *recent])

    def new(self, case: Case, ranked: Ranked) -> list[str]:
        known = {each.credential for each in case.earlier}
        return [each for each in ranked if each not in known][:CUT]

    def cosines(self, case: Case) -> NDArray[np.float32]:
        if self.vectors is None or case.learner not in self.wanted:
            return np.zeros(len(self.ids), dtype=np.float32)
        return self.vectors @ self.wanted[case.learner]

    async def nearest(self, case: Case) -> tuple[tuple[Neighbour, float], ...]:
        profile = _profile(case)
        others = {learner: each for learner, each in self.profiles.items() if learner != case.learner}
        earlier = EarlierLearners(
            ids=[str(derived_id("learner", each)) for each in others],
            scores={skill: [each.get(skill) for each in others.values()] for skill in profile},
        )
        found = await KnnNearestLearners().nearest(profile, earlier, NEIGHBOURS)
        return tuple((self.neighbours[each], nearness) for each, nearness in found)


async def a_world(documents: Sequence[Document], reactions: Sequence[Reaction], embedder: Embedder) -> World:
    """Build a world. Without documents, its credentials are those with a reaction."""
    known = documents or [
        Document(id=each, title=each, text="") for each in sorted({each.credential for each in reactions})
    ]
    world = World(known, None, cases(reactions))
    if documents:
        texts = [embedded_text(each) for each in known]
        world.vectors = np.asarray(await embed_lines(embedder, texts), dtype=np.float32)
        queries = {case.learner: query for case in world.cases if (query := world.query(case))}
        made = await embed_lines(embedder, list(queries.values()))
        world.wanted = {
            learner: np.asarray(each, dtype=np.float32) for learner, each in zip(queries, made, strict=True)
        }
    return world


async def measure(world: World) -> tuple[RecommendingFigures, ...]:
    popular = sorted(world.ids, key=lambda each: (-world.liked[each], each))
    systems: dict[str, list[list[str]]] = {
        "popularity": [],
        "BM25 only": [],
        "vectors only": [],
        "KNN only": [],
        "ours": [],
    }
    for case in world.cases:
        near = await world.nearest(case)
        everything = len(world.ids)
        systems["popularity"].append(world.new(case, popular))
        systems["BM25 only"].append(world.new(case, best(world.words.scores(world.query(case)), world.ids, everything)))
        systems["vectors only"].append(world.new(case, best(world.cosines(case), world.ids, everything)))
        systems["KNN only"].append(world.new(case, _by_neighbours(world, near)))
        systems["ours"].append(await asyncio.to_thread(_ours, world, case, near))
    return tuple(_figures(name, world, ranked) for name, ranked in systems.items())


def _by_neighbours(world: World, near: Sequence[tuple[Neighbour, float]]) -> list[str]:
    liking: defaultdict[str, float] = defaultdict(float)
    for neighbour, nearness in near:
        for uuid, rating in neighbour.reactions.items():
            liking[world.names[uuid]] += nearness * float(rating - 3) / 2
    return sorted(world.ids, key=lambda each: (-liking[each], each))


def _ours(world: World, case: Case, near: tuple[tuple[Neighbour, float], ...]) -> list[str]:
    cosines = world.cosines(case)
    found = {*best(cosines, world.ids, CANDIDATES)}
    found |= {world.names[uuid] for neighbour, _ in near for uuid in neighbour.reactions}
    blend = recommend(ROLE, _learner(world, case, near), _traces(world, cosines, found), world.credentials, at_most=CUT)
    return [world.names[item.credential_id] for item in blend.items]


def _learner(
    world: World,
    case: Case,
    near: tuple[tuple[Neighbour, float], ...],
) -> Learner:
    held = frozenset(world.uuids[each.credential] for each in case.earlier)
    return Learner(gaps=(GAP,), held=held, neighbours=near)


def _traces(world: World, cosines: NDArray[np.float32], found: set[str]) -> list[Trace]:
    return [
        Trace(
            credential_id=world.uuids[name],
            artifact_id=world.uuids[name],
            skill=ANY_SKILL,
            source_uri="",
            snippet="",
            similarity=float(cosine),
        )
        for name, cosine in zip(world.ids, cosines.tolist(), strict=True)
        if name in found
    ]


async def measure_calibration(world: World) -> CalibrationFigures:
    """Calibrate on half of the learners and measure the probabilities of the other half's last reactions."""
    learnt, tried = [await _scored(world, world.cases[start::2]) for start in (0, 1)]
    calibration = calibrate(Tally(score=score, reactions=1, liked=liked) for score, liked in learnt)
    return CalibrationFigures(
        reactions=len(tried),
        learnt_from=calibration.reactions,
        uncalibrated=calibration_error(tried),
        calibrated=calibration_error([(calibration.chance(score), liked) for score, liked in tried]),
    )


async def _scored(world: World, some: Sequence[Case]) -> list[tuple[float, bool]]:
    """Return the blend's score for the hidden credential and the one before it, and whether the learner liked it."""
    pairs: list[tuple[float, bool]] = []
    for case in some:
        for asked in (*case.earlier[-1:], case.hidden):
            known = replace(case, earlier=tuple(each for each in case.earlier if each is not asked))
            near = await world.nearest(known)
            traces = _traces(world, world.cosines(known), {asked.credential})
            blend = recommend(ROLE, _learner(world, known, near), traces, world.credentials)
            pairs += [(item.confidence, asked.rating >= LIKED) for item in blend.items]
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


def _diversity(world: World, ranked: Sequence[Ranked]) -> float:
    """Return the mean of 1 minus the cosine within each list, or NaN without texts."""
    if world.vectors is None:
        return float("nan")
    places = {each: place for place, each in enumerate(world.ids)}
    lists = [[places[each] for each in found] for found in ranked if len(found) > 1]
    return fmean(
        fmean(1 - float(world.vectors[one] @ world.vectors[other]) for one, other in combinations(found, 2))
        for found in lists
    )


def _profile(case: Case) -> Mapping[str, Decimal]:
    return {each.credential: Decimal(str((each.rating - 1) / 4)) for each in case.earlier}


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
