#!/usr/bin/env bash
# Make sure that this machine has what the tests need. On Debian and Ubuntu, as root, missing packages are installed;
# elsewhere it says what is missing and ends with 1. Go itself is never installed.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=test/lib.sh
. test/lib.sh

command -v go >/dev/null || die "Go 1.26 or later is needed: https://go.dev/dl"

missing=()
need() { # need PACKAGE COMMAND...: the command shows that the package is there
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
need git git --version
need bash-completion test -r /usr/share/bash-completion/bash_completion
need make make --version
need gcc gcc --version                 # the race detector is linked with it
need libc6-dev sh -c 'echo "#include <stdlib.h>" | gcc -E -'
need python3 python3 --version
need python3-venv python3 -c 'import ensurepip, venv'
need chromium chromium --version       # the pictures of the documentation are looked at in two browsers
need firefox-esr firefox-esr --version
need fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >/dev/null
  apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
else
  die "please install: ${missing[*]} (names of Debian packages)"
fi
