#!/usr/bin/env bash
# Puts the licence texts of all that is linked into clerksync into a folder, as their licences ask of whoever hands a binary on:
# `notices.sh FOLDER SYSTEM...`, such as `notices.sh bin/notices linux darwin windows`. GOFLAGS says which build.
# The release's archives and the image carry that folder. Which licences may be linked at all is for licenses.sh to judge.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off # a workspace around this checkout would pick other versions

die() {
  printf 'notices: %s\n' "$1" >&2
  exit 1
}

[[ $# -ge 2 ]] || die "usage: $0 FOLDER SYSTEM..."
readonly out=$1
shift
rm -rf "$out"
mkdir -p "$out"

# keep NAME FOLDER copies the licence files of a folder to $out/NAME.
keep() {
  local file found=1
  for file in "$2"/*; do
    [[ -f $file && ${file##*/} =~ ^(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|PATENTS)([._-].*)?$ && $file != *.go ]] || continue
    mkdir -p "$out/$1"
    install -m 644 "$file" "$out/$1/"
    found=0
  done
  return "$found"
}

keep go "$(go env GOROOT)" || die "no licence of Go itself in $(go env GOROOT)"

packages=$(for GOOS in "$@"; do
  export GOOS
  go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}} {{$.Dir}}{{end}}{{end}}' ./cmd/clerksync
done | sort -u)
[[ -n $packages ]] || die "nothing is linked, which can't be"

while read -r module version root dir; do
  # A package may have a licence of its own: look in each folder from the package's to the module's.
  while [[ $dir != "$root" ]]; do
    keep "$module@$version${dir#"$root"}" "$dir" || true
    dir=${dir%/*}
  done
  [[ -d $out/$module@$version ]] && continue
  keep "$module@$version" "$root" || die "$module $version has no licence file"
done <<<"$packages"

{
  printf 'clerksync links the following. Their licences are in the folders of the same names, and their sources at\n'
  printf 'https://pkg.go.dev/MODULE@VERSION. What is under the SSPL, and what that means: https://github.com/glowup-app/clerksync#licence\n\n'
  cut -d ' ' -f 1,2 <<<"$packages" | sort -u
} >"$out/README"
