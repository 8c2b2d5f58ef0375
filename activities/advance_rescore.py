"""Do the next batch of a re-score's work, whatever its state in Postgres says is due."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity

from activities.apply_rescore import RescoreApplication
from domain.database import Database
from domain.errors import CorruptData, InvalidInput
from domain.recommending.roles import Role
from domain.recommending.skills import skill_gaps, skill_profile
from domain.rescores.comparison import PublishedResult, Rescored, Task, rescore
from domain.rescores.differences import Comparison, incomparable, needs_recommendations, unchanged
from domain.rescores.ports import UngradedAssessment
from domain.rescores.rescores import Rescore, RescoreScope, RescoreStatus

BATCH: Final = 100
"""Assessments per batch. Memory and history depend on it, and not on the number of assessments."""
ESSAY_BATCH: Final = 20
"""Assessments per batch if their essays are graded: each essay needs activities of its own."""
DELETED_AT_ONCE: Final = 500

BROKEN: Final = "The stored result is not valid. The worker's log names the assessment."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreKey:
    rescore_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayToRescore:
    """An essay to grade again. `epoch` is the epoch of its latest model answers, or 0."""

    rescore_id: UUID
    assessment_id: UUID
    essay: UUID
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreStep:
    """The state after a batch. `essays` must be graded and `unfinished` differences finished before the next batch."""

    status: RescoreStatus
    done: int = 0
    total: int = 0
    cents: Decimal = Decimal(0)
    essays: tuple[EssayToRescore, ...] = ()
    by_model: bool = False
    unfinished: int = 0


class AdvanceRescore:
    """With `by_model`, a language model grades essays, otherwise the local grader."""

    def __init__(self, database: Database, application: RescoreApplication, *, by_model: bool = False) -> None:
        self._database = database
        self._application = application
        self._by_model = by_model

    @activity.defn
    async def advance_rescore(self, key: RescoreKey) -> RescoreStep:
        """Compute, apply or delete the next batch. A repeated call continues after the last stored batch."""
        async with self._database.statement() as uow:
            found = await uow.rescores.get(key.rescore_id)
        match found.status:
            case RescoreStatus.QUEUED | RescoreStatus.COMPUTING:
                return await self._compute(found)
            case RescoreStatus.APPLYING:
                await self._application.apply_next(key.rescore_id)
            case RescoreStatus.DISCARDING:
                async with self._database.transaction() as uow:
                    await uow.rescores.delete_differences(key.rescore_id, limit=DELETED_AT_ONCE)
                    await uow.commit()
            case _:
                pass
        return await self._step(key.rescore_id)

    async def _compute(self, found: Rescore) -> RescoreStep:
        if found.status is RescoreStatus.QUEUED:
            async with self._database.statement() as uow:
                await uow.rescores.begin(found)
        async with self._database.statement() as uow:
            pending = await uow.rescores.pending(found.id)
        if not pending:
            await self._add_batch(found.id)
        return await self._step(found.id)

    async def _add_batch(self, rescore_id: UUID) -> None:
        """Score the next assessments, or end the computation if none is left."""
        async with self._database.statement() as uow:
            found = await uow.rescores.get(rescore_id)
            limit = ESSAY_BATCH if found.scope is RescoreScope.ESSAYS else BATCH
            results = await uow.rescores.next_results(found, limit)
            current = await uow.rescores.questions(found)
            roles = {each: await uow.catalog.role(each) for each in {r.assessment.role_id for r in results}}
        task = Task(scope=found.scope, current=current, question_id=found.question_id)
        finished: list[Comparison] = []
        pending: list[UngradedAssessment] = []
        for before in results:
            await asyncio.sleep(0)  # let heartbeats and other activities run
            match compared(before, task, roles[before.assessment.role_id]):
                case Comparison() as comparison:
                    finished.append(comparison)
                case rescored:
                    pending.append(_pending(before, rescored))
        async with self._database.transaction() as uow:
            if not results:
                await uow.rescores.end_computation(rescore_id)
            elif not await uow.rescores.add_batch(found, finished, pending):
                return  # another execution was faster, or the re-score was discarded
            await uow.commit()

    async def _step(self, rescore_id: UUID) -> RescoreStep:
        async with self._database.statement() as uow:
            found = await uow.rescores.get(rescore_id)
            computing = found.status is RescoreStatus.COMPUTING
            pending = await uow.rescores.pending(rescore_id) if computing else ()
            epochs = {
                each.assessment_id: await uow.model_answers.epochs(each.assessment_id)
                for each in pending
                if each.ungraded
            }
        return RescoreStep(
            status=found.status,
            done=found.done,
            total=found.total or 0,
            cents=found.cents,
            essays=tuple(
                EssayToRescore(
                    rescore_id=rescore_id,
                    assessment_id=each.assessment_id,
                    essay=essay,
                    epoch=epochs[each.assessment_id].get(essay, 0),
                )
                for each in pending
                for essay in each.ungraded
            ),
            by_model=self._by_model,
            unfinished=len(pending),
        )


def compared(before: PublishedResult, task: Task, role: Role) -> Comparison | Rescored:
    """Return the finished comparison, or the new scores if essays or recommendations are missing."""
    try:
        rescored = rescore(before, task)
        if rescored.ungraded or task.scope is RescoreScope.RECOMMENDATIONS:
            return rescored
        gaps = skill_gaps(role, skill_profile(rescored.items, rescored.scores.rules, rescored.scores.essays))
        if needs_recommendations(before, rescored, gaps):
            return rescored
        return unchanged(before, task, rescored)
    except (CorruptData, InvalidInput) as error:
        log.warning("result_not_comparable", assessment_id=str(before.assessment.id), error=error.message)
        return incomparable(before, BROKEN)


def _pending(before: PublishedResult, rescored: Rescored) -> UngradedAssessment:
    return UngradedAssessment(
        assessment_id=before.assessment.id,
        run=before.assessment.run,
        revision=before.assessment.revision,
        essays=rescored.ungraded,
    )
