"""Add the sweep that stores the fingerprints of answers that were graded before fingerprints existed.

Additive: the previous release ignores both the index and the row. The new concern starts with a sweep at the time of
the migration, so that a sweep that never comes is noticed.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO sweeps (concern) VALUES ('fingerprints') ON CONFLICT DO NOTHING")
    create_index(
        "idx_assessments_completed", "assessments", ["completed_at", "id"], postgresql_where=sa.text("revision > 0")
    )


def downgrade() -> None:
    op.drop_index("idx_assessments_completed", "assessments")
    op.execute("DELETE FROM sweeps WHERE concern = 'fingerprints'")
