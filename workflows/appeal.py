"""The workflow of an appeal, from its opening to its answer."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from activities.follow_appeal import FollowAppeal, Followed, FollowInput
    from domain.appeals import Appeal, AppealState
    from workflows.engine import search_attributes
    from workflows.policies import activity_options, versioning
    from workflows.progress import TIME


class Waiting(StrEnum):
    """How long an open appeal has waited, as the search attribute AppealState shows it."""

    OPEN = "open"
    REMINDED = "reminded"
    OVERDUE = "overdue"


_ACTIONS: Final = {
    Waiting.OPEN: "none, waiting for an advisor.",
    Waiting.REMINDED: "ask an advisor of the organization to answer the appeal.",
    Waiting.OVERDUE: "ask an admin of the organization to answer the appeal. The run waits without a limit.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealInput:
    """The times are the database's. A run that starts late records at once what is due."""

    appeal_id: UUID
    assessment_id: UUID
    reminder_due_at: datetime
    answer_due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealResult:
    state: AppealState
    overdue: bool


@workflow.defn(versioning_behavior=versioning("AppealWorkflow"))
class AppealWorkflow:
    """Reminds of an open appeal, marks it as overdue, and ends with its answer or withdrawal.

    Id: `appeal-{appeal_id}`; reuse policy ALLOW_DUPLICATE, conflict policy USE_EXISTING, because Postgres decides.
    Signals: `closed` checks now whether the appeal is closed.
    Queries, updates: none.
    End: when Postgres says that the appeal is closed. The run fails if the appeal does not exist.
    """

    @workflow.init
    def __init__(self, appeal: AppealInput) -> None:
        self._appeal = appeal
        self._closed = False

    @workflow.run
    async def run(self, appeal: AppealInput) -> AppealResult:
        self._show(Waiting.OPEN)
        wait: timedelta | None = max(appeal.reminder_due_at - workflow.now(), timedelta())
        summary = "Until the reminder"
        while True:
            await self._wait(wait, summary)
            self._closed = False  # reset before the check, so that a later signal wakes this loop again
            followed = await self._follow()
            if followed.state is not AppealState.OPEN:
                return self._end(followed)
            waiting = self._waiting(followed)
            self._show(waiting)
            wait = None if followed.wait_s is None else timedelta(seconds=followed.wait_s)
            summary = "Until the reminder" if waiting is Waiting.OPEN else "Until the appeal is overdue"

    @workflow.signal
    def closed(self) -> None:
        self._closed = True

    async def _wait(self, wait: timedelta | None, summary: str) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._closed, timeout=wait, timeout_summary=summary)

    async def _follow(self) -> Followed:
        return await workflow.execute_activity_method(
            FollowAppeal.follow_appeal,
            FollowInput(appeal_id=self._appeal.appeal_id),
            **activity_options("follow_appeal", "Record a reminder, an overdue appeal, or the end"),
        )

    def _waiting(self, followed: Followed) -> Waiting:
        if followed.overdue:
            return Waiting.OVERDUE
        early = workflow.now() < self._appeal.reminder_due_at
        # Older builds show a reminder after any signal. Runs without an early signal do not record the patch.
        return Waiting.OPEN if early and workflow.patched("show-no-reminder-before-it-is-due") else Waiting.REMINDED

    def _end(self, followed: Followed) -> AppealResult:
        workflow.set_current_details(f"Appeal {followed.state}.\n\nAction: none.")
        workflow.upsert_search_attributes([search_attributes.APPEAL_STATE.value_set(followed.state)])
        return AppealResult(state=followed.state, overdue=followed.overdue)

    def _show(self, waiting: Waiting) -> None:
        appeal = self._appeal
        done = (Waiting.OPEN, Waiting.REMINDED, Waiting.OVERDUE).index(waiting)
        boxes = (
            f"- [{'x' if done >= 1 else ' '}] reminder: {appeal.reminder_due_at:{TIME}}",
            f"- [{'x' if done >= 2 else ' '}] overdue: {appeal.answer_due_at:{TIME}}",  # noqa: PLR2004  # the last step
        )
        workflow.set_current_details(
            "\n".join([*boxes, f"\nAssessment {appeal.assessment_id}", f"\nAction: {_ACTIONS[waiting]}"])
        )
        if waiting is not Waiting.OPEN:
            workflow.upsert_search_attributes([search_attributes.APPEAL_STATE.value_set(waiting)])


def workflow_id(appeal_id: UUID) -> str:
    return f"appeal-{appeal_id}"


def summary(appeal: Appeal) -> str:
    return f"Appeal {appeal.id} of assessment {appeal.assessment_id}"


def attributes(appeal: Appeal) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(search_attributes.APPEAL_STATE, str(appeal.state)),
            SearchAttributePair(search_attributes.ORGANIZATION_ID, str(appeal.organization_id)),
            SearchAttributePair(search_attributes.ROLE_ID, str(appeal.role_id)),
            SearchAttributePair(search_attributes.STUDENT_ID, str(appeal.user_id)),
        ]
    )
