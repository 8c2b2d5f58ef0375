"""Add indexes for lists of organizations and users."""

from alembic import op

from persistence.migrations.locks import create_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    page = ["created_at", "id"]
    create_index("idx_organizations_created_at", "organizations", page)
    create_index("idx_users_created_at", "users", page)


def downgrade() -> None:
    op.drop_index("idx_users_created_at", "users")
    op.drop_index("idx_organizations_created_at", "organizations")
