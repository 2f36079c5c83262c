#!/usr/bin/env bash
# Everything that must hold before a change is good. `make test` calls this; the last line is "N passed, M failed".
# A part that fails does not keep the others from running.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=test/lib.sh
. test/lib.sh

# It takes minutes on a fresh machine, to build the linters and to read the standard library: it runs beside the rest.
static=$(mktemp) counts=$(mktemp)
# Without "or true" a linter that has ended would fail a run in which all passed.
trap 'kill "$static_pid" 2>/dev/null || true; rm -rf "$counts" "$static" "${memory:-$counts}"' EXIT
nice make --no-print-directory lint >"$static" 2>&1 &
static_pid=$!
test/needs.sh

# Much of what the tests store is flushed to the disk, by two packages at a time. In memory nobody waits for that. What a full disk does has
# tests with disks of their own; what the death of a machine does is beyond all of them.
room=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1 || true)
if [ "${room:-0}" -gt 6000000 ]; then
  memory=$(mktemp -d /dev/shm/handoff-tests.XXXXXX)
  chmod 1777 "$memory"
  if cp /bin/true "$memory/true" && "$memory/true"; then # some machines run no program from there
    export GOTMPDIR=${GOTMPDIR:-${TMPDIR:-/tmp}} TMPDIR=$memory
  fi
fi
mkdir -p "$cache" .cache
go build -o .cache/report ./test/report
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
# A program with the race detector waits a second before it ends unless it is told not to: the tests start thousands.
go_tests() {
  GORACE=atexit_sleep_ms=0 go test -count=1 -json "$@" 2>&1 | .cache/report -counts "$COUNTS"
}

static_result() {
  local code=0
  wait "$static_pid" || code=$?
  cat "$static"
  return "$code"
}

part "format" make --no-print-directory fmt-check
mapfile -t rooms < <(other_rooms ./test/...)
part "pure rooms" go_tests -timeout 30m "${pure_rooms[@]}"
part "tests" go_tests -race -p 3 -timeout 30m "${rooms[@]}" # many of them mostly wait
part "end to end" go_tests -tags e2e -timeout 30m ./test/compat ./test/docs ./test/e2e
part "slow faults" go_tests -tags e2e -timeout 30m -run '^TestSlow' ./test/faults
part "demo" test/demo.sh
part "lint" static_result
part "fuzz" test/fuzz.sh "${FUZZTIME:-1500x}"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
