#!/bin/sh
# Brings Temporal's two databases to the schema of this image; where they are there already nothing happens.
set -eu
SQL_PASSWORD=$(cat "$SQL_PASSWORD_FILE")
export SQL_PASSWORD

for database in temporal:temporal temporal_visibility:visibility; do
  export SQL_DATABASE="${database%%:*}"
  temporal-sql-tool setup-schema -v 0.0
  temporal-sql-tool update-schema -d "/etc/temporal/schema/postgresql/v12/${database##*:}/versioned"
done
