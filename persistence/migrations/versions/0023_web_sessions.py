"""Add sessions of the web pages, questions that a student has flagged, and notifications of an assessment's progress.

Additive: the previous release neither reads nor writes the tables. The triggers also notify for its transactions.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

CHANNEL = "assessment_progress"


def upgrade() -> None:
    op.execute("""
CREATE TABLE web_sessions (
  id UUID PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES users ON DELETE CASCADE,
  token_hash VARCHAR(64) NOT NULL UNIQUE,
  token_version INTEGER NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  last_used_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX idx_web_sessions_user ON web_sessions (user_id);
CREATE INDEX idx_web_sessions_expires_at ON web_sessions (expires_at);
CREATE TABLE flagged_questions (
  question_snapshot_id UUID PRIMARY KEY REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  flagged_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
""")
    op.execute(f"""
CREATE FUNCTION notify_assessment_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'assessments' THEN
    PERFORM pg_notify('{CHANNEL}', NEW.id::text);
  ELSE
    PERFORM pg_notify('{CHANNEL}', NEW.assessment_id::text);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER assessments_progress AFTER UPDATE OF status, claimed_at, revision ON assessments
  FOR EACH ROW
  WHEN ((OLD.status, OLD.claimed_at, OLD.revision) IS DISTINCT FROM (NEW.status, NEW.claimed_at, NEW.revision))
  EXECUTE FUNCTION notify_assessment_progress();
CREATE TRIGGER async_jobs_progress AFTER UPDATE OF status ON async_jobs
  FOR EACH ROW WHEN (NEW.status = 'succeeded' AND OLD.status <> 'succeeded')
  EXECUTE FUNCTION notify_assessment_progress();
""")


def downgrade() -> None:
    op.execute("""
DROP TRIGGER async_jobs_progress ON async_jobs;
DROP TRIGGER assessments_progress ON assessments;
DROP FUNCTION notify_assessment_progress();
DROP TABLE flagged_questions;
DROP TABLE web_sessions;
""")
