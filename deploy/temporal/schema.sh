#!/bin/sh
# Updates the schema of Temporal's two existing databases. Run it in temporalio/admin-tools; it is idempotent.
# Needs POSTGRES_SEEDS, DB_PORT, POSTGRES_USER with the server's values, and SQL_PASSWORD.
set -eu

for schema in temporal visibility; do
    case $schema in
        temporal) database=temporal ;;
        visibility) database=temporal_visibility ;;
    esac
    tool="temporal-sql-tool --plugin postgres12 --ep $POSTGRES_SEEDS -p $DB_PORT -u $POSTGRES_USER --db $database"
    $tool setup-schema -v 0.0
    $tool update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
