"""Insert appeals for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.appeals import Appeal
from domain.assessments.lifecycle import Assessment
from persistence.repositories.appeals import SqlAppeals
from persistence.tables import AppealRow, QuestionSnapshotRow
from tests.support.builders import an_assessment

COMPLETED: dict[str, Any] = {"status": "completed", "revision": 1, "completed_at": datetime.now(UTC)}


async def an_appeal(session: AsyncSession, assessment: Assessment | None = None, **columns: Any) -> Appeal:
    """Insert an open appeal of the first essay, by default of a new completed assessment. It is a minute old."""
    assessment = assessment or await an_assessment(session, **COMPLETED)
    essay = select(QuestionSnapshotRow.id).where(
        QuestionSnapshotRow.assessment_id == assessment.id, QuestionSnapshotRow.kind == "text"
    )
    created_at: datetime = columns.get("created_at", datetime.now(UTC) - timedelta(minutes=1))
    appeal_id = uuid4()
    values = {
        "assessment_id": assessment.id,
        "question_snapshot_id": await session.scalar(essay.order_by(QuestionSnapshotRow.position).limit(1)),
        "organization_id": assessment.organization_id,
        "user_id": assessment.user_id,
        "role_id": assessment.role_id,
        "revision": 1,
        "state": "open",
        "reason": "It names the check.",
        "reminder_due_at": created_at + timedelta(days=3),
        "answer_due_at": created_at + timedelta(days=7),
        "created_at": created_at,
        "updated_at": created_at,
    }
    await session.execute(insert(AppealRow).values(id=appeal_id, **(values | columns)))
    return await SqlAppeals(session).get(appeal_id)
