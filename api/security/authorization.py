"""Authorization: which roles may use a route, and which rows a principal may read.

Students see their own data. Advisors and admins see the data of their organization. Platform admins manage
organizations, the admins of organizations, and the catalogue. They cannot see other users, answers, or webhook
deliveries.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, TypeAlias, cast
from uuid import UUID

from fastapi import Request

from api.security.tokens import Principal, UserRole
from domain.errors import Forbidden, PasswordChangeRequired, Unauthenticated
from persistence.queries.people_views import PeopleScope
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.api_keys import KEY_PREFIX


class CallerRole(StrEnum):
    """A user role for authorization. An admin without an organization is a platform admin."""

    STUDENT = "student"
    ADVISOR = "advisor"
    ADMIN = "admin"
    PLATFORM_ADMIN = "platform_admin"


_ALL: Final = frozenset(CallerRole)
_ORGANIZATION: Final = frozenset({CallerRole.STUDENT, CallerRole.ADVISOR, CallerRole.ADMIN})
_STAFF: Final = frozenset({CallerRole.ADVISOR, CallerRole.ADMIN})
_ADMINS: Final = frozenset({CallerRole.ADMIN})
_PLATFORM: Final = frozenset({CallerRole.PLATFORM_ADMIN})
_ANY_ADMIN: Final = _ADMINS | _PLATFORM

RoutePermission: TypeAlias = frozenset[CallerRole] | None
"""The roles that may use a route; None if it needs no token."""

PUBLIC: Final[RoutePermission] = None

ROUTE_PERMISSIONS: Final[Mapping[str, RoutePermission]] = {
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "metrics": PUBLIC,  # METRICS_NETWORKS and METRICS_TOKEN restrict it: api.middleware.request_metrics
    "work_metrics": PUBLIC,
    "create_token": PUBLIC,
    "refresh_token": PUBLIC,
    "log_out": PUBLIC,
    "decode_payloads": _PLATFORM,
    "use_link": PUBLIC,
    "read_me": _ALL,
    "create_api_key": _ADMINS,
    "list_api_keys": _ADMINS,
    "revoke_api_key": _ADMINS,
    "change_own_password": _ALL,
    "create_organization": _PLATFORM,
    "list_organizations": _PLATFORM,
    "read_settings": _STAFF,
    "change_settings": _ADMINS,
    "create_user": _ANY_ADMIN,
    "list_users": _ANY_ADMIN,
    "read_user": _ANY_ADMIN,
    "change_user": _ANY_ADMIN,
    "create_link": _ANY_ADMIN,
    "read_link": _ANY_ADMIN,
    "erase_user": _ANY_ADMIN,
    "export_user": _ADMINS,
    "import_users": _ADMINS,
    "create_cohort": _ADMINS,
    "list_cohorts": _STAFF,
    "read_cohort": _STAFF,
    "rename_cohort": _ADMINS,
    "delete_cohort": _ADMINS,
    "list_cohort_members": _STAFF,
    "add_cohort_members": _ADMINS,
    "remove_cohort_member": _ADMINS,
    "list_audit_logs": _ANY_ADMIN,
    "list_held_credentials": _ORGANIZATION,
    "add_held_credential": _ORGANIZATION,
    "list_roles": _ALL,
    "read_role": _ALL,
    "start_assessment": frozenset({CallerRole.STUDENT}),
    "list_assessments": _ORGANIZATION,
    "read_questions": frozenset({CallerRole.STUDENT}),
    "submit_responses": frozenset({CallerRole.STUDENT}),
    "read_status": _ORGANIZATION,
    "stream_events": _ORGANIZATION,
    "read_result": _ORGANIZATION,
    "read_scores": _ORGANIZATION,
    "read_items": _ORGANIZATION,
    "list_revisions": _ORGANIZATION,
    "read_revision": _ORGANIZATION,
    "review_essay": _STAFF,
    "open_appeal": frozenset({CallerRole.STUDENT}),
    "list_assessment_appeals": _ORGANIZATION,
    "list_appeals": _ORGANIZATION,
    "read_appeal": _ORGANIZATION,
    "answer_appeal": _STAFF,
    "withdraw_appeal": frozenset({CallerRole.STUDENT}),
    "list_review_queue": _STAFF,
    "claim_essay": _STAFF,
    "list_claims": _STAFF,
    "renew_claim": _STAFF,
    "release_claim": _STAFF,
    "decide_claim": _STAFF,
    "retry_healing": _STAFF,
    "rerun_assessment": _ADMINS,
    "rerun_assessments": _ADMINS,
    "release_assessment": _STAFF,
    "release_assessments": _STAFF,
    "request_rescore": _ADMINS,
    "list_rescores": _STAFF,
    "read_rescore": _STAFF,
    "list_differences": _STAFF,
    "download_differences": _STAFF,
    "apply_rescore": _ADMINS,
    "discard_rescore": _ADMINS,
    "give_feedback": frozenset({CallerRole.STUDENT, CallerRole.ADVISOR}),
    "list_feedback": _STAFF,
    "read_agreement": _STAFF,
    "read_item_analysis": _STAFF,
    "read_fairness": _STAFF,
    "list_credentials": _ALL,
    "read_credential": _ALL,
    "search_credentials": _ALL,
    "import_credentials": _PLATFORM,
    "read_import": _PLATFORM,
    "create_endpoint": _ADMINS,
    "list_endpoints": _ADMINS,
    "read_endpoint": _ADMINS,
    "change_endpoint": _ADMINS,
    "delete_endpoint": _ADMINS,
    "test_endpoint": _ADMINS,
    "rotate_secret": _ADMINS,
    "recover_endpoint": _ADMINS,
    "list_deliveries": _ADMINS,
    "read_delivery": _ADMINS,
    "redeliver": _ADMINS,
}
"""Route name to the roles that may use it. The API does not start with a route that is missing here."""

_BEFORE_PASSWORD_CHANGE: Final = frozenset({"read_me", "change_own_password"})
"""Routes that a user may call before they replace a password that an admin has set."""

_ROLE_FORBIDDEN: Final = "Your role may not use this route"
_KEY_FORBIDDEN: Final = "The scopes of this API key do not allow this route"

_RESULTS: Final = "results:read"
_WEBHOOKS: Final = "webhooks:manage"

API_KEY_SCOPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("list_roles", "read_role", "list_credentials", "read_credential"), _RESULTS),
    **dict.fromkeys(("list_assessments", "read_status", "read_result", "read_scores"), _RESULTS),
    **dict.fromkeys(("list_revisions", "read_revision"), _RESULTS),
    **dict.fromkeys(("create_endpoint", "list_endpoints", "read_endpoint", "change_endpoint"), _WEBHOOKS),
    **dict.fromkeys(("delete_endpoint", "test_endpoint", "rotate_secret", "recover_endpoint"), _WEBHOOKS),
    **dict.fromkeys(("list_deliveries", "read_delivery", "redeliver"), _WEBHOOKS),
}
"""Route name to the scope that an API key needs. API keys may use only these routes."""


def may_use(principal: Principal, route: str) -> bool:
    if principal.role is UserRole.API_KEY:
        return API_KEY_SCOPES.get(route) in principal.scopes
    return caller_role(principal) in (ROUTE_PERMISSIONS[route] or ())


def caller_role(principal: Principal) -> CallerRole:
    if principal.role is UserRole.ADMIN and principal.organization_id is None:
        return CallerRole.PLATFORM_ADMIN
    return CallerRole(principal.role)


def is_staff(principal: Principal) -> bool:
    """Return whether the principal is an advisor or an admin of an organization, who may see its students' names."""
    return principal.role in {UserRole.ADVISOR, UserRole.ADMIN} and principal.organization_id is not None


def actor_of(principal: Principal) -> Actor:
    """Return the actor that the audit trail records. Platform admins and API keys have a role of their own there."""
    is_key = principal.role is UserRole.API_KEY
    return Actor(id=principal.user_id, role=principal.role.value if is_key else caller_role(principal).value)


def scope_for(principal: Principal) -> AccessScope:
    """Return the assessments that the principal may read.

    A student reads their own. Advisors, admins and API keys read those of their organization. Only advisors and admins
    see results that are held: an API key belongs to a partner, who learns of a result when the student does.

    Raises:
        Forbidden: the principal is a platform admin.
    """
    if principal.organization_id is None:
        raise Forbidden(_ROLE_FORBIDDEN)
    held = principal.role in {UserRole.ADVISOR, UserRole.ADMIN}
    return AccessScope(organization_id=principal.organization_id, user_id=_own(principal), held=held)


def people_scope_for(principal: Principal) -> PeopleScope:
    """Return the users that the principal may read.

    A student reads their own account, advisors and admins the users of their organization, platform admins all admins.
    """
    role = UserRole.ADMIN.value if principal.organization_id is None else None
    return PeopleScope(organization_id=principal.organization_id, user_id=_own(principal), role=role)


def _own(principal: Principal) -> UUID | None:
    return principal.user_id if principal.role is UserRole.STUDENT else None


async def authorize(request: Request, route: str) -> None:
    """Authenticate and authorize a request, and set `request.state.principal`. The body is not read yet.

    Raises:
        Unauthenticated: the token is missing or invalid, or its user has changed since it was issued.
        TemporarilyUnavailable: the keys of the token's external issuer cannot be fetched.
        PasswordChangeRequired: the user must choose a new password first.
        Forbidden: the user's role, or the scopes of the API key, do not allow the route.
    """
    if ROUTE_PERMISSIONS[route] is PUBLIC:
        return
    services = request.app.state.services
    token = _bearer(request)
    principal = await _principal(services, token)
    request.state.principal = principal
    if principal.must_change_password and route not in _BEFORE_PASSWORD_CHANGE:
        raise PasswordChangeRequired("Choose a new password with POST /api/v1/me/password, then repeat this request")
    if not may_use(principal, route):
        is_key = principal.role is UserRole.API_KEY
        raise Forbidden(_KEY_FORBIDDEN if is_key else _ROLE_FORBIDDEN)


async def _principal(services: Any, token: str) -> Principal:  # noqa: ANN401  # api.dependencies imports this module
    if token.startswith(KEY_PREFIX):
        return cast(Principal, await services.api_keys.principal(token))
    principal: Principal | None = await services.issuers.principal(token)
    if principal is not None:
        return replace(principal, must_change_password=False)  # the password here is not what let them in
    return cast(Principal, await services.principals.check(services.tokens.read(token)))


def _bearer(request: Request) -> str:
    given = request.headers.getlist("authorization")  # two are rejected: a proxy may have checked the other one
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("A valid bearer token is required")
    return token.strip()
