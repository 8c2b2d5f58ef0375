"""An organization's newest reactions without a look at everybody's."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "recommendation_feedback"


def upgrade() -> None:
    # Without "not null", because the release before goes on writing until it is replaced.
    op.add_column(TABLE, sa.Column("organization_id", sa.Uuid(), sa.ForeignKey("organizations.id")))
    op.execute(
        "UPDATE recommendation_feedback AS f SET organization_id = a.organization_id"
        " FROM recommendations AS r JOIN assessments AS a ON a.id = r.assessment_id WHERE r.id = f.recommendation_id"
    )
    op.create_index(
        "idx_recommendation_feedback_newest", TABLE, ["organization_id", sa.text("submitted_at DESC"), "id"]
    )


def downgrade() -> None:
    op.drop_index("idx_recommendation_feedback_newest", TABLE)
    op.drop_column(TABLE, "organization_id")
