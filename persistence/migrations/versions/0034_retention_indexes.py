"""Add indexes in which retention finds old rows, and the time at which an assessment's answers were deleted.

Without the indexes, a batch of retention reads whole tables. Additive: the previous release ignores the column, and the
retention of this release marks the assessments whose answers that release has deleted.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

INDEXES = {
    "idx_idempotency_keys_expires_at": ("idempotency_keys", ["expires_at"], None),
    "idx_webhook_events_ended": ("webhook_events", ["created_at"], "status <> 'pending'"),
    "idx_async_jobs_completed": ("async_jobs", ["completed_at"], "completed_at IS NOT NULL"),
    "idx_denied_requests_hour": ("denied_requests", ["hour"], None),
    "idx_model_answers_replies": ("model_answers", ["answered_at"], "raw_reply IS NOT NULL"),
    "idx_assessments_answers": (
        "assessments",
        ["organization_id", "created_at", "id"],
        "answers_deleted_at IS NULL AND status IN ('completed', 'failed') AND NOT needs_review",
    ),
}


def upgrade() -> None:
    op.execute("ALTER TABLE assessments ADD COLUMN IF NOT EXISTS answers_deleted_at TIMESTAMPTZ")
    for name, (table, columns, where) in INDEXES.items():
        create_index(name, table, columns, postgresql_where=sa.text(where) if where else None)


def downgrade() -> None:
    for name, (table, *_) in INDEXES.items():
        op.drop_index(name, table)
    op.execute("ALTER TABLE assessments DROP COLUMN answers_deleted_at")
