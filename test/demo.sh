#!/usr/bin/env bash
# The example examples/usgs-earthquakes from end to end on this machine: a local server that answers like the USGS, the
# real tap, the real target. Ends non-zero when anything is wrong. `make demo` builds bin/handoff and calls this.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=test/lib.sh
. test/lib.sh

handoff=$PWD/bin/handoff
project=examples/usgs-earthquakes
workspace=${1:-$PWD/.cache/demo}
[ -x "$handoff" ] || die "bin/handoff is missing: run make build"

feed=$(feed_file)
mkdir -p "$workspace" .cache
go build -o .cache/usgs-server "./$project/server"

url_file=$(mktemp)
.cache/usgs-server -data "$feed" -for 10m >"$url_file" &
server=$!
# shellcheck disable=SC2329
clean_up() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -f "$url_file"
}
trap clean_up EXIT
for _ in $(seq 100); do
  [ -s "$url_file" ] && break
  kill -0 "$server" 2>/dev/null || die "the server did not start"
  sleep 0.1
done
base_url=$(cat "$url_file")/fdsnws/event/1
say "serving $feed at $base_url"

say "handoff workspace install"
"$handoff" workspace install -p "$project" -w "$workspace"
# What an earlier run left must not be taken for the result of this one.
rm -rf "$workspace/artifacts"
say "handoff run local"
"$handoff" run local -p "$project" -w "$workspace" -v "base_url=$base_url" page_size=500

say "what it made"
python3 - "$workspace/artifacts" "$feed" <<'PY'
import csv, datetime, json, pathlib, sys

artifacts, feed = pathlib.Path(sys.argv[1]), sys.argv[2]
utc = datetime.timezone.utc
start = datetime.datetime(2018, 1, 31, tzinfo=utc).timestamp() * 1000
end = datetime.datetime(2018, 2, 7, tzinfo=utc).timestamp() * 1000
want = {}
for event in json.load(open(feed))["features"]:
    p = event["properties"]
    if start <= p["time"] <= end and p["mag"] is not None and p["mag"] >= 1:
        want[event["id"]] = p["place"]
rows = list(csv.DictReader(open(artifacts / "earthquakes.csv", newline="")))
print(f"{len(rows)} records, {len(want)} in the feed")
for row in rows[:3]:
    print(f"  {row['id']:<12} {row['properties__mag']:>5}  {row['properties__place']}")
print((artifacts / "summary_stdout.log").read_text(), end="")
if {r["id"]: r["properties__place"] for r in rows} != want or len(rows) != len(want):
    sys.exit("error: the file is not what the feed holds")
record = artifacts / "run.json"
outcome = json.load(open(record)).get("outcome")
print(f"run record: {record} (outcome: {outcome})")
if outcome != "success":
    sys.exit("error: the run record does not say success")
PY
say "files are in $workspace/artifacts"
