"""Add the time of a user's last sign-in, and indexes for the list of people by name and by last sign-in.

The column is empty until the next sign-in. The previous release ignores it. When a worker of that release finishes the
erasure of a user, the trigger of migration 0027 empties it.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

INDEXES = {
    "idx_users_name": "coalesce(CAST(name AS citext), email)",
    "idx_users_last_sign_in": "coalesce(last_sign_in_at, to_timestamp(0))",
}
RESET = """
CREATE OR REPLACE FUNCTION reset_erased_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.time_factor = 1;
  NEW.extra_minutes = 0;
  NEW.language = NULL;{more}
  DELETE FROM account_links WHERE user_id = NEW.id;
  RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS last_sign_in_at TIMESTAMPTZ")
    op.execute(RESET.format(more="\n  NEW.last_sign_in_at = NULL;"))
    for name, expression in INDEXES.items():
        create_index(name, "users", ["organization_id", sa.text(f"({expression})"), "created_at", "id"])


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "users")
    op.execute(RESET.format(more=""))
    op.execute("ALTER TABLE users DROP COLUMN last_sign_in_at")
