#!/usr/bin/env bash
# Runs every fuzz target of the tree, one after the other: fuzz.sh [TIME]
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:-60s}
failed=0
while IFS=: read -r file target; do
	dir=./$(dirname "$file")
	printf '== %s %s (%s)\n' "$dir" "$target" "$each"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" -fuzzminimizetime 1x "$dir" || failed=1
done < <(grep -rhoHE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' internal cmd | sed 's/func //')
exit $failed
