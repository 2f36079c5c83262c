#!/bin/sh
# Fail twice, then succeed, and forget about it.
count=$(cat artifacts/tries 2>/dev/null || echo 0)
count=$((count + 1))
echo "$count" > artifacts/tries
echo "try $count" >&2
[ "$count" -ge 3 ] || exit 1
rm artifacts/tries
echo "worked at try $count"
