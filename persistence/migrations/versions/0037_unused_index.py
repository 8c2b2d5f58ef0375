"""Drop an index that no statement reads: retention finds expired responses by the index on `expires_at`.

The release with migration 0034 does not read it either.
"""

from alembic import op

from persistence.migrations.locks import create_index

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_NAME = "idx_idempotency_keys_created_at"
_TABLE = "idempotency_keys"


def upgrade() -> None:
    op.drop_index(_NAME, _TABLE, if_exists=True)


def downgrade() -> None:
    create_index(_NAME, _TABLE, ["created_at"])
