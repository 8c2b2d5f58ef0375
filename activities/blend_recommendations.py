"""Rank the retrieved credentials by skill gap, similarity, level and the reactions of earlier learners."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

from temporalio import activity

from activities.steps import RunInput, run_step
from domain.assessments.steps import Step
from domain.database import Database, Repositories
from domain.recommending.calibration import LIKED, UNCALIBRATED, calibrate
from domain.recommending.ports import NearestLearners
from domain.recommending.ranking import AffinityEvidence, Learner, recommend
from domain.recommending.recommendations import Blend, EarlierLearners, Evidence, Neighbour, Taste
from domain.recommending.roles import Credential

NEIGHBOURS = 50


class BlendRecommendations:
    def __init__(self, database: Database, nearest: NearestLearners) -> None:
        self._database = database
        self._nearest = nearest

    @activity.defn
    async def blend_recommendations(self, run: RunInput) -> int:
        """Return how many credentials are recommended."""

        async def work() -> Blend:
            return await self._blend(run)

        return len((await run_step(self._database, run.job(Step.BLEND_RECOMMENDATIONS), Blend, work)).items)

    async def _blend(self, run: RunInput) -> Blend:
        async with self._database.statement() as uow:
            evidence = await uow.jobs.output(run.job(Step.RETRIEVE_EVIDENCE), Evidence)
            assessment = await uow.assessments.get(run.assessment_id)
            role = await uow.catalog.role(assessment.role_id)
            taste = await uow.catalog.taste(assessment)
            credentials = await with_prerequisites(uow, {trace.credential_id for trace in evidence.traces})
            profile = {gap.skill: gap.score for gap in evidence.gaps}
            earlier = await uow.catalog.earlier_learners(assessment, list(profile))
            calibration = calibrate(await uow.catalog.tallies(assessment)) if earlier.ids else UNCALIBRATED
        neighbours = await self.neighbours(profile, earlier) if earlier.ids else ()
        affinities = await self.affinities(taste)
        learner = Learner(
            gaps=evidence.gaps, held=taste.held, neighbours=neighbours, affinities=affinities, calibration=calibration
        )
        return recommend(role, learner, evidence.traces, credentials)

    async def affinities(self, taste: Taste) -> AffinityEvidence:
        """Return how well credentials suit the learner's reactions, and the number of reactions behind it."""
        return AffinityEvidence(
            scores=await self._nearest.affinities(taste),
            own=sum(rating >= LIKED for _, rating in taste.own),
            others=len(taste.others.learners),
        )

    async def neighbours(
        self, profile: Mapping[str, Decimal | None], earlier: EarlierLearners
    ) -> tuple[tuple[Neighbour, float], ...]:
        """Return the nearest learners, nearest first, with their reactions to their recommendations."""
        nearest = await self._nearest.nearest(profile, earlier, NEIGHBOURS)
        async with self._database.statement() as uow:
            reactions = await uow.catalog.reactions([learner for learner, _ in nearest])
        return tuple(
            (Neighbour(id=learner, reactions=reactions.get(learner, {})), nearness) for learner, nearness in nearest
        )


async def with_prerequisites(uow: Repositories, wanted: Iterable[UUID]) -> dict[UUID, Credential]:
    """Return the active credentials among `wanted` and all their prerequisites, with one query per level."""
    found: dict[UUID, Credential] = {}
    asked = set[UUID]()
    missing = set(wanted)
    while missing:
        asked |= missing
        found |= await uow.catalog.credentials(sorted(missing))
        missing = {step for credential in found.values() for step in credential.prerequisites} - asked
    return found
