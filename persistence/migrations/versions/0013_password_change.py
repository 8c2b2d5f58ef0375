"""Whether a person must choose a new password at the next login, and an index of the admins of all organizations.

Adding a column with a constant default rewrites no row. The release before does not know the column, so it lets such a
person use every route. The index is read by platform admins; writes to `users` wait while it is built, for one scan of
the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("idx_users_admins", "users", ["created_at", "id"], postgresql_where=sa.text("role = 'admin'"))


def downgrade() -> None:
    op.drop_index("idx_users_admins", "users")
    op.drop_column("users", "must_change_password")
