"""Rank the retrieved credentials by skill gap, similarity, level and the reactions of earlier learners; publish."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from temporalio import activity

from activities.other_learners import OtherLearnersReader
from activities.publish_result import Ranked, publish_run
from activities.steps import RunInput, run_step, run_storing_step
from domain.assessments.results import Publication
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import Conflict
from domain.recommending.calibration import LIKED
from domain.recommending.ports import NearestLearners
from domain.recommending.ranking import AffinityEvidence, Learner, recommend
from domain.recommending.recommendations import (
    Blend,
    EarlierLearners,
    Evidence,
    Neighbour,
    OtherLearners,
    Preferences,
)
from domain.recommending.skills import SkillGap

NEIGHBOURS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationInput:
    """The run whose result is ranked and published."""

    run: RunInput


BlendInput: TypeAlias = RunInput | PublicationInput
"""A `RunInput` is of a run that an earlier build started; its workflow publishes with `publish_result`.

Such a build cannot read a `PublicationInput`. Its workers fail to decode it, so Temporal retries until a worker of this
build gets the activity.
"""


class BlendRecommendations:
    def __init__(self, database: Database, nearest: NearestLearners) -> None:
        self._database = database
        self._nearest = nearest
        self.others = OtherLearnersReader(database)

    @activity.defn
    async def blend_recommendations(self, wanted: BlendInput) -> int | Publication:
        """Rank and publish; a repeated call returns the first publication. The ranking is stored with the result only.

        For a `RunInput`, only rank, and return how many credentials are recommended.
        """
        if isinstance(wanted, PublicationInput):
            return await self._rank_and_publish(wanted.run)

        async def work() -> Blend:
            return (await self._rank(wanted)).blend

        return len((await run_step(self._database, wanted.job(Step.BLEND_RECOMMENDATIONS), Blend, work)).items)

    async def _rank_and_publish(self, run: RunInput) -> Publication:
        key = run.job(Step.PUBLISH_RESULT)

        async def work() -> Publication:
            try:
                ranked = await self._rank(run)
            except Conflict:
                # An earlier attempt timed out but published the result, which deletes the evidence.
                async with self._database.statement() as uow:
                    published = await uow.jobs.outputs([key], Publication)
                if key not in published:
                    raise
                return published[key]
            return await publish_run(self._database, run, ranked)

        return await run_storing_step(self._database, key, Publication, work)

    async def _rank(self, run: RunInput) -> Ranked:
        async with self._database.statement() as uow:
            evidence = await uow.jobs.output(run.job(Step.RETRIEVE_EVIDENCE), Evidence)
            context = await uow.catalog.learner(run.assessment_id)
            user_id = context.assessment.user_id
            preferences = (await uow.catalog.preferences([user_id]))[user_id]
            credentials = await uow.catalog.with_prerequisites([trace.credential_id for trace in evidence.traces])
        skills = frozenset(gap.skill for gap in evidence.gaps)
        everybody = await self.others.everybody(context.assessment.organization_id, context.role.id, skills)
        learner = await self.learner(evidence.gaps, preferences, everybody.without(user_id), {})
        return Ranked(evidence=evidence, blend=recommend(context.role, learner, evidence.traces, credentials))

    async def learner(
        self,
        gaps: tuple[SkillGap, ...],
        preferences: Preferences,
        others: OtherLearners,
        known: dict[UUID, Mapping[UUID, Decimal]],
    ) -> Learner:
        """Return the learner to rank for.

        Reactions of neighbours in `known` are not read again, and those that are read are added to it.
        """
        return Learner(
            gaps=gaps,
            held=preferences.held,
            neighbours=await self._neighbours(gaps, others.earlier, known),
            affinities=AffinityEvidence(
                scores=await self._nearest.affinities(preferences.own, others.reactions),
                own=sum(rating >= LIKED for _, rating in preferences.own),
                others=len(others.reactions.learners),
            ),
            calibration=others.calibration,
        )

    async def _neighbours(
        self, gaps: tuple[SkillGap, ...], earlier: EarlierLearners, known: dict[UUID, Mapping[UUID, Decimal]]
    ) -> tuple[tuple[Neighbour, float], ...]:
        """Return the nearest learners, nearest first, with their reactions to their recommendations."""
        if not earlier.ids:
            return ()
        nearest = await self._nearest.nearest({gap.skill: gap.score for gap in gaps}, earlier, NEIGHBOURS)
        if unknown := [learner for learner, _ in nearest if learner not in known]:
            async with self._database.statement() as uow:
                reactions = await uow.catalog.reactions(unknown)
            known.update({learner: reactions.get(learner, {}) for learner in unknown})
        return tuple((Neighbour(id=learner, reactions=known[learner]), nearness) for learner, nearness in nearest)
