#!/usr/bin/env bash
# Fuzz every fuzz target of the project for a while, one after the other: test/fuzz.sh 5s, or a number of tries with an
# x behind it: test/fuzz.sh 1500x
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=test/lib.sh
. test/lib.sh
time=${1:-5s}

# out_of_time says whether go test "failed" only since the time was over just when an input was being tried: it then
# names no failing input.
out_of_time() {
  grep -q '^    context deadline exceeded$' "$cache/fuzz.log" && ! grep -qE 'Failing input|panic' "$cache/fuzz.log"
}

passed=0 failed=0
while IFS=: read -r file target; do
  say "$target ($(dirname "$file"))"
  if timeout 300 go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" >"$cache/fuzz.log" 2>&1 ||
    out_of_time; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    cat "$cache/fuzz.log"
  fi
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' internal | sed 's/func //' | sort)
echo "fuzz: $passed passed, $failed failed"
[ -z "${COUNTS:-}" ] || echo "$passed $failed" >"$COUNTS"
[ "$failed" = 0 ]
