"""Add the daily spending on model replies, and the reservations of calls in progress."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
ALTER TABLE model_answers
  ADD COLUMN reserved_cents NUMERIC(14, 6) NOT NULL DEFAULT 0,
  ADD COLUMN reserved_on DATE;

CREATE TABLE model_spending (
  organization_id UUID NOT NULL REFERENCES organizations ON DELETE CASCADE,
  day DATE NOT NULL,
  cents NUMERIC(14, 6) NOT NULL,
  PRIMARY KEY (organization_id, day)
)
""")


def downgrade() -> None:
    op.execute("DROP TABLE model_spending")
    op.execute("ALTER TABLE model_answers DROP COLUMN reserved_cents, DROP COLUMN reserved_on")
