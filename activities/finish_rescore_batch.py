"""Finish a batch of a re-score: recommend again, and compare each result with the published one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from uuid import UUID

import structlog
from temporalio import activity

from activities.advance_rescore import BROKEN
from activities.blend_recommendations import BlendRecommendations
from activities.retrieve_evidence import RetrieveEvidence
from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.errors import CorruptData, InvalidInput
from domain.grading.scores import DegradedReason, EssayScore
from domain.recommending.ranking import recommend
from domain.recommending.recommendations import Blend, Evidence, OtherLearners, Preferences, Trace
from domain.recommending.roles import Credential, Role
from domain.recommending.skills import SkillGap, skill_gaps, skill_profile
from domain.rescores.comparison import PublishedResult, Rescored, Task, rescore
from domain.rescores.differences import Comparison, compare, incomparable, needs_recommendations, unchanged
from domain.rescores.rescores import Rescore, RescoreScope

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UngradedEssay:
    """An essay that could not be graded again, and why."""

    essay: UUID
    reason: DegradedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnd:
    """With `stop_reason`, the computation ends after this batch, and results with missing grades are left out."""

    rescore_id: UUID
    ungraded: tuple[UngradedEssay, ...] = ()
    stop_reason: DegradedReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the learners of a role share: the found texts by skill, and the credentials with their prerequisites.

    `everybody` are all earlier learners; `reactions` are those of neighbours that were read so far.
    """

    role: Role
    evidence: Evidence
    traces: Mapping[str, tuple[Trace, ...]]
    credentials: Mapping[UUID, Credential]
    everybody: OtherLearners
    reactions: dict[UUID, Mapping[UUID, Decimal]] = field(default_factory=dict)


class FinishRescoreBatch:
    def __init__(self, database: Database, retrieval: RetrieveEvidence, blend: BlendRecommendations) -> None:
        self._database = database
        self._retrieval = retrieval
        self._blend = blend

    @activity.defn
    async def finish_rescore_batch(self, end: BatchEnd) -> None:
        """Compare every pending result of the batch. A repeated call finishes only what is still pending."""
        async with self._database.statement() as uow:
            found = await uow.rescores.get(end.rescore_id)
            pending = await uow.rescores.pending(end.rescore_id)
            results = await uow.rescores.results([each.assessment_id for each in pending])
            current = await uow.rescores.questions(found)
            preferences = await uow.catalog.preferences([before.assessment.user_id for before in results])
        task = Task(scope=found.scope, current=current, question_id=found.question_id)
        reasons = {each.essay: each.reason.text for each in end.ungraded}
        graded = {each.assessment_id: _graded(each.graded, reasons) for each in pending}
        batch = _Batch(self._database, self._retrieval, self._blend, task, preferences)
        finished = [
            comparison
            for before in results
            if (comparison := await batch.comparison(before, graded[before.assessment.id])) is not None
        ]
        left = {each.assessment_id for each in pending} - {each.assessment_id for each in finished}
        gone = left - {before.assessment.id for before in results}  # the user is being erased
        await self._store(found, finished, left if end.stop_reason else gone, end.stop_reason)

    async def _store(
        self, found: Rescore, finished: Sequence[Comparison], dropped: set[UUID], stop: DegradedReason | None
    ) -> None:
        async with self._database.transaction() as uow:
            await uow.rescores.finish_batch(found, finished, sorted(dropped))
            if stop:
                await uow.rescores.end_computation(found.id, str(stop))
            await uow.commit()


class _Batch:
    """Compares the results of one batch. What its learners share is read once."""

    def __init__(
        self,
        database: Database,
        retrieval: RetrieveEvidence,
        blend: BlendRecommendations,
        task: Task,
        preferences: Mapping[UUID, Preferences],
    ) -> None:
        self._database = database
        self._retrieval = retrieval
        self._blend = blend
        self._task = task
        self._preferences = preferences
        self._roles: dict[UUID, _Shared] = {}

    async def comparison(self, before: PublishedResult, graded: Mapping[UUID, EssayScore | str]) -> Comparison | None:
        """Return the comparison, or None if the grade of an essay is missing."""
        await asyncio.sleep(0)  # let heartbeats and other activities run
        try:
            rescored = rescore(before, self._task, graded)
            return None if rescored.ungraded else await self._compared(before, rescored)
        except (CorruptData, InvalidInput) as error:
            log.warning("result_not_comparable", assessment_id=str(before.assessment.id), error=error.message)
            return incomparable(before, BROKEN)

    async def _compared(self, before: PublishedResult, rescored: Rescored) -> Comparison:
        profile = skill_profile(rescored.items, rescored.scores.rules, rescored.scores.essays)
        role = await self._role(before.assessment)
        gaps = skill_gaps(role, profile)
        always = self._task.scope is RescoreScope.RECOMMENDATIONS
        if not always and not needs_recommendations(before, rescored, gaps):
            return unchanged(before, self._task, rescored)
        shared = await self._shared(before.assessment, role, gaps)
        traces = tuple(trace for gap in gaps for trace in shared.traces.get(gap.skill, ()))
        evidence = replace(shared.evidence, gaps=gaps, traces=traces, reviews=rescored.scores.reviews)
        return compare(before, self._task, rescored, evidence, await self._recommended(before, evidence))

    async def _role(self, assessment: Assessment) -> Role:
        if assessment.role_id in self._roles:
            return self._roles[assessment.role_id].role
        async with self._database.statement() as uow:
            return await uow.catalog.role(assessment.role_id)

    async def _shared(self, assessment: Assessment, role: Role, gaps: tuple[SkillGap, ...]) -> _Shared:
        """Search once per role: the queries depend on its skills, and not on the learner's scores."""
        if role.id not in self._roles:
            evidence = await self._retrieval.evidence(gaps)
            async with self._database.statement() as uow:
                credentials = await uow.catalog.with_prerequisites([trace.credential_id for trace in evidence.traces])
            skills = frozenset(gap.skill for gap in gaps)
            self._roles[role.id] = _Shared(
                role=role,
                evidence=evidence,
                traces={
                    gap.skill: tuple(trace for trace in evidence.traces if trace.skill == gap.skill) for gap in gaps
                },
                credentials=credentials,
                everybody=await self._blend.others.everybody(assessment.organization_id, role.id, skills),
            )
        return self._roles[role.id]

    async def _recommended(self, before: PublishedResult, evidence: Evidence) -> Blend:
        shared = self._roles[before.assessment.role_id]
        user_id = before.assessment.user_id
        others = shared.everybody.without(user_id)
        learner = await self._blend.learner(evidence.gaps, self._preferences[user_id], others, shared.reactions)
        return recommend(shared.role, learner, evidence.traces, shared.credentials)


def _graded(scores: Sequence[EssayScore], reasons: Mapping[UUID, str]) -> dict[UUID, EssayScore | str]:
    """Return the new scores by essay, or the reasons why essays could not be graded."""
    graded: dict[UUID, EssayScore | str] = dict(reasons)
    return graded | {score.snapshot_id: score for score in scores}
