"""Store the id of the key that a request's hash was made with, so that replays survive a change of JWT_SECRET.

The previous release leaves the column empty; such rows are compared with every key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("hash_key_id", sa.String(16)))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "hash_key_id")
