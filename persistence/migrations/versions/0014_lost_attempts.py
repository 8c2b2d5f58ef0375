"""Count the attempts at a step that ended without a record, after a crash of the worker or a timeout.

Additive: a release that does not know the column leaves it at 0.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("async_jobs", sa.Column("lost_attempts", sa.Integer(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_column("async_jobs", "lost_attempts")
