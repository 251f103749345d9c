#!/usr/bin/env bash
# What `make test-fleet` needs besides Go: PostgreSQL and Redis, from Debian's packages, and Caddy, built into bin/caddy at the
# version that tools/deploy/go.mod pins, which is that of deploy/compose.yaml. The tests start servers of their own on free ports
# in temporary directories, and leave the system's alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off # a workspace around this checkout would pick other versions

missing=()
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
if ((${#missing[@]})); then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "fleet: ${missing[*]} not found: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

echo 'fleet: building Caddy, the first time in some minutes'
go build -C tools/deploy -trimpath -o ../../bin/caddy github.com/caddyserver/caddy/v2/cmd/caddy
