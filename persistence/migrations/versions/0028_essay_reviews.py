"""Add to each review its organization, the version of the question, and whether the audit sample asked for it.

With them, indexes find the newest reviews of an organization, and those of answers to one version of a question.
Another index finds the waiting essays of the students of a cohort.

Triggers fill the columns, also for rows that the previous release writes. Existing rows are filled in batches and the
indexes are built concurrently, so reviews are accepted meanwhile. Which existing reviews belong to an audit sample
is not known, so they count as reviews outside of it.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index, fill_in_batches

revision = "0028"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLE = "essay_reviews"

FILL = """
CREATE OR REPLACE FUNCTION fill_essay_review() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT a.organization_id, coalesce(s.scored_version, s.version) INTO NEW.organization_id, NEW.version
  FROM assessment_question_snapshots AS s JOIN assessments AS a ON a.id = s.assessment_id
  WHERE s.id = NEW.question_snapshot_id;
  RETURN NEW;
END $$
"""

# A re-score that is applied changes the version of an item. It keeps the levels of its review only if they fit.
FOLLOW = """
CREATE OR REPLACE FUNCTION follow_scored_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE essay_reviews SET version = coalesce(NEW.scored_version, NEW.version)
  WHERE assessment_id = NEW.assessment_id AND question_snapshot_id = NEW.id;
  RETURN NULL;
END $$
"""

# A re-score that was applied since the triggers exist has set the version, and only that.
BATCH = sa.text("""
WITH batch AS MATERIALIZED (
  SELECT id, question_snapshot_id FROM essay_reviews
  WHERE id > CAST(:after AS uuid) AND organization_id IS NULL ORDER BY id LIMIT :size
), filled AS (
  UPDATE essay_reviews AS review
  SET organization_id = a.organization_id, version = coalesce(review.version, s.scored_version, s.version)
  FROM batch JOIN assessment_question_snapshots AS s ON s.id = batch.question_snapshot_id
  JOIN assessments AS a ON a.id = s.assessment_id
  WHERE review.id = batch.id
)
SELECT id FROM batch ORDER BY id DESC LIMIT 1
""")


def upgrade() -> None:
    op.execute("""
ALTER TABLE essay_reviews
  ADD COLUMN IF NOT EXISTS organization_id UUID REFERENCES organizations,
  ADD COLUMN IF NOT EXISTS version VARCHAR(64),
  ADD COLUMN IF NOT EXISTS audit_sample BOOLEAN NOT NULL DEFAULT false""")
    op.execute(FILL)
    op.execute(
        "CREATE OR REPLACE TRIGGER essay_reviews_fill BEFORE INSERT ON essay_reviews"
        " FOR EACH ROW EXECUTE FUNCTION fill_essay_review()"
    )
    op.execute(FOLLOW)
    op.execute("""
CREATE OR REPLACE TRIGGER assessment_question_snapshots_version
  AFTER UPDATE OF version, scored_version ON assessment_question_snapshots FOR EACH ROW
  WHEN (coalesce(NEW.scored_version, NEW.version) <> coalesce(OLD.scored_version, OLD.version))
  EXECUTE FUNCTION follow_scored_version()""")
    fill_in_batches(BATCH)
    create_index("idx_essay_reviews_version", TABLE, ["organization_id", "version", "created_at", "id"])
    create_index("idx_essay_reviews_organization", TABLE, ["organization_id", "created_at", "id"])
    create_index(
        "idx_review_items_user",
        "review_items",
        ["user_id", "priority", "order_key"],
        postgresql_where=sa.text("waiting"),
    )


def downgrade() -> None:
    op.drop_index("idx_review_items_user", "review_items")
    op.drop_index("idx_essay_reviews_organization", TABLE)
    op.drop_index("idx_essay_reviews_version", TABLE)
    op.execute("DROP TRIGGER assessment_question_snapshots_version ON assessment_question_snapshots")
    op.execute("DROP FUNCTION follow_scored_version()")
    op.execute("DROP TRIGGER essay_reviews_fill ON essay_reviews")
    op.execute("DROP FUNCTION fill_essay_review()")
    for name in ("audit_sample", "version", "organization_id"):
        op.drop_column(TABLE, name)
