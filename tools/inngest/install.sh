#!/usr/bin/env bash
# Gets the Inngest Dev Server, for `clerksync dev` and the tests: the first of
#   a. INNGEST_CLI, or `inngest` or `inngest-cli` on PATH: used as it is, nothing is installed
#   b. the npm package inngest-cli: the released binary, with the web UI
#   c. a build from the module that go.mod pins, for machines that reach no release: without the web UI
# b and c end in bin/inngest. `install.sh --build` does c whatever else is there.
#
# The Dev Server is under the SSPL. We only ever run it as a program of its own: it is pinned in this module, apart
# from clerksync's, and is in no image.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

readonly module=github.com/inngest/inngest
readonly stamp=bin/.inngest-installed # "<version> <npm|source>", written last
readonly npm_seconds=60               # behind a firewall that drops packets, the download would hang
export GOWORK=off                     # a workspace around this checkout would pick other versions
export DO_NOT_TRACK=1                 # asking a release for its version sends telemetry, and waits for it

work='' # everything unfinished lives here, under bin/
cleanup() { if [[ -n $work ]]; then rm -rf "$work"; fi; }
trap cleanup EXIT

say() { printf 'inngest: %s\n' "$*"; }
die() {
  say "$1" >&2
  exit 1
}

version=$(sed -n "s|^.*$module \(v[0-9][^ ]*\).*|\1|p" "$here/go.mod") # go.mod is the one place that names it

# present finds what the user has already, in the order in which `clerksync dev` looks.
present() {
  local name path found
  if [[ -n ${INNGEST_CLI:-} ]]; then
    found=$("$INNGEST_CLI" version </dev/null 2>/dev/null) ||
      die "INNGEST_CLI is $INNGEST_CLI, and \`$INNGEST_CLI version\` does not run: correct it or unset it"
    say "using $INNGEST_CLI ($found), named by INNGEST_CLI"
    return 0
  fi
  for name in inngest inngest-cli; do
    path=$(command -v "$name") || continue
    if [[ $path -ef bin/inngest ]]; then continue; fi              # bin is on PATH: ours, with a version to keep
    found=$("$path" version </dev/null 2>/dev/null) || continue # npm's placeholder, when its download was skipped
    say "using $path ($found), found on PATH"
    return 0
  done
  return 1
}

# finish makes binary $1 the one in bin, if it runs. The move is atomic: a reader sees the old one or the new one.
finish() {
  "$1" version </dev/null >/dev/null 2>&1 || return 1
  rm -f "$stamp"
  mv -f "$1" bin/inngest && printf '%s %s\n' "$version" "$2" >"$stamp"
}

from_npm() {
  local limit='' log=$work/npm.log
  if ! command -v npm >/dev/null; then
    say "no npm here to get the released binary with"
    return 1
  fi
  if command -v timeout >/dev/null; then limit="timeout $npm_seconds"; fi
  say "installing ${module##*/}-cli ${version#v} from npm"
  # shellcheck disable=SC2086 # no limit is no word
  if $limit npm install --prefix "$work/npm" --no-save --no-package-lock --no-audit --no-fund "inngest-cli@${version#v}" >"$log" 2>&1 &&
    finish "$work/npm/node_modules/inngest-cli/bin/inngest" npm; then
    return 0
  fi
  say "npm did not bring it: $(grep -m1 -E '[A-Z][A-Za-z]*Error|E[A-Z]{4,}' "$log" || echo "no binary after $npm_seconds s or with install scripts off")"
  return 1
}

from_source() {
  local dir remedy="put a released \`inngest\` on PATH, or name it in INNGEST_CLI, or let npm or Go's module proxy be reached; then run $0 again"
  command -v go >/dev/null || die "no Go here to build the Inngest Dev Server with: $remedy"
  say "building the Inngest Dev Server $version from source, once, three to five minutes on two cores, without its web UI"
  (cd "$here" && go mod download "$module") || die "the module $module $version was not downloaded: $remedy"
  dir=$(cd "$here" && go list -mod=readonly -m -f '{{.Dir}}' "$module")

  # The module embeds a docs folder that its own zip leaves out, so it builds only from a completed copy; Go refuses
  # an -overlay in the module cache.
  cp -R "$dir" "$work/src"
  chmod -R u+w "$work/src"
  mkdir -p "$work/src/internal/embeddocs/website/pages/docs"
  echo 'Not in this build.' >"$work/src/internal/embeddocs/website/pages/docs/README.md"
  cp "$here/go.mod" "$here/go.sum" "$work"
  # No version is linked in: a build named "dev" sends no telemetry and looks for no updates. No cgo, as released.
  (cd "$work" && go mod edit -replace="$module=./src" &&
    CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' -o inngest "$module/cmd") ||
    die "the Inngest Dev Server $version was not built: $remedy"
  finish "$work/inngest" source || die "the Inngest Dev Server that was built does not run: $remedy"
}

case ${1:-} in
'')
  if present; then exit 0; fi
  if [[ -x bin/inngest && -f $stamp && $(<"$stamp") == "$version "* ]]; then exit 0; fi
  ;;
--build) ;;
*)
  echo "usage: $0 [--build]" >&2
  exit 2
  ;;
esac

mkdir -p bin
work=$(mktemp -d "$PWD/bin/.inngest.XXXXXX")
if [[ ${1:-} == --build ]] || ! from_npm; then from_source; fi
say "bin/inngest is the Inngest Dev Server $(<"$stamp")"
