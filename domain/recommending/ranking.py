"""Rank credentials by gaps, evidence and neighbours. The ranking is deterministic."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from math import fsum
from operator import attrgetter
from typing import Final
from uuid import UUID

from domain.recommending.calibration import UNCALIBRATED, Calibration
from domain.recommending.explanations import Basis, Ranked, rationale, summary
from domain.recommending.recommendations import Blend, Neighbour, RecommendedItem, Trace
from domain.recommending.roles import Credential, CredentialLevel, Role
from domain.recommending.skills import SkillGap

ITEMS: Final = 5

WEIGHTS: Final[Mapping[str, float]] = {
    "gap_coverage": 0.31,  # the purpose of the assessment
    "similarity": 0.19,  # evidence that the credential teaches this part of the skill
    "level_fit": 0.15,  # learners do not finish courses that are too easy or too hard
    "neighbours": 0.35,  # the maximum, with many reactions of near learners
    "affinity": 0.5,  # the maximum, with many likes of the learner and without near learners
}
NEIGHBOURS_HALF: Final = 2.0
"""The total nearness of neighbours with reactions at which their weight reaches half of its maximum."""
LIKES_HALF: Final = 1.0
"""The number of the learner's likes at which the weight of the affinity reaches half of its maximum."""
PRIOR_LIKES: Final = 0.5
"""The number of likes that the popularity counts as: it orders the credentials for a learner without likes."""
REACTIONS_HALF: Final = 20.0
"""The number of other learners' reactions at which the weight of the affinity is halved."""
PRIOR_REACTION: Final = 0.5
"""The assumed rating (0..1) of a credential without reactions: the middle of the scale."""
PRIOR_STRENGTH: Final = 1.0
"""The number of reactions that the assumed rating counts as. One 5 from an identical learner moves it halfway to 1."""

SIMILARITY_RANGE: Final = (0.15, 0.75)
"""MiniLM's typical cosines of a skill's description with unrelated texts and with closely matching texts."""

LEVELS: Final = tuple(CredentialLevel)
LEVEL_BOUNDS: Final = (Decimal("0.4"), Decimal("0.7"))
"""The scores from which intermediate and advanced courses fit a learner."""
LEVEL_STEP: Final = 0.5
"""The factor on the fit for each level of difference."""

RELEVANCE: Final = 0.85
"""The weight of merit in maximal marginal relevance. The rest is the weight of diversity."""
OTHER_LEVEL: Final = 0.5
"""The factor on the similarity of two credentials with different levels."""


def gap_query(gap: SkillGap) -> str:
    """Return the search text of a gap: a line with the skill and a line with its description."""
    return f"{gap.skill}\n{gap.description}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityEvidence:
    """How well credentials suit the learner's likes (0..1), and the numbers of `own` likes and `others`' reactions."""

    scores: Mapping[UUID, float] = field(default_factory=dict)
    own: int = 0
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """The learner of a recommendation.

    `gaps` has every skill of the role, including reached targets. `held` has the ids of the learner's credentials.
    `neighbours` are earlier learners with their nearness (0..1).
    """

    gaps: tuple[SkillGap, ...]
    held: frozenset[UUID] = frozenset()
    neighbours: tuple[tuple[Neighbour, float], ...] = ()
    affinities: AffinityEvidence = AffinityEvidence()
    calibration: Calibration = UNCALIBRATED


def recommend(
    role: Role,
    learner: Learner,
    traces: Iterable[Trace],
    credentials: Mapping[UUID, Credential],
    *,
    at_most: int = ITEMS,
) -> Blend:
    """Recommend at most `at_most` credentials, in the order to take them.

    Candidates are the credentials found by the search (`traces`). `credentials` has the active ones among them and,
    transitively, their prerequisites. An item's confidence is its blended score (0..1), calibrated if there are enough
    reactions.
    """
    view = _view(learner, traces)
    usable = {id_: each for id_, each in credentials.items() if each.active and id_ not in learner.held}
    found = [id_ for id_ in view.similarity if id_ in usable and view.leads_on(usable[id_])]
    passed = learner.held | {id_ for id_, each in credentials.items() if view.is_shown(each)}
    paths = {id_: path for id_ in found if (path := _path(id_, usable, passed))}
    ranked = {id_: view.rank(usable[id_]) for id_ in {id_ for path in paths.values() for id_ in path}}
    chosen = _choose_for_all(paths, ranked, at_most, [gap.skill for gap in learner.gaps if gap.gap])
    places = [_Place(ranked[id_], _opened(id_, chosen, paths), usable) for id_ in chosen]
    items = tuple(place.item(position, learner.calibration) for position, place in enumerate(places, start=1))
    missing = [gap.skill for gap in learner.gaps if gap.gap]
    taught = {skill for path in paths.values() for id_ in path for skill in usable[id_].skills}
    listed = {skill for id_ in chosen for skill in usable[id_].skills}
    basis = Basis(
        neighbours=sum(bool(each.reactions) for each, _ in learner.neighbours),
        calibrated_on=learner.calibration.reactions,
        untaught=tuple(skill for skill in missing if skill not in taught),
        left=tuple(skill for skill in missing if skill in taught - listed),
        reactions=learner.affinities.others if view.weights["affinity"] else 0,
    )
    about = summary(role, learner.gaps, items, basis)
    return Blend(items=items, weights=view.weights, summary=about, calibrated_on=learner.calibration.reactions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A learner's data for the ranking: gap, fitting level and share of the need by skill; evidence by credential.

    `reactions` has the neighbours' reactions to each credential with their nearness.
    """

    gaps: Mapping[str, SkillGap]
    starts: Mapping[str, int]
    needs: Mapping[str, float]
    similarity: Mapping[UUID, float]
    reactions: Mapping[UUID, Sequence[tuple[Decimal, float]]]
    affinities: Mapping[UUID, float]
    weights: Mapping[str, float]

    def leads_on(self, credential: Credential) -> bool:
        """Return whether the credential covers a gap or, for a reached target, teaches a level above the shown one."""
        return bool(self._taught(credential))

    def is_shown(self, credential: Credential) -> bool:
        """Return whether the learner has shown a level above the credential's in each of its skills."""
        level = LEVELS.index(credential.level)
        return bool(credential.skills) and all(level < self.starts.get(skill, 0) for skill in credential.skills)

    def _taught(self, credential: Credential) -> list[str]:
        """Return the skills in which the credential helps the learner, greatest need first."""
        level = LEVELS.index(credential.level)
        needed = [skill for skill in credential.skills if self.needs.get(skill)]
        taught = {skill for skill in needed if self.gaps[skill].gap or level >= self.starts[skill]}
        return sorted(taught, key=lambda skill: (-self.needs[skill], skill))

    def rank(self, credential: Credential) -> Ranked:
        skills = self._taught(credential)
        cosine = self.similarity.get(credential.id)
        reacted = self.reactions.get(credential.id, ())
        features = {
            "gap_coverage": min(1.0, fsum(self.needs[skill] for skill in skills)),
            "similarity": _spread(cosine),
            "level_fit": self._level_fit(credential, skills),
            "neighbours": _shrunk(reacted),
            "affinity": self.affinities.get(credential.id, 0.0),
        }
        return Ranked(
            credential=credential,
            gaps=tuple(self.gaps[s] for s in skills),
            features={name: round(value, 6) for name, value in features.items()},
            score=round(fsum(self.weights[name] * value for name, value in features.items()), 6),
            similarity=cosine,
            reactions=tuple(reaction for reaction, _ in reacted),
        )

    def _level_fit(self, credential: Credential, skills: Sequence[str]) -> float:
        """Return 1 if the level fits the learner in the skills, weighted by need.

        Each level of difference halves the fit, and so does each level beyond the target's level.
        """
        level = LEVELS.index(credential.level)
        total = fsum(self.needs[skill] for skill in skills)
        return fsum(self.needs[skill] * self._one_level_fit(level, skill) for skill in skills) / total if total else 0.0

    def _one_level_fit(self, level: int, skill: str) -> float:
        gap = self.gaps[skill]
        beyond = max(0, level - _level_of(gap.target)) if gap.gap else 0
        return LEVEL_STEP ** (abs(level - self.starts[skill]) + beyond)


def _view(learner: Learner, traces: Iterable[Trace]) -> _View:
    similarity: dict[UUID, float] = {}
    for trace in traces:
        similarity[trace.credential_id] = max(trace.similarity, similarity.get(trace.credential_id, -1.0))
    return _View(
        gaps={gap.skill: gap for gap in learner.gaps},
        starts={gap.skill: _start(gap) for gap in learner.gaps},
        needs=_needs(learner.gaps),
        similarity=similarity,
        reactions=_reactions(learner.neighbours),
        affinities=learner.affinities.scores,
        weights=_weights(learner),
    )


def _reactions(neighbours: Sequence[tuple[Neighbour, float]]) -> Mapping[UUID, list[tuple[Decimal, float]]]:
    """Return the reactions to each credential with the nearness of the neighbour, in the neighbours' order."""
    found: dict[UUID, list[tuple[Decimal, float]]] = {}
    for neighbour, nearness in neighbours:
        for credential_id, reaction in neighbour.reactions.items():
            found.setdefault(credential_id, []).append((reaction, nearness))
    return found


def _needs(gaps: Sequence[SkillGap]) -> dict[str, float]:
    """Return each skill's share of the total need or, if all targets are reached, of the total importance."""
    stretch = not any(gap.gap for gap in gaps)
    parts = {gap.skill: float(gap.importance if stretch else gap.need) for gap in gaps}
    total = fsum(parts.values())
    return {skill: part / total for skill, part in parts.items()} if total else {}


def _weights(learner: Learner) -> dict[str, float]:
    """Return the weights. Those of neighbours and affinity grow with the evidence; the others share the rest."""
    near = fsum(nearness for neighbour, nearness in learner.neighbours if neighbour.reactions)
    likes, others = learner.affinities.own + PRIOR_LIKES, learner.affinities.others
    by_scores = WEIGHTS["neighbours"] * near / (near + NEIGHBOURS_HALF)
    by_likes = WEIGHTS["affinity"] * likes / (likes + LIKES_HALF) * others / (others + REACTIONS_HALF)
    grown = {"neighbours": by_scores, "affinity": by_likes * (1 - by_scores)}
    rest = (1 - fsum(grown.values())) / fsum(weight for name, weight in WEIGHTS.items() if name not in grown)
    return {name: round(grown.get(name, weight * rest), 6) for name, weight in WEIGHTS.items()}


def _spread(cosine: float | None) -> float:
    """Scale a cosine to 0..1 between unrelated and closely matching. None (not found) gives 0."""
    low, high = SIMILARITY_RANGE
    return 0.0 if cosine is None else min(1.0, max(0.0, (cosine - low) / (high - low)))


def _start(gap: SkillGap) -> int:
    """Return the level that fits the learner's score, or the next level if the target is reached."""
    reached = gap.score is not None and not gap.gap
    return min(_level_of(gap.score) + reached, len(LEVELS) - 1)


def _level_of(score: Decimal | None) -> int:
    """Return the level that fits a score. Without a score it is the lowest level."""
    return sum((score or Decimal(0)) >= bound for bound in LEVEL_BOUNDS)


def _shrunk(reactions: Sequence[tuple[Decimal, float]]) -> float:
    """Return the mean reaction (0..1) weighted by nearness, shrunk towards the middle if there are few reactions."""
    weight = fsum(nearness for _, nearness in reactions)
    liked = fsum(float(reaction - 1) / 4 * nearness for reaction, nearness in reactions)
    return (liked + PRIOR_STRENGTH * PRIOR_REACTION) / (weight + PRIOR_STRENGTH)


def _path(id_: UUID, usable: Mapping[UUID, Credential], passed: Collection[UUID]) -> tuple[UUID, ...]:
    """Return the credential preceded by the prerequisites that the learner lacks.

    The path is empty if a prerequisite is not available or the prerequisites form a cycle. `passed` are credentials
    that the learner holds or whose content the learner has shown.
    """
    path: list[UUID] = []
    under_way: set[UUID] = set()

    def add(step: UUID) -> bool:
        if step in path or (step in passed and step != id_):
            return True
        if step in under_way or step not in usable:
            return False
        under_way.add(step)
        if not all(add(earlier) for earlier in sorted(usable[step].prerequisites)):
            return False
        path.append(step)
        return True

    return tuple(path) if add(id_) else ()


@dataclass(slots=True)
class _Candidate:
    """A path that may still be chosen: its end, the steps that are not chosen, and the end's likeness to the list.

    `merit` is kept, because most choices change the merit of few candidates.
    """

    end: Ranked
    steps: tuple[Ranked, ...]
    alike: float = 0.0
    merit: float = field(init=False)

    def __post_init__(self) -> None:
        self.merit = _merit(self.steps, self.alike)

    def after(self, added: Sequence[Ranked]) -> None:
        """Note that the steps were chosen. Each credential has one `Ranked`, so identity is compared, which is fast."""
        alike = max(_likeness(self.end.credential, step.credential) for step in added)
        if alike > self.alike or len(self.steps) > 1:
            self.alike = max(alike, self.alike)
            self.steps = tuple(step for step in self.steps if all(step is not other for other in added))
            self.merit = _merit(self.steps, self.alike)


def _choose(paths: Mapping[UUID, tuple[UUID, ...]], ranked: Mapping[UUID, Ranked], at_most: int) -> list[UUID]:
    """Choose by maximal marginal relevance over whole paths. A path that no longer fits into the list is skipped.

    The merit of a path is the mean of its steps that are not chosen yet, because each step takes a place.
    """
    chosen: list[UUID] = []
    left = [
        _Candidate(ranked[id_], tuple(ranked[step] for step in paths[id_]))
        for id_ in sorted(paths, key=lambda id_: _tie_break(ranked[id_]))
    ]
    while fitting := [each for each in left if len(each.steps) <= at_most - len(chosen)]:
        added = max(fitting, key=attrgetter("merit")).steps  # the first of equals
        chosen += [step.credential.id for step in added]
        left = [each for each in left if all(each.end is not step for step in added)]
        for each in left:
            each.after(added)
    return chosen


def _choose_for_all(
    paths: Mapping[UUID, tuple[UUID, ...]], ranked: Mapping[UUID, Ranked], at_most: int, missing: Sequence[str]
) -> list[UUID]:
    """Choose as `_choose`, and ensure that the list covers the first of the `missing` skills that has a path.

    If the choice does not cover it, the best path for the skill takes the last places.
    """
    chosen = _choose(paths, ranked, at_most)
    fitting = {id_: path for id_, path in paths.items() if len(path) <= at_most}
    for skill in missing:
        teaching = [id_ for id_ in fitting if skill in ranked[id_].credential.skills]
        if not teaching:
            continue
        if any(skill in ranked[id_].credential.skills for id_ in chosen):
            return chosen
        best = fitting[
            min(teaching, key=lambda id_: (-_merit([ranked[step] for step in fitting[id_]]), _tie_break(ranked[id_])))
        ]
        first = _choose(paths, ranked, at_most - len(best))
        return first + [step for step in best if step not in first]
    return chosen


def _merit(steps: Sequence[Ranked], alike: float = 0.0) -> float:
    """Return the merit of the steps. `alike` is the highest likeness of the path's end with a chosen credential."""
    worth = fsum(step.score for step in steps) / len(steps)
    return round(RELEVANCE * worth - (1 - RELEVANCE) * alike, 9)


def _tie_break(ranked: Ranked) -> tuple[float, ...]:
    """Return what orders credentials of equal merit: the similarity without limits, all features, and last the id."""
    cosine = -1.0 if ranked.similarity is None else ranked.similarity
    return (-cosine, *(-value for value in ranked.features.values()), ranked.credential.id.int)


def _likeness(one: Credential, other: Credential) -> float:
    """Return the Jaccard similarity of the skills, reduced for different levels."""
    overlap = _overlap(one.skills, other.skills)
    return overlap if one.level is other.level else overlap * OTHER_LEVEL


@lru_cache(maxsize=4_096)
def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    mine, theirs = set(one), set(other)
    return len(mine & theirs) / len(mine | theirs) if mine | theirs else 1.0


def _opened(id_: UUID, chosen: Sequence[UUID], paths: Mapping[UUID, tuple[UUID, ...]]) -> tuple[UUID, ...]:
    """Return the chosen credentials, found by the search, that have the credential on their path."""
    return tuple(later for later in chosen if later != id_ and id_ in paths.get(later, ()))


@dataclass(frozen=True, slots=True)
class _Place:
    """A chosen credential and the credentials that require it."""

    ranked: Ranked
    opens: tuple[UUID, ...]
    credentials: Mapping[UUID, Credential]

    def item(self, position: int, calibration: Calibration) -> RecommendedItem:
        credential = self.ranked.credential
        titles = [self.credentials[id_].title for id_ in self.opens]
        return RecommendedItem(
            credential_id=credential.id,
            title=credential.title,
            position=position,
            confidence=round(min(1.0, max(0.0, calibration.chance(self.ranked.score))), 3),
            rationale=rationale(self.ranked, opens=titles),
            skills=credential.skills,
            features=self.ranked.features,
            evidence=self.opens if self.ranked.similarity is None else (credential.id,),
        )
