"""The steps that every revision of a result ends with, and how a failure is told."""

from collections.abc import Callable
from typing import Any, Final

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.blend_recommendations import BlendRecommendations
    from activities.publish_result import PublishResult
    from activities.retrieve_evidence import EvidenceResult, RetrieveEvidence
    from activities.steps import RunInput
    from domain.assessments.results import Publication
    from workflows.deliveries import start_deliveries
    from workflows.engine import search_attributes
    from workflows.policies import activity_options
    from workflows.progress import Stage

UNRECORDED: Final = frozenset({"NotFound", "Erased", "Conflict"})
"""Failures of a run that its assessment does not bear: it is not there, its person is being erased, or it stands
elsewhere than the run takes it to, as after a restore of Postgres. What it says then gets a run of its own."""


async def retrieve(run: RunInput) -> EvidenceResult:
    return await workflow.execute_activity_method(
        RetrieveEvidence.retrieve_evidence,
        run,
        **activity_options("retrieve_evidence", "Search the catalogue for every skill gap"),
    )


async def recommend_and_publish(run: RunInput, show: Callable[[Stage], None]) -> Publication:
    """Ranks what was retrieved, publishes the revision and has partners told."""
    show(Stage.RECOMMENDING)
    await workflow.execute_activity_method(
        BlendRecommendations.blend_recommendations,
        run,
        **activity_options("blend_recommendations", "Rank what was found"),
    )
    show(Stage.PUBLISHING)
    publication = await workflow.execute_activity_method(
        PublishResult.publish_result, run, **activity_options("publish_result", f"Publish revision {run.revision}")
    )
    workflow.upsert_search_attributes(_attributes(publication))
    await start_deliveries(publication.deliveries)
    return publication


def reason_of(error: ActivityError) -> str:
    """The type of what an activity failed with: a short code."""
    cause = error.cause
    return cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__


def describe_failure(error: ActivityError) -> str:
    """Which step failed, of what type, and the cause's own words, which hold nothing of the data."""
    return f"{error.activity_type}: {error.cause or error}"


def failure_message(error: ActivityError, again: str) -> str:
    """The last words of a run that failed; `again` is what runs it anew, where that is of use."""
    words = "Nothing is to be done in this run" if reason_of(error) in UNRECORDED else f"Mend the cause, then {again}"
    return f"{describe_failure(error)}. {words}."


def _attributes(publication: Publication) -> list[SearchAttributeUpdate[Any]]:
    return [
        search_attributes.DEGRADED.value_set(bool(publication.degraded_reasons)),
        search_attributes.NEEDS_REVIEW.value_set(publication.needs_review),
    ]
