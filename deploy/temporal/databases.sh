#!/bin/sh
# Creates Temporal's role and databases. The postgres image runs it on a new volume. Needs TEMPORAL_DB_PASSWORD.
set -eu

# psql reads the password from the environment, because the process list shows arguments.
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" << 'SQL'
\getenv password TEMPORAL_DB_PASSWORD
CREATE ROLE temporal LOGIN PASSWORD :'password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
SQL
