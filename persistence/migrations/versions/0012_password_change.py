"""Add the flag that a user must choose a new password at the next login, and an index of all admins.

A column with a constant default rewrites no rows. The previous release ignores the column, so it lets such a user call
every route. The index serves platform admins and is built while rows are written.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS must_change_password BOOLEAN NOT NULL DEFAULT false")
    create_index("idx_users_admins", "users", ["created_at", "id"], postgresql_where=sa.text("role = 'admin'"))


def downgrade() -> None:
    op.drop_index("idx_users_admins", "users")
    op.drop_column("users", "must_change_password")
