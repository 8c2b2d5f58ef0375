"""Add the ids of the paid replies whose prices a row of the ledger contains, so that each is booked once.

Additive: the previous release ignores the column and leaves it empty.
"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE model_answers ADD COLUMN booked_replies uuid[] NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    op.drop_column("model_answers", "booked_replies")
