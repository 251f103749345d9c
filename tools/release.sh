#!/usr/bin/env bash
# The steps of a release that .goreleaser.yaml does not do, for .github/workflows/release.yml. See docs/releasing.md.
#   release.sh licence ANSWER     whether somebody has said that the SSPL code may be handed on
#   release.sh version TAG        whether TAG is a version, on main, in CHANGELOG.md, and the chart's
#   release.sh notes TAG          prints TAG's section of CHANGELOG.md
#   release.sh image TAG COMMIT NAME
#                                 builds the image for all its systems, pushes it, and says its digest in $GITHUB_OUTPUT
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
  printf 'release: %s\n' "$1" >&2
  exit 1
}

licence() {
  local linked
  linked=$(sed -n 's|^.*github.com/inngest/inngest \(v[^ ]*\).*$|\1|p' go.mod)
  [[ $1 == "$linked" ]] || die "a release hands on code under the SSPL, github.com/inngest/inngest $linked (README.md, Licence). When Inngest \
or a lawyer has said that it may be, set the repository's variable SSPL_CONFIRMED_FOR to $linked; it is '$1'"
}

notes() {
  local text
  text=$(awk -v heading="## [${1#v}] - " 'index($0, "## ") == 1 || /^\[.*\]: / { on = index($0, heading) == 1; next } on' CHANGELOG.md)
  [[ $text =~ [^[:space:]] ]] || die "CHANGELOG.md has no section '## [${1#v}] - DATE'"
  printf '%s\n' "$text"
}

version() {
  [[ $1 =~ ^v(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[0-9A-Za-z.-]+)?$ ]] || die "$1 is no version such as v1.2.3 or v1.2.3-rc.1"
  git merge-base --is-ancestor HEAD origin/main || die "$1 is not on main: what is released was tested there"
  notes "$1" >/dev/null
  local field
  for field in version appVersion; do
    grep -qxF "$field: ${1#v}" deploy/helm/clerksync/Chart.yaml || die "the $field of deploy/helm/clerksync/Chart.yaml is not ${1#v}"
  done
}

image() {
  local tag tags=("$1") args=() metadata
  if [[ $1 != *-* ]]; then tags+=("${1%.*}" latest); fi # v1.2.3 is also v1.2; what is not final moves nobody
  for tag in "${tags[@]}"; do args+=(--tag "$3:$tag"); done
  metadata=$(mktemp)
  # From the Dockerfile, as everybody builds it. Buildx adds the SBOM and how it was built.
  docker buildx build --platform linux/amd64,linux/arm64 --build-arg "VERSION=$1" --build-arg "COMMIT=$2" \
    --sbom=true --provenance=mode=max --push --metadata-file "$metadata" "${args[@]}" .
  sed -n 's|^.*"containerimage.digest": "\(sha256:[0-9a-f]*\)".*$|digest=\1|p' "$metadata" >>"$GITHUB_OUTPUT"
}

case "${1:-} $#" in
'licence 2' | 'notes 2' | 'version 2' | 'image 4') "$@" ;;
*)
  sed -n '3,7s/^# *//p' "$0" >&2
  exit 2
  ;;
esac
