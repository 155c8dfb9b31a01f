#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME (default 30s) each and goes on after a
# failure, so that one run shows all. Inputs that fail are left in testdata/fuzz.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()
while read -r package; do
	targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
	for target in $targets; do
		echo "fuzz: $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 10x "$package" || failed+=("$package $target")
	done
done < <(go list ./...)

if [ ${#failed[@]} -gt 0 ]; then
	printf 'fuzz: FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "fuzz: all targets passed"
