#!/usr/bin/env bash
# Checks what is linked into the program: each package lies under a licence file of an allowed kind or is an exception below,
# and the modules are the published ones. It reads the module cache; the network is for what is not there yet.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off # a workspace around this checkout would pick other versions

# Kinds that an MIT program may link and be handed on with, as long as their texts go with it.
readonly allowed=Apache-2.0,BSD-2-Clause,BSD-3-Clause,ISC,MIT,MPL-2.0,PostgreSQL

# The exceptions. A new version and a new package of the module are no exceptions before somebody has read the licence again.
#
# inngestgo, the SDK, is under Apache-2.0, but its package imports these six of Inngest's server, whose one licence file says
# SSPL-1.0, and Apache-2.0 from the third anniversary of the release on: 2029-05-14 for this one. What that means for those
# who run clerksync and those who hand it on is in README.md under Licence.
readonly module=github.com/inngest/inngest version=v1.19.3 licence=SSPL-1.0
readonly excepted=(pkg/connect/types pkg/connect/wsproto pkg/enums pkg/publicerr pkg/syscode proto/gen/connect/v1)

die() {
  printf 'licenses: %s\n' "$1" >&2
  exit 1
}

# classify LICENCES [FLAG...] fails when what the build of $GOFLAGS links is under others, and says what.
classify() {
  local out
  # It warns of assembly, which imports nothing, on lines that begin with W and a date, each with the file on the next.
  out=$(go tool -modfile=tools/go.mod go-licenses check ./cmd/clerksync --allowed_licenses="$1" "${@:2}" 2>&1) ||
    die "$(grep -v -e '^W[0-9]' -e '^/.*\.s$' <<<"$out")"
}

for file in go.mod tools/go.mod tools/inngest/go.mod tools/deploy/go.mod tools/release/go.mod; do
  if grep -n '^replace' "$file"; then die "$file replaces a module: what is built is not what go.sum vouches for"; fi
done
go mod verify

# The image's build for its system, and everybody's for this one.
flags=${GOFLAGS:-}
for build in 'linux nodev' "$(go env GOOS) "; do
  read -r GOOS tags <<<"$build"
  export GOOS GOFLAGS="$flags -tags=$tags"
  linked=$(go list -deps ./cmd/clerksync)
  ignored=()
  for package in "${excepted[@]}"; do
    grep -qx "$module/$package" <<<"$linked" || die "$module/$package is not linked any more: remove the exception"
    ignored+=(--ignore "$module/$package")
  done
  classify "$allowed" "${ignored[@]}"
  classify "$allowed,$licence"
done
has=$(go list -m -f '{{.Version}}' "$module")
[[ $has == "$version" ]] || die "$module is $has, the exception is for $version: read its LICENSE.md, and say here what it says"

printf 'licenses: all of %s, but for %d packages of %s %s (%s)\n' "$allowed" "${#excepted[@]}" "$module" "$version" "$licence"
