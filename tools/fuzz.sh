#!/usr/bin/env bash
# Runs every fuzz target of the tree, one after another, for the given time.
set -euo pipefail
time=${1:-3s}
grep -rlE '^func Fuzz' --include='*_test.go' internal cmd test | xargs -r -n1 dirname | sort -u | while read -r dir; do
	grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
		echo "fuzz $dir $target"
		if ! said=$(go test "./$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" 2>&1 </dev/null); then
			echo "$said" # the input that failed stands here
			exit 1
		fi
		tail -1 <<<"$said"
	done
done
