"""Add indexes for filtered lists of assessments."""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    page = ["created_at", "id"]
    create_index("idx_assessments_organization_status", "assessments", ["organization_id", "status", *page])
    create_index("idx_assessments_organization_role", "assessments", ["organization_id", "role_id", *page])
    create_index(
        "idx_assessments_degraded", "assessments", ["organization_id", *page], postgresql_where=sa.text("degraded")
    )


def downgrade() -> None:
    for name in ("degraded", "organization_role", "organization_status"):
        op.drop_index(f"idx_assessments_{name}", "assessments")
