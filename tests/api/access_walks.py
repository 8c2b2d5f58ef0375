"""A call of each route, with the status that each role gets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.api.conftest import levels_of, question_of, response_to
from tests.support.builders import ROLE_ID

EVERYBODY = ("nobody", "owner", "other", "advisor", "admin", "far_student", "far_advisor", "far_admin", "platform")


@dataclass(frozen=True)
class Ids:
    """Ids for paths, of the owner and their organization. `started` is an open assessment."""

    known: dict[str, str]
    started: dict[str, Any]

    @property
    def unknown(self) -> "Ids":
        return Ids(dict.fromkeys(self.known, str(uuid4())), self.started)


@dataclass(frozen=True)
class Walk:
    """A call of a route. `answers` are the statuses in the order of EVERYBODY. `body` builds a body per call."""

    method: str
    path: str
    answers: tuple[int, ...]
    body: Callable[[Ids], Any] = lambda _: None


OPEN = (200,) * 9
ALL = (401, *(200,) * 8)
REFUSED = (401,) * 9
#             no_token owner other advisor admin far_student far_advisor far_admin platform
SEEN = (401, 200, 404, 200, 200, 404, 404, 404, 403)
OWNER = (401, 200, 404, 403, 403, 404, 403, 403, 403)
OPENER = (401, 201, 404, 403, 403, 404, 403, 403, 403)
STUDENTS = (401, 409, 201, 403, 403, 201, 403, 403, 403)
REVIEWERS = (401, 201, 404, 201, 403, 404, 404, 403, 403)
ORGANIZATION = (401, *(200,) * 7, 403)
ADMINS = (401, 403, 403, 403, 200, 403, 403, 200, 403)
STAFF = (401, 403, 403, 200, 200, 403, 200, 200, 403)
STAFF_OF_ONE = (401, 403, 403, 200, 200, 403, 404, 404, 403)
EVERY_ADMIN = (401, 403, 403, 403, 200, 403, 403, 200, 200)
PEOPLE = (401, 200, 404, 200, 200, 404, 404, 404, 403)


def admins(status: int, platform: int = 403) -> tuple[int, ...]:
    """The statuses for a resource of one organization."""
    return (401, 403, 403, 403, status, 403, 403, 404, platform)


def staff(status: int) -> tuple[int, ...]:
    """The statuses for a resource of one organization that advisors may use too."""
    return (401, 403, 403, status, status, 403, 404, 404, 403)


def platform(status: int) -> tuple[int, ...]:
    return (401, *(403,) * 7, status)


def account(**more: Any) -> dict[str, Any]:
    """Return a body with an unused address."""
    return {"email": f"{uuid4()}@example.org", "password": "correct horse battery staple"} | more


WALKS = {
    "healthz": Walk("GET", "/healthz", OPEN),
    "readyz": Walk("GET", "/readyz", OPEN),
    "metrics": Walk("GET", "/metrics", OPEN),
    "work_metrics": Walk("GET", "/metrics/work", OPEN),
    # These routes ignore tokens, and no body has valid credentials.
    "create_token": Walk("POST", "/api/v1/auth/token", (415,) * 9, body=lambda _: {}),
    "refresh_token": Walk("POST", "/api/v1/auth/refresh", REFUSED, body=lambda _: {"refresh_token": "x"}),
    "log_out": Walk("POST", "/api/v1/auth/logout", (204,) * 9, body=lambda _: {"refresh_token": "x"}),
    "use_link": Walk(
        "POST",
        "/api/v1/auth/link",
        (400,) * 9,
        body=lambda _: {"token": "x", "new_password": "correct horse battery staple"},
    ),
    "create_organization": Walk(
        "POST", "/api/v1/organizations", platform(201), body=lambda _: {"name": "A college", "admin": account()}
    ),
    "list_organizations": Walk("GET", "/api/v1/organizations", platform(200)),
    # A platform admin must name an organization; other admins must not.
    "create_user": Walk(
        "POST",
        "/api/v1/users",
        (401, 403, 403, 403, 201, 403, 403, 201, 400),
        body=lambda _: account(role="student"),
    ),
    "list_users": Walk("GET", "/api/v1/users", EVERY_ADMIN),
    "read_user": Walk("GET", "/api/v1/users/{user}", admins(200, platform=404)),
    "change_user": Walk(
        "PATCH", "/api/v1/users/{user}", admins(200, platform=404), body=lambda _: {"status": "active"}
    ),
    "create_link": Walk("POST", "/api/v1/users/{user}/link", admins(201, platform=404), body=lambda _: {}),
    "read_link": Walk("GET", "/api/v1/users/{user}/link", admins(404, platform=404)),  # there is no link yet
    "erase_user": Walk("DELETE", "/api/v1/users/{user}", admins(202, platform=404)),
    "export_user": Walk("GET", "/api/v1/users/{user}/export", admins(200)),
    # The body is JSON, which is refused after the authorization.
    "import_users": Walk(
        "POST", "/api/v1/users/imports", (401, 403, 403, 403, 415, 403, 403, 415, 403), body=lambda _: {}
    ),
    "create_cohort": Walk(
        "POST",
        "/api/v1/cohorts",
        (401, 403, 403, 403, 201, 403, 403, 201, 403),
        body=lambda _: {"name": str(uuid4())},
    ),
    "list_cohorts": Walk("GET", "/api/v1/cohorts", STAFF),
    "read_cohort": Walk("GET", "/api/v1/cohorts/{cohort}", STAFF_OF_ONE),
    "rename_cohort": Walk("PATCH", "/api/v1/cohorts/{cohort}", admins(200), body=lambda _: {"name": str(uuid4())}),
    "delete_cohort": Walk("DELETE", "/api/v1/cohorts/{cohort}", admins(204)),
    "list_cohort_members": Walk("GET", "/api/v1/cohorts/{cohort}/members", STAFF_OF_ONE),
    "add_cohort_members": Walk(
        "POST", "/api/v1/cohorts/{cohort}/members", admins(200), body=lambda ids: {"user_ids": [ids.known["user"]]}
    ),
    "remove_cohort_member": Walk("DELETE", "/api/v1/cohorts/{cohort}/members/{user}", admins(204)),
    "list_audit_logs": Walk("GET", "/api/v1/audit-logs", EVERY_ADMIN),
    "list_held_credentials": Walk("GET", "/api/v1/users/{user}/credentials", PEOPLE),
    # The first permitted caller creates the entry; later ones get a conflict.
    "add_held_credential": Walk(
        "POST",
        "/api/v1/users/{user}/credentials",
        (401, 201, 404, 409, 409, 404, 404, 404, 403),
        body=lambda ids: {"credential_id": ids.known["credential"], "earned_at": "2026-01-31"},
    ),
    "create_api_key": Walk(
        "POST",
        "/api/v1/api-keys",
        (401, 403, 403, 403, 201, 403, 403, 201, 403),
        body=lambda _: {"name": "a machine", "scopes": ["results:read"]},
    ),
    "list_api_keys": Walk("GET", "/api/v1/api-keys", ADMINS),
    "revoke_api_key": Walk("DELETE", "/api/v1/api-keys/{api_key}", admins(204)),
    "read_me": Walk("GET", "/api/v1/me", ALL),
    # These users have no password.
    "change_own_password": Walk(
        "POST",
        "/api/v1/me/password",
        (401, *(409,) * 8),
        body=lambda _: {"current_password": "x", "new_password": "correct horse battery staple"},
    ),
    "read_settings": Walk("GET", "/api/v1/organization/settings", STAFF),
    "change_settings": Walk("PATCH", "/api/v1/organization/settings", ADMINS, body=lambda _: {"blind": False}),
    "list_roles": Walk("GET", "/api/v1/roles", ALL),
    "read_role": Walk("GET", f"/api/v1/roles/{ROLE_ID}", ALL),
    "start_assessment": Walk("POST", "/api/v1/assessments/start", STUDENTS, body=lambda _: {"role_id": str(ROLE_ID)}),
    "list_assessments": Walk("GET", "/api/v1/assessments", ORGANIZATION),
    "read_questions": Walk("GET", "/api/v1/assessments/{completed}/questions", OWNER),
    "submit_responses": Walk(
        "POST",
        "/api/v1/assessments/{open}/responses",
        (401, 202, 404, 403, 403, 404, 403, 403, 403),
        body=lambda ids: {"responses": [response_to(ids.started["questions"][0])]},
    ),
    "read_status": Walk("GET", "/api/v1/assessments/{completed}", SEEN),
    "stream_events": Walk("GET", "/api/v1/assessments/{completed}/events", SEEN),
    "read_result": Walk("GET", "/api/v1/assessments/{completed}/result", SEEN),
    "read_scores": Walk("GET", "/api/v1/assessments/{completed}/scores", SEEN),
    "read_items": Walk("GET", "/api/v1/assessments/{completed}/items", SEEN),
    "list_revisions": Walk("GET", "/api/v1/assessments/{completed}/revisions", SEEN),
    "read_revision": Walk("GET", "/api/v1/assessments/{completed}/revisions/1", SEEN),
    "review_essay": Walk(
        "POST",
        "/api/v1/assessments/{completed}/items/{essay}/review",
        (401, 403, 403, 202, 202, 403, 404, 404, 403),
        body=lambda ids: {"levels": levels_of(question_of(ids.started, "text"))},
    ),
    "list_review_queue": Walk("GET", "/api/v1/reviews/queue", STAFF),
    # The owner's essay is claimed by the advisor, and the other organization does not see it.
    "claim_essay": Walk(
        "POST",
        "/api/v1/reviews/claims",
        (401, 403, 403, 201, 409, 403, 404, 404, 403),
        body=lambda ids: {"item_id": ids.known["item"]},
    ),
    "list_claims": Walk("GET", "/api/v1/reviews/claims", STAFF),
    "renew_claim": Walk(
        "POST", "/api/v1/reviews/claims/{item}/renewals", (401, 403, 403, 409, 409, 403, 404, 404, 403)
    ),
    "release_claim": Walk("DELETE", "/api/v1/reviews/claims/{item}", (401, 403, 403, 204, 204, 403, 404, 404, 403)),
    "decide_claim": Walk(
        "POST",
        "/api/v1/reviews/claims/{item}/decision",
        (401, 403, 403, 409, 409, 403, 404, 404, 403),
        body=lambda ids: {"levels": levels_of(question_of(ids.started, "text")), "revision": 1},
    ),
    # Nothing is degraded or failed, so permitted callers get a conflict with the state.
    "open_appeal": Walk(
        "POST",
        "/api/v1/assessments/{completed}/appeals",
        OPENER,
        body=lambda ids: {"question_id": question_of(ids.started, "text")["question_id"], "reason": "It is right."},
    ),
    "list_assessment_appeals": Walk("GET", "/api/v1/assessments/{completed}/appeals", SEEN),
    "list_appeals": Walk("GET", "/api/v1/appeals", ORGANIZATION),
    "read_appeal": Walk("GET", "/api/v1/appeals/{appeal}", SEEN),
    # The first permitted caller answers; later ones get a conflict.
    "answer_appeal": Walk(
        "POST",
        "/api/v1/appeals/{appeal}/answer",
        (401, 403, 403, 200, 409, 403, 404, 404, 403),
        body=lambda _: {"outcome": "rejected", "message": "The grade fits the rubric."},
    ),
    "withdraw_appeal": Walk("POST", "/api/v1/appeals/{appeal}/withdrawal", OWNER),
    "retry_healing": Walk(
        "POST", "/api/v1/assessments/{completed}/retry", (401, 403, 403, 409, 409, 403, 404, 404, 403)
    ),
    "rerun_assessment": Walk(
        "POST", "/api/v1/assessments/{completed}/rerun", (401, 403, 403, 403, 409, 403, 403, 404, 403)
    ),
    "rerun_assessments": Walk(
        "POST",
        "/api/v1/assessments/reruns",
        (401, 403, 403, 403, 202, 403, 403, 202, 403),
        body=lambda _: {"status": "failed", "failure_reason": "NoSuchReason"},
    ),
    # The result is not held, and releasing a released result changes nothing.
    "release_assessment": Walk(
        "POST", "/api/v1/assessments/{completed}/release", (401, 403, 403, 200, 200, 403, 404, 404, 403)
    ),
    "release_assessments": Walk(
        "POST",
        "/api/v1/assessments/releases",
        (401, 403, 403, 200, 200, 403, 200, 200, 403),
        body=lambda ids: {"ids": [ids.known["completed"]]},
    ),
    "request_rescore": Walk(
        "POST",
        "/api/v1/rescores",
        (401, 403, 403, 403, 202, 403, 403, 202, 403),
        body=lambda _: {"role_id": str(ROLE_ID), "scope": "rules", "reason": "A corrected key"},
    ),
    "list_rescores": Walk("GET", "/api/v1/rescores", STAFF),
    "read_rescore": Walk("GET", "/api/v1/rescores/{rescore}", staff(200)),
    "list_differences": Walk("GET", "/api/v1/rescores/{rescore}/differences", staff(200)),
    "download_differences": Walk("GET", "/api/v1/rescores/{rescore}/differences.csv", staff(200)),
    # Nothing is computed yet, so permitted callers get a conflict with the state.
    "apply_rescore": Walk("POST", "/api/v1/rescores/{rescore}/apply", admins(409), body=lambda _: {}),
    "discard_rescore": Walk("DELETE", "/api/v1/rescores/{rescore}", admins(202)),
    "give_feedback": Walk(
        "POST", "/api/v1/recommendations/{recommendation}/feedback", REVIEWERS, body=lambda _: {"relevance_score": 4}
    ),
    "list_feedback": Walk(
        "GET", "/api/v1/recommendations/{recommendation}/feedback", (401, 403, 403, 200, 200, 403, 404, 404, 403)
    ),
    "read_agreement": Walk("GET", "/api/v1/quality/agreement", STAFF),
    "read_item_analysis": Walk("GET", "/api/v1/quality/items", STAFF),
    "read_fairness": Walk("GET", f"/api/v1/quality/fairness?role_id={ROLE_ID}", STAFF),
    "decode_payloads": Walk("POST", "/api/v1/payloads/decode", platform(200), body=lambda _: {"payloads": []}),
    "list_credentials": Walk("GET", "/api/v1/catalog/credentials", ALL),
    "read_credential": Walk("GET", "/api/v1/catalog/credentials/{credential}", ALL),
    "search_credentials": Walk("GET", "/api/v1/catalog/search?q=data", ALL),
    "import_credentials": Walk(
        "POST",
        "/api/v1/catalog/imports",
        platform(201),
        body=lambda _: {"credentials": [{"key": "none", "active": False}]},
    ),
    "read_import": Walk("GET", "/api/v1/catalog/imports/{import}", platform(200)),
    "create_endpoint": Walk(
        "POST",
        "/api/v1/webhooks/endpoints",
        (401, 403, 403, 403, 201, 403, 403, 201, 403),
        body=lambda _: {"url": "https://partner.example/", "event_types": ["assessment.failed"]},
    ),
    "list_endpoints": Walk("GET", "/api/v1/webhooks/endpoints", ADMINS),
    "read_endpoint": Walk("GET", "/api/v1/webhooks/endpoints/{endpoint}", admins(200)),
    "change_endpoint": Walk(
        "PATCH", "/api/v1/webhooks/endpoints/{endpoint}", admins(200), body=lambda _: {"enabled": True}
    ),
    "delete_endpoint": Walk("DELETE", "/api/v1/webhooks/endpoints/{endpoint}", admins(204)),
    "test_endpoint": Walk("POST", "/api/v1/webhooks/endpoints/{endpoint}/test", admins(202)),
    "rotate_secret": Walk("POST", "/api/v1/webhooks/endpoints/{endpoint}/rotate-secret", admins(200)),
    "recover_endpoint": Walk(
        "POST",
        "/api/v1/webhooks/endpoints/{endpoint}/recover",
        admins(202),
        body=lambda _: {"since": "2026-01-01T00:00:00Z"},
    ),
    "list_deliveries": Walk("GET", "/api/v1/webhooks/deliveries", ADMINS),
    "read_delivery": Walk("GET", "/api/v1/webhooks/deliveries/{delivery}", admins(200)),
    "redeliver": Walk("POST", "/api/v1/webhooks/deliveries/{delivery}/redeliver", admins(202)),
}
