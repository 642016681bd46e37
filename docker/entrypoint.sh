#!/bin/sh
# Puts the password of a secret file into the address of the database; everything else the programs read themselves.
set -eu
if [ -n "${DATABASE_PASSWORD_FILE:-}" ]; then
  DATABASE_URL="postgres://${DATABASE_USER}:$(cat "$DATABASE_PASSWORD_FILE")@${DATABASE_HOST}:${DATABASE_PORT:-5432}/${DATABASE_NAME}"
  export DATABASE_URL
fi
exec "$@"
