#!/usr/bin/env bash
# Measure handoff beside its peers in one run and write docs/benchmarks.md, and docs/benchmarks-local.md for the provider
# local. Wants an idle machine; takes less than four minutes. test/bench.sh streams ARGS..., test/bench.sh local ARGS...: one page only.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=test/lib.sh
. test/lib.sh

streams() {
  local venv=$cache/handoff-0.4.4 # shared with test/compat
  if [ ! -e "$venv/ready" ]; then
    say "installing handoff 0.4.4 into $venv"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install -q handoff==0.4.4
    touch "$venv/ready"
  fi
  go run ./test/bench -bin bin/handoff -python "$venv/bin/handoff" -rounds 3 -out docs/benchmarks.md "$@"
  say "wrote docs/benchmarks.md"
}

provider_local() {
  go run ./test/bench -bin bin/handoff -local all -rounds 3 -out docs/benchmarks-local.md "$@"
  say "wrote docs/benchmarks-local.md"
}

case ${1-} in
  streams) streams "${@:2}" ;;
  local) provider_local "${@:2}" ;;
  *)
    streams "$@"
    provider_local
    ;;
esac
