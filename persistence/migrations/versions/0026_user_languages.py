"""Add the language that a user has chosen for the web pages.

Additive: the previous release neither reads nor writes the column.
"""

from alembic import op

revision = "0026"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN language VARCHAR(35)")


def downgrade() -> None:
    op.execute("ALTER TABLE users DROP COLUMN language")
