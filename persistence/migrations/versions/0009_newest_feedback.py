"""Add the learner's organization to each reaction, and an index of an organization's newest reactions.

A trigger sets the column of new rows, also for rows that the previous release writes. Existing rows are filled in
batches and the index is built concurrently, so feedback is accepted meanwhile.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index, fill_in_batches

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "recommendation_feedback"

FILL = """
CREATE OR REPLACE FUNCTION fill_organization_of_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT a.organization_id INTO NEW.organization_id
  FROM recommendations AS r JOIN assessments AS a ON a.id = r.assessment_id WHERE r.id = NEW.recommendation_id;
  RETURN NEW;
END $$
"""


BATCH = sa.text("""
WITH batch AS MATERIALIZED (
  SELECT id, recommendation_id FROM recommendation_feedback
  WHERE id > CAST(:after AS uuid) AND organization_id IS NULL ORDER BY id LIMIT :size
), filled AS (
  UPDATE recommendation_feedback AS f SET organization_id = a.organization_id
  FROM batch JOIN recommendations AS r ON r.id = batch.recommendation_id JOIN assessments AS a ON a.id = r.assessment_id
  WHERE f.id = batch.id
)
SELECT id FROM batch ORDER BY id DESC LIMIT 1
""")


def upgrade() -> None:
    op.execute(
        "ALTER TABLE recommendation_feedback ADD COLUMN IF NOT EXISTS organization_id UUID REFERENCES organizations"
    )
    op.execute(FILL)
    op.execute(
        "CREATE OR REPLACE TRIGGER recommendation_feedback_organization BEFORE INSERT ON recommendation_feedback"
        " FOR EACH ROW EXECUTE FUNCTION fill_organization_of_feedback()"
    )
    fill_in_batches(BATCH)
    create_index("idx_recommendation_feedback_newest", TABLE, ["organization_id", sa.text("submitted_at DESC"), "id"])


def downgrade() -> None:
    op.drop_index("idx_recommendation_feedback_newest", TABLE)
    op.execute("DROP TRIGGER recommendation_feedback_organization ON recommendation_feedback")
    op.execute("DROP FUNCTION fill_organization_of_feedback()")
    op.drop_column(TABLE, "organization_id")
