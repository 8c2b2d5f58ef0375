"""Search attributes, which the Web UI filters runs by. The only personal data in them are opaque ids."""

from typing import Final

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

ASSESSMENT_STATUS: Final = SearchAttributeKey.for_keyword("AssessmentStatus")
ROLE_ID: Final = SearchAttributeKey.for_keyword("RoleId")
ORGANIZATION_ID: Final = SearchAttributeKey.for_keyword("OrganizationId")
STUDENT_ID: Final = SearchAttributeKey.for_keyword("StudentId")
DEGRADED: Final = SearchAttributeKey.for_bool("Degraded")
NEEDS_REVIEW: Final = SearchAttributeKey.for_bool("NeedsReview")
"""Set by earlier builds only, which may still run during a rollout."""
FAILURE_REASON: Final = SearchAttributeKey.for_keyword("FailureReason")
DELIVERY_STATUS: Final = SearchAttributeKey.for_keyword("DeliveryStatus")
APPEAL_STATE: Final = SearchAttributeKey.for_keyword("AppealState")
"""`open`, `reminded`, `overdue`, then how the appeal ended."""

TYPES: Final = {
    ASSESSMENT_STATUS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    ROLE_ID.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    ORGANIZATION_ID.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    STUDENT_ID.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    DEGRADED.name: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    NEEDS_REVIEW.name: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    FAILURE_REASON.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    DELIVERY_STATUS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    APPEAL_STATE.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
}


log = structlog.get_logger(__name__)

_NOT_OURS: Final = frozenset({RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED})
"""What a server answers whose search attributes an administrator creates, such as Temporal Cloud."""


async def register(client: Client) -> None:
    """Add the attributes that the namespace lacks. Several workers may do this concurrently.

    A server without the operator service, or one that denies it, must have the attributes already.
    """
    try:
        await _register(client)
    except RPCError as error:
        if error.status not in _NOT_OURS:
            raise
        log.warning("search_attributes_not_registered", status=error.status.name)


async def _register(client: Client) -> None:
    operator = client.operator_service
    known = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {name: kind for name, kind in TYPES.items() if name not in known.custom_attributes}
    if not missing:
        return
    try:
        await operator.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
