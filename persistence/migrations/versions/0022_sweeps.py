"""Add the table of sweeps, and indexes for the rows that sweeps look at.

Additive: the previous release does not use the table. Each concern starts with a sweep at the time of the migration, so
that a sweep that never comes is noticed.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

CONCERNS = (
    *("unclaimed", "claimed", "expiry", "healing", "reviews"),
    *("deliveries", "erasures", "imports", "appeals", "jobs", "audit"),
)


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("concern", sa.String(24), nullable=False),
        sa.Column("cursor_id", sa.Uuid(), nullable=True),
        sa.Column("cursor_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("concern", name="sweeps_pkey"),
        if_not_exists=True,
    )
    op.get_bind().execute(
        sa.text("INSERT INTO sweeps (concern) VALUES (:concern) ON CONFLICT DO NOTHING"),
        [{"concern": concern} for concern in CONCERNS],
    )
    create_index(
        "idx_assessments_awaiting", "assessments", ["id"], postgresql_where=sa.text("status = 'awaiting_async'")
    )
    create_index(
        "idx_webhook_deliveries_due",
        "webhook_deliveries",
        [sa.text("coalesce(next_attempt_at, created_at)"), "id"],
        postgresql_where=sa.text("status = 'pending'"),
    )


def downgrade() -> None:
    op.drop_index("idx_webhook_deliveries_due", "webhook_deliveries")
    op.drop_index("idx_assessments_awaiting", "assessments")
    op.drop_table("sweeps")
