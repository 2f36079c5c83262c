#!/usr/bin/env bash
# Prove the README's commands on a machine that has nothing: a new Debian root with Python 3, git and make, this
# machine's Go toolchain, and a clean clone of what is committed. Usage, as root:
#
#   test/fresh/run.sh                 # make demo, then make test
#   test/fresh/run.sh "make demo"     # only this
#
# Everything is mounted in a namespace of its own: nothing stays mounted and no process stays, however this ends.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=test/lib.sh
. test/lib.sh

suite=bookworm
base=$cache/fresh-$suite

# Names of environment variables that say how this machine reaches the outside.
reach='^(https?_proxy|no_proxy|all_proxy|HTTPS?_PROXY|NO_PROXY|ALL_PROXY|PIP_(INDEX_URL|EXTRA_INDEX_URL|CERT|PROXY|TRUSTED_HOST|DEFAULT_TIMEOUT)|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS)$'

make_base() {
  [ ! -e "$base/ready" ] || return 0
  command -v debootstrap >/dev/null || apt-get install -y -q --no-install-recommends debootstrap >/dev/null
  local mirror
  mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' | awk -v s=$suite '$2 == s { print $1; exit }')
  [ -n "$mirror" ] || die "apt of this machine knows no mirror of Debian $suite: see apt-get indextargets"
  say "debootstrap $suite into $base"
  rm -rf "$base"
  mkdir -p "$base"
  debootstrap --variant=minbase --include=python3,python3-venv,git,make,ca-certificates "$suite" "$base/root" "$mirror" >"$base/log" 2>&1 ||
    { tail -n 20 "$base/log" >&2; die "debootstrap failed"; }
  touch "$base/ready"
}

# prepare ROOT: a copy of the base that reaches the outside in the way of this machine, with a clone of the checkout.
prepare() {
  local root=$1
  cp -a --reflink=auto "$base/root/." "$root"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  [ ! -e /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/"
  apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-)' >"$root/etc/apt/apt.conf.d/99host" || true
  mkdir -p "$root/usr/local/go" "$root/build"
  git clone -q --no-local . "$root/build/handoff"
}

environment() {
  env | grep -E "${reach%)\$})=" || true
  for name in GOPROXY GOSUMDB GONOSUMDB GONOPROXY GOPRIVATE; do echo "$name=$(go env $name)"; done
  if command -v npm >/dev/null; then echo "npm_config_registry=$(npm config get registry 2>/dev/null)"; fi
  echo "HOME=/root"
  echo "PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  echo "GOTOOLCHAIN=local"
}

# enter ROOT COMMAND: runs inside the new namespaces.
enter() {
  local root=$1 command=$2 variables
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/tmp"
  mount --bind "$(go env GOROOT)" "$root/usr/local/go"
  mount -o remount,bind,ro "$root/usr/local/go"
  mapfile -t variables < <(environment)
  exec env -i "${variables[@]}" chroot "$root" /bin/bash -c "cd /build/handoff && $command"
}

if [ "${1:-}" = --enter ]; then
  enter "$2" "$3"
fi

[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root"
[ -z "$(git status --porcelain --untracked-files=no)" ] || say "only what is committed is tried; there are changes that are not"
make_base
root=$(mktemp -d "$cache/fresh.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
prepare "$root"
if [ $# -eq 0 ]; then set -- "make demo" "make test"; fi
for command in "$@"; do
  say "on a fresh Debian $suite: $command"
  start=$SECONDS
  unshare --mount --pid --fork --kill-child --propagation private "$PWD/test/fresh/run.sh" --enter "$root" "$command"
  say "$command: $((SECONDS - start)) s"
done
