"""Links from the staff's pages to the runs in Temporal's Web UI.

The Web UI has no roles of its own and shows the runs of all organizations. An operator sets TEMPORAL_UI_URL only if
advisors and admins may use it. A user who follows a link still passes the login in front of the Web UI.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote
from uuid import UUID

from api.security.authorization import CallerRole, caller_role
from api.security.tokens import Principal
from api.settings import ApiSettings
from workflows.appeal import workflow_id as appeal_id
from workflows.engine.assessment_runs import revision_workflow_id, workflow_id
from workflows.engine.erasure_runs import workflow_id as erasure_id
from workflows.engine.rescore_runs import workflow_id as rescore_id

ROLES: Final = frozenset({CallerRole.ADVISOR, CallerRole.ADMIN, CallerRole.PLATFORM_ADMIN})
RUNS: Final[Mapping[str, Callable[[UUID], str]]] = {
    "assessment": workflow_id,
    "revision": revision_workflow_id,
    "appeal": appeal_id,
    "rescore": rescore_id,
    "erasure": erasure_id,
}


def run_url(settings: ApiSettings, principal: Principal | None, kind: str, subject_id: UUID) -> str:
    """Return the address of the newest run; "" without a Web UI, and for students."""
    if not settings.temporal_ui_url or principal is None or caller_role(principal) not in ROLES:
        return ""
    namespace = quote(settings.temporal_namespace, safe="")
    return f"{settings.temporal_ui_url}/namespaces/{namespace}/workflows/{RUNS[kind](subject_id)}"
