"""All tables, one declarative row class each. Rows have foreign keys only; queries state their joins."""

from persistence.tables.account_links import AccountLinkRow
from persistence.tables.appeals import AppealRow
from persistence.tables.assessments import (
    AnswerShingleRow,
    AssessmentRow,
    AsyncJobRow,
    QuestionSnapshotRow,
    ResponseRow,
)
from persistence.tables.base import Base
from persistence.tables.catalog import (
    CatalogImportRow,
    CatalogSearchRow,
    ContentVersionRow,
    CredentialRow,
    EmbeddingArtifactRow,
    LearnerCredentialRow,
    QuestionRow,
    RoleRow,
)
from persistence.tables.cohorts import CohortMemberRow, CohortRow
from persistence.tables.feedback import EssayReviewRow, FeedbackRow
from persistence.tables.operations import AuditLogRow, DeniedRequestsRow, IdempotencyKeyRow, MetricSnapshotRow, SweepRow
from persistence.tables.pages import FlaggedQuestionRow, WebSessionRow
from persistence.tables.people import ApiKeyRow, OrganizationRow, RefreshTokenRow, UserRow
from persistence.tables.rescores import RescoreDifferenceRow, RescoreRow
from persistence.tables.results import (
    EssayScoreRow,
    GradingExamplesRow,
    ModelAnswerRow,
    ModelSpendingRow,
    RagTraceRow,
    RecommendationItemRow,
    RecommendationRow,
    ResultRevisionRow,
    RuleScoreRow,
)
from persistence.tables.review_queue import ReviewItemRow
from persistence.tables.webhooks import (
    WebhookAttemptRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
    WebhookEventRow,
)

__all__ = [
    "AccountLinkRow",
    "AnswerShingleRow",
    "ApiKeyRow",
    "AppealRow",
    "AssessmentRow",
    "AsyncJobRow",
    "AuditLogRow",
    "Base",
    "CatalogImportRow",
    "CatalogSearchRow",
    "CohortMemberRow",
    "CohortRow",
    "ContentVersionRow",
    "CredentialRow",
    "DeniedRequestsRow",
    "EmbeddingArtifactRow",
    "EssayReviewRow",
    "EssayScoreRow",
    "FeedbackRow",
    "FlaggedQuestionRow",
    "GradingExamplesRow",
    "IdempotencyKeyRow",
    "LearnerCredentialRow",
    "MetricSnapshotRow",
    "ModelAnswerRow",
    "ModelSpendingRow",
    "OrganizationRow",
    "QuestionRow",
    "QuestionSnapshotRow",
    "RagTraceRow",
    "RecommendationItemRow",
    "RecommendationRow",
    "RefreshTokenRow",
    "RescoreDifferenceRow",
    "RescoreRow",
    "ResponseRow",
    "ResultRevisionRow",
    "ReviewItemRow",
    "RoleRow",
    "RuleScoreRow",
    "SweepRow",
    "UserRow",
    "WebSessionRow",
    "WebhookAttemptRow",
    "WebhookDeliveryRow",
    "WebhookEndpointRow",
    "WebhookEventRow",
]
