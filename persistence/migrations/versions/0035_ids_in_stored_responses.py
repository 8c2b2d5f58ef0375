"""Add the ids that a stored response contains, so that an erasure finds the responses about a user through an index.

Additive: the previous release ignores the column and writes rows without it. An erasure reads those rows as before,
through their own index; they expire within 24 hours.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_TABLE = "idempotency_keys"


def upgrade() -> None:
    op.execute(f"ALTER TABLE {_TABLE} ADD COLUMN IF NOT EXISTS named_ids uuid[]")
    create_index("idx_idempotency_keys_named_ids", _TABLE, ["named_ids"], postgresql_using="gin")
    create_index("idx_idempotency_keys_unread", _TABLE, ["created_at"], postgresql_where=sa.text("named_ids IS NULL"))


def downgrade() -> None:
    op.drop_index("idx_idempotency_keys_unread", _TABLE)
    op.drop_index("idx_idempotency_keys_named_ids", _TABLE)
    op.drop_column(_TABLE, "named_ids")
