"""Add appeals. Additive: a release that does not know the table ignores it."""

from alembic import op

revision = "0021"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE appeals (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  question_snapshot_id UUID NOT NULL REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  organization_id UUID NOT NULL REFERENCES organizations,
  user_id UUID NOT NULL REFERENCES users,
  role_id UUID NOT NULL REFERENCES role_catalog,
  revision INTEGER NOT NULL,
  state VARCHAR(16) NOT NULL,
  reason TEXT,
  reminder_due_at TIMESTAMPTZ NOT NULL,
  answer_due_at TIMESTAMPTZ NOT NULL,
  reminded_at TIMESTAMPTZ,
  overdue_at TIMESTAMPTZ,
  closed_at TIMESTAMPTZ,
  answered_by UUID REFERENCES users,
  message TEXT,
  review_id UUID REFERENCES essay_reviews ON DELETE SET NULL,
  run_ended_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT appeals_state_check CHECK (state IN ('open', 'upheld', 'rejected', 'withdrawn')),
  CONSTRAINT appeals_closed_at_check CHECK ((state = 'open') = (closed_at IS NULL)),
  CONSTRAINT appeals_answered_by_check CHECK ((state IN ('upheld', 'rejected')) = (answered_by IS NOT NULL))
)""")
    op.execute("CREATE UNIQUE INDEX appeals_open_key ON appeals (question_snapshot_id) WHERE state = 'open'")
    op.execute("CREATE INDEX idx_appeals_assessment ON appeals (assessment_id, created_at, id)")
    op.execute("CREATE INDEX idx_appeals_user ON appeals (user_id, role_id, created_at, id)")
    op.execute("CREATE INDEX idx_appeals_organization ON appeals (organization_id, created_at, id)")
    op.execute("CREATE INDEX idx_appeals_open ON appeals (organization_id, created_at, id) WHERE state = 'open'")
    op.execute("CREATE INDEX idx_appeals_review ON appeals (review_id) WHERE review_id IS NOT NULL")
    op.execute("CREATE INDEX idx_appeals_unended ON appeals (id) WHERE run_ended_at IS NULL")


def downgrade() -> None:
    op.execute("DROP TABLE appeals")
