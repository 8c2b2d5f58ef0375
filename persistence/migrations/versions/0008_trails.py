"""Add indexes for filtered pages of the audit trail, the delivery log and the list of users."""

from alembic import op

from persistence.migrations.locks import create_index

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FILTERED = (
    ("audit_logs", "action"),
    ("audit_logs", "resource_type"),
    ("webhook_deliveries", "status"),
    ("webhook_events", "event_type"),
    ("users", "role"),
    ("users", "status"),
)


def upgrade() -> None:
    for table, column in FILTERED:
        create_index(f"idx_{table}_{column}", table, ["organization_id", column, "created_at", "id"])
    create_index("idx_audit_logs_resource_new", "audit_logs", ["resource_id"])
    op.drop_index("idx_audit_logs_resource", "audit_logs")
    op.execute("ALTER INDEX idx_audit_logs_resource_new RENAME TO idx_audit_logs_resource")


def downgrade() -> None:
    op.drop_index("idx_audit_logs_resource", "audit_logs")
    op.create_index("idx_audit_logs_resource", "audit_logs", ["resource_type", "resource_id"])
    for table, column in FILTERED:
        op.drop_index(f"idx_{table}_{column}", table)
