"""Add the queue of essays that wait for a reviewer.

The table starts empty. Reconciliation adds the rows of results that were published before this migration, or by the
previous release while both run.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE review_items (
  question_snapshot_id UUID PRIMARY KEY REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  organization_id UUID NOT NULL REFERENCES organizations,
  user_id UUID NOT NULL REFERENCES users,
  role_id UUID NOT NULL REFERENCES role_catalog,
  question_id UUID NOT NULL,
  reasons TEXT[] NOT NULL DEFAULT '{}',
  priority INTEGER NOT NULL GENERATED ALWAYS AS (
    CASE WHEN 'appealed' = ANY (reasons) THEN 0 WHEN reasons = '{audit_sample}' THEN 2 ELSE 1 END) STORED,
  order_key UUID NOT NULL GENERATED ALWAYS AS (
    CAST(encode(substr(sha256(uuid_send(question_snapshot_id)), 1, 16), 'hex') AS UUID)) STORED,
  waiting BOOLEAN NOT NULL,
  revision INTEGER NOT NULL,
  submitted_at TIMESTAMPTZ NOT NULL,
  claimed_by UUID REFERENCES users,
  claimed_until TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT review_items_reasons_check CHECK (
    cardinality(reasons) > 0 AND reasons <@ '{appealed, abstained, flagged, low_confidence, audit_sample}'),
  CONSTRAINT review_items_claim_check CHECK ((claimed_by IS NULL) = (claimed_until IS NULL))
)
""")
    op.execute("CREATE INDEX idx_review_items_assessment ON review_items (assessment_id)")
    op.execute("CREATE INDEX idx_review_items_claimed_by ON review_items (claimed_by) WHERE claimed_by IS NOT NULL")
    for name, columns in {
        "order": "organization_id, priority, order_key",
        "role": "organization_id, role_id, priority, order_key",
        "question": "organization_id, question_id, priority, order_key",
        "submitted": "organization_id, submitted_at, order_key",
    }.items():
        op.execute(f"CREATE INDEX idx_review_items_{name} ON review_items ({columns}) WHERE waiting")
    op.execute("CREATE INDEX idx_review_items_reasons ON review_items USING gin (reasons) WHERE waiting")


def downgrade() -> None:
    op.execute("DROP TABLE review_items")
