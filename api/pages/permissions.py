"""Which pages a principal may open: a page needs the permissions of the REST routes that do the same."""

from collections.abc import Mapping
from typing import Final

from api.pages.admin_permissions import ADMIN_PAGES
from api.security.authorization import may_use
from api.security.tokens import Principal

PUBLIC: Final = None

PAGE_PERMISSIONS: Final[Mapping[str, tuple[str, ...] | None]] = {
    "home_page": ("read_me",),
    "sign_in_page": PUBLIC,
    "sign_in_form": PUBLIC,
    "sign_out_form": PUBLIC,
    "language_page": ("read_me",),
    "language_form": ("read_me",),
    "provider_sign_in_page": PUBLIC,
    "provider_callback_page": PUBLIC,
    "set_password_page": PUBLIC,
    "set_password_form": PUBLIC,
    "password_page": ("change_own_password",),
    "password_form": ("change_own_password",),
    "student_home_page": ("start_assessment", "list_assessments", "list_roles"),
    "student_role_page": ("start_assessment", "read_role"),
    "start_form": ("start_assessment",),
    "assessment_page": ("read_questions", "read_status"),
    "question_page": ("read_questions",),
    "answer_form": ("submit_responses",),
    "autosave": ("submit_responses",),
    "hand_in_page": ("read_questions", "submit_responses"),
    "hand_in_form": ("submit_responses",),
    "progress_page": ("read_status", "read_questions"),
    "progress_events": ("stream_events",),
    "result_page": ("read_result", "read_items"),
    "feedback_form": ("give_feedback",),
    "appeal_page": ("open_appeal", "read_items"),
    "appeal_form": ("open_appeal",),
    "withdrawal_form": ("withdraw_appeal",),
    "overview_page": ("list_review_queue", "list_assessments", "list_appeals", "list_cohorts"),
    "cohort_skills_page": ("list_cohort_members", "list_assessments", "read_result"),
    "student_skills_page": ("list_assessments", "read_result", "list_feedback"),
    "assessment_list_page": ("list_assessments", "list_cohorts"),
    "export_assessments_page": ("list_assessments", "list_cohorts"),
    "release_many_form": ("release_assessments",),
    "staff_assessment_page": ("read_status", "read_items", "list_revisions", "list_assessment_appeals", "review_essay"),
    "release_form": ("release_assessment",),
    "retry_form": ("retry_healing",),
    "rerun_form": ("rerun_assessment",),
    "appeal_list_page": ("list_appeals", "answer_appeal"),
    "staff_appeal_page": ("read_appeal", "answer_appeal"),
    "answer_appeal_form": ("answer_appeal",),
    "review_queue_page": ("list_review_queue", "list_claims"),
    "claim_next_form": ("claim_essay",),
    "desk_page": ("list_review_queue", "read_items"),
    "claim_form": ("claim_essay",),
    "renew_claim_form": ("renew_claim",),
    "release_claim_form": ("release_claim",),
    "decision_form": ("decide_claim", "claim_essay"),
    "release_offer_part": ("list_review_queue", "release_assessment"),
    "release_decided_form": ("release_assessment",),
    "rescore_list_page": ("list_rescores",),
    "new_rescore_page": ("request_rescore",),
    "request_rescore_form": ("request_rescore",),
    "rescore_page": ("read_rescore", "list_differences"),
    "rescore_progress": ("read_rescore",),
    "download_differences_page": ("download_differences",),
    "apply_rescore_form": ("apply_rescore",),
    "discard_rescore_form": ("discard_rescore",),
    **ADMIN_PAGES,
}
"""Page name to the names of REST routes in `ROUTE_PERMISSIONS`, all of which the principal must be allowed to use.

The API does not start with a page that is missing here.
"""

BEFORE_PASSWORD_CHANGE: Final = frozenset({"language_page", "language_form", "password_page", "password_form"})
"""Pages for users who must replace a password that an admin has set."""


def may_open(principal: Principal, page: str) -> bool:
    """Return whether the principal may use every REST route whose permission the page needs."""
    return all(may_use(principal, route) for route in PAGE_PERMISSIONS[page] or ())
