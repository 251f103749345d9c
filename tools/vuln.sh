#!/usr/bin/env bash
# Runs govulncheck with the given arguments. A finding fails; a database out of reach is said loudly and passes, since
# a firewall is no vulnerability and must not stop a release, nor teach people to ignore a red line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rc=0
out=$(go tool -modfile=tools/go.mod govulncheck "$@" 2>&1) || rc=$?
printf '%s\n' "$out"

# It exits with 3 on findings and with 1 on everything else, so the text must tell why.
if [[ $rc == 1 && $out == *'fetching vulnerabilities:'* ]]; then
  printf '\n*** SKIPPED: no check for known vulnerabilities was made: database not reachable ***\n\n'
  exit 0
fi
exit "$rc"
