"""Add the seal of the audit trail, denied requests and the retention of answers."""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index, validate

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The trigger allows one change of a row, its sealing, and no deletion. It prevents mistakes, also of the owner. Roles
# (deploy/postgres/app_role.sql) and the seal protect against intent.
_APPEND_ONLY = """
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.hash IS NULL AND NEW.hash IS NOT NULL
      AND to_jsonb(NEW) - 'hash' - 'position' = to_jsonb(OLD) - 'hash' - 'position' THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'insufficient_privilege';
END $$
"""


def upgrade() -> None:
    op.execute("""
ALTER TABLE audit_logs
  ADD COLUMN IF NOT EXISTS position BIGINT,
  DROP CONSTRAINT IF EXISTS audit_logs_sealed_check
""")
    op.execute(
        "ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_sealed_check CHECK ((hash IS NULL) = (position IS NULL))"
        " NOT VALID"
    )
    validate("audit_logs_sealed_check", "audit_logs")
    create_index("idx_audit_logs_unsealed", "audit_logs", ["seq"], postgresql_where=sa.text("hash IS NULL"))
    create_index("idx_audit_logs_actor", "audit_logs", ["actor_id", "created_at", "id"])
    create_index("audit_logs_position_key", "audit_logs", ["position"], unique=True)
    op.execute(
        "ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_position_key UNIQUE USING INDEX audit_logs_position_key"
    )
    op.execute(_APPEND_ONLY)
    op.execute(
        "CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs"
        " FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
    )
    op.execute(
        "CREATE TRIGGER audit_logs_not_truncated BEFORE TRUNCATE ON audit_logs"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )
    op.execute("""
CREATE TABLE denied_requests (
  user_id UUID NOT NULL REFERENCES users ON DELETE CASCADE,
  hour TIMESTAMPTZ NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (user_id, hour)
)
""")
    op.execute("ALTER TABLE organizations ADD COLUMN answers_kept_days INTEGER")
    op.execute(
        "ALTER TABLE organizations ADD CONSTRAINT organizations_answers_kept_days_check CHECK (answers_kept_days > 0)"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE organizations DROP COLUMN answers_kept_days")
    op.execute("DROP TABLE denied_requests")
    op.execute("DROP TRIGGER audit_logs_not_truncated ON audit_logs")
    op.execute("DROP TRIGGER audit_logs_append_only ON audit_logs")
    op.execute("DROP FUNCTION refuse_audit_change()")
    op.execute("DROP INDEX idx_audit_logs_actor")
    op.execute("DROP INDEX idx_audit_logs_unsealed")
    op.execute("ALTER TABLE audit_logs DROP COLUMN position")
