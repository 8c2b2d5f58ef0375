-- The role of the API and the workers: everything they do, and nothing that would change the audit trail.
--
-- Run by the role that owns the schema and runs the migrations, once after the first of them; it may be repeated:
--   psql "$OWNER_DATABASE_URL" -f deploy/postgres/app_role.sql
-- Then give it a password (ALTER ROLE microcred_app PASSWORD '…') and name it in the DATABASE_URL of API and workers.
-- Tables of later migrations are covered by the default privileges. The owner can still switch the trigger on
-- audit_logs off; the seal then shows what was changed.

DO $$ BEGIN
  CREATE ROLE microcred_app LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

GRANT USAGE ON SCHEMA public TO microcred_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO microcred_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO microcred_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO microcred_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO microcred_app;

-- Added to, read and sealed.
REVOKE UPDATE, DELETE ON audit_logs FROM microcred_app;
GRANT UPDATE (hash, position) ON audit_logs TO microcred_app;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM microcred_app;
