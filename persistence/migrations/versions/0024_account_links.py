"""Add links with which a person sets a password.

Additive: the previous release neither reads nor writes the table. The new concern starts with a sweep at the time of
the migration, so that a sweep that never comes is noticed.
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE account_links (
  id UUID PRIMARY KEY,
  user_id UUID NOT NULL UNIQUE REFERENCES users ON DELETE CASCADE,
  token_version INTEGER NOT NULL,
  token_hashes VARCHAR(64)[] NOT NULL DEFAULT '{}',
  mail JSONB,
  mail_status VARCHAR(16),
  mail_ended_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at TIMESTAMPTZ NOT NULL,
  CONSTRAINT account_links_mail_status_check CHECK (mail_status IN ('pending', 'sent', 'failed'))
);
CREATE INDEX idx_account_links_tokens ON account_links USING gin (token_hashes);
CREATE INDEX idx_account_links_expires_at ON account_links (expires_at);
CREATE INDEX idx_account_links_unsent ON account_links (id) WHERE mail_status = 'pending';
INSERT INTO sweeps (concern) VALUES ('link_mails') ON CONFLICT DO NOTHING;
""")


def downgrade() -> None:
    op.execute("""
DELETE FROM sweeps WHERE concern = 'link_mails';
DROP TABLE account_links;
""")
