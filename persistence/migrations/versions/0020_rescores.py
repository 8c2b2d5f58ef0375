"""Add re-scores and their differences, and the question version by which an item was last scored.

`scored_version` NULL: the item is scored by the version that was asked. Workers of the previous release ignore the
column, so apply re-scores only after the rollout.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE assessment_question_snapshots ADD COLUMN scored_version VARCHAR(64)")
    op.execute("""
CREATE TABLE rescores (
  id UUID PRIMARY KEY,
  organization_id UUID NOT NULL REFERENCES organizations,
  requested_by UUID REFERENCES users ON DELETE SET NULL,
  role_id UUID REFERENCES role_catalog,
  question_id UUID REFERENCES questions,
  since TIMESTAMPTZ,
  versions TEXT[] NOT NULL DEFAULT '{}',
  reason TEXT NOT NULL,
  scope VARCHAR(16) NOT NULL,
  status VARCHAR(16) NOT NULL,
  cursor UUID,
  total INTEGER,
  done INTEGER NOT NULL DEFAULT 0,
  cents NUMERIC(14, 6) NOT NULL DEFAULT 0,
  stop_reason VARCHAR(64),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  computed_at TIMESTAMPTZ,
  CONSTRAINT rescores_scope_check CHECK (scope IN ('rules', 'essays', 'recommendations')),
  CONSTRAINT rescores_status_check CHECK (
    status IN ('queued', 'computing', 'computed', 'stopped', 'applying', 'discarding', 'discarded')),
  CONSTRAINT rescores_subject_check CHECK ((role_id IS NULL) <> (question_id IS NULL))
);
CREATE INDEX idx_rescores_organization ON rescores (organization_id, created_at, id);
CREATE INDEX idx_rescores_working ON rescores (id)
  WHERE status IN ('queued', 'computing', 'applying', 'discarding');
CREATE TABLE rescore_differences (
  rescore_id UUID NOT NULL REFERENCES rescores ON DELETE CASCADE,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  run INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  status VARCHAR(16) NOT NULL,
  outcome VARCHAR(16),
  old_points NUMERIC(12, 4),
  new_points NUMERIC(12, 4),
  reached_target BOOLEAN NOT NULL DEFAULT false,
  missed_target BOOLEAN NOT NULL DEFAULT false,
  not_comparable BOOLEAN NOT NULL DEFAULT false,
  essays JSONB,
  difference JSONB,
  proposal JSONB,
  applied_revision INTEGER,
  skip_reason VARCHAR(64),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (rescore_id, assessment_id),
  CONSTRAINT rescore_differences_status_check CHECK (
    status IN ('pending', 'computed', 'applying', 'applied', 'skipped')),
  CONSTRAINT rescore_differences_outcome_check CHECK (outcome IN ('changed', 'same', 'not_comparable')),
  CONSTRAINT rescore_differences_finished_check CHECK ((outcome IS NULL) = (status = 'pending'))
);
CREATE INDEX idx_rescore_differences_assessment ON rescore_differences (assessment_id);
CREATE INDEX idx_rescore_differences_created_at ON rescore_differences (created_at);
CREATE INDEX idx_rescore_differences_open ON rescore_differences (rescore_id, assessment_id)
  WHERE status IN ('pending', 'applying')
""")


def downgrade() -> None:
    op.execute("DROP TABLE rescore_differences")
    op.execute("DROP TABLE rescores")
    op.execute("ALTER TABLE assessment_question_snapshots DROP COLUMN scored_version")
