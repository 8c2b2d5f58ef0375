"""The last steps of every revision of a result, and the texts that describe failures."""

from collections.abc import Callable
from typing import Any, Final

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.blend_recommendations import BlendRecommendations, PublicationInput
    from activities.publish_result import PublishResult
    from activities.retrieve_evidence import EvidenceResult, RetrieveEvidence
    from activities.steps import RunInput
    from domain.assessments.results import Publication
    from workflows.deliveries import start_deliveries
    from workflows.engine import search_attributes
    from workflows.policies import activity_options
    from workflows.progress import Stage

UNRECORDED: Final = frozenset({"NotFound", "Erased", "Conflict"})
"""Failures that must not mark the assessment as failed: it does not exist, its user is being erased, or its state no
longer matches this run (for example after a restore). Reconciliation starts a new run where one is needed."""

ROWLESS: Final = frozenset({"NotFound", "Erased"})
"""Failures of `UNRECORDED` after which the assessment has no status that may be read."""


FEWER_STEPS: Final = "claim-with-the-rules-and-publish-with-the-ranking"
"""The id of the patch. `score_rules` also claims the run, and `blend_recommendations` also publishes the result."""


async def retrieve(run: RunInput) -> EvidenceResult:
    return await workflow.execute_activity_method(
        RetrieveEvidence.retrieve_evidence,
        run,
        **activity_options("retrieve_evidence", "Search the catalogue for every skill gap"),
    )


async def recommend_and_publish(run: RunInput, show: Callable[[Stage], None], *, fewer_steps: bool) -> Publication:
    """Rank the retrieved credentials, publish the revision and start its webhook deliveries.

    Without `fewer_steps`, which is the result of the patch, do what older builds do.
    """
    show(Stage.RECOMMENDING)
    if not fewer_steps:
        return await _recommend_then_publish(run, show)
    publication: Publication = await workflow.execute_activity(
        "blend_recommendations",
        PublicationInput(run=run),
        result_type=Publication,
        **activity_options("blend_recommendations", f"Rank the credentials and publish revision {run.revision}"),
    )
    await start_deliveries(publication.deliveries)
    return publication


async def _recommend_then_publish(run: RunInput, show: Callable[[Stage], None]) -> Publication:
    await workflow.execute_activity_method(
        BlendRecommendations.blend_recommendations,
        run,
        **activity_options("blend_recommendations", "Rank the credentials that were found"),
    )
    show(Stage.PUBLISHING)
    publication = await workflow.execute_activity_method(
        PublishResult.publish_result, run, **activity_options("publish_result", f"Publish revision {run.revision}")
    )
    workflow.upsert_search_attributes(attributes_of(publication))
    await start_deliveries(publication.deliveries)
    return publication


def reason_of(error: ActivityError) -> str:
    """The error type of an activity's failure, a short code."""
    cause = error.cause
    return cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__


def describe_failure(error: ActivityError) -> str:
    """The activity type, the error type and the message. `activities.failures` keeps data out of messages."""
    return f"{error.activity_type}: {error.cause or error}"


def failure_message(error: ActivityError, retry: str) -> str:
    """The failure of a run for operators: cause and action. `retry` is the request that starts the work again."""
    action = "none for this run" if reason_of(error) in UNRECORDED else f"fix the cause, then {retry}"
    return f"{describe_failure(error)}. Action: {action}."


def attributes_of(publication: Publication) -> list[SearchAttributeUpdate[Any]]:
    """The search attributes of a publication, without pending reviews: a closed run could not reset that value."""
    return [search_attributes.DEGRADED.value_set(bool(publication.degraded_reasons))]
