"""What people, organizations and their sessions need."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    page = ["created_at", "id"]
    op.create_index("idx_organizations_created_at", "organizations", page)
    op.create_index("idx_users_created_at", "users", page)


def downgrade() -> None:
    op.drop_index("idx_users_created_at", "users")
    op.drop_index("idx_organizations_created_at", "organizations")
