"""Add an index for the waiting essays of a role in the order of their hand-in.

Without it, a claim of the oldest essay of a role reads all essays that were handed in before it.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

NAME = "idx_review_items_role_submitted"


def upgrade() -> None:
    create_index(
        NAME,
        "review_items",
        ["organization_id", "role_id", "submitted_at", "order_key"],
        postgresql_where=sa.text("waiting"),
    )


def downgrade() -> None:
    op.drop_index(NAME, "review_items")
