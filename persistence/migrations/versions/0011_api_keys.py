"""Add API keys of organizations. Idempotency and denied requests work for their holders as for users.

The two dropped foreign keys allow the id of an API key in `user_id`. Users are never deleted, only their fields are
cleared, so the cascades of these keys never ran.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BY_CALLER = {
    "idempotency_keys": "DELETE FROM idempotency_keys WHERE user_id NOT IN (SELECT id FROM users)",
    "denied_requests": "DELETE FROM denied_requests WHERE user_id NOT IN (SELECT id FROM users)",
}


def upgrade() -> None:
    op.execute("""
CREATE TABLE api_keys (
  id UUID PRIMARY KEY,
  organization_id UUID NOT NULL REFERENCES organizations,
  name VARCHAR(64) NOT NULL,
  prefix VARCHAR(16) NOT NULL,
  key_hash VARCHAR(64) NOT NULL UNIQUE,
  scopes TEXT[] NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at TIMESTAMPTZ NOT NULL,
  last_used_at TIMESTAMPTZ,
  revoked_at TIMESTAMPTZ,
  CONSTRAINT api_keys_scopes_check CHECK (cardinality(scopes) > 0)
);
CREATE INDEX idx_api_keys_organization ON api_keys (organization_id, created_at, id)
""")
    for table in BY_CALLER:
        op.drop_constraint(f"{table}_user_id_fkey", table)


def downgrade() -> None:
    for table, delete_those_of_keys in BY_CALLER.items():
        op.execute(delete_those_of_keys)
        op.create_foreign_key(None, table, "users", ["user_id"], ["id"], ondelete="CASCADE")
    op.execute("DROP TABLE api_keys")
