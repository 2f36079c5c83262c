"""Read a CSV file and write one JSON object per line."""
import csv
import json
import sys

with open(sys.argv[1], newline="") as file:
    for row in csv.DictReader(file):
        print(json.dumps({"fruit": row["fruit"], "crates": int(row["crates"]), "weight": float(row["weight"])}))
