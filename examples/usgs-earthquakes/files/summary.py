"""Count the events of a CSV file by magnitude and show the strongest."""
import collections
import csv
import datetime
import sys

with open(sys.argv[1], encoding="utf-8", newline="") as file:
    events = [row for row in csv.DictReader(file) if row["properties__mag"]]

bands = collections.Counter(int(float(event["properties__mag"])) for event in events)
for band in sorted(bands):
    print(f"magnitude {band}: {bands[band]:6d}")

print("strongest:")
for event in sorted(events, key=lambda e: -float(e["properties__mag"]))[:5]:
    seconds = int(event["properties__time"]) / 1000
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    print(f"  {event['properties__mag']:>4}  {when:%Y-%m-%d %H:%M}  {event['properties__place']}")
