#!/usr/bin/env bash
# Everything that must hold before a change is good. `make test` calls this; the last line is "N passed, M failed".
# A part that fails does not keep the others from running.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=test/lib.sh
. test/lib.sh

make --no-print-directory linter >/dev/null 2>&1 & # takes minutes on a fresh machine; the packages come meanwhile
linter=$!
test/needs.sh
mkdir -p "$cache" .cache
go build -o .cache/report ./test/report
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
passed=0 failed=0

# part NAME COMMAND...: run one part. It counts as one test, unless it writes "passed failed" to $COUNTS.
part() {
  local name=$1 start=$SECONDS p=0 f=0 TIMEFORMAT='%U + %S s of processors'
  shift
  say "$name"
  : >"$counts"
  if time COUNTS=$counts "$@"; then p=1; else f=1; fi
  if [ -s "$counts" ]; then read -r p f <"$counts"; fi
  passed=$((passed + p)) failed=$((failed + f))
  say "$name: $p passed, $f failed ($((SECONDS - start)) s)"
}

# go_tests ARGS...: no cached results, and a test that is skipped counts as failed.
go_tests() {
  go test -count=1 -json "$@" 2>&1 | .cache/report -counts "$COUNTS"
}

part "format" make --no-print-directory fmt-check
part "vet" make --no-print-directory vet
wait "$linter" || true # `make lint` tells what is wrong
part "lint" make --no-print-directory lint
part "tests" go_tests -race -timeout 30m ./...
part "end to end" go_tests -tags e2e -timeout 30m ./test/compat ./test/docs ./test/e2e
part "slow faults" go_tests -tags e2e -timeout 30m -run '^TestSlow' ./test/faults
part "demo" test/demo.sh
part "fuzz" test/fuzz.sh "${FUZZTIME:-1500x}"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
