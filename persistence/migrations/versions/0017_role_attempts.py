"""Add a role's rules for attempts: when right answers are shown, how many attempts there are, and the cool-down.

Columns with constant defaults rewrite no rows. The defaults mean what the previous release does, which ignores them.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
ALTER TABLE role_catalog
  ADD COLUMN reveal VARCHAR(24) NOT NULL DEFAULT 'always',
  ADD COLUMN attempts INTEGER,
  ADD COLUMN cool_down_hours INTEGER NOT NULL DEFAULT 0,
  ADD CONSTRAINT role_catalog_reveal_check CHECK (reveal IN ('always', 'after_last_attempt', 'never')),
  ADD CONSTRAINT role_catalog_attempts_check CHECK (attempts BETWEEN 1 AND 100),
  ADD CONSTRAINT role_catalog_cool_down_hours_check CHECK (cool_down_hours BETWEEN 0 AND 8760),
  ADD CONSTRAINT role_catalog_last_attempt_check CHECK (reveal <> 'after_last_attempt' OR attempts IS NOT NULL)
""")


def downgrade() -> None:
    op.execute("ALTER TABLE role_catalog DROP COLUMN cool_down_hours, DROP COLUMN attempts, DROP COLUMN reveal")
