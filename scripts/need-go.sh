#!/bin/sh
# need-go.sh [GO]: says in one sentence what is wrong with the installed Go, if anything.
# Since 1.21, Go itself downloads the release that go.mod names, if it may.
cd "$(dirname "$0")/.." || exit 1
go=${1:-go}
need=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
version() { sed -n 's/^go version go\([0-9][0-9.]*\).*/\1/p'; }
source="from https://go.dev/dl, or unpack a release of PSI Router, which needs no Go (README)"

here=$(GOTOOLCHAIN=local "$go" version 2>/dev/null | version)
if [ -z "$here" ]; then
	echo "There is no Go here (looked for $go): PSI Router is compiled with Go $need or newer; get it $source." >&2
	exit 1
fi
usable=$("$go" version 2>/dev/null | version)
if [ "$(printf '%s\n%s\n' "$need" "${usable:-0}" | sort -V | head -n 1)" != "$need" ]; then
	echo "This is Go $here ($(command -v "$go")): PSI Router is compiled with Go $need or newer; get it $source." >&2
	exit 1
fi
