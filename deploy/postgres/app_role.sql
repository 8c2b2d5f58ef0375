-- The role of the API and the workers: everything they do, and nothing that would change the audit trail.
--
-- Run by the role that owns the schema and the database, after the migrations of every release; it may be repeated:
--   psql "$OWNER_DATABASE_URL" --single-transaction -f deploy/postgres/app_role.sql
-- Then give it a password (ALTER ROLE microcred_app PASSWORD '…') and name it in the DATABASE_URL of API and workers.
-- Tables of later migrations are covered by the default privileges. The owner can still switch the triggers on
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

-- Rows of the audit trail are added, read and sealed. What a writer may not choose has no grant: seq, created_at, and
-- hash and position of a new row.
REVOKE INSERT, UPDATE, DELETE ON audit_logs FROM microcred_app;
GRANT INSERT (id, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata),
  UPDATE (hash, position) ON audit_logs TO microcred_app;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM microcred_app;

-- A temporary table hides a table of the same name from the session that made it, and nothing here needs one. Every
-- role has this right by way of PUBLIC unless it is taken from there.
DO $$ BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, microcred_app', current_database());
END $$;
