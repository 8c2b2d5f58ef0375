"""What the Web UI says about a kind of run: what it does and what an operator may press.

Static details stay readable when no worker runs and after the run has closed; current details do neither.
"""

from typing import Final

_PENDING: Final = (
    "A step that fails is tried again by itself. *Pending Activities* shows its attempts, last failure and next retry; "
    "**Reset** there tries it at once."
)
_RUNBOOK: Final = "More: `docs/runbooks/async-processing.md`"


def _legend(*paragraphs: str) -> str:
    return "\n\n".join([*paragraphs, _RUNBOOK])


ASSESSMENT: Final = _legend(
    "One student's assessment, until its result is published. Student, role and organization are search attributes.",
    _PENDING,
    "- Signal `submit`: look now whether the answers are in or the time is over. It does no harm.",
    "- Failed: the failure says why. Mend that, then `POST /api/v1/assessments/{id}/rerun` as an admin.",
    "- Completed and degraded: `revision-{id}` improves it.",
)
REVISION: Final = _legend(
    "Later revisions of a published result: degraded parts are tried again, reviews are taken in.",
    _PENDING,
    "- Signal `retry_degraded`: the next attempt now.",
    "- Signal `reviewed`: look now for reviews to publish.",
    "- Failed: the published result stays. Mend what the failure names, then `POST /api/v1/assessments/{id}/retry`.",
)
DELIVERY: Final = _legend(
    "One event to one partner's endpoint: up to ten attempts in three days.",
    _PENDING,
    "- Signal `redeliver_now`: the next attempt now.",
    "- Signal `give_up`: a dead letter now, instead of the next attempt.",
    "- Failed with DeadLetter: the partner repairs the endpoint, then "
    "`POST /api/v1/webhooks/deliveries/{delivery_id}/redeliver`; for all since a time, "
    "`POST /api/v1/webhooks/endpoints/{endpoint_id}/recover`.",
)
CATALOG_EMBEDDING: Final = _legend(
    "Every text of the catalogue gets its vector, then the index is made equal to Postgres.",
    _PENDING,
    "- Signal `changed`: once more from the beginning when this round is through.",
    "- Failed: mend what the failure names, then Schedules, `catalog-embedding-weekly`, **Trigger**.",
)
RECONCILIATION: Final = _legend(
    "Starts what Postgres says should be running and is not. The result counts what was started.",
    "- Nothing to press. Failed: mend what the failure names; the next tick of the Schedule does the work.",
)
RETENTION: Final = _legend(
    "Deletes what is older than the settings allow. The result counts the rows by rule.",
    _PENDING,
    "- Failed: mend what the failure names, then Schedules, `retention`, **Trigger**.",
)
ERASURE: Final = _legend(
    "Erases one person. It must end: do not cancel, terminate or reset it.",
    _PENDING,
    "- Failed: mend what the failure names; reconciliation starts it again.",
)
