-- The database role of the API and the workers. It has the rights that they need, and none to change the audit trail.
--
-- Run it as the owner of the schema and the database after the migrations of every release. It is idempotent:
--   psql "$OWNER_DATABASE_URL" --single-transaction -f deploy/postgres/app_role.sql
-- Then set its password (ALTER ROLE microcred_app PASSWORD '…') and use it in the DATABASE_URL of API and workers.
-- The default privileges cover tables of later migrations. The owner can still disable the triggers on audit_logs;
-- the seal then shows the changed rows.

DO $$ BEGIN
  CREATE ROLE microcred_app LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

GRANT USAGE ON SCHEMA public TO microcred_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO microcred_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO microcred_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO microcred_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO microcred_app;

-- The role may add, read and seal rows of the audit trail. It may not set seq, created_at, or the hash and position of a
-- new row.
REVOKE INSERT, UPDATE, DELETE ON audit_logs FROM microcred_app;
GRANT INSERT (id, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata),
  UPDATE (hash, position) ON audit_logs TO microcred_app;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM microcred_app;

-- A temporary table hides a table of the same name in its session, and no process needs one. Every role has this right
-- through PUBLIC, so it is revoked from PUBLIC.
DO $$ BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, microcred_app', current_database());
END $$;
