#!/bin/sh
# Makes what docker-compose.yml reads from ./secrets, once: a file that is there already stays as it is.
set -eu
umask 077
cd "$(dirname "$0")/.."
mkdir -p secrets
printf '*\n' >secrets/.gitignore
# Compose mounts a file with the mode it has here, and the containers read it as users of their own: so the files are
# readable and the folder around them is closed.
chmod 700 secrets

make() {
  if [ -e "secrets/$1" ]; then
    echo "kept  secrets/$1"
    return
  fi
  name=$1
  shift
  "$@" >"secrets/.draft"
  chmod 444 "secrets/.draft"
  mv "secrets/.draft" "secrets/$name"
  echo "made  secrets/$name"
}

for name in postgres-superuser postgres-owner postgres-app postgres-temporal key-pepper agent-root secret-box-key; do
  make "$name" openssl rand -hex 32
done
make ticket-private.pem openssl genpkey -algorithm ed25519
make ticket-public.pem openssl pkey -in secrets/ticket-private.pem -pubout
make audit-private.pem openssl genpkey -algorithm ed25519
make audit-public.pem openssl pkey -in secrets/audit-private.pem -pubout
