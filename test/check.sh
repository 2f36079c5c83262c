#!/usr/bin/env bash
# The quick tests of the inner loop: those of the rooms, without what takes seconds. `make check` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=test/lib.sh
. test/lib.sh

mapfile -t rooms < <(other_rooms)
go test -short "${pure_rooms[@]}"
GORACE=atexit_sleep_ms=0 go test -race -short "${rooms[@]}"
