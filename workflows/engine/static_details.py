"""Texts of the Web UI about each workflow type: its purpose, and the actions of an operator.

Static details stay readable without a worker and after the run has closed; current details do not.
"""

from typing import Final

_PENDING: Final = (
    "A failed step is retried automatically. *Pending Activities* shows its attempts, last failure and next retry. "
    "**Reset** there retries it now."
)


def _details(*paragraphs: str, runbook: str = "async-processing") -> str:
    return "\n\n".join([*paragraphs, f"More: `docs/runbooks/{runbook}.md`"])


ASSESSMENT: Final = _details(
    "An assessment, from its submission to the published result. Student, role and organization are search attributes.",
    _PENDING,
    "- Waiting for the student (runs of earlier releases, or after a restore of Postgres): no action. Send `submit` to "
    "check now whether the answers are in. Repeating is safe.",
    "- Failed: fix the cause that the failure names, then `POST /api/v1/assessments/{id}/rerun` as an admin.",
    "- Completed, `Degraded` is true: no action here. The run `revision-{id}` improves the result.",
    "- Completed, `held` in *Result* is true: the student did not see the result when it was published. An advisor "
    "reviews or releases it. `GET /api/v1/assessments?released=false` lists the results that are held now.",
)
REVISION: Final = _details(
    "Retries the degraded parts of a published result and publishes reviews, each as a new revision.",
    _PENDING,
    "- Send `retry_degraded` to make the next attempt now.",
    "- Send `reviewed` to check now for reviews to publish.",
    "- Failed: the published result stays valid. Fix the cause, then `POST /api/v1/assessments/{id}/retry`.",
)
PROVIDER_GATE: Final = _details(
    "The gate of a provider (the language model, or the search) for one organization. While the provider fails, the "
    "runs `revision-{assessment}` of degraded results wait for this run. It probes the provider, and releases them at "
    "a limited rate when the provider answers.",
    _PENDING,
    "- Waiting for the provider: fix the cause of the last failure, then send `probe_now`.",
    "- Terminated or lost: the runs that wait start it again within an hour. Signal `retry_degraded` to one of them "
    "heals that result at once.",
)
DELIVERY: Final = _details(
    "The delivery of one event to one endpoint of a partner: up to ten attempts in about three days.",
    _PENDING,
    "- Send `redeliver_now` to make the next attempt now.",
    "- Send `give_up` to mark the delivery as a dead letter instead.",
    "- Failed with DeadLetter: ask the partner to fix the endpoint, then "
    "`POST /api/v1/webhooks/deliveries/{delivery_id}/redeliver`. To redeliver everything since a point in time: "
    "`POST /api/v1/webhooks/endpoints/{endpoint_id}/recover`.",
)
APPEAL: Final = _details(
    "A student's appeal of an essay's grade, until it is answered or withdrawn. Student, role and organization are "
    "search attributes. `AppealState` tells whether the appeal is overdue.",
    _PENDING,
    "- Running: advisors and admins answer appeals with `POST /api/v1/appeals/{id}/answer`. Operators cannot answer.",
    "- Send `closed` to check now whether the appeal is closed. Repeating is safe.",
    "- Failed with NotFound: the appeal was erased, or Postgres was restored to a time before it. No action.",
    runbook="appeals",
)
LINK_MAIL: Final = _details(
    "The mail of a link with which a person sets a password: twenty attempts in about three and a half hours. The "
    "history has neither the address nor the link.",
    _PENDING,
    "- Completed with `failed`: fix what the failures of `mail_link` name. The admin then sends a new link from the "
    "page of the person.",
)
CATALOG_EMBEDDING: Final = _details(
    "Embeds the texts of the catalogue, then synchronizes the index with Postgres.",
    _PENDING,
    "- Send `changed` to run another round after the current one.",
    "- Failed: fix the cause that the failure names, then Schedules, `catalog-embedding-weekly`, **Trigger**.",
)
RECONCILIATION: Final = _details(
    "A sweep: starts the runs of one kind that Postgres requires and that are not running. The result counts them.",
    "- Running: no action. It ends by itself, after three minutes at the latest.",
    "- Completed with `errors`: the next sweeps try these rows again. The log names them (`sweep_failed`).",
    "- Failed: fix the cause that the failure names. The Schedule starts the next run.",
)
RETENTION: Final = _details(
    "Deletes data that is older than the settings allow. The result counts the rows by rule.",
    _PENDING,
    "- Failed: the failure names the rules that failed; the others have run. Fix the cause, then Schedules, "
    "`retention`, **Trigger**.",
)
ERASURE: Final = _details(
    "Erases one user. Do not cancel, terminate or reset this run: the erasure must finish.",
    _PENDING,
    "- Failed: fix the cause that the failure names. Reconciliation starts the erasure again.",
)
RESCORE: Final = _details(
    "Computes what published results would be with the current questions, model and catalogue, or publishes or deletes "
    "what it computed. Each run does one batch and continues as new; open the last run of the chain.",
    _PENDING,
    "- Running: no action. To end the re-score, `DELETE /api/v1/rescores/{id}` as an admin. A cancelled run is started "
    "again by reconciliation.",
    "- Failed with RescoreStopped: the differences computed so far stay. Fix the cause that the failure names, then "
    "`POST /api/v1/rescores` again. Replies that were paid for cost nothing.",
)
