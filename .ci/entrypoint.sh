#!/bin/sh
# Entry point of the test image: runs `postgres …` or `redis-server …` as the server's own user, and honours
# POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB as the official image does.
set -eu

PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=/var/lib/postgresql/data

as() { # as USER COMMAND...
    user=$1
    shift
    exec setpriv --reuid="$user" --regid="$user" --init-groups "$@"
}

make_cluster() {
    install -d -m 700 -o postgres -g postgres "$data"
    install -m 600 -o postgres /dev/null /run/password
    printf '%s' "$POSTGRES_PASSWORD" > /run/password
    (as postgres initdb -D "$data" --username="$POSTGRES_USER" --pwfile=/run/password --encoding=UTF8 --locale=C \
        --auth-local=trust --auth-host=scram-sha-256 --no-sync --no-instructions)
    echo 'host all all all scram-sha-256' >> "$data/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | (as postgres postgres --single -D "$data" postgres)
}

case $1 in
postgres)
    make_cluster
    as postgres "$@" -D "$data" -c listen_addresses='*'
    ;;
redis-server) as redis "$@" ;;
esac
