"""Read JSON lines and print them as a table."""
import json
import sys

from tabulate import tabulate

rows = [json.loads(line) for line in sys.stdin]
print(tabulate(rows, headers="keys", tablefmt="github"))
