"""Add the choices of examples. Additive: a release that does not know the table ignores it."""

from alembic import op

revision = "0025"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE grading_examples (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  review_ids UUID[] NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
)""")
    op.execute("CREATE INDEX idx_grading_examples_assessment ON grading_examples (assessment_id)")


def downgrade() -> None:
    op.execute("DROP TABLE grading_examples")
