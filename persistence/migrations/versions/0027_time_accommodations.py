"""Add the time accommodation of a user: a factor and extra minutes for new assessments.

Columns with constant defaults rewrite no rows. The previous release ignores them, and starts assessments with the
usual time. When a worker of that release finishes the erasure of a user, a trigger resets them and the language, and
deletes the user's links, which that release does not know either.
"""

from alembic import op

from persistence.migrations.locks import validate

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

CHECKS = {
    "users_time_factor_check": "time_factor BETWEEN 1 AND 3",
    "users_extra_minutes_check": "extra_minutes BETWEEN 0 AND 600",
}


def upgrade() -> None:
    op.execute("""
ALTER TABLE users
  ADD COLUMN IF NOT EXISTS time_factor NUMERIC(3, 2) NOT NULL DEFAULT 1,
  ADD COLUMN IF NOT EXISTS extra_minutes INTEGER NOT NULL DEFAULT 0
""")
    for name, condition in CHECKS.items():
        op.execute(f"ALTER TABLE users DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE users ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    op.execute("""
CREATE OR REPLACE FUNCTION reset_erased_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.time_factor = 1;
  NEW.extra_minutes = 0;
  NEW.language = NULL;
  DELETE FROM account_links WHERE user_id = NEW.id;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER users_erased_account BEFORE UPDATE OF status ON users
  FOR EACH ROW WHEN (NEW.status = 'erased') EXECUTE FUNCTION reset_erased_account();
""")
    for name in CHECKS:
        validate(name, "users")


def downgrade() -> None:
    op.execute("""
DROP TRIGGER users_erased_account ON users;
DROP FUNCTION reset_erased_account();
ALTER TABLE users DROP COLUMN extra_minutes, DROP COLUMN time_factor;
""")
