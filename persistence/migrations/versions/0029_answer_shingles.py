"""Add the fingerprints of answers, by which copies are found.

Additive: a release that does not know the table ignores it. Answers that were graded before have no fingerprint.
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE answer_shingles (
  shingle BIGINT NOT NULL,
  question_snapshot_id UUID NOT NULL REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  PRIMARY KEY (shingle, question_snapshot_id)
)""")
    op.execute("CREATE INDEX idx_answer_shingles_snapshot ON answer_shingles (question_snapshot_id)")


def downgrade() -> None:
    op.execute("DROP TABLE answer_shingles")
