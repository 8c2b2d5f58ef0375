"""Calls to the workflow engine after a use case is committed. REST routes and pages make the same ones.

`api.workflow_engine.notify_all` makes them. A failed call is repeated by reconciliation.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

from api.dependencies import Services
from api.services.appeals import AppealReceipt
from api.services.releases import ReleaseReceipt
from api.workflow_engine import follow_appeal, notify_engine
from domain.account_links import LinkMail
from domain.assessments.lifecycle import Assessment
from domain.rescores.rescores import Rescore

Calls: TypeAlias = Sequence[Callable[[], Awaitable[bool]]]


def calls_after_release(receipt: ReleaseReceipt, services: Services) -> Calls:
    """Return the calls that send the events of a release."""
    return [partial(notify_engine, services.webhooks.runs.start, each) for each in receipt.deliveries]


def calls_after_retry(assessment: Assessment, services: Services) -> Calls:
    """Return the call that grades the degraded parts of a result now."""
    return [partial(notify_engine, services.runs.heal_now, assessment)]


def calls_after_rerun(rerun: Sequence[Assessment], services: Services) -> Calls:
    """Return the calls that start the next runs of failed assessments."""
    return [partial(notify_engine, services.runs.submit, each) for each in rerun]


def calls_after_review(assessment: Assessment, services: Services) -> Calls:
    """Return the call that publishes a review."""
    return [partial(notify_engine, services.runs.reviewed, assessment)]


def calls_after_appeal(receipt: AppealReceipt, services: Services) -> Calls:
    """Return the calls that start or end the appeal's run, send its events and publish its review."""
    follow = partial(follow_appeal, services.appeals.runs)
    events = [partial(notify_engine, services.webhooks.runs.start, each) for each in receipt.deliveries]
    reviews = [] if receipt.reviewed is None else calls_after_review(receipt.reviewed, services)
    return [partial(notify_engine, follow, receipt.appeal), *events, *reviews]


def calls_after_rescore(rescore: Rescore, services: Services) -> Calls:
    """Return the call that starts the run of a re-score, or makes the live run read the request."""
    return [partial(notify_engine, services.rescores.runs.start, rescore)]


def calls_after_link(mail: LinkMail | None, services: Services) -> Calls:
    """Return the call that starts the run of a link's mail; none if the link is not mailed."""
    return [] if mail is None else [partial(notify_engine, services.people.link_runs.start, mail)]
