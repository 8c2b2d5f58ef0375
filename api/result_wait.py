"""Wait for the result of an assessment, at most as long as the client prefers."""

from uuid import UUID

from api.dependencies import Services
from api.preferences import WaitPreference
from domain.assessments.lifecycle import AssessmentStatus
from persistence.queries.views import AccessScope, PublishedView


async def read_when_ready(
    assessment_id: UUID, scope: AccessScope, services: Services, preference: WaitPreference
) -> PublishedView | None:
    """Return the result as the viewer may see it, after a wait if it is being prepared and the client prefers to wait.

    A request that waits holds no database connection. None: the assessment is outside the viewer's scope.
    """

    async def read() -> PublishedView | None:
        return await services.queries.published(assessment_id, scope)

    if not preference.seconds:
        return await read()
    with preference.slot() as may_wait:
        preference.applied = may_wait
        return await services.pages.streams.read_until(
            assessment_id,
            read,
            _is_final,
            seconds=preference.seconds if may_wait else 0,
            disconnected=preference.disconnected,
        )


def _is_final(view: PublishedView | None) -> bool:
    """Return whether waiting is useless: there is a result, it waits for a person, or none is being prepared."""
    return view is None or view.in_review or view.document is not None or view.status != AssessmentStatus.AWAITING_ASYNC
