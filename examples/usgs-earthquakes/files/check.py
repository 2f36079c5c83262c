"""Compare the rows of a CSV file with the number of events that the service counts for the same question."""
import csv
import json
import sys
import urllib.request

URL = (
    "{{ base_url }}/count?format=geojson&starttime={{ start }}&endtime={{ end }}"
    "&minmagnitude={{ min_magnitude }}"
)

with urllib.request.urlopen(URL, timeout=60) as answer:
    counted = json.load(answer)["count"]
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    rows = sum(1 for _ in csv.DictReader(file))

print(f"{rows} rows, {counted} events at the source")
if rows != counted:
    sys.exit(f"{sys.argv[1]} is not complete: {rows} rows, but the source counts {counted} events")
