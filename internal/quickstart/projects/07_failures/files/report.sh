#!/bin/sh
# What is loaded now?
if [ -f artifacts/loaded.txt ]; then
  echo "loaded: $(wc -l < artifacts/loaded.txt | tr -d ' ') lines"
else
  echo "nothing is loaded"
fi
