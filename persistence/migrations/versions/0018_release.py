"""Add what a student sees of a result that is held, and an index of held results.

The columns rewrite no rows. `assessments.released_revision` NULL means that the student sees the current revision, and
`result_revisions.held` is false by default, so the rows of a release that does not know the columns count as released.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index, validate

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_CHECK = "assessments_released_revision_check"


def upgrade() -> None:
    op.execute("ALTER TABLE result_revisions ADD COLUMN IF NOT EXISTS held BOOLEAN NOT NULL DEFAULT false")
    op.execute(
        "ALTER TABLE assessments ADD COLUMN IF NOT EXISTS released_revision INTEGER,"
        " ADD COLUMN IF NOT EXISTS released_at TIMESTAMPTZ"
    )
    op.execute(f"ALTER TABLE assessments DROP CONSTRAINT IF EXISTS {_CHECK}")
    op.execute(
        f"ALTER TABLE assessments ADD CONSTRAINT {_CHECK}"
        " CHECK (released_revision >= 0 AND released_revision < revision) NOT VALID"
    )
    validate(_CHECK, "assessments")
    create_index(
        "idx_assessments_held",
        "assessments",
        ["organization_id", "created_at", "id"],
        postgresql_where=sa.text("released_revision IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("idx_assessments_held", "assessments")
    op.drop_column("assessments", "released_at")
    op.drop_column("assessments", "released_revision")
    op.drop_column("result_revisions", "held")
