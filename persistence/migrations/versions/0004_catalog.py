"""Add catalogue imports and searches."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE catalog_imports ADD COLUMN credential_ids UUID[] NOT NULL DEFAULT '{}'")
    # Unlogged: the words of a search exist for seconds and belong neither in the write-ahead log nor on a replica.
    op.execute("""
CREATE UNLOGGED TABLE catalog_searches (
  id UUID PRIMARY KEY,
  words TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
""")


def downgrade() -> None:
    op.execute("DROP TABLE catalog_searches")
    op.execute("ALTER TABLE catalog_imports DROP COLUMN credential_ids")
