"""Submit and expire an assessment. Requests and workflows do both."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.questions import Item
from domain.assessments.steps import submission_jobs
from domain.database import Repositories
from domain.webhooks.deliveries import Delivery


async def submit(
    repositories: Repositories,
    before: Assessment,
    after: Assessment,
    items: Sequence[Item],
    *,
    actor: UUID | None = None,
) -> None:
    """Store the transition to `awaiting_async` of a locked assessment and enqueue the jobs of its run.

    `actor` None is the system.

    Raises:
        Conflict: the stored row differs from `before`.
    """
    await repositories.assessments.save(before, after, actor=actor)
    await repositories.jobs.enqueue(submission_jobs(after, items))


async def expire(repositories: Repositories, before: Assessment) -> tuple[Assessment, tuple[Delivery, ...]]:
    """Submit a locked, expired assessment if it has an answer, and fail it otherwise.

    Returns:
        The assessment afterwards, and the pending deliveries of its failure event.
    """
    items = await repositories.assessments.items(before.id)
    after = before.expire(answered=is_answered(items))
    if after.status is AssessmentStatus.FAILED:
        return after, await repositories.results.fail(before, after)
    await submit(repositories, before, after, items)
    return after, ()


def is_answered(items: Iterable[Item]) -> bool:
    """Tell whether at least one question has an answer."""
    return any(item.answer is not None for item in items)
