"""An organization's newest reactions without a look at everybody's.

The column is filled by a trigger, so that the release before fills it too. Feedback waits meanwhile, some ten seconds
for a million reactions.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "recommendation_feedback"

FILL = """
CREATE FUNCTION fill_organization_of_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT a.organization_id INTO NEW.organization_id
  FROM recommendations AS r JOIN assessments AS a ON a.id = r.assessment_id WHERE r.id = NEW.recommendation_id;
  RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("organization_id", sa.Uuid(), sa.ForeignKey("organizations.id")))
    op.execute(FILL)
    op.execute(
        "CREATE TRIGGER recommendation_feedback_organization BEFORE INSERT ON recommendation_feedback"
        " FOR EACH ROW EXECUTE FUNCTION fill_organization_of_feedback()"
    )
    op.execute(
        "UPDATE recommendation_feedback AS f SET organization_id = a.organization_id"
        " FROM recommendations AS r JOIN assessments AS a ON a.id = r.assessment_id WHERE r.id = f.recommendation_id"
    )
    op.create_index(
        "idx_recommendation_feedback_newest", TABLE, ["organization_id", sa.text("submitted_at DESC"), "id"]
    )


def downgrade() -> None:
    op.drop_index("idx_recommendation_feedback_newest", TABLE)
    op.execute("DROP TRIGGER recommendation_feedback_organization ON recommendation_feedback")
    op.execute("DROP FUNCTION fill_organization_of_feedback()")
    op.drop_column(TABLE, "organization_id")
