"""Add the state of webhook deliveries."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A row trigger, because deliveries of one event may end at the same time in several transactions, and each must see the
# others' changes. The lock serializes them, and every statement of a trigger has a new snapshot.
_ROLL_UP = """
CREATE FUNCTION roll_up_webhook_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM webhook_events WHERE id = NEW.event_id FOR NO KEY UPDATE;
  IF TG_OP = 'INSERT' THEN
    UPDATE webhook_events SET status = 'pending' WHERE id = NEW.event_id AND status <> 'pending';
    RETURN NULL;
  END IF;
  UPDATE webhook_events AS event
  SET status = rolled.status, attempts = rolled.attempts, last_attempt = rolled.last_attempt,
    response_code = rolled.response_code
  FROM (
    SELECT
      CASE
        WHEN bool_or(status = 'pending') THEN 'pending'
        WHEN bool_or(newest AND status = 'dead_letter') THEN 'dead_letter'
        WHEN bool_or(newest AND status = 'delivered') THEN 'delivered'
        ELSE 'cancelled'
      END AS status,
      sum(attempts) AS attempts,
      max(last_attempt_at) AS last_attempt,
      (array_agg(response_code ORDER BY last_attempt_at DESC NULLS LAST))[1] AS response_code
    FROM (
      SELECT *, n = max(n) OVER (PARTITION BY endpoint_id) AS newest
      FROM webhook_deliveries WHERE event_id = NEW.event_id
    ) AS delivery
  ) AS rolled
  WHERE event.id = NEW.event_id;
  RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE webhook_endpoints ADD COLUMN deleted_at TIMESTAMPTZ, ADD COLUMN paced_until TIMESTAMPTZ")
    op.execute("ALTER TABLE webhook_deliveries ADD COLUMN turn_at TIMESTAMPTZ")
    op.execute(_ROLL_UP)
    op.execute(
        "CREATE TRIGGER webhook_deliveries_roll_up AFTER INSERT OR UPDATE OF status, attempts ON webhook_deliveries"
        " FOR EACH ROW EXECUTE FUNCTION roll_up_webhook_event()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER webhook_deliveries_roll_up ON webhook_deliveries")
    op.execute("DROP FUNCTION roll_up_webhook_event()")
    op.execute("ALTER TABLE webhook_deliveries DROP COLUMN turn_at")
    op.execute("ALTER TABLE webhook_endpoints DROP COLUMN deleted_at, DROP COLUMN paced_until")
