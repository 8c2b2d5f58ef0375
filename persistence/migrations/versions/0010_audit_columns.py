"""Protect two properties of audit rows from their writer: the time of writing and the place in the chain.

If existing rows break the checks, the checks apply to new rows only; `persistence.audit_seal` counts the old ones.
"""

from alembic import op

from persistence.migrations.locks import validate, without_timeouts

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CHECKS = {"audit_logs_position_check": "position > 0", "audit_logs_hash_check": "hash ~ '^[0-9a-f]{64}$'"}
FORGED = "SELECT EXISTS (SELECT FROM audit_logs WHERE position <= 0 OR hash !~ '^[0-9a-f]{64}$')"

# The previous release does not write these columns, so its inserts are unaffected.
_OWN_COLUMNS = """
CREATE OR REPLACE FUNCTION own_audit_columns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.created_at := now();
  NEW.hash := NULL;
  NEW.position := NULL;
  RETURN NEW;
END $$
"""

# Computes the same links as persistence.audit_seal. `TG_RELID` is this table, even if another schema has a table with
# this name.
_CONTINUES_CHAIN = r"""
CREATE OR REPLACE FUNCTION check_audit_seal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  head_position BIGINT := 0;
  head_hash TEXT := repeat('0', 64);
  found RECORD;
BEGIN
  FOR found IN EXECUTE format(
    'SELECT position, hash FROM %s WHERE position BETWEEN 1 AND (SELECT min(position) FROM sealed) - 1'
    ' ORDER BY position DESC LIMIT 1', TG_RELID::regclass)
  LOOP
    head_position := found.position;
    head_hash := found.hash;
  END LOOP;
  FOR found IN
    SELECT position, hash, CAST(jsonb_build_array(
      id, seq, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata,
      created_at AT TIME ZONE 'UTC') AS text) AS content
    FROM sealed ORDER BY position
  LOOP
    head_position := head_position + 1;
    head_hash := encode(sha256(convert_to(concat_ws(E'\n', head_hash, head_position, found.content), 'UTF8')), 'hex');
    IF (found.position, found.hash) IS DISTINCT FROM (head_position, head_hash) THEN
      RAISE EXCEPTION 'audit_logs is append-only, and this seal does not continue its chain'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
  END LOOP;
  RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(_OWN_COLUMNS)
    op.execute(_CONTINUES_CHAIN)
    op.execute(
        "CREATE OR REPLACE TRIGGER audit_logs_own_columns BEFORE INSERT ON audit_logs"
        " FOR EACH ROW EXECUTE FUNCTION own_audit_columns()"
    )
    op.execute(
        "CREATE OR REPLACE TRIGGER audit_logs_continue_chain AFTER UPDATE ON audit_logs REFERENCING NEW TABLE AS sealed"
        " FOR EACH STATEMENT EXECUTE FUNCTION check_audit_seal()"
    )
    for name, condition in CHECKS.items():
        op.execute(f"ALTER TABLE audit_logs DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE audit_logs ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    with without_timeouts():
        forged = op.get_bind().exec_driver_sql(FORGED).scalar_one()
    if not forged:
        for name in CHECKS:
            validate(name, "audit_logs")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_position_check, DROP CONSTRAINT audit_logs_hash_check"
    )
    op.execute("DROP TRIGGER audit_logs_continue_chain ON audit_logs")
    op.execute("DROP TRIGGER audit_logs_own_columns ON audit_logs")
    op.execute("DROP FUNCTION check_audit_seal()")
    op.execute("DROP FUNCTION own_audit_columns()")
