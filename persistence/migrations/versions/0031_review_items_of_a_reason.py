"""Add indexes for the waiting essays with each reason of doubt, in both orders of the queue.

Without them, a claim of an essay with a rare reason reads all essays before it, and again for each live claim on an
essay with that reason.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

REASONS = ("abstained", "flagged", "low_confidence")
ORDERS = {"": "priority", "_submitted": "submitted_at"}


def upgrade() -> None:
    for reason in REASONS:
        for suffix, first in ORDERS.items():
            create_index(
                f"idx_review_items_{reason}{suffix}",
                "review_items",
                ["organization_id", first, "order_key"],
                postgresql_where=sa.text(f"waiting AND reasons @> '{{{reason}}}'::text[]"),
            )


def downgrade() -> None:
    for reason in REASONS:
        for suffix in ORDERS:
            op.drop_index(f"idx_review_items_{reason}{suffix}", "review_items")
