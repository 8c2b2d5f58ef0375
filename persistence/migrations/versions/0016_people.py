"""Add names and external ids of users, cohorts, and an index for searches by name and e-mail address.

Additive: the previous release ignores the columns and tables. A trigger blanks them when a worker of that release
finishes the erasure of a user. New columns are null, so no row is rewritten. Indexes of `users` are built while rows
are written. pg_trgm is a trusted extension, so the owner of the database may create it.
"""

import sqlalchemy as sa
from alembic import op

from persistence.migrations.locks import create_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BLANK = """
CREATE OR REPLACE FUNCTION blank_erased_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.name = NULL;
  NEW.external_id = NULL;
  DELETE FROM cohort_members WHERE user_id = NEW.id;
  RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("""
ALTER TABLE users ADD COLUMN IF NOT EXISTS name VARCHAR(200), ADD COLUMN IF NOT EXISTS external_id VARCHAR(200);
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TABLE IF NOT EXISTS cohorts (
  id UUID PRIMARY KEY,
  organization_id UUID NOT NULL REFERENCES organizations,
  name VARCHAR(200) NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name)
);
CREATE INDEX IF NOT EXISTS idx_cohorts_organization ON cohorts (organization_id, created_at, id);
CREATE TABLE IF NOT EXISTS cohort_members (
  cohort_id UUID NOT NULL REFERENCES cohorts ON DELETE CASCADE,
  user_id UUID NOT NULL REFERENCES users,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (cohort_id, user_id)
);
CREATE INDEX IF NOT EXISTS idx_cohort_members_added ON cohort_members (cohort_id, created_at, user_id);
CREATE INDEX IF NOT EXISTS idx_cohort_members_user ON cohort_members (user_id);
""")
    op.execute(BLANK)
    op.execute(
        "CREATE OR REPLACE TRIGGER users_erased BEFORE UPDATE OF status ON users"
        " FOR EACH ROW WHEN (NEW.status = 'erased') EXECUTE FUNCTION blank_erased_user()"
    )
    create_index(
        "users_external_id_key",
        "users",
        ["organization_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    create_index(
        "idx_users_search",
        "users",
        ["name", sa.text("CAST(email AS text) gin_trgm_ops")],
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER users_erased ON users")
    op.execute("DROP FUNCTION blank_erased_user()")
    op.drop_table("cohort_members")
    op.drop_table("cohorts")
    op.drop_index("idx_users_search", "users")
    op.execute("DROP EXTENSION pg_trgm")
    op.drop_column("users", "external_id")
    op.drop_column("users", "name")
